"""What the connections of one listener share in one event loop: clock, blocks, parser, memo.

The clock ticks once a second while there are connections: it keeps the date, and asks each
connection whether one of its deadlines has passed. No request and no connection has a timer.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol

from acceptors.otp.process import nobodys_context
from plugpy.http.blocks import CONTENT_TYPES, Blocks, date_field
from plugpy.http.head import HeadMemo
from plugpy.http.overload import LoadShedding
from plugpy.http.parsers import PARSERS, HeadParser

if TYPE_CHECKING:
    from acceptors import Connections
    from plugpy.http.options import HttpOptions

logger = logging.getLogger("plugpy.http")

TICK = 1.0
"""Seconds between two sweeps; deadlines are kept to within one of them."""

SLICE = 500
"""Connections that look at their deadlines in one turn of the event loop, at most and where that
takes no longer than `LINE_TIME`. Of 10,000 idle ones all at once took 6 ms, of 10,000 whose client
takes nothing 60 ms; the others are served in between."""

ENDS = 4
"""Connections of which a deadline ends something in one turn of the event loop. To wake a handler,
answer 408 and close takes about 45 us, most of it in later turns. 2,000 that were opened together
are late together: 500 a turn made four turns of 18 ms."""

LINE_TIME = 0.0003
"""Seconds that the work which stands in line gets in a turn of the event loop. A turn of its own
costs a few microseconds, so it could be shorter, but a piece of that work may take as long."""

READS = 2
"""Connections that were held back of which a turn of the event loop reads again. One read is up to
256 KB, which the kernel copies in about 0.1 ms; libuv reads up to 32 times from one socket."""

LARGE_READ = 16_384
"""Bytes that are worked on at once; where more came in one read, they stand in line."""

LARGE_WRITES = 524_288
"""Bytes of large responses that are sent in a turn of the event loop, until all further requests
stand in line. The kernel copies 1 MB in almost a millisecond: 500 at once took 0.4 s."""

NOTHING_KNOWN = HeadMemo(0)

REST = 0.005
"""Seconds for which a connection rests that sends one small piece after the other."""


REFUSALS: Final = 10
"""Refused requests of a second that are logged one by one: a flood of them must fill neither the
disk nor the time of the event loop."""


class Swept(Protocol):
    """What the clock asks of a connection."""

    def check_deadlines(self, now: float) -> bool:
        """End what is late; whether there was something."""


class Held(Protocol):
    """A connection that may be held back."""

    def update_reading(self) -> None: ...


class Runtime:
    """One per listener and event loop. `now` is the loop's time at the last tick, in seconds."""

    __slots__ = (
        "_connections",
        "_known",
        "_large_writes",
        "_line",
        "_refused",
        "_resting",
        "_serving",
        "_sweeping",
        "_timer",
        "_waiting",
        "blocks",
        "context",
        "date",
        "held",
        "large_read",
        "loop",
        "memo",
        "now",
        "options",
        "parser",
        "requests_over",
    )

    def __init__(
        self, options: "HttpOptions", loop: asyncio.AbstractEventLoop, connections: dict[Any, Any]
    ) -> None:
        self.options = options
        self.loop = loop
        self.parser: HeadParser = PARSERS[options.http]()
        self.memo = self._known = HeadMemo(options.head_memo)
        # Bytes of a read above which it stands in line.
        self.large_read = LARGE_READ
        self._large_writes = 0
        untyped = Blocks("")
        self.blocks = {kind: Blocks(kind, untyped) for kind in CONTENT_TYPES if kind}
        self.blocks[""] = untyped
        # Each request runs in a copy of it: what a plug sets in a context variable must not be
        # seen by the next request of the connection, which may be another user's behind a proxy.
        self.context: Context = nobodys_context()
        self.now = loop.time()
        self.date = date_field()
        # What connections that are over have served; the others know their own.
        self.requests_over = 0
        self._refused = 0
        self._connections = connections
        self._line: deque[Callable[[], object]] = deque()
        self._serving = False
        self._sweeping = False
        self._timer: asyncio.TimerHandle | None = None
        # Connections that are not read from for now; those of them that are next, and those that
        # rest before.
        self.held: set[Held] = set()
        self._waiting: deque[Held] = deque()
        self._resting: list[Held] = []

    @property
    def requests(self) -> int:
        """How many requests have come in; counted when somebody asks."""
        requests = self.requests_over
        for connection in list(self._connections.values()):
            requests += connection.requests
        return requests

    def stand_in_line(self, work: Callable[[], object]) -> None:
        """Call `work` in a later turn of the event loop, when its turn comes.

        For connections that have sent more than is done at a time. All of them together get
        `LINE_TIME` of each turn, so that those who ask for one thing at a time wait for that and no
        longer, however many flood.
        """
        self._line.append(work)
        self._form_line()

    def hold_back(self, connection: Held, *, rest: bool = False) -> None:
        """Read no more from `connection` before the others that were held back have had their turn.

        For connections that bring more with a read than others with a request. rest: and not before
        `REST` seconds, for those that bring next to nothing each time. Only `READS` of them are
        read in a turn of the event loop, whatever they send.
        """
        if connection in self.held:
            return
        self.held.add(connection)
        connection.update_reading()
        if not rest:
            self._wait(connection)
            return
        self._resting.append(connection)
        if len(self._resting) == 1:
            self.loop.call_later(REST, self._rested)

    def _rested(self) -> None:
        resting, self._resting = self._resting, []
        self._wait(*resting)

    def _wait(self, *connections: Held) -> None:
        self._waiting += connections
        self._form_line()

    def note_large(self, size: int) -> None:
        """A large response of `size` bytes was sent. After some of them the requests that are read
        in the same turn of the event loop stand in line, so that the next turn is soon."""
        self._large_writes += size
        if self._large_writes > LARGE_WRITES and self.large_read >= 0:
            # PERF: a request whose head is known is not asked whether it must wait; so none is.
            self.memo = NOTHING_KNOWN
            self.large_read = -1
            self._form_line()

    def _forget_large(self) -> None:
        self._large_writes = 0
        self.memo = self._known
        self.large_read = LARGE_READ

    def _form_line(self) -> None:
        if not self._serving:
            self._serving = True
            self.loop.call_soon(self._serve_line)

    def _serve_line(self) -> None:
        line = self._line
        self._forget_large()
        end = perf_counter() + LINE_TIME
        # Once round at most: who stands in line again waits for the next turn.
        for _ in range(len(line)):
            work = line.popleft()
            try:
                work()
            except Exception:
                logger.exception("%r failed", work)
            if perf_counter() >= end or self.large_read < 0:
                break
        self._forget_large()
        waiting = self._waiting
        for _ in range(min(READS, len(waiting))):
            connection = waiting.popleft()
            self.held.discard(connection)
            connection.update_reading()
        self._serving = bool(line or waiting)
        if self._serving:
            self.loop.call_soon(self._serve_line)

    def wake(self) -> None:
        """Called by each new connection: the clock ticks while there is one."""
        if self._timer is None:
            self._refresh()
            self._timer = self.loop.call_later(TICK, self._tick)
            application = self.options.application
            if isinstance(application, LoadShedding):
                application.measure(self.loop, self._connections)

    def _refresh(self) -> None:
        self.now = self.loop.time()
        self.date = date_field()
        for blocks in self.blocks.values():
            blocks.clear()

    def _tick(self) -> None:
        self._timer = None
        if self._refused > REFUSALS:
            logger.info("refused %d requests more in this second", self._refused - REFUSALS)
        self._refused = 0
        if not self._connections:
            return
        self._timer = self.loop.call_later(TICK, self._tick)
        self._refresh()
        # So many may be late that it takes longer than a tick; they are not asked twice meanwhile.
        if not self._sweeping:
            self._sweep_on(list(self._connections.values()), 0)

    def log_refusal(self, request: str, reason: str) -> None:
        """Say that a request was refused, or a connection ended for what its client sent; some of
        them in a second, of the others only how many there were. request: method and path, "" where
        it could not be read."""
        self._refused += 1
        if self._refused <= REFUSALS:
            logger.info("refused %s: %s", request or "a request", reason)

    def _sweep_on(self, connections: list[Swept], start: int) -> None:
        """Ask the connections from `start` on, the others in later turns of the event loop."""
        until = perf_counter() + LINE_TIME
        ended = 0
        position = start
        end = min(start + SLICE, len(connections))
        while position < end:
            ended += self._is_late(connections[position])
            position += 1
            if ended >= ENDS or perf_counter() >= until:
                break
        self._sweeping = position < len(connections)
        if self._sweeping:
            self.loop.call_soon(self._sweep_on, connections, position)

    def sweep(self, connections: Iterable[Swept]) -> None:
        """Let each connection look at its deadlines, all at once."""
        for connection in connections:
            self._is_late(connection)

    def _is_late(self, connection: Swept) -> bool:
        """Let a connection look at its deadlines; whether that ended something."""
        try:
            return connection.check_deadlines(self.now)
        except Exception:
            # The deadlines of the others are kept all the same.
            logger.exception("%r could not look at its deadlines", connection)
            return True


def runtime_of(options: "HttpOptions", connections: "Connections") -> Runtime:
    """The runtime that the connections of one supervisor share, made for the first of them."""
    runtime = options._runtimes.get(connections)
    if runtime is None:
        runtime = Runtime(options, connections.loop, connections.children)
        options._runtimes[connections] = runtime
    return runtime
