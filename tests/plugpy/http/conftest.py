"""Fixtures of the HTTP tests: both event loops, a server on loopback, a raw client whose answers
are read by h11 as an independent judge, a clock that moves when the test says so."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import h11
import pytest
import uvloop

from acceptors import get_port, start_listener, stop_listener
from plugpy.conn import Conn
from plugpy.conn.status import reason_phrase
from plugpy.http import VERDICTS, Http1Connection, HttpOptions
from plugpy.testing import FakeTransport, WiredConnection

PATIENCE = 10.0
"""Seconds after which a test that waits for bytes has failed; never waited for in a good run."""

_refs = count()


def pytest_asyncio_loop_factories(config, item):
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@dataclass
class Response:
    """What a client has received: the informational responses first, then the final one."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    informs: list[tuple[int, list[tuple[str, str]]]] = field(default_factory=list)

    def get(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def closes(self) -> bool:
        return self.get("connection") == "close"


def _pairs(headers: Any) -> list[tuple[str, str]]:
    return [(name.decode().lower(), value.decode("latin-1")) for name, value in headers]


class Client:
    """A socket to the server: raw bytes in, responses out."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.unread = b""
        self.ended = False
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._loop.sock_sendall(self.sock, data)

    async def send_some(self, data: bytes) -> None:
        """Send until the server takes no more or hangs up: for floods."""
        with contextlib.suppress(ConnectionError):
            await self.send(data)

    async def receive(self) -> bytes:
        """The next bytes, b"" at the end of the connection. ConnectionResetError on a reset."""
        async with asyncio.timeout(PATIENCE):
            data = await self._loop.sock_recv(self.sock, 65_536)
        self.ended = not data
        return data

    async def read_until(self, end: bytes) -> bytes:
        while end not in self.unread:
            data = await self.receive()
            assert data, f"the connection ended, {self.unread!r} was received"
            self.unread += data
        before, _, self.unread = self.unread.partition(end)
        return before + end

    async def read_to_end(self) -> bytes:
        """Everything up to the end of the connection, reset or not."""
        try:
            while data := await self.receive():
                self.unread += data
        except ConnectionError:
            self.ended = True
        data, self.unread = self.unread, b""
        return data

    async def closed(self) -> bool:
        """Wait for the end of the connection; True when nothing more came before it."""
        return await self.read_to_end() == b""

    async def response(self, method: str = "GET") -> Response:
        """The next response, to a request of `method`. h11.RemoteProtocolError when it is not
        valid HTTP."""
        judge = h11.Connection(h11.CLIENT)
        judge.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        judge.send(h11.EndOfMessage())
        response: Response | None = None
        informs: list[tuple[int, list[tuple[str, str]]]] = []
        if self.unread:
            judge.receive_data(self.unread)
            self.unread = b""
        while True:
            event = judge.next_event()
            if event is h11.NEED_DATA:
                judge.receive_data(await self.receive())
            elif isinstance(event, h11.InformationalResponse):
                informs.append((event.status_code, _pairs(event.headers)))
            elif isinstance(event, h11.Response):
                response = Response(
                    event.status_code, event.reason.decode(), _pairs(event.headers), informs=informs
                )
            elif isinstance(event, h11.Data):
                assert response is not None
                response.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert response is not None
                response.trailers = _pairs(event.headers)
                self.unread = judge.trailing_data[0]
                return response
            else:
                raise AssertionError(f"the connection ended before a response: {event!r}")

    async def request(self, raw: bytes) -> Response:
        await self.send(raw)
        return await self.response(raw.split(b" ", 1)[0].decode())

    async def get(self, path: str = "/", *fields: str) -> Response:
        lines = "".join(f"{line}\r\n" for line in ("host: x", *fields))
        return await self.request(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))

    def widen(self) -> None:
        """From now on this reader is quick."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


class Server:
    """A listener with one application. `connections`: every connection that it ever had."""

    def __init__(self, ref: str, options: HttpOptions) -> None:
        self.ref = ref
        self.options = options
        self.connections: list[Http1Connection] = []
        self.clients: list[Client] = []
        self.port = 0
        self.changed = asyncio.Event()

    @property
    def connection(self) -> Http1Connection:
        return self.connections[-1]

    async def dial(self, *, receive_buffer: int | None = None) -> Client:
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        client = Client(sock)
        self.clients.append(client)
        return client

    async def connect(self, *, receive_buffer: int | None = None) -> Client:
        """A client whose connection the server has taken: it is `self.connection`."""
        before = len(self.connections)
        client = await self.dial(receive_buffer=receive_buffer)
        await self.until(lambda: len(self.connections) > before)
        return client

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the loop turn until the server has come as far."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move the clock of the server, and let it look at the deadlines as it does each tick."""
        runtime = self.connection.runtime
        runtime.now += seconds
        runtime.sweep([one for one in self.connections if one.transport is not None])


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """`await serve(application, transport={...}, **http_options)` -> Server."""
    servers: list[Server] = []

    async def start(
        application: Any,
        *,
        transport: dict[str, Any] | None = None,
        frozen: bool = True,
        **settings: Any,
    ) -> Server:
        server = Server(f"http-test-{next(_refs)}", HttpOptions(application, **settings))

        class Tracked(Http1Connection):
            __slots__ = ()

            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                server.connections.append(self)
                # Time stands still, unless the test moves it.
                timer = self.runtime._timer
                if timer is not None and frozen:
                    timer.cancel()

        transport = {"num_acceptors": 2, "shutdown": 0.0, **(transport or {})}
        await start_listener(server.ref, transport, Tracked, server.options)
        server.port = get_port(server.ref)
        servers.append(server)
        return server

    yield start
    for server in servers:
        for client in server.clients:
            client.close()
        await stop_listener(server.ref)


@pytest.fixture(params=["httptools", "h11"])
def parser(request: pytest.FixtureRequest) -> str:
    """Name of a parser: the test runs with each."""
    name: str = request.param
    return name


@pytest.fixture
async def wired() -> AsyncIterator[Callable[..., tuple[Http1Connection, FakeTransport]]]:
    """`wired(application, **http_options)` -> a connection without a socket, and its transport."""
    made: list[WiredConnection] = []

    def connect(
        application: Any, options: HttpOptions | None = None, **settings: Any
    ) -> tuple[Http1Connection, FakeTransport]:
        new = WiredConnection(application, options, **settings)
        made.append(new)
        return new.connection, new.transport

    yield connect
    for one in made:
        one.close()


Outcome = tuple[list[bytes], tuple[int, str] | None]


@pytest.fixture
def judge(wired: Any) -> Callable[..., Awaitable[Outcome]]:
    """`await judge(pieces, parser, memo)` -> what was served of a stream of bytes, and the status
    and reason of its refusal, None when there was none. memo: heads known by heart, 0 for none."""
    served: list[bytes] = []

    async def note(conn: Conn) -> Conn:
        body = await conn.body()
        query = f"?{conn.query_string}" if conn.query_string else ""
        words = [f"{conn.method} {conn.request_path}{query} {conn.http_version}".encode("latin-1")]
        trailers = ",".join(f"{name}={value}" for name, value in conn.trailers)
        if body or trailers:
            words.append(body)
        if trailers:
            words.append(trailers.encode("latin-1"))
        served.append(b" ".join(words))
        return conn.send_resp(204, "")

    options = {
        (name, memo): HttpOptions(note, http=name, head_memo=memo)
        for name in ("httptools", "h11")
        for memo in (0, 512)
    }

    async def run(pieces: list[bytes], parser: str, memo: int = 512) -> Outcome:
        served.clear()
        connection, wire = wired(note, options[parser, memo])
        for piece in pieces:
            if wire.closing or wire.ended:
                break
            connection.data_received(piece)
            while connection.conn is not None and not waits(connection):
                await asyncio.sleep(0)
        connection.connection_lost(None)
        return list(served), verdict_in(wire.sent)

    return run


def waits(connection: Http1Connection) -> bool:
    """Whether the request that is served waits for more of its body."""
    body = connection._body
    return body is not None and body.waiter is not None


def verdict_in(sent: bytes) -> tuple[int, str] | None:
    """Status and reason of the refusal that ends what was sent."""
    return _REFUSALS.get(sent.rpartition(b"\r\n\r\n")[2])


_REFUSALS = {
    f"{status} {reason_phrase(status)}: {reason}\n".encode(): (status, reason)
    for status, reason in VERDICTS.values()
}
