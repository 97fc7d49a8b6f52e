"""Fixtures of the WebSocket tests: a server on loopback whose clock stands still, and a client that
writes and reads frames by itself, byte for byte."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any, NamedTuple

import pytest
import uvloop

from acceptors import get_port, start_listener, stop_listener
from plugpy.http import Http1Connection, HttpOptions
from plugpy.websocket.upgrade import UPGRADES

PATIENCE = 10.0
"""Seconds after which a test that waits has failed; never waited for in a good run."""

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The example of RFC 6455 section 1.3."""

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

_refs = count()


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Any]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Frame(NamedTuple):
    opcode: int
    data: bytes
    fin: bool = True
    rsv: int = 0

    @property
    def close(self) -> tuple[int, str]:
        """Code and reason of a close frame."""
        assert self.opcode == CLOSE, self
        if not self.data:
            return 1005, ""
        return struct.unpack("!H", self.data[:2])[0], self.data[2:].decode()


def frame(
    opcode: int, data: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes | None = b"abcd"
) -> bytes:
    """The bytes of a client's frame. rsv: the three reserved bits, 4 is RSV1."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit = 0x80 if mask is not None else 0
    size = len(data)
    if size < 126:
        head = struct.pack("!BB", first, bit | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if mask is None:
        return head + data
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))


def close_frame(code: int | None = 1000, reason: str = "") -> bytes:
    """The bytes of a client's close frame; None for one without a code."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())


def request(path: str = "/", *fields: str, leave_out: str = "") -> bytes:
    """A handshake. fields: further header lines, in place of the usual one of the same name."""
    lines = {
        "host": "example.com",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": KEY,
        "sec-websocket-version": "13",
    }
    lines.pop(leave_out, None)
    more = []
    for line in fields:
        name, _, value = line.partition(": ")
        if name in lines:
            lines[name] = value
        else:
            more.append(line)
    text = [f"{name}: {value}" for name, value in lines.items()] + more
    return "\r\n".join([f"GET {path} HTTP/1.1", *text, "", ""]).encode("latin-1")


class Client:
    """A socket to the server."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.unread = b""
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._loop.sock_sendall(self.sock, data)

    async def receive(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self._loop.sock_recv(self.sock, 65_536)

    async def read(self, size: int) -> bytes:
        while len(self.unread) < size:
            data = await self.receive()
            assert data, f"the connection ended after {self.unread!r}"
            self.unread += data
        data, self.unread = self.unread[:size], self.unread[size:]
        return data

    async def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the answer to the handshake."""
        while b"\r\n\r\n" not in self.unread:
            data = await self.receive()
            assert data, f"the connection ended after {self.unread!r}"
            self.unread += data
        head, _, self.unread = self.unread.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return int(first.split(" ")[1]), headers

    async def frame(self) -> Frame:
        """The next frame of the server, which has no mask."""
        first, second = await self.read(2)
        size = second & 0x7F
        assert not second & 0x80, "a server's frame has no mask"
        if size == 126:
            size = struct.unpack("!H", await self.read(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", await self.read(8))[0]
        data = await self.read(size)
        return Frame(first & 15, data, bool(first & 0x80), first >> 4 & 7)

    async def text(self) -> str:
        """The next message, which must be text."""
        got = await self.frame()
        assert got.opcode == TEXT, got
        return got.data.decode()

    async def closed(self) -> tuple[int, str]:
        """The next frame, which must be a close frame, and then the end of the connection."""
        got = (await self.frame()).close
        await self.ended()
        return got

    async def ended(self) -> None:
        """The connection ends, and nothing more comes."""
        rest = self.unread
        try:
            while data := await self.receive():
                rest += data
        except ConnectionError:
            pass
        assert rest == b""
        self.close()  # the server has closed its half, and waits for ours

    async def __call__(self, opcode: int, data: bytes | str = b"", **how: Any) -> None:
        """Send one frame."""
        await self.send(frame(opcode, data.encode() if isinstance(data, str) else data, **how))

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


class Server:
    """A listener with one application."""

    def __init__(self, ref: str, options: HttpOptions) -> None:
        self.ref = ref
        self.options = options
        self.connections: list[Http1Connection] = []
        self.clients: list[Client] = []
        self.port = 0

    @property
    def connection(self) -> Http1Connection:
        return self.connections[-1]

    async def dial(self, *, receive_buffer: int | None = None) -> Client:
        """A client that has said nothing."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        before = len(self.connections)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        client = Client(sock)
        self.clients.append(client)
        await self.until(lambda: len(self.connections) > before)
        return client

    async def connect(self, path: str = "/", *fields: str, **how: Any) -> Client:
        """A client whose handshake was accepted."""
        client = await self.dial(**how)
        await client.send(request(path, *fields))
        status, headers = await client.head()
        assert status == 101, headers
        return client

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the loop turn until the server has come as far."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0)

    def is_empty(self) -> bool:
        return all(one.transport is None for one in self.connections)

    def advance(self, seconds: float) -> None:
        """Move the clock of the server, and let it look at the deadlines as it does each tick."""
        runtime = self.connection.runtime
        runtime.now += seconds
        runtime.sweep([one for one in self.connections if one.transport is not None])


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """`await serve(application, **http_options)` -> Server. Each test must leave no connection."""
    servers: list[Server] = []

    async def start(application: Any, **settings: Any) -> Server:
        server = Server(
            f"websocket-test-{next(_refs)}",
            HttpOptions(application, upgrades=UPGRADES, **settings),
        )

        class Tracked(Http1Connection):
            __slots__ = ()

            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                server.connections.append(self)
                if self.runtime._timer is not None:
                    self.runtime._timer.cancel()  # time stands still, unless the test moves it

        transport = {"num_acceptors": 1, "shutdown": 0.0}
        await start_listener(server.ref, transport, Tracked, server.options)
        server.port = get_port(server.ref)
        servers.append(server)
        return server

    yield start
    for server in servers:
        for client in server.clients:
            client.close()
        await stop_listener(server.ref)
        await server.until(server.is_empty)
