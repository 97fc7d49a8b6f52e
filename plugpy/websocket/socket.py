"""WebSocket: the connection as an async context manager and iterator, the Python way.

@get("/echo")
async def echo(conn):
    async with conn.websocket() as ws:
        async for message in ws:
            await ws.send(message)
    return conn
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from itertools import count
from time import perf_counter
from types import TracebackType
from typing import Any, Final, Self

from plugpy.conn import Conn
from plugpy.conn.json import dumps
from plugpy.websocket import codes
from plugpy.websocket.errors import NotAcceptedError, WebSocketClosed
from plugpy.websocket.handshake import Accepted, accept
from plugpy.websocket.options import WebSocketOptions
from plugpy.websocket.peer import Message, Peer

_numbers = count(1)

QUEUED: Final = 16
"""Messages that wait to be received before the client is held back."""


class WebSocket:
    """One WebSocket connection, for the coroutine that serves it.

    `async with` accepts it, and closes it with 1000, or with 1011 where the body raised. Only one
    coroutine receives at a time; any number may send.

    conn: the request. subprotocol: what was agreed on, None for none. close_code, close_reason:
    None and "" while it is open.
    """

    __slots__ = (
        "_accepted",
        "_messages",
        "_peer",
        "_pings",
        "_receiver",
        "_senders",
        "close_code",
        "close_reason",
        "conn",
    )

    def __init__(self, conn: Conn, options: WebSocketOptions) -> None:
        self.conn = conn
        # Refused before anything is promised: the plug's error is the answer.
        self._accepted: Accepted = accept(conn, options)
        self._messages: deque[Message] = deque()
        self._peer: Peer | None = None
        self._receiver: asyncio.Future[None] | None = None
        self._senders: list[asyncio.Future[None]] = []
        self._pings: dict[bytes, list[asyncio.Future[None]]] = {}
        self.close_code: int | None = None
        self.close_reason = ""

    # life ----------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self.accept()
        return self

    def accept(self) -> None:
        """Send the 101; `async with` does it. Nothing where it was done.

        Raises BadRequestError where the request has a body, ClientDisconnected, ValueError where
        there is no WebSocket.
        """
        if self._peer is None:
            adapter: Any = self.conn.adapter
            adapter.start_websocket(self.conn, self._accepted, self)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> bool:
        ours = isinstance(error, WebSocketClosed)
        if error is None or ours:
            await self.close()
        elif self._peer is not None:
            self._peer.close(codes.INTERNAL_ERROR)
        # Who goes on sending to a client that has left has nothing to be told.
        return ours

    def _client(self) -> Peer:
        if self._peer is None:
            raise NotAcceptedError(
                "this WebSocket is not accepted yet: use it in `async with conn.websocket() as ws:`"
            )
        return self._peer

    @property
    def subprotocol(self) -> str | None:
        """What was agreed on, None for none."""
        return self._accepted.subprotocol

    @property
    def open(self) -> bool:
        """Whether messages can still be sent."""
        return self._peer is not None and self._peer.open

    @property
    def latency(self) -> float | None:
        """Seconds of the last of the server's pings there and back, None before the first."""
        return None if self._peer is None else self._peer.latency

    # in ------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[Message]:
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[Message]:
        while True:
            try:
                message = await self.receive()
            except WebSocketClosed:
                return
            yield message

    async def receive(self) -> Message:
        """The next message: str for text, bytes for binary.

        Raises WebSocketClosed once the connection is over and all messages were received,
        RuntimeError where another coroutine is receiving.
        """
        peer = self._client()
        messages = self._messages
        while not messages:
            if self.close_code is not None:
                raise WebSocketClosed(self.close_code, self.close_reason)
            if self._receiver is not None:
                raise RuntimeError("another coroutine is receiving from this WebSocket")
            peer.caught_up()
            if messages or self.close_code is not None:
                continue
            self._receiver = asyncio.get_running_loop().create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None
        message = messages.popleft()
        if len(messages) == QUEUED - 1:
            peer.hold(False)
        return message

    async def receive_text(self) -> str:
        """The next message. Closes with 1003, and raises WebSocketClosed, where it is binary."""
        message = await self.receive()
        if isinstance(message, str):
            return message
        raise await self._refuse("text is expected here")

    async def receive_bytes(self) -> bytes:
        """The next message. Closes with 1003, and raises WebSocketClosed, where it is text."""
        message = await self.receive()
        if isinstance(message, bytes):
            return message
        raise await self._refuse("binary messages are expected here")

    async def _refuse(self, reason: str) -> WebSocketClosed:
        await self.close(codes.UNSUPPORTED_DATA, reason)
        return WebSocketClosed(codes.UNSUPPORTED_DATA, reason)

    # out -----------------------------------------------------------------------------------------

    async def send(self, message: Message | bytearray | memoryview) -> None:
        """Send a message: text for str, binary for bytes. Waits while the client is slow.

        Raises WebSocketClosed once the connection is closing, TypeError for anything else.
        """
        peer = self._client()
        if not isinstance(message, str):
            if not isinstance(message, bytes | bytearray | memoryview):
                raise TypeError(f"messages are str or bytes, got {type(message).__name__}")
            message = bytes(message)
        if not peer.open:
            raise self._closing()
        peer.send(message)
        if peer.slow:
            waiter = asyncio.get_running_loop().create_future()
            self._senders.append(waiter)
            await waiter

    async def send_json(self, data: Any) -> None:
        """Send `data` as a text message of JSON. Raises as `send`."""
        await self.send(dumps(data).decode())

    async def ping(self, data: bytes | None = None) -> float:
        """Send a ping and wait for its pong; returns the seconds between.

        data: at most 125 bytes, None for some that are not in use. Raises WebSocketClosed,
        ValueError.
        """
        peer = self._client()
        loop = asyncio.get_running_loop()
        payload = b"ping %d" % next(_numbers) if data is None else data
        if not peer.open:
            raise self._closing()
        waiter = loop.create_future()
        start = perf_counter()
        peer.ping(payload)
        self._pings.setdefault(payload, []).append(waiter)
        try:
            await waiter
        finally:
            # Who gives up leaves nothing behind: the client may never answer.
            waiters = self._pings.get(payload)
            if waiters is not None and waiter in waiters:
                waiters.remove(waiter)
                if not waiters:
                    del self._pings[payload]
        return perf_counter() - start

    async def close(self, code: int = codes.NORMAL, reason: str = "") -> None:
        """Begin the closing handshake, which goes on by itself. Nothing where it has begun.

        Raises ValueError for a code that may not be sent.
        """
        self._client().close(code, reason)

    def _closing(self) -> WebSocketClosed:
        if self.close_code is None:
            return WebSocketClosed(codes.NORMAL, "it is closing")
        return WebSocketClosed(self.close_code, self.close_reason)

    # what the connection tells -------------------------------------------------------------------

    @property
    def behind(self) -> bool:
        """Whether messages wait to be received."""
        return bool(self._messages)

    def opened(self, peer: Peer) -> None:
        """The handshake is done."""
        self._peer = peer

    def message(self, message: Message) -> None:
        """The client has sent a message."""
        messages = self._messages
        messages.append(message)
        if len(messages) >= QUEUED and self._peer is not None:
            self._peer.hold(True)
        self._wake()

    def control(self, opcode: str, data: bytes) -> None:
        """A ping or a pong came."""
        if opcode == "pong":
            for waiter in self._pings.pop(data, ()):
                if not waiter.done():
                    waiter.set_result(None)

    def info(self, message: Any) -> bool:
        """A message from another process: `receive()` of acceptors.otp gets it."""
        return False

    def resumed(self) -> None:
        """The client has caught up."""
        senders, self._senders = self._senders, []
        for waiter in senders:
            if not waiter.done():
                waiter.set_result(None)

    def closed(self, why: str, code: int, reason: str) -> None:
        """The connection is over."""
        self.close_code, self.close_reason = code, reason
        waiters = [*self._senders, *(one for many in self._pings.values() for one in many)]
        self._senders, self._pings = [], {}
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(WebSocketClosed(code, reason))
                waiter.exception()  # perhaps nobody waits any more: asyncio need not warn
        self._wake()

    def cancel(self) -> bool:
        """The time is over: the connection cancels the coroutine."""
        return False

    def _wake(self) -> None:
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)
