"""Trailers: fields after a chunked body (RFC 9110 section 6.5), and which may be among them."""

from typing import Final

from plugpy.conn.errors import InvalidHeaderError

FORBIDDEN_TRAILERS: Final = frozenset(
    # RFC 9110 section 6.5.1: framing, routing, authentication, content format.
    [
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "max-forwards",
        "pragma",
        "proxy-authorization",
        "range",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
"""Names that are no trailers: dropped from requests, refused in responses."""


def check_trailer_name(name: str) -> None:
    """Raise InvalidHeaderError for a field that a recipient must have before the body."""
    if name in FORBIDDEN_TRAILERS:
        raise InvalidHeaderError(
            f"{name!r} can't be a trailer (RFC 9110 section 6.5.1): put it as a header"
        )
