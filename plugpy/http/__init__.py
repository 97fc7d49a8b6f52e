"""HTTP on top of acceptors (Cowboy's part): connections turn bytes into a Conn and back.

Lives here: the HTTP/1 connection with its parsers, bodies, heads, files and deadlines.
May be touched: HttpOptions (every limit and timeout), Http1Connection (give it to
acceptors.start_listener), VERDICTS (every fault of a request and its status).
"""

from plugpy.http.errors import VERDICTS, HttpError
from plugpy.http.http1 import Http1Connection
from plugpy.http.options import AccessLog, Application, HttpOptions
from plugpy.http.parsers import PARSERS

__all__ = [
    "PARSERS",
    "VERDICTS",
    "AccessLog",
    "Application",
    "Http1Connection",
    "HttpError",
    "HttpOptions",
]
