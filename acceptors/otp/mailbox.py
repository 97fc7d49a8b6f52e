"""Mailbox: the messages of a process and selective receive."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from acceptors.otp.clock import current_clock

if TYPE_CHECKING:
    from acceptors.otp.wiring import Wiring


class _Any:
    __slots__ = ()

    def __repr__(self) -> str:
        return "ANY"


ANY: Final = _Any()
"""A pattern that every value matches."""

TIMED_OUT: Final = object()
_MISSING: Final = object()


def matches(pattern: Any, value: Any) -> bool:
    """Whether `value` has the shape of `pattern`.

    `ANY` matches everything; a class its instances; a tuple or list one of the same length, item
    by item; a dict one that has its keys; a function what it is true for; else `==` decides.
    """
    if pattern is ANY or pattern is value:
        return True
    if isinstance(pattern, type):
        return isinstance(value, pattern)
    if isinstance(pattern, tuple | list):
        return (
            isinstance(value, type(pattern))
            and len(value) == len(pattern)
            and all(matches(part, item) for part, item in zip(pattern, value, strict=True))
        )
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            key in value and matches(part, value[key]) for key, part in pattern.items()
        )
    if callable(pattern) and not hasattr(pattern, "pid"):
        return bool(pattern(value))
    return bool(pattern == value)


class Mailbox:
    """The receiving half of a Process; a mixin without state of its own."""

    __slots__ = ()

    if TYPE_CHECKING:
        _wiring: Wiring | None
        alive: bool

        def _wire(self) -> Wiring: ...

    @property
    def message_queue_length(self) -> int:
        """How many messages wait to be received."""
        wiring = self._wiring
        return len(wiring.mailbox) if wiring is not None and wiring.mailbox is not None else 0

    def _message(self, message: Any) -> None:
        """Hook: a message came. Kept until `receive`; a record process may act on it instead."""
        if not self.alive:
            return
        wiring = self._wire()
        if wiring.mailbox is None:
            wiring.mailbox = deque()
        wiring.mailbox.append(message)
        waiter = wiring.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(True)

    def _take_message(self, patterns: tuple[Any, ...], start: int) -> Any:
        """Remove and return the first message from `start` on that matches, or `_MISSING`."""
        wiring = self._wiring
        if wiring is None or not wiring.mailbox:
            return _MISSING
        mailbox = wiring.mailbox
        if not patterns:
            return mailbox.popleft()
        for index, message in enumerate(mailbox):
            if index >= start and any(matches(pattern, message) for pattern in patterns):
                del mailbox[index]
                return message
        return _MISSING

    def _remove_message(self, unwanted: Callable[[Any], bool]) -> None:
        wiring = self._wiring
        if wiring is not None and wiring.mailbox:
            wiring.mailbox = deque(m for m in wiring.mailbox if not unwanted(m))

    async def _receive(self, patterns: tuple[Any, ...], seconds: float | None) -> Any:
        """The first message that matches one of `patterns`, or TIMED_OUT after `seconds`."""
        message = self._take_message(patterns, 0)
        if message is not _MISSING:
            return message
        if seconds is not None and seconds <= 0:
            return TIMED_OUT
        wiring = self._wire()
        if wiring.waiter is not None:
            raise RuntimeError(
                f"{self!r} is already receiving in another Task; spawn a process for that work"
            )
        timer = None
        if seconds is not None:
            timer = current_clock().call_later(seconds, self._message_timeout)
        loop = asyncio.get_running_loop()
        try:
            while True:
                # What was looked at is not looked at again: patterns cost once for each message.
                seen = self.message_queue_length
                wiring.waiter = loop.create_future()
                in_time = await wiring.waiter
                message = self._take_message(patterns, seen)
                if message is not _MISSING:
                    return message
                if not in_time:
                    return TIMED_OUT
        finally:
            wiring.waiter = None
            if timer is not None:
                timer.cancel()

    def _message_timeout(self) -> None:
        wiring = self._wiring
        if wiring is not None and wiring.waiter is not None and not wiring.waiter.done():
            wiring.waiter.set_result(False)
