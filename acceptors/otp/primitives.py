"""The functions of a process: send, receive, exit, link, monitor, flag, timers.

All act for the calling process, `self()`; a record process in a callback uses its own methods.
"""

from __future__ import annotations

from typing import Any, NoReturn, overload

from acceptors.otp import signals
from acceptors.otp.clock import TimerHandle, current_clock
from acceptors.otp.errors import BadArgumentError, Exit
from acceptors.otp.mailbox import TIMED_OUT
from acceptors.otp.names import Destination, Via, whereis
from acceptors.otp.pid import Alias, AliasMode, Reference
from acceptors.otp.process import Process, _expect_process, root
from acceptors.otp.reasons import Reason, is_kill
from acceptors.otp.task_process import current, self

_UNSET: Any = object()


def send(destination: Destination | Alias, message: Any) -> Any:
    """Put `message` into the mailbox of `destination` and return it.

    A dead process and an alias that is over get nothing and nobody is told. Raises
    BadArgumentError for a name that is not registered. Mailboxes have no limit: watch
    `message_queue_length`.
    """
    if isinstance(destination, Process):
        if destination.alive:
            destination._message(message)
        return message
    if isinstance(destination, Alias):
        destination._deliver(message)
        return message
    process = whereis(destination)
    if process is None:
        raise BadArgumentError(f"nothing is registered as {destination!r}")
    process._message(message)
    return message


async def receive(
    *patterns: Any,
    timeout: float | None = None,  # noqa: ASYNC109  the clock seam times it, not asyncio
    after: Any = _UNSET,
) -> Any:
    """Take the first message that matches one of `patterns` out of the caller's mailbox.

    patterns: see `mailbox.matches`; none takes any message. Other messages stay, in order.
    timeout: seconds; None waits for ever, 0 only looks.
    after: returned when the time is up; without it TimeoutError is raised.
    """
    message = await self()._receive(patterns, timeout)
    if message is not TIMED_OUT:
        return message
    if after is _UNSET:
        raise TimeoutError(f"no message that matches {patterns!r} came in {timeout} s")
    return after


@overload
def exit(reason: Reason, /) -> NoReturn: ...  # noqa: A001
@overload
def exit(process: Process, reason: Reason, /) -> bool: ...  # noqa: A001
def exit(*args: Any) -> Any:  # noqa: A001  OTP's name for it
    """`exit(reason)` ends the caller; `exit(process, reason)` sends an exit signal.

    The first raises `Exit(reason)`, which can be caught. The second returns True; what it does is
    the table in docs/reference/otp.md. Sent to oneself and not trapped it does not return.
    Raises BadArgumentError when `process` is a name.
    """
    if len(args) == 1:
        raise Exit(args[0])
    if len(args) != 2:
        raise TypeError(f"exit(reason) or exit(process, reason), got {len(args)} arguments")
    process, reason = args
    _expect_process(process)
    source = current()
    if source is process and source.alive and (is_kill(reason) or not source.trap_exit):
        source._exit_self(reason)
    signals.post_exit(source or root, process, reason)
    return True


def link(process: Process) -> bool:
    """`Process.link` for the caller."""
    return self().link(process)


def unlink(process: Process) -> bool:
    """`Process.unlink` for the caller."""
    return self().unlink(process)


def monitor(destination: Destination, *, alias: AliasMode | None = None) -> Reference:
    """Have the caller told when `destination` ends: ("DOWN", reference, "process", it, reason).

    A name is looked up once; the message then names it. With `alias` the reference can be sent to,
    see `Alias`: with "reply_demonitor" the caller gets an answer or the DOWN, never both.
    """
    caller = self()
    if isinstance(destination, Process):
        return caller.monitor(destination, alias=alias)
    process = whereis(destination)
    if process is not None:
        return caller.monitor(process, destination, alias=alias)
    if not isinstance(destination, str | Via):
        raise BadArgumentError(f"a Process or a name is needed, got {destination!r}")
    return caller.monitor_absent(destination)


def alias(mode: AliasMode = "explicit_unalias") -> Alias:
    """A reference by which `send` reaches the caller, until `unalias` (mode "reply": one message).

    Source: erlang:alias/1.
    """
    return self().alias(mode)


def unalias(alias: Alias) -> bool:
    """End an alias of the caller; False when it was over. BadArgumentError for another's."""
    return self().unalias(alias)


def set_label(label: str | None) -> None:
    """Say what the caller does, for observers and crash reports (proc_lib:set_label/1)."""
    self().label = label


def process_info(process: Process, *items: str) -> dict[str, Any] | None:
    """What is known of a process, as `erlang:process_info`: all, or the items asked for.

    The items are those of `Process.snapshot`; messages themselves are never among them. None for a
    dead process. Raises BadArgumentError for an unknown item.
    """
    _expect_process(process)
    if not process.alive:
        return None
    known = process.snapshot()
    for item in items:
        if item not in known:
            raise BadArgumentError(f"there is no item {item!r}; there are {', '.join(known)}")
    return {item: known[item] for item in items} if items else known


def demonitor(reference: Reference, *, flush: bool = False) -> bool:
    """`Process.demonitor` for the caller."""
    return self().demonitor(reference, flush=flush)


def flag(name: str, value: bool) -> bool:
    """Set a flag of the caller and return its former value; the one flag is `"trap_exit"`."""
    if name != "trap_exit":
        raise BadArgumentError(f"the flags are 'trap_exit', got {name!r}")
    caller = self()
    former = caller.trap_exit
    caller.trap_exit = value
    return former


def is_alive(process: Process) -> bool:
    """Whether the process has not ended yet."""
    return process.alive


class Timer:
    """A message on its way; made by `send_after`."""

    __slots__ = ("_deadline", "_destination", "_handle", "_message")

    def __init__(self, destination: Destination, message: Any, delay: float) -> None:
        clock = current_clock()
        self._destination = destination
        self._message = message
        self._deadline = clock.now() + delay
        self._handle: TimerHandle | None = clock.call_later(delay, self._fire)

    def _fire(self) -> None:
        self._handle = None
        process = whereis(self._destination)
        if process is not None:
            process._message(self._message)

    def read(self) -> float | None:
        """Seconds until it is sent, None when it was sent or cancelled."""
        if self._handle is None:
            return None
        return max(0.0, self._deadline - current_clock().now())

    def cancel(self) -> float | None:
        """Do not send it. Returns what `read` would have."""
        left = self.read()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        return left


def send_after(destination: Destination, message: Any, delay: float) -> Timer:
    """Send `message` in `delay` seconds; a name is looked up then, a dead process gets nothing."""
    if delay < 0:
        raise BadArgumentError(f"the delay is in seconds and not negative, got {delay!r}")
    return Timer(destination, message, delay)


def cancel_timer(timer: Timer) -> float | None:
    """Cancel a timer of `send_after`; the seconds that were left, None when it had fired."""
    return timer.cancel()
