"""What all tests share."""

from hypothesis import settings

# No deadline for one example: this suite runs on machines that are busy with other things.
settings.register_profile("plugpy", deadline=None)
settings.load_profile("plugpy")
