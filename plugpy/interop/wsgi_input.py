"""`wsgi.input`: the request body for a thread, and `wsgi.errors` (PEP 3333, "Input and Error
Streams")."""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from plugpy.conn import ClientDisconnected
from plugpy.interop.asgi_request import BODY_ERRORS

if TYPE_CHECKING:
    from plugpy.interop.wsgi_response import WsgiResponse

logger = logging.getLogger("plugpy.wsgi")


class WsgiInput:
    """The body of one request as a file: reading waits for what has not arrived.

    It ends where the body ends, also where nobody knows its length beforehand. `read` and its kind
    raise OSError when the client has left, and when the body is too large, too slow or broken; then
    the client gets its 413, 408 or 400 whatever the application does.
    """

    __slots__ = ("_buffer", "_ended", "_response")

    def __init__(self, response: "WsgiResponse", buffer: bytes, ended: bool) -> None:
        self._response = response
        self._buffer = buffer
        self._ended = ended

    def read(self, size: int | None = -1) -> bytes:
        """`size` bytes, fewer only at the end; all that is left where size is negative or None."""
        if size is None or size < 0:
            pieces = [self._buffer]
            while not self._ended:
                pieces.append(self._receive())
            self._buffer = b""
            return b"".join(pieces)
        if len(self._buffer) < size and not self._ended:
            pieces, have = [self._buffer], len(self._buffer)
            while have < size and not self._ended:
                piece = self._receive()
                pieces.append(piece)
                have += len(piece)
            self._buffer = b"".join(pieces)
        return self._take(size)

    def readline(self, size: int | None = -1) -> bytes:
        """Up to and with the next newline, at most `size` bytes of it."""
        limit = -1 if size is None else size
        start = 0
        while True:
            buffer = self._buffer
            end = buffer.find(b"\n", start) + 1
            if end:
                break
            end = start = len(buffer)
            if self._ended or 0 <= limit <= end:
                break
            self._buffer = buffer + self._receive()
        return self._take(end if limit < 0 else min(end, limit))

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """All lines; no further ones once they are `hint` bytes or more."""
        lines: list[bytes] = []
        size = 0
        for line in self:
            lines.append(line)
            size += len(line)
            if hint is not None and 0 < hint <= size:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def _take(self, size: int) -> bytes:
        buffer = self._buffer
        data = buffer[:size]
        self._buffer = buffer[len(data) :]
        return data

    def _receive(self) -> bytes:
        """The next piece from the event loop, b"" at the end."""
        response = self._response
        waiting = asyncio.run_coroutine_threadsafe(response.read(), response.loop)
        try:
            piece = waiting.result()
        except BODY_ERRORS as error:
            self._ended = True
            response.loop.call_soon_threadsafe(response.refuse, error)
            raise ClientDisconnected(f"the request was refused: {error}") from error
        except OSError:
            self._ended = True
            raise
        if not piece:
            self._ended = True
        return piece


class ErrorStream:
    """`wsgi.errors`: text becomes records of the logger plugpy.wsgi, at level ERROR."""

    __slots__ = ()

    def write(self, text: str) -> int:
        """Log `text`; line ends alone are no record."""
        lines = text.rstrip()
        if lines:
            logger.error("%s", lines)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Log each of `lines`."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Nothing is held back."""
