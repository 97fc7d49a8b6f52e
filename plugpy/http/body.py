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
from plugpy.http.framing import CHUNKED, LARGEST, body_length

LONGEST_SIZE = 16
"""Digits of a chunk size; a longer line has an extension."""


class BodyLimits(Protocol):
    """The limits on what is in a body beside its bytes; HttpOptions has them."""

    max_chunk_line: int
    max_chunk_extensions: int
    max_trailers: int


TURN = 250
"""Chunks, or parts of them, that are decoded in one turn of the event loop: about a quarter of a
millisecond. One read may bring 40,000."""

_SIZE = re.compile(
    # RFC 9112 section 7.1: 1*HEXDIG, then extensions: token [ "=" ( token / quoted-string ) ].
    rb"([0-9A-Fa-f]{1,16})"
    rb"(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"
    rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"))?)*'
)
_TRAILER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)")


class Decoder(Protocol):
    """What finds the end of a body."""

    ended: bool

    @property
    def trailers(self) -> list[tuple[str, str]]: ...

    @property
    def remaining(self) -> int:
        """Bytes of body that are announced and have not come: of the whole, or of this chunk."""

    def feed(self, data: bytes, pieces: list[bytes]) -> bytes:
        """Append the pieces of body in `data`; returns what it has not looked at: what follows the
        end of the body, or the rest of a flood of tiny chunks. Raises HttpError."""


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
        end = self.remaining
        self.remaining = 0
        self.ended = True
        if size == end:
            pieces.append(data)
            return b""
        pieces.append(data[:end])
        return data[end:]


class ChunkedDecoder:
    """A body in chunks (RFC 9112 section 7.1), strict: CRLF only, sizes below 2**63,
    bounded lines, bounded and filtered trailers."""

    __slots__ = (
        "_buffer",
        "_extensions",
        "_limits",
        "_state",
        "_trailer_size",
        "ended",
        "remaining",
        "trailers",
    )

    def __init__(self, limits: BodyLimits) -> None:
        self.ended = False
        self.trailers: list[tuple[str, str]] = []
        self._buffer = b""
        self._state = self._size
        self.remaining = 0
        self._extensions = 0
        self._trailer_size = 0
        self._limits = limits

    def feed(self, data: bytes, pieces: list[bytes]) -> bytes:
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        position = 0
        for _ in range(TURN):
            advanced = self._state(data, position, pieces)
            if advanced < 0:
                # Less than a line (bounded below) or nothing: it waits for more.
                self._buffer = data[position:]
                return b""
            position = advanced
            if self.ended:
                break
        return data[position:]

    # Each state returns the position that it got to, -1 when it needs more bytes.

    def _size(self, data: bytes, start: int, pieces: list[bytes]) -> int:
        end = self._line(data, start, self._limits.max_chunk_line, "bad_chunk")
        if end < 0:
            return -1
        match = _SIZE.fullmatch(data, start, end)
        if match is None:
            raise HttpError("bad_chunk")
        if end - start > LONGEST_SIZE:
            self._extensions += end - start
            if self._extensions > self._limits.max_chunk_extensions:
                raise HttpError("bad_chunk")
        self.remaining = int(match[1], 16)
        if self.remaining >= LARGEST:
            raise HttpError("bad_chunk")
        start = end + 2
        if self.remaining:
            end = start + self.remaining
            if data.startswith(b"\r\n", end):
                # PERF: the whole chunk is here, as most are.
                pieces.append(data[start:end])
                self.remaining = 0
                return end + 2
            self._state = self._data
        else:
            self._state = self._trailer
        return start

    def _data(self, data: bytes, start: int, pieces: list[bytes]) -> int:
        available = len(data) - start
        if available == 0:
            return -1
        if available < self.remaining:
            self.remaining -= available
            pieces.append(data[start:] if start else data)
            return len(data)
        end = start + self.remaining
        pieces.append(data[start:end])
        self.remaining = 0
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
        allowed = self._limits.max_trailers - self._trailer_size
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


def decoder_for(head: RequestHead, limits: BodyLimits) -> Decoder | None:
    """The decoder of the body that follows `head`, None when there is no body
    (RFC 9112 section 6.3). Raises HttpError."""
    lower = head.lower
    codings = head.get("transfer-encoding") if "\r\ntransfer-encoding:" in lower else []
    lengths = head.get("content-length") if "\r\ncontent-length:" in lower else []
    length = body_length(lengths, codings, head.version)
    if length == CHUNKED:
        return ChunkedDecoder(limits)
    return LengthDecoder(length) if length else None


class RequestBody:
    """The body of the request that a connection is serving, as far as it has arrived.

    length     int or None, from Content-Length
    received   bytes that arrived, taken bytes that were handed to the plugs
    waiting    bytes that wait for their turn to be decoded
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
        "waiting",
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
        self.waiting = b""

    @property
    def ended(self) -> bool:
        """Whether the whole body has arrived."""
        return self.decoder.ended

    @property
    def announced(self) -> int:
        """Bytes that the body has at least, by what its sender has said so far."""
        return self.received + self.decoder.remaining

    def feed(self, data: bytes) -> bytes:
        """Take in bytes; returns what follows the body. Raises HttpError.

        Where `waiting` is set afterwards it must be called again, if with b"".
        """
        if self.waiting:
            data = self.waiting + data
            self.waiting = b""
        pieces: list[bytes] = []
        rest = self.decoder.feed(data, pieces)
        if rest and not self.decoder.ended:
            self.waiting = rest
            rest = b""
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
