"""Response heads as bytes, known by heart where they repeat.

A block is a whole head, so that a response is `block + body`: one concatenation, one write.
"""

from time import time
from typing import Final

from plugpy.conn.cookies import http_date
from plugpy.conn.fields import DEFAULT_RESP_HEADERS
from plugpy.conn.status import REASON_PHRASES

LARGEST: Final = 4096
"""Bodies below this many bytes have their heads kept; there may be as many heads a second."""

DEFAULT_FIELDS: Final = b"".join(
    f"{name}: {value}\r\n".encode() for name, value in DEFAULT_RESP_HEADERS
)

CONTENT_TYPES: Final = {
    "": "",
    "text": "text/plain; charset=utf-8",
    "json": "application/json",
}
"""Kind of a body (plugpy.conn.adapter) -> its content-type."""
_STATUS_LINES: dict[int, bytes] = {}


def phrase_of(status: int) -> str:
    """The reason phrase of a status, "" for one without: RFC 9112 section 4 lets it be empty."""
    return REASON_PHRASES.get(status, "")


def status_line(status: int) -> bytes:
    """`HTTP/1.1 200 OK` and CRLF; the version is ours, not the request's (RFC 9112 section 2.3)."""
    line = _STATUS_LINES.get(status)
    if line is None:
        line = f"HTTP/1.1 {status} {phrase_of(status)}\r\n".encode("latin-1")
        _STATUS_LINES[status] = line
    return line


def date_field() -> bytes:
    """The Date header of this second (RFC 9110 section 6.6.1)."""
    return b"date: " + http_date(time()).encode() + b"\r\n"


_WITHOUT_BODY = frozenset({204, 205, 304})


def has_body(status: int) -> bool:
    """Whether a response of this status has a body (RFC 9110 sections 6.4.1, 15.3.5, 15.3.6,
    15.4.5)."""
    return status >= 200 and status not in _WITHOUT_BODY


class Blocks(dict[int, bytes]):
    """`length << 10 | status` -> the whole head of a response whose headers are the untouched
    default. Emptied once a second, when the date changes. Statuses without a body are never in it.
    """

    __slots__ = ("_prefixes", "_untyped", "fields")

    def __init__(self, kind: str, untyped: "Blocks | None" = None) -> None:
        # Those of the kind "", for responses that have a content-type of their own.
        self._untyped = untyped
        typed = f"content-type: {CONTENT_TYPES[kind]}\r\n" if kind else ""
        self.fields = typed.encode() + DEFAULT_FIELDS if kind else DEFAULT_FIELDS
        # status -> the part of a head that does not depend on headers or length.
        self._prefixes: dict[int, bytes] = {}

    def clear(self) -> None:
        """Forget all: a new second has begun."""
        super().clear()
        self._prefixes.clear()

    def make(self, status: int, length: int, date: bytes) -> bytes | None:
        """The head for a body of `length` bytes, kept until the next second; None where it must be
        thought about."""
        if length >= LARGEST or not has_body(status) or status >= 1024:
            return None
        head = self[length << 10 | status] = b"%b%b%bcontent-length: %d\r\n\r\n" % (
            status_line(status),
            self.fields,
            date,
            length,
        )
        return head

    def with_headers(
        self, status: int, headers: tuple[tuple[str, str], ...], length: int, date: bytes
    ) -> bytes | None:
        """The head of a response that has more headers than the default ones, which come first;
        None where it must be thought about.

        headers: those that `put_resp_header` has checked, with none about framing.
        PERF: the same as plugpy.http.response_head in a fifth of its time.
        """
        if headers[0] is not DEFAULT_RESP_HEADERS[0] or not has_body(status):
            return None
        fields = ""
        for name, value in headers[1:]:
            if name == "content-type" and self._untyped is not None:
                return self._untyped.with_headers(status, headers, length, date)
            fields += f"{name}: {value}\r\n"
        prefix = self._prefixes.get(status)
        if prefix is None:
            prefix = self._prefixes[status] = status_line(status) + self.fields + date
        return prefix + f"{fields}content-length: {length}\r\n\r\n".encode("latin-1")
