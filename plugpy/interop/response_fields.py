"""The head of a response for who frames messages himself: an ASGI or WSGI server."""

from plugpy.conn.errors import ContentLengthError
from plugpy.conn.fields import ConnFields
from plugpy.conn.response import validate_header
from plugpy.http.blocks import CONTENT_TYPES, has_body

_FRAMING = frozenset({"connection", "transfer-encoding", "keep-alive"})


def response_fields(
    conn: ConnFields, length: int | None, kind: str = ""
) -> tuple[list[tuple[str, str]], bool]:
    """(headers, whether a body may be sent). length: bytes of the whole body, None for a stream.

    The framing is the server's: `connection` and `transfer-encoding` are left out. Raises
    InvalidHeaderError, ContentLengthError as plugpy's own server does.
    """
    status = conn.status or 200
    if status < 200:
        raise ValueError(f"{status} is no final status; use conn.inform for 1xx")
    allowed = has_body(status)
    is_head = conn.head.method == "HEAD"
    fields: list[tuple[str, str]] = []
    promised: str | None = None
    for name, value in conn.resp_headers:
        if name in _FRAMING:
            continue
        validate_header(name, value)
        if name == "content-length":
            promised = value
            continue
        fields.append((name, value))
    if kind and allowed and not any(name == "content-type" for name, _ in fields):
        fields.append(("content-type", CONTENT_TYPES[kind]))
    if promised is not None and (allowed or status == 304):
        if not (promised.isascii() and promised.isdigit()):
            raise ContentLengthError(f"the content-length header {promised!r} is not a number")
        if allowed and not is_head and length is not None and int(promised) != length:
            raise ContentLengthError(
                f"the content-length header says {promised}, but the body has {length} bytes"
            )
        fields.append(("content-length", promised))
    elif length is not None and allowed:
        fields.append(("content-length", str(length)))
    return fields, allowed and not is_head
