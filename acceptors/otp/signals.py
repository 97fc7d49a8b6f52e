"""The trampoline: exit signals are applied one after the other, never inside one another.

A chain of 100,000 links must end without recursion and without holding up the loop, so the signals
that a death causes wait in a queue. The outermost caller drains it; after `SLICE` signals the rest
waits for the next turn of the loop.

Two lanes. `exit(pid, reason)` from ordinary code is applied at once (so that
`exit(p, "kill"); p.alive` is False), even while a sliced cascade waits; what is posted while a
signal is being applied goes first when that one is done. Order between two processes is kept: a
link signal is the last that its sender ever sends.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, TypeAlias

from acceptors.otp.reports import logger

if TYPE_CHECKING:
    from acceptors.otp.process import Process
    from acceptors.otp.reasons import Reason

SLICE: Final = 1_000
"""Signals applied in one turn of the loop before the rest waits for the next (about 1 ms)."""

# How a signal came about; what it does differs (see Process._receive_exit).
EXIT: Final = 0  # exit(pid, reason), Erlang's exit/2
LINK: Final = 1  # a process of link() died
PARENT: Final = 2  # the process whose `children` holds the receiver died

Signal: TypeAlias = "tuple[int, Process, Process, Reason]"


class _Trampoline(threading.local):
    # A thread each: two event loops in two threads must not deliver into each other's processes.
    def __init__(self) -> None:
        self.urgent: deque[Signal] = deque()
        self.cascade: deque[Signal] = deque()
        self.busy = False
        self.scheduled_on: asyncio.AbstractEventLoop | None = None


_trampoline = _Trampoline()


def post_exit(source: Process, target: Process, reason: Reason) -> None:
    """Send `target` the exit signal of `exit(target, reason)`; applied before this returns.

    Only when called while another signal is being applied does it wait for that one.
    """
    trampoline = _trampoline
    signal: Signal = (EXIT, source, target, reason)
    if trampoline.busy:
        trampoline.urgent.append(signal)
        return
    trampoline.busy = True
    try:
        _apply(signal)
        _drain(trampoline)
    finally:
        trampoline.busy = False


def post_links(signals: list[Signal]) -> None:
    """Send the link signals that one death causes."""
    trampoline = _trampoline
    trampoline.cascade.extend(signals)
    if trampoline.busy:
        return
    trampoline.busy = True
    try:
        _drain(trampoline)
    finally:
        trampoline.busy = False


def pending() -> int:
    """How many signals of this thread are posted and not yet applied."""
    return len(_trampoline.urgent) + len(_trampoline.cascade)


def _apply(signal: Signal) -> None:
    kind, source, target, reason = signal
    try:
        target._receive_exit(kind, source, reason)
    except Exception:
        # A hook of one process failed; the signals of all others still have to arrive.
        logger.exception("%r failed while it took an exit signal", target)


def _drain(trampoline: _Trampoline) -> None:
    urgent, cascade = trampoline.urgent, trampoline.cascade
    # All of these now, also while a cascade waits: what the same process sends next comes after.
    while urgent:
        _apply(urgent.popleft())
    if not cascade:
        return
    running = asyncio._get_running_loop()
    if trampoline.scheduled_on is not None and trampoline.scheduled_on is running:
        return
    budget = SLICE
    while cascade:
        if budget <= 0 and running is not None:
            trampoline.scheduled_on = running
            running.call_soon(_continue, trampoline)
            return
        budget -= 1
        _apply(cascade.popleft())
        while urgent:
            budget -= 1
            _apply(urgent.popleft())


def _continue(trampoline: _Trampoline) -> None:
    trampoline.scheduled_on = None
    if trampoline.busy:
        return
    trampoline.busy = True
    try:
        _drain(trampoline)
    finally:
        trampoline.busy = False
