"""The adapter of a Conn whose request came from a WSGI server: all it does, it does at once."""

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import IO, Any, Final

from plugpy.conn import PeerData, RequestTooLargeError, SockData
from plugpy.conn.errors import ContentLengthError
from plugpy.conn.fields import ConnFields
from plugpy.http.blocks import has_body, phrase_of
from plugpy.http.errors import VERDICTS
from plugpy.interop.response_fields import response_fields
from plugpy.interop.to_asgi_adapter import refuse_upgrade
from plugpy.interop.to_asgi_lifespan import Outlet

TOO_LARGE: Final = VERDICTS["body_too_large"][1]

BLOCK: Final = 65_536
"""Bytes of body that are read at a time."""


class Piece:
    """What async code awaits that sends a piece: it is handed to who drives that code."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __await__(self) -> Generator["Piece", None, None]:
        yield self


class WsgiAdapter:
    """The adapter of one request."""

    owner = None

    def __init__(
        self,
        environ: dict[str, Any],
        start_response: Callable[..., Any],
        outlet: Outlet,
        max_body: int,
    ) -> None:
        self._environ = environ
        self._start_response = start_response
        self._outlet = outlet
        self._max_body = max_body
        self._read = 0
        length = environ.get("CONTENT_LENGTH") or ""
        chunked = bool(environ.get("wsgi.input_terminated"))
        self._unread: int | None = int(length) if length.isdigit() else None if chunked else 0
        self._result: Iterable[bytes] = ()
        self._open = False
        self._remaining: int | None = None

    @property
    def scheme(self) -> str:
        """ "http" or "https"."""
        scheme: str = self._environ.get("wsgi.url_scheme", "http")
        return scheme

    @property
    def secret_key_base(self) -> str | None:
        """What cookies are signed with."""
        return self._outlet.secret_key_base

    @property
    def trailers(self) -> Sequence[tuple[str, str]]:
        """WSGI has none."""
        return ()

    def get_peer_data(self) -> PeerData:
        """The client, as the server tells it."""
        port = self._environ.get("REMOTE_PORT") or "0"
        return PeerData(self._environ.get("REMOTE_ADDR", ""), int(port) if port.isdigit() else 0)

    def get_sock_data(self) -> SockData:
        """The server's name and port."""
        port = self._environ.get("SERVER_PORT") or "0"
        return SockData(self._environ.get("SERVER_NAME", ""), int(port) if port.isdigit() else 0)

    def get_ssl_data(self) -> dict[str, Any] | None:
        """WSGI does not tell."""
        return None

    def get_http_protocol(self) -> str:
        """ "HTTP/1.1" and the like."""
        protocol: str = self._environ.get("SERVER_PROTOCOL", "HTTP/1.1")
        return protocol

    # response ------------------------------------------------------------------------------------

    def _start(self, conn: ConnFields, length: int | None, kind: str = "") -> bool:
        fields, body = response_fields(conn, length, kind)
        status = conn.status or 200
        line = f"{status} {phrase_of(status) or 'Unknown'}"
        self._start_response(line, [(_title(name), value) for name, value in fields])
        return body

    def send_resp(self, conn: ConnFields, body: bytes, kind: str = "") -> None:
        """Send a whole response."""
        allowed = self._start(conn, len(body), kind)
        self._result = (body,) if allowed and body else ()

    def send_file(self, conn: ConnFields, path: str, offset: int, length: int) -> None:
        """Send a range of a file, by the server's file_wrapper where it is the rest of it.

        Raises OSError where it can't be opened.
        """
        file = open(path, "rb")  # noqa: SIM115 - who iterates closes it
        try:
            allowed = self._start(conn, length)
            if not allowed:
                file.close()
                return
            file.seek(offset)
        except BaseException:
            file.close()
            raise
        wrapper = self._environ.get("wsgi.file_wrapper")
        file.seek(0, 2)
        whole = offset + length == file.tell()
        file.seek(offset)
        self._result = wrapper(file, BLOCK) if wrapper and whole else _Blocks(file, length)

    def send_chunked(self, conn: ConnFields) -> None:
        """Send the head; the body follows by `chunk`."""
        promised = [value for name, value in conn.resp_headers if name == "content-length"]
        self._open = self._start(conn, None)
        self._remaining = int(promised[0]) if promised and self._open else None

    async def chunk(self, conn: ConnFields, data: bytes) -> None:
        """Send one piece: it is yielded to the server, which asks for the next when it has taken
        this one. Raises ContentLengthError."""
        if conn.head.method == "HEAD" or not has_body(conn.status or 200):
            return
        if self._remaining is not None:
            if len(data) > self._remaining:
                raise ContentLengthError(
                    f"this chunk of {len(data)} bytes goes past the content-length header: "
                    f"{self._remaining} were left"
                )
            self._remaining -= len(data)
        await Piece(data)

    def end_chunks(self) -> None:
        """The end of a response in pieces. Raises ContentLengthError."""
        if self._remaining:
            raise ContentLengthError(
                f"the response ended {self._remaining} bytes before its content-length"
            )

    def result(self) -> Iterable[bytes]:
        """What the server iterates."""
        return self._result

    def inform(self, conn: ConnFields, status: int, headers: Sequence[tuple[str, str]]) -> bool:
        """WSGI has none."""
        return False

    def upgrade(self, conn: Any, protocol: str, options: Any) -> bool:
        """WSGI knows no upgrades. Raises UpgradeError as plugpy's own server does."""
        return refuse_upgrade(conn, protocol)

    def websocket(self, conn: Any, options: Any, settings: dict[str, Any]) -> Any:
        """As `upgrade`. Raises UpgradeError, ValueError."""
        refuse_upgrade(conn, "websocket")
        raise ValueError("WSGI does not support WebSocket")

    # request -------------------------------------------------------------------------------------

    async def read_req_body(
        self, conn: ConnFields, limit: int | None, read_timeout: float | None
    ) -> bytes:
        """The next piece of the request body, b"" at its end. Blocks: timeouts are the server's."""
        if limit is None:
            limit = getattr(conn.route, "max_body", None)
            if limit is None:
                limit = self._max_body
        unread = self._unread
        if unread is not None and self._read + unread > limit:
            raise RequestTooLargeError(f"{TOO_LARGE}: {self._read + unread} bytes, not {limit}")
        if unread == 0:
            return b""
        size = BLOCK if unread is None else min(BLOCK, unread)
        piece: bytes = self._environ["wsgi.input"].read(size)
        if unread is not None:
            self._unread = unread - len(piece) if piece else 0
        elif not piece:
            self._unread = 0
        self._read += len(piece)
        if self._read > limit:
            raise RequestTooLargeError(f"{TOO_LARGE}: more than {limit} bytes")
        return piece


class _Blocks:
    """Part of a file, in blocks."""

    def __init__(self, file: IO[bytes], length: int) -> None:
        self._file = file
        self._left = length

    def __iter__(self) -> "_Blocks":
        return self

    def __next__(self) -> bytes:
        block = self._file.read(min(BLOCK, self._left)) if self._left else b""
        if not block:
            raise StopIteration
        self._left -= len(block)
        return block

    def close(self) -> None:
        """PEP 3333: the server calls it in any case."""
        self._file.close()


def _title(name: str) -> str:
    return name.title()
