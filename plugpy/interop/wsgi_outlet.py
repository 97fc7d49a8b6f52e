"""Pieces of a response body on their way from a thread to the event loop."""

import asyncio
import threading
from typing import Final

from plugpy.conn import ClientDisconnected

WINDOW: Final = 65_536
"""Bytes that may wait for the event loop before the thread waits for their leaving."""


class Outlet:
    """A bounded pipe of bytes: `put` and `end` in a thread, `take` and `close` in the event loop.

    PERF: no turn of the loop for each piece: all that have come are taken at once, and the loop is
    woken only when it waits.
    """

    __slots__ = ("_changed", "_closed", "_ended", "_loop", "_pieces", "_size", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._changed = threading.Condition()
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None

    def put(self, piece: bytes) -> None:
        """Add a piece; waits while WINDOW bytes wait. Raises ClientDisconnected once it is
        closed."""
        with self._changed:
            while self._size >= WINDOW and not self._closed:
                self._changed.wait()
            if self._closed:
                raise ClientDisconnected("the client went away before the response was complete")
            self._pieces.append(piece)
            self._size += len(piece)
            self._wake()

    def end(self) -> None:
        """There are no more pieces."""
        with self._changed:
            self._ended = True
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            self._loop.call_soon_threadsafe(_wake, waiter)

    async def take(self) -> bytes | None:
        """All that waits, as one; None when there is nothing more to come."""
        while True:
            with self._changed:
                if self._pieces:
                    data = b"".join(self._pieces)
                    self._pieces.clear()
                    self._size = 0
                    self._changed.notify()
                    return data
                if self._ended:
                    return None
                waiter = self._waiter = self._loop.create_future()
            await waiter

    def close(self) -> None:
        """Nobody takes any more: who waits in `put` is told."""
        with self._changed:
            self._closed = True
            self._pieces.clear()
            self._changed.notify()


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
