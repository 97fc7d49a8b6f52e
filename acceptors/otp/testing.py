"""For tests of programs made of processes: what is left over, and how something ended.

with VirtualClock() as clock:          # intensity, shutdown times, timeouts: nothing sleeps
    reference = monitor(process)
    await clock.advance(5.0)
    await assert_down(reference, "shutdown")
assert await leaks() == []
"""

from __future__ import annotations

import asyncio
from typing import Any

from acceptors.otp import signals
from acceptors.otp.kill import zombies
from acceptors.otp.mailbox import ANY, matches
from acceptors.otp.pid import Reference
from acceptors.otp.primitives import receive
from acceptors.otp.process import Process, names, processes, root

LEAK_TURNS = 200
"""Turns of the loop that `leaks` gives what is about to end."""


async def assert_down(reference: Reference, reason: Any = ANY) -> Any:
    """Wait at most a second for the DOWN of a monitor; returns its reason.

    reason: a pattern that it must match, see `mailbox.matches`. Raises AssertionError.
    """
    down = ("DOWN", reference, "process", ANY, ANY)
    message = await receive(down, timeout=1.0, after=None)
    if message is None:
        raise AssertionError(f"no DOWN of {reference!r} came: the process is still alive")
    got = message[4]
    if not matches(reason, got):
        raise AssertionError(f"{message[3]!r} ended with {got!r}, expected {reason!r}")
    return got


async def leaks(*known: asyncio.Task[Any]) -> list[str]:
    """What is left in this event loop of processes, as sentences; [] is what a test wants.

    Processes, their one-sided links and monitors, names, zombies, signals, and Tasks besides the
    calling one and `known`. What is about to end gets a few turns of the loop to do so.
    """
    mine = {asyncio.current_task(), *known}
    for _ in range(LEAK_TURNS):
        if not (asyncio.all_tasks() - mine or root.children or zombies() or signals.pending()):
            break
        await asyncio.sleep(0)
    left = list(processes())
    found = [f"process {process!r} ({type(process).__name__}) is alive" for process in left]
    for process in left:
        found += _one_sided(process)
    found += [f"zombie {process!r}: {process.initial_call}" for process in zombies()]
    found += [f"the name {name!r} is taken by {process!r}" for name, process in names.items()]
    if signals.pending():
        found.append(f"{signals.pending()} exit signals are not applied")
    found += [f"Task {task!r} goes on" for task in asyncio.all_tasks() - mine]
    return found


def _one_sided(process: Process) -> list[str]:
    found = [
        f"link of {process!r} with {other!r}, which has none with it"
        for other in process.links
        if not other.alive or process not in other.links
    ]
    wiring = process._wiring
    watchers = (wiring.watchers if wiring is not None else None) or {}
    for reference, (watcher, _) in watchers.items():
        if isinstance(watcher, Process) and not watcher.alive:
            found.append(f"monitor {reference!r} on {process!r} of {watcher!r}, which is dead")
    for reference, target in ((wiring.monitoring if wiring is not None else None) or {}).items():
        if reference not in target.monitors:
            found.append(f"monitor {reference!r} of {process!r} on {target!r}, which has none")
    return found
