"""Calls: ask a server and wait for its answer; the messages that servers understand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from acceptors.otp.clock import current_clock
from acceptors.otp.errors import CallError, CallTimeoutError
from acceptors.otp.names import Destination, whereis
from acceptors.otp.process import Process
from acceptors.otp.reasons import NOPROC, NORMAL, Reason
from acceptors.otp.task_process import current

CALL_TIMEOUT: Final = 5.0
"""Seconds that `call` waits by default."""

_TIMED_OUT: Final = object()


class _Down:
    __slots__ = ("reason",)

    def __init__(self, reason: Reason) -> None:
        self.reason = reason


class From:
    """Who asks: give it to `reply`, once, from anywhere in this event loop.

    process: the calling process, None for a caller that is none.
    """

    __slots__ = ("_answer", "process")

    def __init__(self, answer: asyncio.Future[Any], process: Process | None) -> None:
        self._answer = answer
        self.process = process

    def _resolve(self, value: Any) -> None:
        # An answer that comes after the timeout or the DOWN is dropped, never queued (M9).
        if not self._answer.done():
            self._answer.set_result(value)

    def _down(self, reason: Reason) -> None:
        self._resolve(_Down(reason))


@dataclass(frozen=True, slots=True)
class CallMessage:
    """`call`: handle_call(request, from_)."""

    from_: From
    request: Any


@dataclass(frozen=True, slots=True)
class CastMessage:
    """`cast`: handle_cast(request)."""

    request: Any


@dataclass(frozen=True, slots=True)
class SystemMessage:
    """A request to the server's process and not to its callbacks; see `system`."""

    from_: From
    operation: str
    arguments: tuple[Any, ...] = ()


async def call(
    destination: Destination,
    request: Any,
    timeout: float | None = CALL_TIMEOUT,  # noqa: ASYNC109  the clock seam times it
) -> Any:
    """Ask a server and return its answer.

    timeout: seconds, None for no limit.
    Raises CallError when the server is not there, dies before it answers, or is the caller itself,
    and CallTimeoutError when the time is up; the server is not harmed by that.
    """
    return await ask(destination, request, timeout, lambda from_: CallMessage(from_, request))


async def ask(destination: Destination, request: Any, seconds: float | None, make: Any) -> Any:
    """Send the message `make(from_)` and wait for its answer or the end of the process."""
    process = whereis(destination)
    if process is None:
        raise CallError(NOPROC, destination, request)
    caller = current()
    if caller is process:
        raise CallError("calling_self", destination, request)
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    from_ = From(answer, caller)
    reference = process.watch(from_._down)
    timer = None
    if seconds is not None:
        timer = current_clock().call_later(seconds, from_._resolve, _TIMED_OUT)
    try:
        process._message(make(from_))
        value = await answer
    finally:
        process.unwatch(reference)
        if timer is not None:
            timer.cancel()
    if value is _TIMED_OUT:
        raise CallTimeoutError("timeout", destination, request)
    if isinstance(value, _Down):
        failure = value.reason if isinstance(value.reason, BaseException) else None
        raise CallError(value.reason, destination, request) from failure
    return value


def cast(destination: Destination, request: Any) -> None:
    """Tell a server; nobody knows whether it was there."""
    process = whereis(destination)
    if process is not None:
        process._message(CastMessage(request))


def reply(from_: From, value: Any) -> None:
    """Answer a call. A late or second answer is dropped."""
    from_._resolve(value)


async def stop(
    destination: Destination,
    reason: Reason = NORMAL,
    timeout: float | None = None,  # noqa: ASYNC109
) -> None:
    """Have a server run `terminate` and end with `reason`; returns when it is over.

    Raises CallError (noproc) and CallTimeoutError.
    """
    process = whereis(destination)
    if process is None:
        raise CallError(NOPROC, destination, "stop")
    try:
        await ask(process, "stop", timeout, lambda f: SystemMessage(f, "terminate", (reason,)))
    except CallTimeoutError:
        raise
    except CallError as ended:
        if not _same(ended.why, reason):
            raise


def _same(one: Reason, two: Reason) -> bool:
    return one is two or (type(one) is type(two) and bool(one == two))
