"""Connections that are turned away with an answer: the policy "refuse"."""

import asyncio
import contextlib
import os
import socket
from typing import Final

LINGER: Final = 1.0
"""Seconds in which a refused client can read its answer: closing a socket with unread bytes in it
resets the connection, and the answer is lost."""

MOST: Final = 1_000
"""Refused connections held open at a time; further ones are closed at once."""


class Refusals:
    """Refused connections of one listener, until they are closed."""

    __slots__ = ("_loop", "_open")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._open: dict[socket.socket, asyncio.TimerHandle] = {}

    def refuse(self, family: int, descriptor: int, answer: bytes) -> None:
        """Send `answer` and close."""
        if not answer or len(self._open) >= MOST:
            os.close(descriptor)
            return
        refused = socket.socket(family, socket.SOCK_STREAM, 0, fileno=descriptor)
        refused.setblocking(False)
        try:
            refused.send(answer)
            refused.shutdown(socket.SHUT_WR)
        except OSError:
            refused.close()
            return
        self._open[refused] = self._loop.call_later(LINGER, self._close, refused)
        self._loop.add_reader(refused, self._readable, refused)

    def _readable(self, refused: socket.socket) -> None:
        # What it sends is thrown away; once it closes its half, so do we.
        with contextlib.suppress(BlockingIOError):
            try:
                if refused.recv(65_536):
                    return
            except BlockingIOError:
                return
            except OSError:
                pass
            self._close(refused)

    def _close(self, refused: socket.socket) -> None:
        timer = self._open.pop(refused, None)
        if timer is not None:
            timer.cancel()
            self._loop.remove_reader(refused)
            refused.close()

    def close(self) -> None:
        """Close all."""
        for refused in list(self._open):
            self._close(refused)
