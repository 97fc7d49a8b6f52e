"""Reports: what the supervisors and dying processes tell, through `logging`.

Every report is one log record of the logger `acceptors.otp` with the attribute `report`, a dict
whose `"report"` key says the kind, so that handlers and tests read fields and not sentences.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from acceptors.otp.reasons import Reason, format_reason

if TYPE_CHECKING:
    from acceptors.otp.process import Process

logger = logging.getLogger("acceptors.otp")

NEIGHBOURS = 15
"""A crash report names at most this many linked processes (as proc_lib does)."""


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
    }
    logger.error(
        "process %r (%s) crashed: %s",
        process,
        initial_call,
        format_reason(reason),
        exc_info=failure,
        extra={"report": report},
    )


def supervisor_report(
    supervisor: Process, context: str, reason: Reason, offender: dict[str, Any]
) -> None:
    """Log (error) what went wrong under a supervisor.

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
