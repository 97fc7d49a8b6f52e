"""Reports: what the supervisors and dying processes tell, through `logging`.

Every report is one log record of the logger `acceptors.otp` with the attribute `report`, a dict
whose `"report"` key says the kind, so that handlers and tests read fields and not sentences.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from acceptors.otp.reasons import Reason, format_reason
from acceptors.otp.stacks import stack_of

if TYPE_CHECKING:
    from acceptors.otp.process import Process

logger = logging.getLogger("acceptors.otp")

NEIGHBOURS: Final = 15
"""A crash report describes at most this many linked processes (as proc_lib does)."""

NEIGHBOUR_FRAMES: Final = 8
"""Innermost frames of the stack of each of them."""


def crash_report(
    process: Process, reason: Reason, initial_call: str, failure: BaseException | None
) -> None:
    """Log (error) that a process ended by its own fault, with traceback, ancestors and links."""
    links = list(process.links or ())
    report = {
        "report": "crash",
        "pid": process.pid,
        "name": process.name,
        "label": process.label,
        "initial_call": initial_call,
        "reason": reason,
        "ancestors": [ancestor.pid for ancestor in process.ancestors()],
        "links": [link.pid for link in links[:NEIGHBOURS]],
        "trap_exit": process.trap_exit,
        "message_queue_length": process.message_queue_length,
        "neighbours": neighbours(process),
    }
    logger.error(
        "process %r (%s) crashed: %s",
        process,
        initial_call,
        format_reason(reason),
        exc_info=failure,
        extra={"report": report},
    )


def neighbours(process: Process) -> list[dict[str, Any]]:
    """What ends together with `process`: those linked with it, and with them, that do not trap.

    At most 15 of them, nearest first, each with where it was. Source: proc_lib(3), "neighbours".
    """
    found: list[Process] = []
    known = {process}
    waiting = deque([process])
    while waiting:
        one = waiting.popleft()
        linked = [*one.links, one.parent, *list(getattr(one, "children", {}).values())]
        for other in linked:
            if other in known or other.parent is other or not other.alive or other.trap_exit:
                continue
            known.add(other)
            found.append(other)
            if len(found) == NEIGHBOURS:
                return [_neighbour(each) for each in found]
            waiting.append(other)
    return [_neighbour(each) for each in found]


def _neighbour(process: Process) -> dict[str, Any]:
    stack = stack_of(process, NEIGHBOUR_FRAMES)
    return {
        "pid": process.pid,
        "name": process.name,
        "label": process.label,
        "initial_call": getattr(process, "initial_call", type(process).__qualname__),
        "current_function": stack[-1] if stack else None,
        "stack": stack,
        "message_queue_length": process.message_queue_length,
    }


def supervisor_report(
    supervisor: Process,
    context: str,
    reason: Reason,
    offender: dict[str, Any],
    text: str | None = None,
) -> None:
    """Log (error) what went wrong under a supervisor; `text` is a sentence that says it better.

    `context` is child_terminated, start_error, shutdown_error or shutdown, as supervisor(3) has it;
    `offender` are the fields of the child: pid, id, restart, shutdown, significant, type.
    """
    report = {
        "report": "supervisor",
        "supervisor": supervisor.pid,
        "supervisor_name": supervisor.name or supervisor.label,
        "context": context,
        "reason": reason,
        "offender": offender,
    }
    if text is not None:
        logger.error("%s", text, extra={"report": report})
        return
    logger.error(
        "supervisor %r: %s of child %r: %s",
        supervisor,
        context,
        offender.get("id", offender.get("pid")),
        format_reason(reason),
        extra={"report": report},
    )


def progress_report(supervisor: Process, started: dict[str, Any]) -> None:
    """Log (info) that a child was started."""
    # Formatting 16,384 starts that nobody reads is what a log level is for.
    if not logger.isEnabledFor(logging.INFO):
        return
    report = {"report": "progress", "supervisor": supervisor.pid, "started": started}
    logger.info(
        "supervisor %r started child %r as %r",
        supervisor,
        started.get("id"),
        started.get("pid"),
        extra={"report": report},
    )
