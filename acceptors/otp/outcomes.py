"""Outcomes: what a callback of a GenServer may return besides a plain value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from acceptors.otp.reasons import Reason

_NO_REPLY: Final = object()


@dataclass(frozen=True, slots=True)
class Reply:
    """From handle_call: answer `value`; then `continue_` or, after `timeout` s, "timeout"."""

    value: Any
    timeout: float | None = None
    continue_: Any = None


@dataclass(frozen=True, slots=True)
class NoReply:
    """From any callback: go on without an answer; `reply(from_, value)` may give it later.

    timeout: seconds without a message after which handle_info gets "timeout".
    continue_: not None: given to handle_continue before the next message.
    """

    timeout: float | None = None
    continue_: Any = None


@dataclass(frozen=True, slots=True)
class Stop:
    """From any callback: run `terminate` and end with `reason`, answering `reply` if given."""

    reason: Reason
    reply: Any = _NO_REPLY

    @property
    def replies(self) -> bool:
        """Whether an answer was given."""
        return self.reply is not _NO_REPLY
