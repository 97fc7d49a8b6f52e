"""One simulated user: a connection that sends the same request again and again."""

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, cast

import httptools

from plugpy.load.errors import BAD_RESPONSE, CLOSED, kind_of, message_of

if TYPE_CHECKING:
    from plugpy.load.generator import LoadGenerator


class Client(asyncio.Protocol):
    """Sends a request when told to, reads one response, tells its generator.

    State: `transport` None while not connected; `busy` from the moment a request is given until
    its answer or error is told. An object serves one connection: when that is gone, `begin` hands
    the request to an heir, so that late events of the old connection reach nobody.

    The response is framed by llhttp; bodies are counted, never kept.
    """

    __slots__ = (
        "_answered",
        "_framed",
        "_heads",
        "_load",
        "_parser",
        "_persist",
        "_status",
        "busy",
        "failures",
        "sent",
        "started",
        "transport",
    )

    def __init__(self, load: "LoadGenerator", failures: int = 0) -> None:
        self._load = load
        self._parser: httptools.HttpResponseParser | None = None
        self._status = 0
        self._heads = 0
        self._answered = False
        self._framed = False
        self._persist = False
        self.transport: asyncio.Transport | None = None
        self.busy = False
        self.failures = failures
        self.started = 0.0
        self.sent = 0.0

    def begin(self, started: float) -> None:
        """Send one request, connecting first where needed. Its latency counts from `started`."""
        transport = self.transport
        if transport is None or transport.is_closing():
            self.transport = None
            heir = Client(self._load, self.failures)
            heir.busy = True
            heir.started = heir.sent = started
            self._load.connect(heir, instead_of=self)
        else:
            self.busy = True
            self.started = started
            # PERF: in a closed loop the moment is now; an open loop may be late.
            self.sent = started if self._load.closed_loop else perf_counter()
            transport.write(self._load.request)

    # the connection ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self.transport = transport
        self.failures = 0
        self._parser = httptools.HttpResponseParser(self)
        self._load.connected(self)
        if self.busy:
            self.sent = perf_counter()
            if self._load.closed_loop and self._load.keep_alive:
                self.started = self.sent  # the connect is no part of a request
            transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        load = self._load
        load.tally.bytes_received += len(data)
        parser = self._parser
        if parser is None or not self.busy:
            self._bad("the server sent bytes that nobody asked for")
            return
        try:
            parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._bad(f"{type(error).__name__}: {error}"[:200])
            return
        except httptools.HttpParserUpgrade:
            self._bad("the server switched protocols")
            return
        if self._heads > 1:
            self._bad("two responses to one request")
        elif self._answered:
            self._answer()

    def _answer(self) -> None:
        self._answered = False
        self._heads = 0
        self._framed = False
        if self._persist and self._load.keep_alive:
            if self._load.head_only:
                # llhttp was not told that this answer has no body (RFC 9110 section 9.3.2).
                self._parser = httptools.HttpResponseParser(self)
        else:
            self._parser = None
            transport, self.transport = self.transport, None
            if transport is not None:
                transport.close()
        self.busy = False
        self._load.answered(self, self._status)

    def _bad(self, message: str) -> None:
        self._parser = None
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.abort()
        self.fail(BAD_RESPONSE, message)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.transport is None:
            return  # our own closing
        self.transport = None
        if not self.busy:
            return  # an idle connection may be closed at any time (RFC 9112 section 9.5)
        if exc is None and self._heads and not self._framed:
            # A body that ends with the connection (RFC 9112 section 6.3, rule 8).
            self._answer()
        elif exc is None:
            self.fail(CLOSED)
        else:
            self.fail(kind_of(exc), message_of(exc))

    def fail(self, kind: str, message: str = "") -> None:
        """The request in progress, if any, ends with an error."""
        if self.busy:
            self.busy = False
            self._load.failed(self, kind, message)

    @property
    def waiting(self) -> bool:
        """Whether a request was sent and its answer did not arrive."""
        return self.busy and self.transport is not None

    def give_up(self, kind: str) -> None:
        """Fail the request and close its connection: a late answer would be taken for the next."""
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.abort()
        self.fail(kind)

    def drop(self) -> None:
        """Close at once, without a word to the generator."""
        self.busy = False
        self._parser = None
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.abort()

    # the parser's callbacks ----------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        # Only to tell a body cut short from one that ends with the connection.
        if len(name) in (14, 17) and name.lower() in (b"content-length", b"transfer-encoding"):
            self._framed = True

    def on_headers_complete(self) -> None:
        parser = self._parser
        assert parser is not None
        self._status = status = parser.get_status_code()
        if status >= 200:
            self._heads += 1
            # Asked now: llhttp forgets it when the message is complete.
            self._persist = parser.should_keep_alive()
            if self._load.head_only:
                self._answered = True

    def on_message_complete(self) -> None:
        if self._heads:  # an interim response (1xx) is not the answer
            self._answered = True
