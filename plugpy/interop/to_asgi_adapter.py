"""The adapter of a Conn whose request came from an ASGI server.

`send_resp` is a plain function, `send` is not: what is sent by a plain plug is queued and leaves
when the plugs have returned; once async code runs, a Task sends it at once.
"""

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from typing import IO, Any, Final

from plugpy.conn import (
    ClientDisconnected,
    PeerData,
    RequestTimeoutError,
    RequestTooLargeError,
    SockData,
)
from plugpy.conn.errors import ContentLengthError
from plugpy.conn.fields import ConnFields
from plugpy.http.blocks import has_body
from plugpy.http.errors import VERDICTS
from plugpy.interop.asgi_types import Message, Receive, Scope, Send
from plugpy.interop.response_fields import response_fields
from plugpy.interop.to_asgi_lifespan import Outlet

TOO_LARGE: Final = VERDICTS["body_too_large"][1]

FILE_BLOCK: Final = 262_144
"""Bytes of a file that are read at a time, in a thread."""


def refuse_upgrade(conn: Any, protocol: str) -> bool:
    """False; but a request that is no WebSocket handshake is told so: UpgradeError."""
    if protocol == "websocket":
        from plugpy.websocket.handshake import check_request

        check_request(conn)
    return False


class AsgiOutput:
    """What HTTP and WebSocket have in common: facts of the connection, and the way out.

    gone: the client has left. broken: why the response could not be completed, None while all is
    well; the server is told by this being raised.
    """

    owner = None

    def __init__(self, scope: Scope, receive: Receive, send: Send, outlet: Outlet) -> None:
        self.scope = scope
        self.receive = receive
        self._send = send
        self._outlet = outlet
        self._queue: deque[Any] = deque()
        self._sender: asyncio.Future[None] | None = None
        self._async = False
        self.gone = False
        self.broken: Exception | None = None
        self._extensions: dict[str, Any] = scope.get("extensions") or {}

    @property
    def scheme(self) -> str:
        """ "http" or "https"."""
        scheme = str(self.scope.get("scheme", "http"))
        return {"ws": "http", "wss": "https"}.get(scheme, scheme)

    @property
    def secret_key_base(self) -> str | None:
        """What cookies are signed with."""
        return self._outlet.secret_key_base

    @property
    def tasks(self) -> Any:
        """The supervisor of what outlives its request."""
        return self._outlet.tasks

    @property
    def trailers(self) -> Sequence[tuple[str, str]]:
        """ASGI has no trailers of requests."""
        return ()

    def get_peer_data(self) -> PeerData:
        """The client, as the server tells it; with its certificate by the `tls` extension."""
        client = self.scope.get("client")
        chain = (self._extensions.get("tls") or {}).get("client_cert_chain") or ()
        certificate = None
        if chain:
            import ssl

            certificate = ssl.PEM_cert_to_DER_cert(next(iter(chain)))
        if not client:
            return PeerData("", 0, certificate)
        return PeerData(client[0], client[1] or 0, certificate)

    def get_sock_data(self) -> SockData:
        """The server's end."""
        server = self.scope.get("server")
        return SockData(server[0], server[1] or 0) if server else SockData("", 0)

    def get_ssl_data(self) -> dict[str, Any] | None:
        """What the `tls` extension says, None without it."""
        tls = self._extensions.get("tls")
        return dict(tls) if tls else None

    def get_http_protocol(self) -> str:
        """ "HTTP/1.1" and the like."""
        return f"HTTP/{self.scope.get('http_version', '1.1')}"

    # out -----------------------------------------------------------------------------------------

    def begin_async(self) -> None:
        """From now on async code runs: what is sent leaves at once."""
        self._async = True
        self._hurry()

    def give_up(self) -> None:
        """Nobody takes an answer any more."""
        self.gone = True
        self._queue.clear()

    def put(self, item: Any) -> None:
        """Queue a message, or a function that sends some."""
        if not self.gone:
            self._queue.append(item)
            if self._async:
                self._hurry()

    def _hurry(self) -> None:
        if self._queue and self._sender is None:
            self._sender = asyncio.ensure_future(self.flush_queue())
            self._sender.add_done_callback(self._sent)

    def _sent(self, sender: "asyncio.Future[None]") -> None:
        self._sender = None
        if not sender.cancelled() and (error := sender.exception()) is not None:
            if isinstance(error, ClientDisconnected):
                self.give_up()
            elif isinstance(error, Exception):
                self.broken = error
        self._hurry()

    async def flush(self) -> None:
        """Send all that is queued. Raises ClientDisconnected."""
        while self._sender is not None:
            await asyncio.wait([self._sender])
            await asyncio.sleep(0)  # its callback runs
        if self._queue:
            await self.flush_queue()
        if self.gone:
            raise ClientDisconnected("the client went away before the response was complete")

    async def flush_queue(self) -> None:
        """What the sender does."""
        while self._queue:
            item = self._queue.popleft()
            if callable(item):
                await item()
            else:
                await self.send(item)

    async def send(self, message: Message) -> None:
        """Send one message. Raises ClientDisconnected."""
        try:
            await self._send(message)
        except OSError as error:
            self.give_up()
            raise ClientDisconnected("the client went away") from error

    def watch(self, conn: ConnFields, task: "asyncio.Future[Any]") -> Any:
        """Cancel `task` when the client leaves; returns what looks out for that, or None."""
        return None

    def end_chunks(self, conn: ConnFields) -> None:
        """Complete a response that was sent in pieces."""


class AsgiAdapter(AsgiOutput):
    """The adapter of one HTTP request."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, outlet: Outlet, max_body: int
    ) -> None:
        super().__init__(scope, receive, send, outlet)
        self._max_body = max_body
        self._read = 0
        names = {name for name, _ in scope["headers"]}
        # HTTP/1 announces a body; later versions need not.
        self._bodyless = scope.get("http_version", "1.1").startswith("1") and not (
            names & {b"content-length", b"transfer-encoding"}
        )
        self._ended = self._bodyless
        self._remaining: int | None = None
        self._open = False

    # response ------------------------------------------------------------------------------------

    def _start(self, conn: ConnFields, length: int | None, kind: str = "") -> bool:
        fields, body = response_fields(conn, length, kind)
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        self.put({"type": "http.response.start", "status": conn.status or 200, "headers": headers})
        return body

    def send_resp(self, conn: ConnFields, body: bytes, kind: str = "") -> None:
        """Send a whole response."""
        allowed = self._start(conn, len(body), kind)
        self.put({"type": "http.response.body", "body": body if allowed else b""})

    def send_file(self, conn: ConnFields, path: str, offset: int, length: int) -> None:
        """Send a range of a file: by the extension pathsend where it is the whole file, else read
        in blocks. Raises OSError where it can't be opened."""
        file = open(path, "rb")  # noqa: SIM115 - `send` closes it
        try:
            allowed = self._start(conn, length)
            if not allowed or not length:
                file.close()
                self.put({"type": "http.response.body", "body": b""})
                return
            size = os.fstat(file.fileno()).st_size
            if not offset and length == size and "http.response.pathsend" in self._extensions:
                file.close()
                self.put({"type": "http.response.pathsend", "path": os.path.abspath(path)})
                return
        except BaseException:
            file.close()
            raise

        async def send() -> None:
            await self._send_file(file, offset, length)

        self.put(send)

    async def _send_file(self, file: IO[bytes], offset: int, length: int) -> None:
        with file:
            file.seek(offset)
            while length:
                block = await asyncio.to_thread(file.read, min(length, FILE_BLOCK))
                if not block:
                    raise EOFError("the file has shrunk while it was sent")
                length -= len(block)
                await self.send(
                    {"type": "http.response.body", "body": block, "more_body": bool(length)}
                )

    def send_chunked(self, conn: ConnFields) -> None:
        """Send the head; the body follows by `chunk`."""
        promised = [value for name, value in conn.resp_headers if name == "content-length"]
        self._open = self._start(conn, None)
        self._remaining = int(promised[0]) if promised and self._open else None

    async def chunk(self, conn: ConnFields, data: bytes) -> None:
        """Send one piece, when all before it have left. Raises ClientDisconnected, and
        ContentLengthError past the content-length that was put."""
        if self.gone:
            raise ClientDisconnected("the client went away before the response was complete")
        if conn.head.method == "HEAD" or not has_body(conn.status or 200):
            return
        if self._remaining is not None:
            if len(data) > self._remaining:
                raise ContentLengthError(
                    f"this chunk of {len(data)} bytes goes past the content-length header: "
                    f"{self._remaining} were left"
                )
            self._remaining -= len(data)
        self.put({"type": "http.response.body", "body": data, "more_body": True})
        await self.flush()

    def end_chunks(self, conn: ConnFields) -> None:
        """The end of a response in pieces."""
        if self._remaining:
            self.broken = ContentLengthError(
                f"the response ended {self._remaining} bytes before its content-length"
            )
            return
        self.put({"type": "http.response.body", "body": b""})

    async def finish(self, conn: ConnFields) -> None:
        """All that was sent leaves. Raises ClientDisconnected; what broke the response, so that the
        server breaks off too."""
        await self.flush()
        if self.broken is not None:
            raise self.broken

    def inform(self, conn: ConnFields, status: int, headers: Sequence[tuple[str, str]]) -> bool:
        """103 by the extension early_hint; ASGI has nothing else."""
        if status != 103 or "http.response.early_hint" not in self._extensions:
            return False
        links = [value.encode("latin-1") for name, value in headers if name.lower() == "link"]
        self.put({"type": "http.response.early_hint", "links": links})
        return True

    def upgrade(self, conn: Any, protocol: str, options: Any) -> bool:
        """An HTTP scope can't change. Raises UpgradeError as plugpy's own server does."""
        return refuse_upgrade(conn, protocol)

    def websocket(self, conn: Any, options: Any, settings: dict[str, Any]) -> Any:
        """As `upgrade`. Raises UpgradeError, ValueError."""
        refuse_upgrade(conn, "websocket")
        raise ValueError("the server in front does not support WebSocket")

    # request -------------------------------------------------------------------------------------

    async def read_req_body(
        self, conn: ConnFields, limit: int | None, read_timeout: float | None
    ) -> bytes:
        """The next piece of the request body, b"" at its end."""
        if limit is None:
            limit = getattr(conn.route, "max_body", None)
            if limit is None:
                limit = self._max_body
        announced = conn.head.get("content-length")
        if announced and announced[0].isdigit() and int(announced[0]) > limit:
            raise RequestTooLargeError(f"{TOO_LARGE}: {announced[0]} bytes, not {limit}")
        while not self._ended:
            try:
                async with asyncio.timeout(read_timeout):
                    event = await self.receive()
            except TimeoutError:
                raise RequestTimeoutError(VERDICTS["body_timeout"][1]) from None
            piece = self._take(event)
            if self._read > limit:
                raise RequestTooLargeError(f"{TOO_LARGE}: more than {limit} bytes")
            if piece:
                return piece
        return b""

    def _take(self, event: Message) -> bytes:
        if event["type"] == "http.disconnect":
            self.give_up()
            raise ClientDisconnected("the client went away")
        piece: bytes = event.get("body", b"")
        self._read += len(piece)
        self._ended = not event.get("more_body", False)
        return piece

    def watch(self, conn: ConnFields, task: "asyncio.Future[Any]") -> Any:
        """Look out for the client's leaving, where no body is to be read."""
        return asyncio.ensure_future(self._watch(conn, task)) if self._bodyless else None

    async def _watch(self, conn: ConnFields, task: "asyncio.Future[Any]") -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.give_up()
        if getattr(conn.route, "cancel_on_disconnect", True):
            task.cancel("the client went away")
