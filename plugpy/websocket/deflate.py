"""permessage-deflate whose messages may have final blocks (RFC 7692 section 7.2.3.4).

`websockets` inflates; for zlib a final block ends the stream, and what follows it would be lost. A
sender that has no other way to flush ends each message so. What it sends next is a stream anew,
without the history of the one before, as browsers take it.
"""

import zlib
from typing import Any, Final

from websockets.exceptions import ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate

MOST_STREAMS: Final = 16
"""Streams within one frame: two bytes are enough for one, and each costs an inflater (1 us)."""


class Inflater:
    """As zlib's decompressobj, over any number of streams one after the other."""

    __slots__ = ("_inflate", "_over", "_window_bits")

    def __init__(self, inflate: Any, window_bits: int) -> None:
        self._inflate = inflate
        self._window_bits = window_bits
        self._over = False

    @property
    def unconsumed_tail(self) -> bytes:
        """What was not inflated since the result would be too large."""
        return b"\0" if self._over else self._inflate.unconsumed_tail

    def decompress(self, data: bytes, max_length: int = 0) -> bytes:
        """At most max_length bytes, 0 for any number. Raises zlib.error, ProtocolError."""
        found: bytes = self._inflate.decompress(data, max_length)
        return self._go_on(found, max_length) if self._inflate.eof else found

    def _go_on(self, found: bytes, max_length: int) -> bytes:
        pieces = [found]
        left = max_length - len(found)
        for _ in range(MOST_STREAMS):
            rest = self._inflate.unused_data
            self._inflate = zlib.decompressobj(wbits=-self._window_bits)
            if not rest:
                break
            # zlib takes 0 for "no limit"; one byte tells whether there is more than was allowed.
            piece = self._inflate.decompress(rest, max(left, 1) if max_length else 0)
            pieces.append(piece)
            left -= len(piece)
            if max_length and (left < 0 or self._inflate.unconsumed_tail):
                self._over = True
                break
            if not self._inflate.eof:
                break
        else:
            raise ProtocolError(f"more than {MOST_STREAMS} deflate streams in one frame")
        return b"".join(pieces)


class Deflate(PerMessageDeflate):
    """The extension with an Inflater in place of zlib's, whenever the library makes a new one.

    Both coders are made when they are first used: the compressor takes 32 KB, the inflater 7, and
    many a connection only listens, or says nothing of `compress_from` bytes.
    """

    def __init__(
        self,
        remote_no_context_takeover: bool,
        local_no_context_takeover: bool,
        remote_max_window_bits: int,
        local_max_window_bits: int,
        compress_settings: dict[str, Any],
    ) -> None:
        # Not the library's, which makes the coders.
        self.remote_no_context_takeover = remote_no_context_takeover
        self.local_no_context_takeover = local_no_context_takeover
        self.remote_max_window_bits = remote_max_window_bits
        self.local_max_window_bits = local_max_window_bits
        self.compress_settings = compress_settings
        self.decode_cont_data = False
        self._inflater: Inflater | None = None
        self._compressor: Any = None

    @classmethod
    def of(cls, made: PerMessageDeflate) -> "Deflate":
        """What was negotiated."""
        return cls(
            made.remote_no_context_takeover,
            made.local_no_context_takeover,
            made.remote_max_window_bits,
            made.local_max_window_bits,
            made.compress_settings,
        )

    @property  # type: ignore[override]
    def decoder(self) -> Inflater:
        """What inflates the messages of the peer."""
        if self._inflater is None:
            self.decoder = zlib.decompressobj(wbits=-self.remote_max_window_bits)
            assert self._inflater is not None
        return self._inflater

    @decoder.setter
    def decoder(self, inflate: Any) -> None:
        self._inflater = Inflater(inflate, self.remote_max_window_bits)

    @decoder.deleter
    def decoder(self) -> None:
        self._inflater = None

    @property
    def encoder(self) -> Any:
        """What compresses our messages."""
        if self._compressor is None:
            self._compressor = zlib.compressobj(
                wbits=-self.local_max_window_bits, **self.compress_settings
            )
        return self._compressor

    @encoder.setter
    def encoder(self, compress: Any) -> None:
        self._compressor = compress

    @encoder.deleter
    def encoder(self) -> None:
        self._compressor = None
