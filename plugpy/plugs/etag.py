"""ETag: an entity tag for each dynamic answer (Rack::ETag, RFC 9110 section 8.8.3)."""

import hashlib
from typing import ClassVar

from plugpy.conn import Conn
from plugpy.conn.response import to_bytes
from plugpy.conn.state import SET


class ETag:
    """Puts an etag that is a hash of the body, so that ConditionalGet can answer 304.

    Options:
      weak   True: W/"...", the same for a compressed body; False: a strong one

    Whole answers with status 200 to GET and HEAD, that have no etag yet and may be stored
    (no cache-control: no-store). Place it after ConditionalGet; Compress may be anywhere before.

    >>> from plugpy.testing import conn
    >>> ETag()(conn("GET", "/")).send_resp(200, "page").get_resp_header("etag")
    ['W/"R18Yi4Ij5rqcqyOflIyn_A"']
    """

    __slots__ = ("_prefix",)
    runs_after = ("ConditionalGet",)
    needs: ClassVar = {"ConditionalGet": "nobody compares the etag, so all answers are whole"}

    def __init__(self, *, weak: bool = True) -> None:
        self._prefix = "W/" if weak else ""

    def __call__(self, conn: Conn) -> Conn:
        if conn.method in ("GET", "HEAD"):
            conn.register_before_send(self._put)
        return conn

    def _put(self, conn: Conn) -> Conn:
        if (
            conn.state is SET
            and conn.status == 200
            and not conn.get_resp_header("etag")
            and not any("no-store" in value for value in conn.get_resp_header("cache-control"))
        ):
            from base64 import urlsafe_b64encode

            body = to_bytes(conn.resp_body)
            if body is not conn.resp_body and not isinstance(conn.resp_body, str):
                conn.resp(200, body)  # an iterable can be read once
            digest = hashlib.blake2b(body, digest_size=16).digest()
            opaque = urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
            conn.put_resp_header("etag", f'{self._prefix}"{opaque}"')
        return conn
