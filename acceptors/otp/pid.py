"""Pid and Reference: numbers that are never used twice in a worker and print as OTP's do."""

from __future__ import annotations

from itertools import count


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


# One serial for the whole worker, never one a process: otpylib's references repeat (#Ref<pid.len>).
next_serial = count(1).__next__
_next_reference = count(1).__next__
