"""Multipart bodies (RFC 2046 section 5.1, RFC 7578): bytes in, headers and bodies of parts out.

Sans-IO. The parser is the package python-multipart of the extra `plugpy[multipart]`, imported on
first use; here is what it leaves open: the preamble, the limits, the order in which parts are
asked for. Nothing is parsed ahead but a slice of the last piece, so memory does not grow with the
size of a part.
"""

import logging
import re
import sys
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from plugpy.conn.errors import (
    BadEncodingError,
    BadRequestError,
    ConnError,
    RequestTooLargeError,
    UnsupportedMediaTypeError,
)
from plugpy.conn.media_type import content_type

if TYPE_CHECKING:
    from python_multipart import MultipartParser

MAX_PARTS: Final = 1_000
"""Parts of one body; more is a 413. Every part costs a call of the application."""

MAX_PART_HEADERS: Final = 100
"""Headers of one part; more is a 413. RFC 7578 section 4.8 knows of three."""

MAX_SILENCE: Final = 1_024
"""Bytes that may pass without yielding anything, approximately: padding after a boundary."""

_SLICE: Final = 16_384
"""Bytes that the parser is given at once, which bounds what is parsed ahead."""

# RFC 2046 section 5.1.1: 1 to 70 of bchars, the last one no space.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")

# RFC 9110 section 5.5: no control characters but the tab. LF too: it would be a second line.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# The library warns of every malformed body, which a client could flood a log with. The error that
# is raised says the same.
_SILENT = logging.getLogger(__name__)
_SILENT.disabled = True


class PartHeaders(NamedTuple):
    """A part begins. size: bytes of its header block with line ends;
    headers: list of (lower-case name, value)."""

    size: int
    headers: list[tuple[str, str]]


class Signal(Enum):
    """What happened, where no bytes tell it."""

    MORE = "feed more bytes"
    PART_END = "the body of this part is over"
    END = "no part follows"


Event = PartHeaders | bytes | Signal
"""What `PartReader.next` returns; bytes are a piece of the body of a part, never empty."""


def boundary_of(content_types: list[str]) -> bytes:
    """The boundary in the values of the content-type header.

    Raises UnsupportedMediaTypeError (415) where the body is no multipart, BadRequestError (400)
    where the header comes twice or the boundary is missing, longer than 70 characters or has a
    character that RFC 2046 section 5.1.1 does not allow.
    """
    if len(content_types) > 1:
        raise BadRequestError(f"one content-type header is expected, got {len(content_types)}")
    parsed = content_type(content_types[0]) if content_types else None
    if parsed is None or parsed.type != "multipart":
        got = repr(content_types[0]) if content_types else "none"
        raise UnsupportedMediaTypeError(
            f"parts can be read of a multipart body only, the content-type is {got}"
        )
    boundary = parsed.params.get("boundary")
    if boundary is None:
        raise BadRequestError("the content-type of a multipart body needs a boundary, it has none")
    if not _BOUNDARY.fullmatch(boundary):
        raise BadRequestError(
            "the boundary of a multipart body is 1 to 70 letters, digits or '()+_,-./:=? "
            f"and ends in no space; got {boundary[:80]!r}"
        )
    return boundary.encode("ascii")


class PartReader:
    """Takes the pieces of a multipart body, gives its parts one after the other.

    feed(piece) takes bytes, b"" for the end of the body; next(limit) gives the next event.
    in_body: whether the events up to the next PART_END belong to the part that was begun.
    Once an error was raised it is raised by every further call: there is no way back into step.
    """

    __slots__ = (
        "_block_end",
        "_block_start",
        "_delimiter",
        "_ended",
        "_events",
        "_failure",
        "_fed",
        "_headers",
        "_in_headers",
        "_name",
        "_parser",
        "_parts",
        "_piece",
        "_position",
        "_preamble",
        "_silence",
        "_value",
        "in_body",
    )

    def __init__(self, boundary: bytes) -> None:
        self.in_body = False
        self._delimiter = b"\r\n--" + boundary
        # The first delimiter needs no line before it: a CRLF in front makes it one like all others.
        self._preamble: bytes | None = b"\r\n"
        self._parser = _parser(boundary, self)
        self._events: deque[PartHeaders | bytes | Signal] = deque()
        self._failure: ConnError | None = None
        self._ended = False
        self._piece = b""
        self._position = 0
        self._parts = 0
        self._silence = 0
        # The header block of the part that is being parsed, by positions in what was fed: spaces
        # around values count although the parser does not hand them out.
        self._fed = 0
        self._in_headers = False
        self._block_start: int | None = None
        self._block_end = 0
        self._headers: list[tuple[str, str]] = []
        self._name = bytearray()
        self._value = bytearray()

    def feed(self, piece: bytes) -> None:
        """Take the next piece, after `next` has returned MORE; b"": the body is over."""
        if not piece and not self._ended:
            self._failure = BadRequestError(
                "the multipart body ends before its last boundary: it was cut off"
            )
        self._piece = piece
        self._position = 0

    def next(self, limit: int | None = None) -> Event:
        """The next event, MORE where the pieces so far don't hold it.

        limit: bytes of a header block with its line ends, None for any. Raises
        RequestTooLargeError (413) beyond a limit, BadRequestError (400) for what is no multipart.
        """
        events = self._events
        while not events:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return Signal.END
            if limit is not None and self._in_headers:
                self._check_block(self._pending_block(), limit)
            if not self._advance():
                return Signal.MORE
        event = events.popleft()
        if isinstance(event, PartHeaders):
            if limit is not None:
                self._check_block(event.size, limit)
            self.in_body = True
        elif event is Signal.PART_END:
            self.in_body = False
        return event

    def at_part_end(self) -> bool:
        """Whether it is known already that no more bytes of this part follow."""
        return bool(self._events) and self._events[0] is Signal.PART_END

    def _advance(self) -> bool:
        """Parse a slice of the piece. False when nothing of it is left."""
        data = self._piece[self._position : self._position + _SLICE]
        if not data:
            self._piece = b""
            return False
        self._position += len(data)
        if self._preamble is not None:
            data = self._skip_preamble(data, self._preamble)
        if data:
            self._silence += len(data)
            try:
                self._parser.write(data)
            except ConnError as error:
                self._failure = error
            except ValueError as error:  # python_multipart.exceptions.FormParserError
                self._failure = BadRequestError(f"the multipart body is malformed: {error}")
            self._fed += len(data)
            if self._ended or self._failure is not None:
                # Nothing is called any more; without the cycle all goes with the Conn.
                self._parser.callbacks = {}
            elif self._silence > MAX_SILENCE and not self._in_headers:
                self._failure = BadRequestError(
                    f"more than {MAX_SILENCE} bytes follow a boundary on its line"
                )
        return True

    def _skip_preamble(self, data: bytes, before: bytes) -> bytes:
        """What follows the preamble in `data`, from the boundary on; b"" while it goes on."""
        data = before + data
        start = data.find(self._delimiter)
        if start < 0:
            self._preamble = data[1 - len(self._delimiter) :]
            return b""
        self._preamble = None
        return data[start + 2 :]

    def _pending_block(self) -> int:
        """Bytes of a header block whose end has not come."""
        return 0 if self._block_start is None else self._fed - self._block_start

    def _check_block(self, size: int, limit: int) -> None:
        if size > limit:
            self._events.clear()
            self._failure = RequestTooLargeError(
                f"the headers of a part are longer than {limit} bytes"
            )
            raise self._failure

    # What the parser calls. Positions are those in the slice that it was given.

    def on_part_begin(self) -> None:
        self._silence = 0
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise RequestTooLargeError(f"a multipart body has {MAX_PARTS} parts at most")
        self._in_headers = True
        self._block_start = None
        self._headers = []

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._silence = 0
        if self._block_start is None:
            self._block_start = self._fed + start
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._silence = 0
        self._block_end = self._fed + end
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if len(self._headers) == MAX_PART_HEADERS:
            raise RequestTooLargeError(f"a part has {MAX_PART_HEADERS} headers at most")
        # The parser lets only token characters into names.
        name = self._name.decode("ascii").lower()
        try:
            # RFC 7578 section 5.1: names and file names are UTF-8 as browsers send them.
            value = self._value.decode("utf-8").strip(" \t")
        except UnicodeDecodeError:
            raise BadEncodingError(f"the header {name!r} of a part is not valid UTF-8") from None
        if _CONTROL.search(value):
            raise BadRequestError(f"the header {name!r} of a part has a control character")
        self._headers.append((name, value))
        self._name.clear()
        self._value.clear()

    def on_headers_finished(self) -> None:
        self._silence = 0
        self._in_headers = False
        size = 2
        if self._block_start is not None:
            size = self._block_end + 4 - self._block_start
        self._events.append(PartHeaders(size, self._headers))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._silence = 0
        self._events.append(data[start:end])

    def on_part_end(self) -> None:
        self._silence = 0
        self._events.append(Signal.PART_END)

    def on_end(self) -> None:
        # RFC 2046 section 5.1.1: what follows is the epilogue, to be ignored.
        self._ended = True
        self._piece = b""


def _parser(boundary: bytes, reader: PartReader) -> "MultipartParser":
    try:
        from python_multipart import MultipartParser
    except ImportError as error:
        from plugpy.conn.crypto import MissingExtraError

        raise MissingExtraError(
            'multipart bodies need the package python-multipart: pip install "plugpy[multipart]"'
        ) from error
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": reader.on_part_begin,
            "on_header_field": reader.on_header_field,
            "on_header_value": reader.on_header_value,
            "on_header_end": reader.on_header_end,
            "on_headers_finished": reader.on_headers_finished,
            "on_part_data": reader.on_part_data,
            "on_part_end": reader.on_part_end,
            "on_end": reader.on_end,
        },
        # Its own limits would answer 400 for what is a 413.
        max_header_count=sys.maxsize,
        max_header_size=sys.maxsize,
    )
    parser.logger = _SILENT
    return parser
