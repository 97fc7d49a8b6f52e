"""The content codings: gzip (RFC 1952), br (RFC 7932) and zstd (RFC 8878).

An encoder takes a body piece by piece; what it gives for a piece lets the client decode all of that
piece. gzip is always there, the others where their library is.
"""

import importlib.util
import sys
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

LEVELS: Final = {"zstd": (1, 19, 3), "br": (0, 11, 4), "gzip": (1, 9, 6)}
"""Coding -> lowest, highest and default level, the best coding for answers made anew first.

RFC 9659: browsers take a zstd window of 8 MB at most, which levels above 19 go beyond.
"""

STREAM_WINDOW: Final = 18
"""Bits of brotli's window for streams, 256 KB: the default would keep 4 MB for each client."""


class Encoder(Protocol):
    """Compresses one body."""

    def encode(self, data: bytes) -> bytes:
        """Compress a piece, and everything that the client needs to decode it."""
        ...

    def finish(self) -> bytes:
        """The end of the body."""
        ...


class GzipEncoder:
    """gzip by zlib. Nothing in it depends on the time: the same body gives the same bytes."""

    __slots__ = ("_stream",)

    def __init__(self, level: int) -> None:
        self._stream = zlib.compressobj(level, zlib.DEFLATED, 31)

    def encode(self, data: bytes) -> bytes:
        return self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._stream.flush()


class BrotliEncoder:
    """br by the package brotli."""

    __slots__ = ("_stream",)

    def __init__(self, level: int) -> None:
        import brotli

        self._stream: Any = brotli.Compressor(quality=level, lgwin=STREAM_WINDOW)

    def encode(self, data: bytes) -> bytes:
        joined: bytes = self._stream.process(data) + self._stream.flush()
        return joined

    def finish(self) -> bytes:
        end: bytes = self._stream.finish()
        return end


class ZstdEncoder:
    """zstd by the standard library since Python 3.14, else by the package zstandard."""

    __slots__ = ("_encode", "_finish")

    def __init__(self, level: int) -> None:
        self._encode, self._finish = _zstd_stream(level)

    def encode(self, data: bytes) -> bytes:
        return self._encode(data)

    def finish(self) -> bytes:
        return self._finish()


def _zstd_stream(level: int) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    if sys.version_info >= (3, 14):
        from compression import zstd

        stream = zstd.ZstdCompressor(level=level)
        return lambda data: stream.compress(data, stream.FLUSH_BLOCK), stream.flush
    import zstandard

    compressor = zstandard.ZstdCompressor(level=level).compressobj()

    def encode(data: bytes) -> bytes:
        return compressor.compress(data) + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    return encode, compressor.flush


_ENCODERS: Final[dict[str, Callable[[int], Encoder]]] = {
    "zstd": ZstdEncoder,
    "br": BrotliEncoder,
    "gzip": GzipEncoder,
}


def encoder(coding: str, level: int) -> Encoder:
    """A new encoder for one body."""
    return _ENCODERS[coding](level)


def encode_whole(coding: str, level: int, body: bytes) -> bytes:
    """A whole body at once."""
    if coding == "br":
        import brotli

        whole: bytes = brotli.compress(body, quality=level)
        return whole
    if coding == "gzip":
        return zlib.compress(body, level, 31)
    if sys.version_info >= (3, 14):
        from compression import zstd

        return zstd.compress(body, level)
    import zstandard

    return zstandard.ZstdCompressor(level=level).compress(body)


def is_installed(coding: str) -> bool:
    """Whether the library of a coding is there."""
    library = library_of(coding)
    return library is None or importlib.util.find_spec(library) is not None


def library_of(coding: str) -> str | None:
    """The package that a coding needs; None: the standard library has it."""
    if coding == "br":
        return "brotli"
    return "zstandard" if coding == "zstd" and sys.version_info < (3, 14) else None
