"""What a WSGI application says in `start_response`, checked (PEP 3333, "The start_response()
Callable")."""

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from plugpy.conn.response import validate_header
from plugpy.interop.errors import WsgiError

# RFC 9112 section 4; the reason is not looked at: the server has its own.
_STATUS = re.compile(r"([2-9][0-9]{2})(?: [^\x00-\x08\x0a-\x1f\x7f]*)?")

HOP_BY_HOP: Final = frozenset(
    {
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that an application must not send (PEP 3333, "Other HTTP Features"): dropped, as those
of an upstream server that it has copied are not meant for this connection."""


class Start(NamedTuple):
    """status: int. pairs: the headers, names in lower case. length: the content-length promised,
    None without one."""

    status: int
    pairs: list[tuple[str, str]]
    length: int | None


def parse_start(status: Any, headers: Any) -> Start:
    """Raises WsgiError for what is not of the form, InvalidHeaderError for what would break the
    message."""
    if not isinstance(status, str) or (found := _STATUS.fullmatch(status)) is None:
        raise WsgiError(
            f"start_response takes a status such as '200 OK', from 200 to 999; got {status!r}"
        )
    if not isinstance(headers, Sequence) or isinstance(headers, str | bytes):
        raise WsgiError(f"start_response takes a list of headers, got {headers!r}")
    pairs: list[tuple[str, str]] = []
    length: int | None = None
    for header in headers:
        try:
            name, value = header
        except (TypeError, ValueError):
            raise WsgiError(f"a response header is a pair of str, got {header!r}") from None
        if not isinstance(name, str) or not isinstance(value, str):
            raise WsgiError(
                f"a response header is a pair of str, got {type(name).__name__} and "
                f"{type(value).__name__} for {name!r}"
            )
        key = name.lower()
        if key in HOP_BY_HOP:
            continue
        validate_header(key, value)
        if key == "content-length" and value.isascii() and value.isdigit():
            length = int(value)
        pairs.append((key, value))
    return Start(int(found[1]), pairs, length)
