"""Pid, Reference and Alias: numbers that are never used twice in a worker and print as OTP's do."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from acceptors.otp.process import Process

AliasMode: TypeAlias = Literal["explicit_unalias", "reply", "demonitor", "reply_demonitor"]

ALIAS_MODES: Final = ("explicit_unalias", "reply", "demonitor", "reply_demonitor")


class Pid(int):
    """A process number, unique in its worker process; prints as `<0.17>`.

    An int, so that a dict of 100,000 children hashes and compares in C.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<0.{int(self)}>"

    __str__ = __repr__


class Reference:
    """A monitor, a call or a task; equal to itself only, prints as `#Ref<17>`.

    owner: the serial of the process that it was made for, 0 for none.
    """

    __slots__ = ("number", "owner")

    def __init__(self, owner: int = 0) -> None:
        self.number = _next_reference()
        self.owner = owner

    def __repr__(self) -> str:
        return f"#Ref<{self.number}>"


class Alias(Reference):
    """A reference that `send` takes: the message goes to the process that made it, while it lasts.

    An answer that comes after the one who asked has gone on is dropped instead of lying in the
    mailbox for ever. mode, as in monitor/3 of Erlang:

    - `"explicit_unalias"`: until `unalias`;
    - `"reply"`: until the first message;
    - `"demonitor"`: of a monitor, until `demonitor` or its DOWN;
    - `"reply_demonitor"`: the same, and the first message ends both, alias and monitor.
    """

    __slots__ = ("mode", "process")

    def __init__(self, process: Process, mode: AliasMode) -> None:
        super().__init__(process._serial)
        self.process: Process | None = process
        self.mode: AliasMode = mode

    def _deliver(self, message: Any) -> None:
        process = self.process
        if process is None:
            return
        if self.mode in {"reply", "reply_demonitor"}:
            self.process = None
            if self.mode == "reply_demonitor":
                process.demonitor(self)
        if process.alive:
            process._message(message)

    def _monitor_ended(self) -> None:
        if self.mode in {"demonitor", "reply_demonitor"}:
            self.process = None


# One serial for the whole worker, never one a process: otpylib's references repeat (#Ref<pid.len>).
next_serial = count(1).__next__
_next_reference = count(1).__next__
