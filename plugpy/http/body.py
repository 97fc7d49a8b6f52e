"""Request bodies: finding their end (RFC 9112 section 6), and holding them until they are read.

Decoders are sans-IO: bytes in, pieces of body out, and what follows the body given back.
"""

import re
from asyncio import AbstractEventLoop, Future
from collections import deque
from typing import Protocol

from plugpy.conn import RequestHead
from plugpy.conn.trailers import FORBIDDEN_TRAILERS
from plugpy.http.errors import HttpError

MAX_CHUNK_LINE = 1024
"""Bytes of a chunk-size line with its extensions; nobody sends more in good faith."""

LONGEST_SIZE = 16
"""Digits of a chunk size; a longer line has an extension."""

MAX_EXTENSIONS = 16_384
"""Bytes of all chunk lines with extensions in one body: else a sender could make the server read
a thousand times what it counts as body."""

_SIZE = re.compile(
    # RFC 9112 section 7.1: 1*HEXDIG, then extensions. 16 digits are 64 bits.
    rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?"
)
_TRAILER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)")


class Decoder(Protocol):
    """What finds the end of a body."""

    ended: bool

    @property
    def trailers(self) -> list[tuple[str, str]]: ...

    def feed(self, data: bytes, pieces: list[bytes]) -> bytes:
        """Append the pieces of body in `data`; returns what follows the end of the body, b"" while
        it has not ended. Raises HttpError."""


class LengthDecoder:
    """A body of a known length (RFC 9112 section 6.2)."""

    __slots__ = ("ended", "remaining")
    trailers: list[tuple[str, str]] = []  # noqa: RUF012 - shared, there never are any

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.ended = length == 0

    def feed(self, data: bytes, pieces: list[bytes]) -> bytes:
        size = len(data)
        if size < self.remaining:
            self.remaining -= size
            pieces.append(data)
            return b""
        self.ended = True
        if size == self.remaining:
            pieces.append(data)
            return b""
        pieces.append(data[: self.remaining])
        return data[self.remaining :]


class ChunkedDecoder:
    """A body in chunks (RFC 9112 section 7.1), strict: CRLF only, sizes of at most 64 bits,
    bounded lines, bounded and filtered trailers."""

    __slots__ = (
        "_buffer",
        "_extensions",
        "_max_trailers",
        "_remaining",
        "_state",
        "_trailer_size",
        "ended",
        "trailers",
    )

    def __init__(self, max_trailers: int) -> None:
        self.ended = False
        self.trailers: list[tuple[str, str]] = []
        self._buffer = b""
        self._state = self._size
        self._remaining = 0
        self._extensions = 0
        self._trailer_size = 0
        self._max_trailers = max_trailers

    def feed(self, data: bytes, pieces: list[bytes]) -> bytes:
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        position = 0
        while not self.ended:
            advanced = self._state(data, position, pieces)
            if advanced < 0:
                # Less than a line (bounded below) or nothing: it waits for more.
                self._buffer = data[position:]
                return b""
            position = advanced
        return data[position:]

    # Each state returns the position that it got to, -1 when it needs more bytes.

    def _size(self, data: bytes, start: int, pieces: list[bytes]) -> int:
        end = self._line(data, start, MAX_CHUNK_LINE, "bad_chunk")
        if end < 0:
            return -1
        match = _SIZE.fullmatch(data, start, end)
        if match is None:
            raise HttpError("bad_chunk")
        if end - start > LONGEST_SIZE:
            self._extensions += end - start
            if self._extensions > MAX_EXTENSIONS:
                raise HttpError("bad_chunk")
        self._remaining = int(match[1], 16)
        self._state = self._data if self._remaining else self._trailer
        return end + 2

    def _data(self, data: bytes, start: int, pieces: list[bytes]) -> int:
        available = len(data) - start
        if available == 0:
            return -1
        if available < self._remaining:
            self._remaining -= available
            pieces.append(data[start:] if start else data)
            return len(data)
        end = start + self._remaining
        pieces.append(data[start:end])
        self._remaining = 0
        self._state = self._data_end
        return end

    def _data_end(self, data: bytes, start: int, pieces: list[bytes]) -> int:
        ending = data[start : start + 2]
        if ending == b"\r\n":
            self._state = self._size
            return start + 2
        if ending and ending != b"\r":
            raise HttpError("bad_chunk")
        return -1

    def _trailer(self, data: bytes, start: int, pieces: list[bytes]) -> int:
        allowed = self._max_trailers - self._trailer_size
        end = self._line(data, start, allowed, "trailers_too_long")
        if end < 0:
            return -1
        if end == start:
            self.ended = True
            return end + 2
        match = _TRAILER.fullmatch(data, start, end)
        if match is None:
            raise HttpError("bad_trailer")
        self._trailer_size += end + 2 - start
        name = match[1].decode().lower()
        if name not in FORBIDDEN_TRAILERS:
            self.trailers.append((name, match[2].strip(b" \t").decode("latin-1")))
        return end + 2

    def _line(self, data: bytes, start: int, longest: int, verdict: str) -> int:
        """Where the line from `start` ends; -1 when its CRLF has not arrived."""
        end = data.find(b"\r\n", start, start + longest + 2)
        if end < 0:
            # A lone LF or CR can't become part of a valid line: say so at once.
            newline = data.find(b"\n", start, start + longest + 2)
            if newline >= 0:
                raise HttpError("bad_chunk" if verdict == "bad_chunk" else "bad_trailer")
            if len(data) - start > longest + 1:
                raise HttpError(verdict)
        return end


def decoder_for(head: RequestHead, max_trailers: int) -> Decoder | None:
    """The decoder of the body that follows `head`, None when there is no body
    (RFC 9112 section 6.3). Raises HttpError."""
    lower = head.lower
    if "\r\ntransfer-encoding:" in lower:
        if head.version == "1.0":
            raise HttpError("chunked_in_1_0")
        if "\r\ncontent-length:" in lower:
            raise HttpError("length_and_chunked")
        if [value.lower() for value in head.get("transfer-encoding")] != ["chunked"]:
            raise HttpError("transfer_coding")
        return ChunkedDecoder(max_trailers)
    if "\r\ncontent-length:" in lower:
        values = head.get("content-length")
        # 19 digits: below 2**63. `isdigit` alone would let other scripts' digits through.
        if len(values) != 1 or not re.fullmatch(r"[0-9]{1,19}", values[0]):
            raise HttpError("content_length")
        length = int(values[0])
        return LengthDecoder(length) if length else None
    return None


class RequestBody:
    """The body of the request that a connection is serving, as far as it has arrived.

    length     int or None, from Content-Length
    received   bytes that arrived, taken bytes that were handed to the plugs
    waited     seconds that a plug has waited for more; only then the clock judges the rate
    """

    __slots__ = (
        "decoder",
        "expects_continue",
        "failure",
        "held",
        "length",
        "pieces",
        "received",
        "taken",
        "waited",
        "waiter",
    )

    def __init__(self, decoder: Decoder, expects_continue: bool) -> None:
        self.decoder = decoder
        self.length = decoder.remaining if isinstance(decoder, LengthDecoder) else None
        self.expects_continue = expects_continue
        self.pieces: deque[bytes] = deque()
        self.held = 0
        self.received = 0
        self.taken = 0
        self.failure: BaseException | None = None
        self.waiter: Future[None] | None = None
        self.waited = 0.0

    @property
    def ended(self) -> bool:
        """Whether the whole body has arrived."""
        return self.decoder.ended

    def feed(self, data: bytes) -> bytes:
        """Take in bytes; returns what follows the body. Raises HttpError."""
        pieces: list[bytes] = []
        rest = self.decoder.feed(data, pieces)
        if pieces:
            # One piece for one read: a flood of tiny chunks must not become as many objects.
            piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self.received += len(piece)
            self.held += len(piece)
            self.pieces.append(piece)
        if pieces or self.decoder.ended:
            self.wake()
        return rest

    def take(self) -> bytes:
        """The next piece that has arrived."""
        piece = self.pieces.popleft()
        self.held -= len(piece)
        self.taken += len(piece)
        return piece

    def discard(self) -> None:
        """Forget what nobody will read."""
        self.pieces.clear()
        self.held = 0

    def fail(self, error: BaseException) -> None:
        """No more will come: whoever waits, or reads later, gets `error`."""
        if self.failure is None:
            self.failure = error
        self.wake()

    def wake(self) -> None:
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def wait(self, loop: AbstractEventLoop) -> "Future[None]":
        """A future that is done when something has arrived, ended or failed.

        Raises RuntimeError where another Task waits already: each piece is given once.
        """
        if self.waiter is not None and not self.waiter.done():
            raise RuntimeError("the body is being read by another Task")
        self.waiter = loop.create_future()
        return self.waiter
