"""Killing what will not end: closing a coroutine, zombies, and the grace of an exiting process.

`Task.cancel()` can be swallowed for ever. The coroutine under a suspended Task can be *closed*
instead: GeneratorExit goes through the whole chain of awaits, so locks are released and `finally`
blocks run up to their first await. Three things survive even that: code that catches BaseException
around an await in a loop, a coroutine that is executing right now, and work in a thread. Such a
process is dead all the same (names, links and monitors say so) and its Task is kept as a *zombie*
until it ends. The BEAM does the same with a process in dirty native code: "set into an exiting
state even if still executing".
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final, Protocol

from acceptors.otp.clock import Clock, TimerHandle, current_clock

if TYPE_CHECKING:
    from acceptors.otp.pid import Pid
    from acceptors.otp.reasons import Reason


class Mortal(Protocol):
    """A process that Task code runs for: a TaskProcess, or a record that has a Task for a time."""

    alive: bool
    exit_reason: Reason
    _serial: int

    @property
    def pid(self) -> Pid:
        """Its number."""

    @property
    def task(self) -> asyncio.Future[Any] | None:
        """The Task that runs its code."""

    @property
    def initial_call(self) -> str:
        """The name of its code."""

    def _reap(self) -> None: ...


CLOSE_ATTEMPTS: Final = 8
"""A `finally: await ...` needs one more close() for each await in it; more than this is refusal."""

EXIT_GRACE: Final = 5.0
"""Seconds an exiting process may clean up before its coroutine is closed."""

_zombies: dict[int, Mortal] = {}


def zombies() -> list[Mortal]:
    """The processes that are dead while their Task goes on."""
    return list(_zombies.values())


def add_zombie(process: Mortal) -> None:
    """Count `process` as a zombie until its Task is done."""
    _zombies[process._serial] = process


def remove_zombie(process: Mortal) -> None:
    """The Task of `process` is done."""
    _zombies.pop(process._serial, None)


def close_task(task: asyncio.Task[Any], context: Context) -> bool:
    """Close the coroutine of a suspended Task and have the Task end; False when it refuses.

    Its cleanup runs in `context`, so that self() in it is the process that dies and not the killer.
    The Task ends on the next turn of the loop, with a RuntimeError that its process expects.
    """
    coroutine: Any = task.get_coro()
    closed = False
    for _ in range(CLOSE_ATTEMPTS):
        if _is_closed(coroutine):
            closed = True
            break
        if getattr(coroutine, "cr_running", False):
            break
        try:
            if _in_async_generator(coroutine):
                context.run(coroutine.throw, _Killed())
            else:
                context.run(coroutine.close)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            continue
    task.cancel()
    return closed or _is_closed(coroutine)


def _is_closed(coroutine: Any) -> bool:
    return getattr(coroutine, "cr_frame", None) is None


class _Killed(BaseException):
    """Thrown where close() would stop short of an async generator that awaits.

    Before 3.13 close() reaches the generator's `__anext__` and not its frame: its cleanup would not
    run, and the loop would complain of a generator that is already running.
    """


def _in_async_generator(coroutine: Any) -> bool:
    for _ in range(1_000):
        awaited = getattr(coroutine, "cr_await", None)
        if awaited is None:
            awaited = getattr(coroutine, "gi_yieldfrom", None)
        if awaited is None:
            return False
        if type(awaited).__name__.startswith("async_generator_"):
            return True
        coroutine = awaited
    return False


class _Reaper(threading.local):
    # The grace is the same for all, so the queue is in order of time and one timer serves all:
    # a timer for each of 100,000 processes of a dying chain would cost more than the dying.
    def __init__(self) -> None:
        self.queue: deque[tuple[float, Mortal]] = deque()
        self.timer: TimerHandle | None = None
        self.clock: Clock | None = None
        self.loop: asyncio.AbstractEventLoop | None = None

    def watch(self, process: Mortal) -> None:
        clock, loop = current_clock(), asyncio.get_running_loop()
        if clock is not self.clock or loop is not self.loop:
            self.queue.clear()
            self.timer, self.clock, self.loop = None, clock, loop
        while self.queue and not self.queue[0][1].alive:
            self.queue.popleft()
        self.queue.append((clock.now() + EXIT_GRACE, process))
        if self.timer is None:
            self.timer = clock.call_later(EXIT_GRACE, self._sweep, clock)

    def _sweep(self, clock: Clock) -> None:
        if clock is not self.clock:
            return
        self.timer = None
        now = clock.now()
        while self.queue and (self.queue[0][0] <= now or not self.queue[0][1].alive):
            self.queue.popleft()[1]._reap()
        if self.queue:
            self.timer = clock.call_later(self.queue[0][0] - now, self._sweep, clock)


_reaper = _Reaper()


def bound_exit(process: Mortal) -> None:
    """See to it that an exiting process is over within `EXIT_GRACE`."""
    _reaper.watch(process)
