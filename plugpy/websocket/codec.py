"""The codec: frames from bytes and bytes from frames, one at a time.

`websockets` parses, unmasks, inflates and serialises; its Protocol would take all frames of a read
at once and answer a close frame before the messages that came ahead of it were seen, so the order
of things is ours.
"""

from collections.abc import Generator, Sequence
from struct import Struct
from typing import TYPE_CHECKING

from websockets.frames import Close, Frame, Opcode
from websockets.streams import StreamReader

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

FINAL = 0x80


class Codec:
    """One connection's.

    size: bytes of the message whose frames arrive, None between messages; kept by who reads.
    """

    __slots__ = (
        "_compress_from",
        "_extensions",
        "_frames",
        "_max_frame_size",
        "_max_message_size",
        "_reader",
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

    @property
    def waiting(self) -> int:
        """Bytes that were fed and are in no frame yet."""
        return len(self._reader.buffer)

    def feed(self, data: bytes) -> None:
        """Take bytes from the client."""
        self._reader.buffer += data

    def next(self) -> Frame | None:
        """The next frame, None until more bytes are fed.

        Raises ProtocolError, PayloadTooBig, and nothing after that.
        """
        return next(self._frames, None)

    def _parse(self) -> Generator[Frame | None, None, None]:
        read = self._reader.read_exact
        extensions = self._extensions or None
        buffer = self._reader.buffer
        largest = min(self._max_frame_size, self._max_message_size)
        while True:
            while len(buffer) < 2:
                yield None
            size = self.size
            limit = largest if size is None else min(largest, self._max_message_size - size)
            yield (yield from Frame.parse(read, mask=True, max_size=limit, extensions=extensions))

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
