"""ASGI applications served by plugpy's HTTP/1 connection on loopback; answers are read by h11."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import h11
import pytest
import uvloop

from acceptors import get_port, start_listener, stop_listener
from plugpy.http import Http1Connection, HttpOptions
from plugpy.interop import asgi_plug, wsgi_plug

PATIENCE = 10.0
"""Seconds until a test that waits has failed; never waited for in a good run."""

_refs = count()


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Any]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@dataclass
class Response:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    informs: list[tuple[int, list[tuple[bytes, bytes]]]] = field(default_factory=list)

    def get(self, name: bytes) -> bytes | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, f"{name!r} came {len(values)} times"
        return values[0] if values else None


class Client:
    """A connection to the server: raw bytes in, responses out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.unread = b""

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def receive(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read(65536)

    async def read_to_end(self) -> bytes:
        pieces, self.unread = [self.unread], b""
        with contextlib.suppress(ConnectionError):
            while piece := await self.receive():
                pieces.append(piece)
        return b"".join(pieces)

    async def response(self, method: str = "GET") -> Response:
        """The next response. h11.RemoteProtocolError where it is broken or cut short."""
        judge = h11.Connection(h11.CLIENT)
        judge.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        judge.send(h11.EndOfMessage())
        if self.unread:
            judge.receive_data(self.unread)
            self.unread = b""
        response = None
        informs = []
        while True:
            event = judge.next_event()
            if event is h11.NEED_DATA:
                try:
                    judge.receive_data(await self.receive())
                except ConnectionResetError:
                    judge.receive_data(b"")
            elif isinstance(event, h11.InformationalResponse):
                informs.append((event.status_code, list(event.headers)))
            elif isinstance(event, h11.Response):
                response = Response(event.status_code, list(event.headers), informs=informs)
            elif isinstance(event, h11.Data):
                response.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                response.trailers = list(event.headers)
                self.unread = judge.trailing_data[0]
                return response
            else:
                raise AssertionError(f"the connection ended before a response: {event!r}")

    async def get(self, target: str = "/", *fields: str, method: str = "GET") -> Response:
        lines = "".join(f"{line}\r\n" for line in ("Host: example.com", *fields))
        self.send(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
        return await self.response(method)

    async def post(self, body: bytes, *fields: str) -> Response:
        lines = "".join(f"{line}\r\n" for line in ("Host: example.com", *fields))
        head = f"POST / HTTP/1.1\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        self.send(head.encode("latin-1") + body)
        return await self.response("POST")

    def reset(self) -> None:
        self.writer.transport.abort()


class Server:
    """A listener; `connections` are all that it ever had, `writes` what they wrote."""

    def __init__(self, application: Any, settings: dict[str, Any]) -> None:
        self.ref = f"asgi-test-{next(_refs)}"
        self.options = HttpOptions(application, **settings)
        self.connections: list[Http1Connection] = []
        self.writes: list[bytes] = []
        self.clients: list[Client] = []

    async def connect(self, *, slow: bool = False) -> Client:
        """A new connection. slow: the kernel takes little for it that it has not read."""
        sock = socket.socket()
        if slow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", get_port(self.ref)))
        limit = 1_000 if slow else 65_536
        client = Client(*await asyncio.open_connection(sock=sock, limit=limit))
        self.clients.append(client)
        return client

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the loop turn until it is so."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move the clock of the server and have it look at the deadlines."""
        runtime = self.connections[-1].runtime
        runtime.now += seconds
        runtime.sweep([each for each in self.connections if each.transport is not None])


Serve = Callable[..., Awaitable[Server]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """`await serve(app, **http_options)`; an application that is no coroutine function is served
    as the plug that it is."""
    servers: list[Server] = []

    async def start(app: Any, *, plug: Any = None, **settings: Any) -> Server:
        server = Server(plug or asgi_plug(app), settings)

        class Tracked(Http1Connection):
            __slots__ = ()

            def connection_made(self, transport: Any) -> None:
                super().connection_made(Recorder(transport, server.writes))
                server.connections.append(self)

        await start_listener(server.ref, {"port": 0}, Tracked, server.options)
        servers.append(server)
        return server

    yield start
    for server in servers:
        for client in server.clients:
            client.writer.transport.abort()
        await stop_listener(server.ref)
    await asyncio.sleep(0)


class Recorder:
    """A transport that keeps what is written to it."""

    def __init__(self, transport: Any, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        self._writes.append(bytes(data))
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The messages of errors that plugpy has logged so far, each with its exception."""

    def logged() -> list[str]:
        return [
            f"{record.getMessage()} | {record.exc_info[1] if record.exc_info else ''}"
            for record in caplog.records
            if record.levelno >= logging.ERROR and record.name.startswith("plugpy.")
        ]

    return logged


@pytest.fixture
async def serve_wsgi(serve: Serve) -> AsyncIterator[Serve]:
    """`await serve_wsgi(app, threads=4, **http_options)`; the threads end with the test."""
    plugs: list[Any] = []

    async def start(app: Any, *, threads: int = 4, **settings: Any) -> Server:
        plug = wsgi_plug(app, threads=threads)
        plugs.append(plug)
        return await serve(None, plug=plug, **settings)

    yield start
    for plug in plugs:
        await plug.lifespan.shutdown()
