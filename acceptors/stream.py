"""StreamConnection: a protocol that reads like a script, for those that are not called a million
times a second."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from acceptors.connection import Connection
from acceptors.connections import Connections
from acceptors.otp import Reason

logger = logging.getLogger("acceptors")

READ_LIMIT = 65_536
"""Bytes that wait to be received before the peer is held back."""


class StreamConnection(Connection):
    """A connection whose life is one coroutine: override `run`.

        class Echo(StreamConnection):
            async def run(self) -> None:
                while data := await self.receive():
                    await self.send(data)

    When `run` returns, what was sent is flushed and the connection is closed. It is cancelled when
    the peer breaks the connection. The exit signal `shutdown` makes `receive` return b"".
    options: the listener's protocol_options.
    """

    __slots__ = ("_buffer", "_ended", "_reading", "_task", "_waiter", "_writable", "options")

    def __init__(self, connections: Connections, options: Any) -> None:
        super().__init__(connections, options)
        self.options = options
        self._buffer = bytearray()
        self._ended = False
        self._reading = True
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """The life of the connection."""
        raise NotImplementedError(f"{type(self).__name__} must define `async def run(self)`")

    async def receive(self) -> bytes:
        """What has arrived, at least one byte; b"" when no more will come."""
        while not self._buffer and not self._ended:
            self._waiter = self.connections.loop.create_future()
            await self._waiter
        data = bytes(self._buffer)
        self._buffer.clear()
        if not self._reading and self.transport is not None:
            self._reading = True
            self.transport.resume_reading()
        return data

    async def receive_line(self, limit: int = 8_192) -> bytes:
        """The next line with its newline; what is left, perhaps b"", when no more will come.

        limit: bytes; a longer line raises ValueError.
        """
        while (end := self._buffer.find(b"\n") + 1) == 0 and not self._ended:
            if len(self._buffer) > limit:
                raise ValueError(f"a line is longer than {limit} bytes")
            self._waiter = self.connections.loop.create_future()
            await self._waiter
        end = end or len(self._buffer)
        if end > limit:
            raise ValueError(f"a line is longer than {limit} bytes")
        line = bytes(self._buffer[:end])
        del self._buffer[:end]
        if not self._reading and self.transport is not None and len(self._buffer) < READ_LIMIT:
            self._reading = True
            self.transport.resume_reading()
        return line

    async def send(self, data: bytes) -> None:
        """Send; waits while the peer is slow. Raises ConnectionResetError once it is gone."""
        transport = self.transport
        if transport is None:
            raise ConnectionResetError("the peer has closed the connection")
        transport.write(data)
        if self._writable is not None:
            await asyncio.shield(self._writable)

    # asyncio's calls ------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._task = self.connections.loop.create_task(self.run(), context=self.context())
        self._task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.exit_reason = self.exit_reason or error
        if self.transport is not None:
            if error is None:
                self.transport.close()
            else:
                self.transport.abort()
        else:
            self._exited("normal" if error is None else error)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > READ_LIMIT and self._reading and self.transport is not None:
            self._reading = False
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        return True  # what `run` still has to say may be said

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def pause_writing(self) -> None:
        self._writable = self.connections.loop.create_future()

    def resume_writing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self.resume_writing()
        task = self._task
        if task is None or task.done():
            super().connection_lost(exc)
            return
        self.transport = None
        if exc is not None:
            self.exit_reason = self.exit_reason or ("shutdown", exc)
        if exc is not None or not self._waiter:
            task.cancel("the peer has closed the connection")
        self._wake()

    def drain(self) -> None:
        self._ended = True
        self._wake()

    def abort(self, reason: Reason = "killed") -> None:
        task = self._task
        super().abort(reason)
        if task is not None and not task.done():
            task.cancel("aborted")
