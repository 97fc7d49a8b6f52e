"""every: a periodic job as the child of a supervisor (Erlang's timer:apply_repeatedly/2).

    children = [every(60, clean_up, database)]

It never overlaps with itself and it does not drift: runs are due at whole periods after the start,
and those that are missed, since one took longer than a period, are left out and not made up for. A
run that raises is a crash of the process: its supervisor starts it anew, and the periods with it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from acceptors.otp.child_spec import ChildSpec, worker
from acceptors.otp.clock import current_clock
from acceptors.otp.task_process import call_name, self


def every(
    seconds: float,
    function: Callable[..., Any],
    *args: Any,
    jitter: float = 0.0,
    immediately: bool = False,
    **fields: Any,
) -> ChildSpec:
    """A child that runs `function(*args)`, sync or async, every `seconds` seconds.

    jitter: each run is put off by up to so many seconds, at random, so that many workers do not all
        ask the same database at once; it does not add up.
    immediately: whether the first run is at the start and not a period later.
    fields: those of ChildSpec; `id` is the name of the function unless it is given.
    Raises ValueError for a period that is not above 0, or a jitter that is not below the period.
    """
    if not seconds > 0:
        raise ValueError(f"the period is in seconds and above 0, got {seconds!r}")
    if not 0 <= jitter < seconds:
        raise ValueError(f"the jitter is from 0 to below the period of {seconds}, got {jitter!r}")
    if not callable(function):
        raise TypeError(f"every takes a function to run, got {function!r}")
    name = getattr(function, "__name__", None) or call_name(function)
    label = f"every {seconds:g} s: {name}"
    return worker(
        _repeat,
        label,
        (seconds, jitter, immediately),
        function,
        args,
        **{"id": name, "modules": (call_name(function),), **fields},
    )


async def _repeat(
    label: str,
    times: tuple[float, float, bool],
    function: Callable[..., Any],
    args: tuple[Any, ...],
) -> None:
    self().label = label
    period, jitter, immediately = times
    clock = current_clock()
    started = clock.now()
    number = 0 if immediately else 1
    while True:
        due = started + number * period + (random.uniform(0, jitter) if jitter else 0.0)
        await _sleep(due - clock.now())
        result = function(*args)
        if isawaitable(result):
            await result
        # The next period that has not begun yet: what is missed stays missed.
        number = max(number, int((clock.now() - started) // period)) + 1


async def _sleep(seconds: float) -> None:
    if seconds <= 0:
        await asyncio.sleep(0)  # a turn for the others, also for one that is late for ever
        return
    woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    timer = current_clock().call_later(seconds, wake)
    try:
        await woken
    finally:
        timer.cancel()
