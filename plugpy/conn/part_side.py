"""The parts of a multipart body, read one after the other.

private["plug_multipart"]          the PartReader, from the first read_part_headers on
private["plug_multipart_length"]   bytes of the whole body at most, where a parser has a limit
"""

from typing import TYPE_CHECKING

from plugpy.conn.errors import UnfetchedError
from plugpy.conn.fields import ConnFields
from plugpy.conn.request import READ_BODY_LENGTH, READ_TIMEOUT, BodyPart

if TYPE_CHECKING:
    from plugpy.conn.multipart import Event, PartReader

READ_PART_HEADERS_LENGTH = 64_000
"""Bytes of the headers of a part (Plug.Conn.read_part_headers/2 `length`)."""

READ_PART_HEADERS_TIMEOUT = 5.0
"""Seconds that a read of them waits (Plug.Conn.read_part_headers/2 `read_timeout`)."""


class PartSide(ConnFields):
    """Methods that read a multipart body. They need the extra `plugpy[multipart]`."""

    __slots__ = ()

    async def read_part_headers(
        self,
        *,
        length: int = READ_PART_HEADERS_LENGTH,
        read_timeout: float = READ_PART_HEADERS_TIMEOUT,
    ) -> list[tuple[str, str]] | None:
        """The headers of the next part of a multipart body: list of (lower-case name, value).

        None when no part follows. What was not read of the part before is skipped; it counts
        towards the limit of the request's body all the same, as do headers and boundaries: that
        limit is the route's or the server's `max_body`.

            while (headers := await conn.read_part_headers()) is not None:
                part = await conn.read_part_body()
                while part.more:
                    part = await conn.read_part_body()

        length: bytes of the header block at most, default 64,000. read_timeout: seconds to wait
        for each piece of the body, default 5. A body that `conn.body()` has cached is read from
        the cache.

        Raises UnsupportedMediaTypeError (415) where the content-type is no multipart;
        BadRequestError (400) for a missing or invalid boundary, a malformed part, a body that ends
        before its last boundary; RequestTooLargeError (413) beyond `length`, the limit of the body,
        100 headers in a part or 1,000 parts; RequestTimeoutError (408); ClientDisconnected;
        MissingExtraError without the extra. Source: Plug.Conn.read_part_headers/2.
        """
        from plugpy.conn.multipart import PartHeaders, Signal

        reader = self.private.get("plug_multipart")
        if reader is None:
            reader = self._part_reader()
        while True:
            event = await self._next_part_event(reader, length, read_timeout)
            if isinstance(event, PartHeaders):
                return event.headers
            if event is Signal.END:
                return None

    async def read_part_body(
        self, *, length: int = READ_BODY_LENGTH, read_timeout: float = READ_TIMEOUT
    ) -> BodyPart:
        """The next bytes of the part whose headers were read last: about `length` at most.

        `more` is False once the part is over; reading on gives b"". length: bytes, default
        8,000,000; a smaller one keeps less in memory. read_timeout: seconds to wait for each piece
        of the body, default 15.

        Raises UnfetchedError before `read_part_headers` was called; otherwise as it does.
        Source: Plug.Conn.read_part_body/2.
        """
        from plugpy.conn.multipart import Signal

        reader: PartReader | None = self.private.get("plug_multipart")
        if reader is None:
            raise UnfetchedError("no part to read: call read_part_headers() before read_part_body")
        pieces: list[bytes] = []
        size = 0
        while reader.in_body:
            event = await self._next_part_event(reader, None, read_timeout)
            if isinstance(event, bytes):
                pieces.append(event)
                size += len(event)
                if size >= length and not reader.at_part_end():
                    return BodyPart(b"".join(pieces), more=True)
            else:
                assert event is Signal.PART_END
        return BodyPart(b"".join(pieces), more=False)

    async def _next_part_event(
        self, reader: "PartReader", limit: int | None, read_timeout: float
    ) -> "Event":
        """The next event of the reader, bytes of the body fed to it as it asks for them."""
        from plugpy.conn.multipart import Signal

        while (event := reader.next(limit)) is Signal.MORE:
            length = self.private.get("plug_multipart_length")
            reader.feed(await self.adapter.read_req_body(self, length, read_timeout))
        return event

    def _part_reader(self) -> "PartReader":
        from plugpy.conn.multipart import PartReader, boundary_of

        reader = PartReader(boundary_of(self.head.get("content-type")))
        if self._body:
            reader.feed(self._body)
        self.private["plug_multipart"] = reader
        return reader
