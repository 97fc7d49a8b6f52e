"""What all start functions share: a name that is taken, and a start that takes too long."""

from __future__ import annotations

from acceptors.otp.errors import BadArgumentError, StartError
from acceptors.otp.names import Via, register, whereis
from acceptors.otp.process import Process
from acceptors.otp.reasons import KILL, NORMAL
from acceptors.otp.signals import post_exit


def check_free(name: str | Via | None) -> None:
    """Raise StartError `("already_started", process)` when somebody has the name."""
    if name is not None and (holder := whereis(name)) is not None:
        raise StartError(("already_started", holder))


def take_name(name: str | Via | None, process: Process) -> None:
    """Give a new process its name; when that cannot be, it is gone, before anybody knew it."""
    if name is None:
        return
    try:
        register(name, process)
    except BadArgumentError:
        process._exited(NORMAL)
        raise


def abandon(caller: Process | None, process: Process) -> None:
    """Kill a process whose start took too long; the caller is unlinked first and not harmed.

    Source: proc_lib.erl, kill_flush.
    """
    if caller is not None:
        caller.unlink(process)
    post_exit(caller or process.parent, process, KILL)
