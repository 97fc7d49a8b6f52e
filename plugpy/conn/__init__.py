"""The Conn: one request and its response (Plug.Conn).

Lives here: the Conn with its fields, states and errors; the pure parts it is made of (query
strings, cookies, statuses, media types, signing); the adapter contract that carries it.
May be touched: everything exported below. A Conn knows nothing of sockets, plugs or routes.
"""

from plugpy.conn.adapter import Adapter, PeerData, SockData
from plugpy.conn.conn import Conn
from plugpy.conn.errors import (
    AlreadySentError,
    BadEncodingError,
    BadRequestError,
    ClientDisconnected,
    ConnError,
    ContentLengthError,
    CookieOverflowError,
    InvalidCookieError,
    InvalidHeaderError,
    InvalidPathError,
    InvalidQueryError,
    MethodNotAllowedError,
    NoRouteError,
    NoTasksError,
    NotSentError,
    PlugError,
    RequestTimeoutError,
    RequestTooLargeError,
    UnfetchedError,
    UnsupportedMediaTypeError,
    status_of,
)
from plugpy.conn.fields import decode_segment, split_path
from plugpy.conn.head import RequestHead
from plugpy.conn.request import BodyPart
from plugpy.conn.state import State

__all__ = [
    "Adapter",
    "AlreadySentError",
    "BadEncodingError",
    "BadRequestError",
    "BodyPart",
    "ClientDisconnected",
    "Conn",
    "ConnError",
    "ContentLengthError",
    "CookieOverflowError",
    "InvalidCookieError",
    "InvalidHeaderError",
    "InvalidPathError",
    "InvalidQueryError",
    "MethodNotAllowedError",
    "NoRouteError",
    "NoTasksError",
    "NotSentError",
    "PeerData",
    "PlugError",
    "RequestHead",
    "RequestTimeoutError",
    "RequestTooLargeError",
    "SockData",
    "State",
    "UnfetchedError",
    "UnsupportedMediaTypeError",
    "decode_segment",
    "split_path",
    "status_of",
]
