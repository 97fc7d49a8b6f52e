"""Compress: smaller answers (RFC 9110 section 8.4).

Lives here: the plug, which answers are compressed and by what (`choice`), the codings themselves
(`encoders`), and the adapter that compresses what passes (`adapter`).
"""

from plugpy.plugs.compress.choice import COMPRESSIBLE
from plugpy.plugs.compress.compress import Compress

__all__ = ["COMPRESSIBLE", "Compress"]
