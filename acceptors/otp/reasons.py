"""Exit reasons: why a process ended, as one table.

| reason | meaning | orderly |
|---|---|---|
| `"normal"` | the work is done | yes |
| `"shutdown"` | asked to stop, by its supervisor as a rule | yes |
| `("shutdown", term)` | the same, saying why | yes |
| `"kill"` | as an exit signal: cannot be trapped; as a reason of one's own: like any other | no |
| `"killed"` | what a killed process tells its links and monitors | no |
| `"noproc"` | there was no such process | no |
| `"noconnection"` | the operating-system process that it ran in is gone | no |
| an exception | uncaught in the process, with its traceback | no |
| anything else | whatever `exit(reason)` was given | no |

Source: Erlang reference manual, Processes, "Receiving Exit Signals"; supervisor(3), "restart".
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

Reason: TypeAlias = Any

NORMAL: Final = "normal"
SHUTDOWN: Final = "shutdown"
KILL: Final = "kill"
KILLED: Final = "killed"
NOPROC: Final = "noproc"
NOCONNECTION: Final = "noconnection"


def is_normal(reason: Reason) -> bool:
    """True for the reason `"normal"` alone."""
    # The type goes first: a reason is any object, and its __eq__ is not ours to call.
    return isinstance(reason, str) and reason == NORMAL


def is_kill(reason: Reason) -> bool:
    """True for the reason `"kill"` alone (not `"killed"`)."""
    return isinstance(reason, str) and reason == KILL


def is_orderly(reason: Reason) -> bool:
    """True for normal, shutdown and (shutdown, term): no crash report, no transient restart."""
    if isinstance(reason, str):
        return reason in {NORMAL, SHUTDOWN}
    return (
        isinstance(reason, tuple)
        and len(reason) == 2
        and isinstance(reason[0], str)
        and reason[0] == SHUTDOWN
    )


def format_reason(reason: Reason) -> str:
    """A reason for people, on one line: `shutdown`, `shutdown: draining`, `ValueError: bad`."""
    if isinstance(reason, str):
        return reason
    if isinstance(reason, BaseException):
        return f"{type(reason).__name__}: {reason}"
    if is_orderly(reason):
        return f"shutdown: {reason[1]}"
    return repr(reason)
