"""Load shedding: 503 for new requests while the event loop is late.

More work than a loop can do shows as lateness: its timers fire late, and each request waits as long
before anybody looks at it. Who is answered 503 at once can go elsewhere; who waits longer and
longer gives up and asks again, and is served for nothing.

Off unless the option `max_lag` says otherwise, and then it is a plug around the application: what
is off costs nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sized
from random import uniform
from time import monotonic
from typing import Final

from plugpy.conn import Conn
from plugpy.http.blocks import phrase_of
from plugpy.http.errors import VERDICTS

logger = logging.getLogger("plugpy.http")

INTERVAL: Final = 0.1
"""Seconds between two looks at how late the loop is, on average."""

TURNS: Final = 4
"""Turns of the loop that a look takes in: short ones may follow a long one."""

LOOKS: Final = 3
"""Looks in a row that must all find it late: one long callback is no overload (as in CoDel, whose
standing queue is one that has not been empty for an interval)."""

STATUS, REASON = VERDICTS["lagging"]

BODY: Final = f"{STATUS} {phrase_of(STATUS)}: {REASON}\n"

HEADERS: Final = [("content-type", "text/plain; charset=utf-8"), ("retry-after", "1")]


class LagMeter:
    """How late an event loop is: the least lateness of the last `LOOKS` looks, in seconds.

    What is looked at is a timer, and the longest of the next turns of the loop, since a request
    that arrives waits for the end of a turn. The timer alone would not do: it is set at the
    beginning of a turn and is not late where the turns happen to take as long as it runs.
    """

    __slots__ = (
        "_began",
        "_clock",
        "_connections",
        "_due",
        "_late",
        "_loop",
        "_seen",
        "_timer",
        "lag",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = monotonic
    ) -> None:
        self.lag = 0.0
        self._loop = loop
        self._connections: list[Sized] = []
        self._clock = clock
        self._seen = (0.0,) * LOOKS
        self._due = self._late = self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def wake(self, connections: Sized) -> None:
        """Look while there are any of these connections."""
        if not any(known is connections for known in self._connections):
            self._connections.append(connections)
        if self._timer is None:
            self._set_timer()

    def _set_timer(self) -> None:
        # Not always after the same time: what works at that rhythm would be missed each time.
        delay = INTERVAL * uniform(0.5, 1.5)
        self._due = self._clock() + delay
        self._timer = self._loop.call_later(delay, self._look)

    def _look(self) -> None:
        self._began = self._clock()
        self._late = max(0.0, self._began - self._due)
        self._loop.call_soon(self._turned, TURNS)

    def _turned(self, left: int) -> None:
        now = self._clock()
        self._late = max(self._late, now - self._began)
        if left:
            self._began = now
            self._loop.call_soon(self._turned, left - 1)
            return
        self._timer = None
        self._seen = (*self._seen[1:], self._late)
        self.lag = min(self._seen)
        self._connections = [connections for connections in self._connections if len(connections)]
        if self._connections:
            self._set_timer()
        else:
            self._seen = (0.0,) * LOOKS
            self.lag = 0.0


class LoadShedding:
    """A plug around `application` that answers 503 with Retry-After while the loop is late.

    max_lag: seconds. exempt: paths that are always served, for health checks; the others learn of
    the overload, those that look after the server must not take it for dead.
    """

    def __init__(
        self,
        application: Callable[[Conn], Conn | Awaitable[Conn]],
        max_lag: float,
        exempt: tuple[str, ...] = (),
    ) -> None:
        self.application = application
        self.max_lag = max_lag
        self.exempt = frozenset(exempt)
        self.shed = 0
        self._began = 0
        self._shedding = False
        self.meter: LagMeter | None = None
        self.__qualname__ = getattr(application, "__qualname__", type(application).__qualname__)

    def measure(self, loop: asyncio.AbstractEventLoop, connections: Sized) -> None:
        """Look at the loop of a listener while it has connections."""
        if self.meter is None:
            self.meter = LagMeter(loop)
        self.meter.wake(connections)

    def __call__(self, conn: Conn) -> Conn | Awaitable[Conn]:
        meter = self.meter
        if meter is not None and meter.lag > self.max_lag:
            if not self._shedding:
                self._shedding, self._began = True, self.shed
                logger.warning(
                    "the event loop is %.0f ms late, more than max-lag: new requests get 503",
                    1000 * meter.lag,
                )
            if conn.request_path not in self.exempt:
                self.shed += 1
                conn.resp_headers = list(HEADERS)
                return conn.send_resp(STATUS, BODY)
        elif self._shedding:
            self._shedding = False
            logger.warning(
                "the event loop is in time again: %d requests got 503", self.shed - self._began
            )
        return self.application(conn)
