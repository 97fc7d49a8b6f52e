"""The exceptions of this package. Each says what was got and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acceptors.otp.reasons import Reason, format_reason

if TYPE_CHECKING:
    from acceptors.otp.process import Process


class Exit(BaseException):
    """Ends the calling process with `reason`; what `exit(reason)` raises.

    It can be caught by name, and `except Exception` lets it pass, as Elixir's `rescue` does.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return format_reason(self.reason)


class NoProcessError(Exit, Exception):
    """The process is dead (reason `noproc`): link it before it ends, or monitor it instead."""

    def __init__(self, process: Process | None = None) -> None:
        super().__init__("noproc")
        self.process = process

    def __str__(self) -> str:
        return f"noproc: {self.process!r} is not alive; use monitor() to be told why it ended"


class BadArgumentError(ValueError):
    """OTP's badarg: the argument cannot name a process, or a name is taken."""


class CallError(Exit, Exception):
    """A call had no answer; `reason` is `(why, ("call", server, request))`."""

    def __init__(self, why: Reason, server: Any, request: Any) -> None:
        super().__init__((why, ("call", server, request)))
        self.why = why
        self.server = server

    def __str__(self) -> str:
        return f"call to {self.server!r} had no answer: {format_reason(self.why)}"


class CallTimeoutError(CallError, TimeoutError):
    """The server did not answer in time; it goes on, and its late answer is dropped."""


class StartError(Exception):
    """A process or a child could not be started; `reason` is what its start ended with."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"start failed: {format_reason(self.reason)}"
