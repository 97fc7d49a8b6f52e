"""Property tests here have no time limit for an example: a busy machine is no bug of the parser."""

from hypothesis import settings

settings.register_profile("plugpy", deadline=None)
settings.load_profile("plugpy")
