"""The codec: frames from bytes and bytes from frames, one at a time.

`websockets` parses, unmasks, inflates and serialises; its Protocol would take all frames of a read
at once and answer a close frame before the messages that came ahead of it were seen, so the order
of things is ours.
"""

from codecs import IncrementalDecoder, getincrementaldecoder
from collections.abc import Generator, Sequence
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from websockets.exceptions import ProtocolError
from websockets.frames import Close, Frame, Opcode
from websockets.streams import StreamReader

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled part for this machine
    from websockets.utils import apply_mask

if TYPE_CHECKING:
    from websockets.extensions import Extension

TEXT = Opcode.TEXT
BINARY = Opcode.BINARY
CONT = Opcode.CONT
CLOSE = Opcode.CLOSE
PING = Opcode.PING
PONG = Opcode.PONG

_SHORT = Struct("!BB").pack
_MEDIUM = Struct("!BBH").pack
_LONG = Struct("!BBQ").pack

FINAL: Final = 0x80
RSV1: Final = 0x40
RSV2: Final = 0x20
RSV3: Final = 0x10
MASKED: Final = 0x80

OUT_OF_ORDER: Final = "a continuation of nothing, or a message within a message"

Utf8Decoder = getincrementaldecoder("utf-8")


class Codec:
    """One connection's.

    size: bytes of the message whose frames arrive, None between messages; decoder: what its text is
    decoded with, None for a binary one. Both are kept by who reads.
    """

    __slots__ = (
        "_compress_from",
        "_extensions",
        "_frames",
        "_max_frame_size",
        "_max_message_size",
        "_reader",
        "decoder",
        "size",
    )

    def __init__(
        self,
        extensions: "Sequence[Extension]",
        max_frame_size: int,
        max_message_size: int,
        compress_from: int,
    ) -> None:
        self._extensions = extensions
        self._max_frame_size = max_frame_size
        self._max_message_size = max_message_size
        self._compress_from = compress_from
        self._reader = StreamReader()
        self._frames = self._parse()
        self.size: int | None = None
        self.decoder: Any = None

    @property
    def waiting(self) -> int:
        """Bytes that were fed and are in no frame yet."""
        return len(self._reader.buffer)

    def feed(self, data: bytes) -> None:
        """Take bytes from the client."""
        self._reader.buffer += data

    def next(self) -> Frame | None:
        """The next frame, None until more bytes are fed.

        Raises ProtocolError, PayloadTooBig, UnicodeDecodeError; after that there is no next.
        """
        return next(self._frames, None)

    def _parse(self) -> Generator[Frame | None, None, None]:
        read = self._reader.read_exact
        extensions = self._extensions or None
        buffer = self._reader.buffer
        while True:
            while len(buffer) < 2:
                yield None
            first, second = buffer[0], buffer[1]
            if len(buffer) < (second & 0x7F) + 6 or second & 0x7F > 125:
                yield from self._await_rest(first, second)
            limit = self._limit(self.size)
            yield (yield from Frame.parse(read, mask=True, max_size=limit, extensions=extensions))

    def _await_rest(self, first: int, second: int) -> Generator[None, None, None]:
        """A frame that has begun: what is wrong with it is told before its payload has come.

        Returns as soon as the rest is the library's business. What is told, and in which order, is
        what the whole frame would be told.
        """
        try:
            opcode = Opcode(first & 0x0F)
        except ValueError:
            return
        size, length = self.size, second & 0x7F
        limit = self._limit(size)
        if not second & MASKED or first & (RSV2 | RSV3) or limit < length <= 125:
            return
        if first & RSV1:
            if not self._extensions or opcode >= CLOSE:
                raise ProtocolError("reserved bits must be 0")
            return  # compressed
        if opcode >= CLOSE:
            if length > 125:
                raise ProtocolError("control frame too long")
            if not first & FINAL:
                raise ProtocolError("fragmented control frame")
            return
        if (opcode is CONT) != (size is not None):
            raise ProtocolError(OUT_OF_ORDER)
        if opcode is BINARY or (opcode is CONT and self.decoder is None):
            return
        decoder = Utf8Decoder()
        if opcode is CONT:
            if any(one.decode_cont_data for one in self._extensions):  # type: ignore[attr-defined]
                return
            decoder.setstate(self.decoder.getstate())
        yield from self._check_text(length, limit, decoder)

    def _limit(self, size: int | None) -> int:
        """Bytes that the payload of the next frame may have."""
        if size is None:
            return min(self._max_frame_size, self._max_message_size)
        return min(self._max_frame_size, self._max_message_size - size)

    def _check_text(
        self, length: int, limit: int, decoder: "IncrementalDecoder"
    ) -> Generator[None, None, None]:
        """Judge the text of a frame as it arrives. Raises UnicodeDecodeError."""
        buffer = self._reader.buffer
        head = {126: 8, 127: 14}.get(length, 6)
        while len(buffer) < head:
            yield None
        if length > 125:
            length = int.from_bytes(buffer[2 : head - 4], "big")
        if length > limit:
            return  # the library refuses it
        mask = bytes(buffer[head - 4 : head])
        seen = 0
        while len(buffer) < head + length:
            arrived = len(buffer) - head - seen
            if arrived:
                turn = seen % 4
                piece = buffer[head + seen : head + seen + arrived]
                decoder.decode(bytes(apply_mask(piece, mask[turn:] + mask[:turn])))
                seen += arrived
            yield None

    def serialize(self, opcode: Opcode, data: bytes) -> bytes:
        """A whole message as one frame. Compressed where that was agreed on and pays."""
        size = len(data)
        if self._extensions and opcode < CLOSE and size >= self._compress_from:
            return Frame(opcode, data).serialize(mask=False, extensions=self._extensions)
        # PERF: 0.3 us in place of 2.2; a server's frames have no mask (RFC 6455 section 5.1).
        if size < 126:
            return _SHORT(FINAL | opcode, size) + data
        if size < 65_536:
            return _MEDIUM(FINAL | opcode, 126, size) + data
        return _LONG(FINAL | opcode, 127, size) + data


def parse_close(data: bytes) -> tuple[int, str]:
    """Code and reason of a close frame. Raises ProtocolError, UnicodeDecodeError."""
    close = Close.parse(data)
    return int(close.code), close.reason


def close_payload(code: int, reason: str) -> bytes:
    """The payload of a close frame."""
    return Close(code, reason).serialize()
