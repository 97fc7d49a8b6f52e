"""Trailers: fields after a chunked body (RFC 9110 section 6.5), and which may be among them."""

from typing import Final

from plugpy.conn.errors import InvalidHeaderError

FORBIDDEN_TRAILERS: Final = frozenset(
    # RFC 9110 section 6.5.1: framing, routing, request modifiers, authentication, response control
    # data, content format.
    [
        "age",
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "date",
        "expect",
        "expires",
        "forwarded",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "location",
        "max-forwards",
        "pragma",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "retry-after",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "vary",
        "via",
        "www-authenticate",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-real-ip",
    ]
)
"""Names that are no trailers: dropped from requests, refused in responses."""


def check_trailer_name(name: str) -> None:
    """Raise InvalidHeaderError for a field that a recipient must have before the body."""
    if name in FORBIDDEN_TRAILERS:
        raise InvalidHeaderError(
            f"{name!r} can't be a trailer (RFC 9110 section 6.5.1): put it as a header"
        )
