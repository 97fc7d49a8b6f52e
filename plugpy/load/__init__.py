"""`plugpy load`: loads a server with concurrent clients and measures what they see.

Lives here: the options of a run, its light HTTP/1.1 client, closed and open loop pacing, the
figures and how they are shown. May be touched: everything exported below. Nothing here knows of
plugpy's own server: any HTTP/1.1 server may be loaded, with its owner's consent.
"""

from plugpy.load.errors import ERROR_KINDS, LoadError
from plugpy.load.generator import LoadGenerator
from plugpy.load.options import LoadOptions
from plugpy.load.progress import make_progress, show_progress
from plugpy.load.report import LoadReport

__all__ = [
    "ERROR_KINDS",
    "LoadError",
    "LoadGenerator",
    "LoadOptions",
    "LoadReport",
    "make_progress",
    "show_progress",
]
