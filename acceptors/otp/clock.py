"""The clock seam: every timer and every reading of time of this package goes through it.

Tests install a `VirtualClock` and advance it; nothing sleeps.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from types import TracebackType
from typing import Any, Protocol


class TimerHandle(Protocol):
    """What `call_later` returns."""

    def cancel(self) -> None:
        """Never run the callback. Harmless when it has run."""


class Clock(Protocol):
    """Monotonic seconds, and timers on them."""

    def now(self) -> float:
        """Monotonic time in seconds; only differences mean something."""

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> TimerHandle:
        """Call `callback(*args)` in `delay` seconds, in the running event loop."""


class LoopClock:
    """The clock of the running event loop."""

    def now(self) -> float:
        """`loop.time()`."""
        return asyncio.get_running_loop().time()

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> TimerHandle:
        """`loop.call_later`."""
        return asyncio.get_running_loop().call_later(delay, callback, *args)


class _VirtualTimer:
    __slots__ = ("args", "callback", "cancelled", "when")

    def __init__(self, when: float, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.when = when
        self.callback = callback
        self.args = args
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualClock:
    """A clock that stands still until `advance`; a context manager that installs itself.

    >>> with VirtualClock() as clock:
    ...     clock.now()
    0.0
    """

    SETTLE_TURNS = 25
    """Turns of the loop that `advance` gives the processes after each timer."""

    def __init__(self) -> None:
        self._now = 0.0
        self._order = count()
        self._timers: list[tuple[float, int, _VirtualTimer]] = []
        self._previous: Clock | None = None

    def __enter__(self) -> VirtualClock:
        self._previous = current_clock()
        use_clock(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._previous is not None:
            use_clock(self._previous)

    def now(self) -> float:
        """Seconds that this clock was advanced by."""
        return self._now

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> TimerHandle:
        """Run `callback(*args)` when this clock was advanced by `delay` seconds."""
        timer = _VirtualTimer(self._now + delay, callback, args)
        heapq.heappush(self._timers, (timer.when, next(self._order), timer))
        return timer

    @property
    def waiting(self) -> int:
        """How many timers are set."""
        return sum(not timer.cancelled for _, _, timer in self._timers)

    async def advance(self, seconds: float) -> None:
        """Move on by `seconds`, running what falls due in order, and let the loop settle."""
        await self.settle()
        target = self._now + seconds
        while self._timers and self._timers[0][0] <= target:
            when, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, when)
            if not timer.cancelled:
                timer.callback(*timer.args)
                await self.settle()
        self._now = target

    async def settle(self) -> None:
        """Let everything run that can run without time passing."""
        for _ in range(self.SETTLE_TURNS):
            await asyncio.sleep(0)


_clock: Clock = LoopClock()


def current_clock() -> Clock:
    """The clock in use."""
    return _clock


def use_clock(clock: Clock) -> None:
    """Use `clock` from now on, in the whole worker."""
    global _clock
    _clock = clock
