"""The head of a request: request line and headers, kept as text until somebody asks for a header.

A RequestHead is immutable in use and may be shared by several requests (see plugpy.http.head for
the memo of repeated heads), so nothing here may be changed after it was built.
"""

from collections.abc import Iterable


class RequestHead:
    """What an adapter knows of a request before its body.

    method   str, as sent ("GET")
    path     str, raw: percent-encoding kept, no query
    query    str, raw, without the question mark
    version  str, "1.0", "1.1", "2" ...
    fields   str, the head from its HTTP version on, as sent: "HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n";
             so every header name is preceded by CRLF
    lower    str, `fields` in lower case, for quick searches
    authority str or None, from an absolute-form or authority-form target (RFC 9112 section 3.2)
    plain    bool: HTTP/1.1, persistent, not HEAD: an answer needs no second thought
    owned    bool: this head belongs to one request, its headers may be changed
    keep_alive bool, whether the client lets the connection persist (RFC 9112 section 9.3)
    """

    __slots__ = (
        "_header_bytes",
        "_headers",
        "authority",
        "fields",
        "keep_alive",
        "lower",
        "method",
        "owned",
        "path",
        "plain",
        "query",
        "version",
    )

    def __init__(
        self,
        method: str,
        path: str,
        query: str,
        version: str,
        fields: str,
        lower: str,
        keep_alive: bool = True,
        authority: str | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.version = version
        self.fields = fields
        self.lower = lower
        self.keep_alive = keep_alive
        self.authority = authority
        self.plain = keep_alive and version == "1.1" and method != "HEAD"
        self.owned = False
        self._headers: list[tuple[str, str]] | None = None
        self._header_bytes: list[tuple[bytes, bytes]] | None = None

    def copy(self, headers: Iterable[tuple[str, str]] | None = None) -> "RequestHead":
        """A head of its own for one request, with a list of headers that may be changed."""
        head = RequestHead(
            self.method,
            self.path,
            self.query,
            self.version,
            self.fields,
            self.lower,
            self.keep_alive,
            self.authority,
        )
        head.plain = self.plain
        head.owned = True
        head._headers = list(self.headers if headers is None else headers)
        return head

    @classmethod
    def from_headers(
        cls,
        method: str,
        path: str,
        query: str,
        headers: Iterable[tuple[str, str]],
        version: str = "1.1",
        authority: str | None = None,
    ) -> "RequestHead":
        """A head whose headers are parsed already (an ASGI scope, a test)."""
        head = cls(method, path, query, version, "", "", True, authority)
        head._headers = [(name.lower(), value) for name, value in headers]
        return head

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All headers in order, names in lower case. Shared: copy before changing.

        Bytes above 127 are kept as Latin-1 characters (RFC 9110 section 5.5).
        """
        headers = self._headers
        if headers is None:
            headers = []
            for line in self.fields.split("\r\n")[1:]:
                if line:
                    name, _, value = line.partition(":")
                    headers.append((name.lower(), value.strip(" \t")))
            self._headers = headers
        return headers

    def get(self, name: str) -> list[str]:
        """The values of the header `name` (lower case), one a header line, in order."""
        # PERF: a header that is not there costs one substring search, not a parse.
        if self._headers is None and f"\r\n{name}:" not in self.lower:
            return []
        return [value for key, value in self.headers if key == name]

    def header_bytes(self) -> list[tuple[bytes, bytes]]:
        """The headers as pairs of bytes, as ASGI wants them. Shared: copy before changing."""
        pairs = self._header_bytes
        if pairs is None:
            if self._headers is None:
                lines = self.fields.encode("latin-1").split(b"\r\n")[1:]
                split = (line.partition(b":") for line in lines if line)
                pairs = [(name.lower(), value.strip(b" \t")) for name, _, value in split]
            else:
                pairs = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in self._headers]
            self._header_bytes = pairs
        return pairs

    def __repr__(self) -> str:
        return f"<RequestHead {self.method} {self.path} HTTP/{self.version}>"
