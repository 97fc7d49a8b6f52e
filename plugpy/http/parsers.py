"""The seam behind which HTTP parsers sit: does this complete head begin a valid message?

`httptools` (llhttp, in C) is the default, `h11` (pure Python) the other. Neither is asked for the
headers: those stay text until a plug wants one. Bodies are plugpy.http.body's.
"""

from collections.abc import Callable
from typing import Any, Protocol

import httptools

from plugpy.http.errors import HttpError
from plugpy.http.faults import find_fault


class HeadParser(Protocol):
    """A parser of one connection's event loop, shared by all connections: it holds no state
    between two heads."""

    def accept(self, data: bytes) -> bool:
        """data: one complete head, from the method to the empty line.

        Returns True where the message ends with its head, False where a body may follow.
        Raises HttpError where the head is not valid; plugpy.http.faults.diagnose tells why.
        """


class HttptoolsParser:
    """llhttp. PERF: it is given no header callbacks, which halves its cost (0.45 us for a head of
    40 bytes, 1.0 us for 600 bytes in twelve lines)."""

    __slots__ = ("_complete", "_parser")

    def __init__(self) -> None:
        self._complete = 0
        self._renew()

    def _renew(self) -> None:
        parser = httptools.HttpRequestParser(self)
        # Heads of different connections follow each other here. Without this, one that ends its
        # connection (`connection: close`, HTTP/1.0) would make llhttp refuse all that follow;
        # with `lenient_data_after_close` it would swallow them unseen.
        parser.set_dangerous_leniencies(lenient_keep_alive=True)
        self._parser: Any = parser

    def on_message_complete(self) -> None:
        self._complete += 1

    def accept(self, data: bytes) -> bool:
        self._complete = 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The message seems to end with its head, whatever its length says: nobody upgrades
            # before the server has agreed (RFC 9110 section 7.8), so its body follows as ever.
            self._renew()
            lower = data.lower()
            return b"\r\ncontent-length:" not in lower and b"\r\ntransfer-encoding:" not in lower
        except httptools.HttpParserError:
            self._renew()
            raise HttpError("parser") from None
        if self._complete != 1:
            # A body is due, and this parser waits for it: the next head needs a fresh one.
            self._renew()
            if self._complete:
                raise HttpError("parser")
            return False
        return True


class H11Parser:
    """h11, on any interpreter. Stricter than h11 itself: what RFC 9112 lets a recipient forgive
    (bare LF, folded lines) is a fault here, as it is for llhttp."""

    __slots__ = ("_h11",)

    def __init__(self) -> None:
        try:
            import h11
        except ImportError:
            raise ModuleNotFoundError(
                'the parser h11 is not installed: pip install "plugpy[h11]"', name="h11"
            ) from None
        self._h11 = h11

    def accept(self, data: bytes) -> bool:
        fault = find_fault(data)
        if fault is not None:
            raise fault
        h11 = self._h11
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=len(data) + 1)
        connection.receive_data(data)
        try:
            request = connection.next_event()
            if not isinstance(request, h11.Request):
                raise HttpError("parser")
            return isinstance(connection.next_event(), h11.EndOfMessage)
        except h11.RemoteProtocolError:
            raise HttpError("parser") from None


PARSERS: dict[str, Callable[[], HeadParser]] = {"httptools": HttptoolsParser, "h11": H11Parser}
"""Name on the command line (`--http`) -> parser."""
