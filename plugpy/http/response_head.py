"""Response heads that are not known by heart: headers, framing, persistence.

The framing of a message is the server's business: `content-length`, `transfer-encoding`,
`connection` and `date` that a plug has put are checked or replaced here, in one place.
"""

from typing import NamedTuple

from plugpy.conn.errors import ContentLengthError
from plugpy.conn.fields import DEFAULT_RESP_HEADERS, ConnFields
from plugpy.conn.response import validate_header
from plugpy.http.blocks import CONTENT_TYPES, has_body, status_line

_known_names: set[str] = set()
"""Names of headers that were found valid."""

_OURS = frozenset({"connection", "content-length", "date", "transfer-encoding"})


class ResponseHead(NamedTuple):
    """data       bytes of the head, with its empty line
    chunked    whether the body goes in chunks
    close      whether the connection ends with this response
    length     the content-length promised, None for chunked or until close
    body       whether a body may be sent at all"""

    data: bytes
    chunked: bool
    close: bool
    length: int | None
    body: bool


def response_head(
    conn: ConnFields, length: int | None, date: bytes, *, close: bool, kind: str = ""
) -> ResponseHead:
    """The head of a response whose body has `length` bytes, None where that isn't known yet.

    Raises InvalidHeaderError where headers were assigned that would break the message,
    ContentLengthError where a content-length was put that the body does not have.
    """
    status = conn.status or 200
    request = conn.head
    body_allowed = has_body(status)
    is_head = request.method == "HEAD"
    close = close or not request.keep_alive
    headers = conn._resp_headers
    if headers is None:
        headers = DEFAULT_RESP_HEADERS
    if kind and body_allowed and not any(name == "content-type" for name, _ in headers):
        headers = [*headers, ("content-type", CONTENT_TYPES[kind])]
    promised: str | None = None
    lines: list[str] = []
    has_date = upgrade = False
    for name, value in headers:
        if name in _OURS:
            if name == "content-length":
                promised = value
                continue
            if name == "connection":
                close = close or "close" in value.lower()
                upgrade = upgrade or "upgrade" in value.lower()
                continue
            if name == "transfer-encoding":
                continue
            has_date = True
        # PERF: a plug may have assigned `resp_headers`, so all are checked here, most by a look-up.
        if name not in _known_names or not value.isprintable() or not value.isascii():
            validate_header(name, value)
            if len(_known_names) < 1000:
                _known_names.add(name)
        lines.append(f"{name}: {value}\r\n")
    fields = "".join(lines).encode("latin-1")
    if not has_date:
        fields += date

    chunked = False
    if not body_allowed:
        # RFC 9110 section 8.6: none in 1xx and 204; a 304 may tell the length of the 200.
        if status == 205:
            fields += b"content-length: 0\r\n"  # RFC 9110 section 15.3.6
        if status == 304 and promised is not None:
            fields += _content_length(promised, None)
        length = 0
    elif promised is not None:
        fields += _content_length(promised, None if is_head else length)
        length = int(promised)
    elif length is not None:
        fields += b"content-length: %d\r\n" % length
    elif request.version == "1.1":
        chunked = True
        fields += b"transfer-encoding: chunked\r\n"
    else:
        close = True  # HTTP/1.0: the body ends with the connection
    if upgrade:
        fields += b"connection: upgrade\r\n"  # a 426 that asks for it
    if close:
        fields += b"connection: close\r\n"
    elif request.version == "1.0":
        fields += b"connection: keep-alive\r\n"
    return ResponseHead(
        status_line(status) + fields + b"\r\n",
        chunked and not is_head,
        close,
        length,
        body_allowed and not is_head,
    )


def _content_length(promised: str, actual: int | None) -> bytes:
    if not (promised.isascii() and promised.isdigit()):
        raise ContentLengthError(f"the content-length header {promised!r} is not a number")
    if actual is not None and int(promised) != actual:
        raise ContentLengthError(
            f"the content-length header says {promised}, but the body has {actual} bytes"
        )
    return b"content-length: %d\r\n" % int(promised)
