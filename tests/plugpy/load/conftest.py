"""A server for the load client: an asyncio protocol in the same loop that does what it is told."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello"


class Peer(asyncio.Protocol):
    """One connection of the server: cuts the bytes into requests and calls `answer(peer)`."""

    def __init__(self, server: "LoopbackServer") -> None:
        self.server = server
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self.requests = 0
        self.unread = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.server.peers.append(self)

    def data_received(self, data: bytes) -> None:
        self.unread += data
        size = self.server.request_size
        while len(self.unread) >= size if size else b"\r\n\r\n" in self.unread:
            end = size or self.unread.index(b"\r\n\r\n") + 4
            self.server.requests.append(self.unread[:end])
            self.unread = self.unread[end:]
            self.requests += 1
            self.server.answer(self)

    def write(self, data: bytes = OK) -> None:
        self.transport.write(data)


class LoopbackServer:
    """`answer(peer)` is called for each request; `request_size`: bytes of one with a body."""

    def __init__(self, answer: Callable[[Peer], None]) -> None:
        self.answer = answer
        self.request_size = 0
        self.requests: list[bytes] = []
        self.peers: list[Peer] = []
        self.url = ""


Serve = Callable[..., AbstractAsyncContextManager[LoopbackServer]]


@pytest.fixture
def serve() -> Serve:
    """`async with serve(answer) as server`; uds=path, ssl=context."""

    @asynccontextmanager
    async def serving(
        answer: Callable[[Peer], None] = Peer.write,
        *,
        uds: Path | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> AsyncIterator[LoopbackServer]:
        server = LoopbackServer(answer)
        loop = asyncio.get_running_loop()
        if uds is not None:
            listening = await loop.create_unix_server(lambda: Peer(server), str(uds))
            server.url = "http://localhost/"
        else:
            listening = await loop.create_server(lambda: Peer(server), "127.0.0.1", 0, ssl=tls)
            port = listening.sockets[0].getsockname()[1]
            server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/"
        try:
            yield server
        finally:
            listening.close()
            for peer in server.peers:
                peer.transport.abort()
            await listening.wait_closed()
            await asyncio.sleep(0)

    return serving


Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine to its end on each kind of loop."""

    def running(coroutine: Coroutine[Any, Any, Any]) -> Any:
        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(coroutine)

    return running
