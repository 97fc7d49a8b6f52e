"""The Origin check: whose pages may open a WebSocket connection here (RFC 6455 section 10.2).

Browsers let any page open one to any site, with that site's cookies. So what looks like a request
of the user's may be one of a foreign page: cross-site WebSocket hijacking.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from plugpy.conn import Conn
from plugpy.websocket.options import OriginCheck

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def allows(check: OriginCheck, conn: Conn, origin: str) -> bool:
    """Whether pages of `origin`, the header's value, may connect."""
    if check is False:
        return True
    if callable(check):
        return bool(check(conn, origin))
    if check is True:
        return _is_own(conn, origin)
    return any(_matches(pattern, origin) for pattern in check)


def _is_own(conn: Conn, origin: str) -> bool:
    """Whether the page comes from the host that it connects to.

    The scheme is not compared: behind a proxy that ends TLS ours is "http". A port that goes
    without saying is none.
    """
    theirs = _split(origin)
    if theirs is None:
        return False
    scheme, host, port = theirs
    own = _split(f"{scheme}://{_host_header(conn)}")
    return own is not None and own[1:] == (host, port)


def _host_header(conn: Conn) -> str:
    values: Sequence[str] = conn.head.get("host")
    return values[0] if len(values) == 1 else conn.host


def _matches(pattern: str, origin: str) -> bool:
    theirs = _split(origin)
    if theirs is None:
        return False
    scheme, host, port = theirs
    any_scheme = pattern.startswith("//")
    wanted = _split(f"{scheme}:{pattern}" if any_scheme else pattern)
    if wanted is None:
        raise ValueError(
            f"check_origin has {pattern!r}; write an origin as https://example.com, "
            "https://*.example.com or //example.com"
        )
    if wanted[1].startswith("*."):
        if not host.endswith(wanted[1][1:]):
            return False
    elif wanted[1] != host:
        return False
    return any_scheme or (wanted[0] == scheme and wanted[2] == port)


def _split(origin: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port of an origin, in lower case; None for "null" and what is none."""
    try:
        parts = urlsplit(origin.lower())
        port = parts.port
    except ValueError:
        return None
    if not parts.scheme or not parts.hostname or parts.path or parts.query or parts.username:
        return None
    return parts.scheme, parts.hostname, port or _PORTS.get(parts.scheme)
