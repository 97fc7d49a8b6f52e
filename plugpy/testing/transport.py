"""Protocol tests without sockets: a transport in memory, and bytes fed in pieces."""

import asyncio
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Literal, Protocol, TypeAlias

Pieces: TypeAlias = Literal["whole", "bytewise"] | Iterable[int]
"""How bytes arrive: at once, one by one, or cut at these offsets."""


class FakeTransport(asyncio.Transport):
    """A transport in memory: it records what a protocol writes, and in how many writes.

    writes: list of bytes, one for each write; sent: all of them in one. queued: bytes that
    `get_write_buffer_size` reports, 0; set it, and call the protocol's `pause_writing`, to play a
    slow reader. reading, closing, aborted, ended: what the protocol has asked for; ended is
    `write_eof`. What is written after `close` is dropped, as by a real one; after `write_eof` it is
    an AssertionError. extra: what `get_extra_info` knows, such as peername=("127.0.0.1", 5).

    >>> transport = FakeTransport(peername=("192.0.2.1", 5))
    >>> transport.write(b"a")
    >>> transport.write(b"b")
    >>> transport.writes, transport.sent, transport.get_extra_info("peername")
    ([b'a', b'b'], b'ab', ('192.0.2.1', 5))
    """

    def __init__(self, **extra: Any) -> None:
        super().__init__(extra)
        self.writes: list[bytes] = []
        self.queued = 0
        self.reading = True
        self.closing = False
        self.aborted = False
        self.ended = False

    @property
    def sent(self) -> bytes:
        """Everything that was written."""
        return b"".join(self.writes)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Record a write."""
        assert not self.ended, "write after write_eof"
        if not self.closing:
            self.writes.append(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """One write of all, as the event loops do."""
        self.write(b"".join(list_of_data))

    def get_write_buffer_size(self) -> int:
        """`queued`."""
        return self.queued

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing: the test plays the limits."""

    def is_closing(self) -> bool:
        """`closing`."""
        return self.closing

    def is_reading(self) -> bool:
        """`reading`."""
        return self.reading

    def pause_reading(self) -> None:
        """Note that no more is read; `feed` delivers all the same."""
        self.reading = False

    def resume_reading(self) -> None:
        """Note that more is read."""
        self.reading = True

    def can_write_eof(self) -> bool:
        """True."""
        return True

    def write_eof(self) -> None:
        """Note the end of what is written."""
        self.ended = True

    def close(self) -> None:
        """Note it; the test calls `connection_lost`."""
        self.closing = True

    def abort(self) -> None:
        """Note it; the test calls `connection_lost`."""
        self.closing = self.aborted = True


class Receiver(Protocol):
    """What bytes are fed to: an asyncio.Protocol, an acceptors.Connection."""

    def data_received(self, data: bytes, /) -> None:
        """Bytes from the peer."""


def feed(connection: Receiver, data: bytes, how: Pieces = "whole") -> None:
    """Give `data` to `connection.data_received`, at once, byte by byte, or cut at offsets.

    how: "whole", "bytewise", or offsets in rising order, [4, 10]: bytes 0 to 3, 4 to 9, the rest.
    Raises ValueError for other text and for offsets that do not rise or are outside of `data`.
    """
    for piece in split(data, how):
        connection.data_received(piece)


def split(data: bytes, how: Pieces) -> Iterator[bytes]:
    """The pieces of `data` that `feed` gives, none of them empty.

    >>> list(split(b"GET / HTTP/1.1", [3, 5]))
    [b'GET', b' /', b' HTTP/1.1']
    """
    if isinstance(how, str):
        if how not in ("whole", "bytewise"):
            raise ValueError(f"bytes are fed 'whole', 'bytewise' or cut at offsets, not {how!r}")
        cuts = list(range(1, len(data))) if how == "bytewise" else []
    else:
        cuts = list(how)
    edges = [0, *cuts, len(data)]
    if cuts and any(after <= before for before, after in pairwise(edges)):
        raise ValueError(f"the offsets {cuts} must rise, between 0 and {len(data)}")
    return (data[start:end] for start, end in pairwise(edges) if end > start)
