"""ConditionalGet: answers 304 to who has the page already (Rack::ConditionalGet, RFC 9110 13)."""

from typing import Final

from plugpy.conn import Conn
from plugpy.conn.conditional import evaluate, parse_http_date
from plugpy.conn.state import SET

KEPT: Final = frozenset(
    {"cache-control", "content-location", "date", "etag", "expires", "set-cookie", "vary"}
)
"""Headers of a 200 that its 304 has too (RFC 9110 section 15.4.5)."""

_OF_THE_BODY: Final = ("content-", "last-modified", "transfer-encoding", "accept-ranges")


class ConditionalGet:
    """Turns a 200 into 304 where the client's copy is good: by the etag and last-modified that the
    handler, or the plug ETag, has put.

    Options: none.

    GET and HEAD with whole responses only; the handler has done its work already, what is saved is
    the way to the client. A handler that can tell beforehand asks `fresh(conn, etag=...)`. Place it
    before ETag.

    >>> from plugpy.testing import conn
    >>> sent = ConditionalGet()(conn("GET", "/", headers={"if-none-match": '"1"'}))
    >>> sent.put_resp_header("etag", '"1"').send_resp(200, "page").status
    304
    """

    __slots__ = ()

    def __call__(self, conn: Conn) -> Conn:
        if conn.method in ("GET", "HEAD") and (
            conn.get_req_header("if-none-match")
            or conn.get_req_header("if-modified-since")
            or conn.get_req_header("if-match")
            or conn.get_req_header("if-unmodified-since")
        ):
            conn.register_before_send(_answer_short)
        return conn


def _answer_short(conn: Conn) -> Conn:
    if conn.state is not SET or conn.status != 200:
        return conn
    etags = conn.get_resp_header("etag")
    modified = parse_http_date(conn.get_resp_header("last-modified"))
    verdict = evaluate("GET", conn, etags[0] if etags else None, modified)
    if verdict is None:
        return conn
    conn.resp_headers = [
        (name, value)
        for name, value in conn.resp_headers
        if name in KEPT or not name.startswith(_OF_THE_BODY)
    ]
    return conn.resp(verdict, b"")


def fresh(conn: Conn, *, etag: str | None = None, last_modified: float | None = None) -> bool:
    """Put etag and last-modified; True where the client's copy is good: then answer
    `conn.send_resp(304, "")` without making the page.

    etag: the opaque text, or with quotes, or W/"...". last_modified: seconds since 1970.
    """
    from plugpy.conn.conditional import http_date

    if etag is not None:
        if not etag.endswith('"'):
            etag = f'"{etag}"'
        conn.put_resp_header("etag", etag)
    if last_modified is not None:
        conn.put_resp_header("last-modified", http_date(last_modified))
    modified = None if last_modified is None else int(last_modified)
    return evaluate(conn.method, conn, etag, modified) == 304
