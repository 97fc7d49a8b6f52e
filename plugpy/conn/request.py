"""The request side of a Conn: headers, query, body, peer."""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, NamedTuple, Self

from plugpy.conn import query as query_text
from plugpy.conn.adapter import PeerData, SockData
from plugpy.conn.errors import BadEncodingError, BadRequestError, InvalidHeaderError
from plugpy.conn.event_stream import last_event_id
from plugpy.conn.fields import DEFAULT_PORTS, ConnFields

READ_BODY_LENGTH = 8_000_000
"""Bytes that `read_body` returns at most, approximately (Plug.Conn.read_body/2 `length`)."""

READ_TIMEOUT = 15.0
"""Seconds that a read of the body waits for the client (Plug.Conn.read_body/2 `read_timeout`)."""

# RFC 9110 section 5.1: a field name is a token. Lower case only, as HTTP/2 demands.
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


class BodyPart(NamedTuple):
    """What `read_body` returns: some bytes of the body, and whether more may follow."""

    data: bytes
    more: bool


def header_pairs(headers: Headers) -> list[tuple[str, str]]:
    """Any shape of headers as a list of (name, value)."""
    return list(headers.items() if isinstance(headers, Mapping) else headers)


def put_pair(headers: list[tuple[str, str]], key: str, value: str) -> None:
    """Replace the first header `key` where it stands, or append it (Elixir's List.keystore)."""
    for index, (name, _) in enumerate(headers):
        if name == key:
            headers[index] = (key, value)
            return
    headers.append((key, value))


class RequestSide(ConnFields):
    """Methods that read the request, and those that rewrite it for the plugs that follow."""

    __slots__ = ()

    # headers ---

    def get_req_header(self, key: str) -> list[str]:
        """The values of the request header `key`, lower case; [] when it was not sent.

        Source: Plug.Conn.get_req_header/2.
        """
        return self.head.get(key)

    @property
    def last_event_id(self) -> str | None:
        """Of server-sent events: the id of the last one that the client has seen before it came
        back, None where it has not. It comes from the client: check it."""
        return last_event_id(self)

    def put_req_header(self, key: str, value: str) -> Self:
        """Set a request header for the plugs that follow: the first one of that name is replaced.

        Raises InvalidHeaderError for a key that is not a lower-case token, and for "host": assign
        `conn.host`. Allowed once the response was sent: later plugs may still look.
        Source: Plug.Conn.put_req_header/3.
        """
        _check_req_header(key)
        put_pair(self.req_headers, key, value)
        return self

    def prepend_req_headers(self, headers: Headers) -> Self:
        """Put headers before the others, keeping duplicates (Plug.Conn.prepend_req_headers/2)."""
        pairs = header_pairs(headers)
        for key, _ in pairs:
            _check_req_header(key)
        self.req_headers[:0] = pairs
        return self

    def merge_req_headers(self, headers: Headers) -> Self:
        """`put_req_header` for each pair (Plug.Conn.merge_req_headers/2)."""
        for key, value in header_pairs(headers):
            self.put_req_header(key, value)
        return self

    def delete_req_header(self, key: str) -> Self:
        """Remove a request header (Plug.Conn.delete_req_header/2)."""
        self.req_headers = [pair for pair in self.req_headers if pair[0] != key]
        return self

    def update_req_header(self, key: str, initial: str, update: Callable[[str], str]) -> Self:
        """Replace the first value by `update(value)`, or put `initial` when there is none.

        Source: Plug.Conn.update_req_header/4.
        """
        values = self.get_req_header(key)
        return self.put_req_header(key, update(values[0]) if values else initial)

    # parameters ---

    def fetch_query_params(self, *, length: int = 1_000_000, validate_utf8: bool = True) -> Self:
        """Decode the query string now, with limits of your own; nothing happens the second time.

        length: bytes, default 1,000,000, more is a 414. validate_utf8: False keeps broken bytes as
        replacement characters; True answers them with a 400. Raises InvalidQueryError.
        Source: Plug.Conn.fetch_query_params/2.
        """
        try:
            object.__getattribute__(self, "_query_params")
        except AttributeError:
            self._query_params = query_text.decode(
                self.query_string, max_length=length, validate_utf8=validate_utf8
            )
        return self

    def fetch_cookies(self, *, signed: Iterable[str] = (), encrypted: Iterable[str] = ()) -> Self:
        """Verify the named cookies and put their values into `conn.cookies`.

        Plain cookies are there without it. A cookie whose signature is wrong or too old is dropped
        from `cookies` (it stays in `req_cookies`). May be called again with further names.
        Raises UnfetchedError without `secret_key_base`. Source: Plug.Conn.fetch_cookies/2.
        """
        from plugpy.conn.signed_cookies import verify_cookies

        verify_cookies(self, signed, encrypted)
        return self

    # body ---

    async def read_body(
        self,
        *,
        length: int = READ_BODY_LENGTH,
        read_timeout: float = READ_TIMEOUT,
    ) -> BodyPart:
        """The next part of the body: about `length` bytes (default 8,000,000) at most.

        read_timeout: seconds to wait for each piece, default 15. Once read, bytes are gone: use
        `body()` where several plugs want them. No limit on the whole body applies but the
        server's own, since the caller decides when to stop. Raises RequestTimeoutError,
        ClientDisconnected, BadRequestError. Source: Plug.Conn.read_body/2.
        """
        pieces: list[bytes] = []
        size = 0
        while size < length:
            piece = await self.adapter.read_req_body(self, None, read_timeout)
            if not piece:
                return BodyPart(b"".join(pieces), more=False)
            pieces.append(piece)
            size += len(piece)
        return BodyPart(b"".join(pieces), more=True)

    async def body(self, limit: int | None = None) -> bytes:
        """The whole body, read once and cached.

        limit: bytes, None for the route's or the server's (8 MB). Raises RequestTooLargeError
        (413), RequestTimeoutError (408), ClientDisconnected.
        """
        body = self._body
        if body is None:
            # PERF: not by `iter_body`: most bodies arrive with their head, in one piece.
            read = self.adapter.read_req_body
            body = await read(self, limit, READ_TIMEOUT)
            if body and (piece := await read(self, limit, READ_TIMEOUT)):
                pieces = [body, piece]
                while piece := await read(self, limit, READ_TIMEOUT):
                    pieces.append(piece)
                body = b"".join(pieces)
            self._body = body
        return body

    async def iter_body(self, limit: int | None = None) -> AsyncIterator[bytes]:
        """The body piece by piece as it arrives: the client is held back while you work.

        limit: bytes in all, None for the route's or the server's (8 MB). Raises as `body` does.
        """
        if self._body is not None:
            if self._body:
                yield self._body
            return
        adapter = self.adapter
        while piece := await adapter.read_req_body(self, limit, READ_TIMEOUT):
            yield piece

    async def body_json(self, limit: int | None = None) -> Any:
        """The body decoded from JSON. Raises BadRequestError (400) where it is not JSON."""
        body = await self.body(limit)
        try:
            return json.loads(body)
        except UnicodeDecodeError as error:
            raise BadEncodingError("the body is not valid UTF-8") from error
        except (ValueError, RecursionError) as error:
            raise BadRequestError(f"the body is not JSON: {error}") from error

    @property
    def trailers(self) -> list[tuple[str, str]]:
        """Trailers of a chunked request body, known once the body was read to its end."""
        return list(self.adapter.trailers)

    # the connection ---

    def get_peer_data(self) -> PeerData:
        """Address, port and certificate of the peer (Plug.Conn.get_peer_data/1)."""
        return self.adapter.get_peer_data()

    def get_sock_data(self) -> SockData:
        """Address and port of our end (Plug.Conn.get_sock_data/1)."""
        return self.adapter.get_sock_data()

    def get_ssl_data(self) -> dict[str, Any] | None:
        """Facts of the TLS session, None without TLS (Plug.Conn.get_ssl_data/1)."""
        return self.adapter.get_ssl_data()

    def get_http_protocol(self) -> str:
        """ "HTTP/1.1" and the like (Plug.Conn.get_http_protocol/1)."""
        return self.adapter.get_http_protocol()

    @property
    def http_version(self) -> str:
        """ "1.0", "1.1" or "2"."""
        return self.head.version

    def request_url(self) -> str:
        """The full URL of the request; the default port is left out (Plug.Conn.request_url/1)."""
        port = "" if self.port == DEFAULT_PORTS.get(self.scheme) else f":{self.port}"
        query = f"?{self.query_string}" if self.query_string else ""
        return f"{self.scheme}://{self.host}{port}{self.request_path}{query}"


def check_header_name(key: str) -> None:
    """Raise InvalidHeaderError where `key` is not a lower-case token."""
    if not _NAME.fullmatch(key):
        raise InvalidHeaderError(
            f"the header name {key!r} is not a lower-case token (letters, digits, !#$%&'*+-.^_`|~)"
        )


def _check_req_header(key: str) -> None:
    check_header_name(key)
    if key == "host":
        raise InvalidHeaderError(
            'set the host by assigning conn.host = "..." instead of setting a "host" header'
        )
