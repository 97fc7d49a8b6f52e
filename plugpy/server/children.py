"""What a server says of the processes in its tree: why they did not start, why they gave up."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from acceptors.otp import Process, Reason, StartError, format_reason
from acceptors.otp.supervision import SupervisorProcess
from plugpy.server.errors import ApplicationError
from plugpy.server.tracebacks import format_user_traceback

APPLICATION: Final = "application"
"""The id of the supervisor of the application's children."""

TASKS: Final = "tasks"
"""The id of the supervisor behind `conn.tasks`."""


def failed_children(error: StartError) -> list[Any]:
    """The ids of the children that did not start, outermost first."""
    return _where(error.reason)[0]


def application_error(names: Mapping[Any, str], error: StartError) -> ApplicationError | None:
    """The error to show where a child of an application did not start; None where it was another
    process of the tree. names: of the applications, by the ids of their supervisors."""
    ids, reason = _where(error.reason)
    name = names.get(ids[0]) if ids else None
    if name is None:
        return None
    if len(ids) == 1:
        what = f"the children of {name} could not be started"
    else:
        what = f"the child {' > '.join(map(str, ids[1:]))} of {name} did not start"
    if not isinstance(reason, BaseException):
        return ApplicationError(f"{what}: {format_reason(reason)}")
    line = f"{what}: {type(reason).__name__}: {reason}"
    if reason.__traceback__ is None:
        return ApplicationError(line)
    return ApplicationError(f"{line}\n{format_user_traceback(reason)}")


def _where(reason: Reason) -> tuple[list[Any], Reason]:
    """The ids of the children that failed, outermost first, and what the innermost failed with."""
    ids: list[Any] = []
    while True:
        match reason:
            case ("shutdown", ("failed_to_start_child", child, inner)):
                ids.append(child)
                reason = inner
            case _:
                return ids, reason


def why_it_gave_up(supervisors: list[Process | None]) -> str | None:
    """Which child ended too often, as words; None where none of `supervisors` gave up."""
    for supervisor in supervisors:
        found = list(_gave_up(supervisor))
        if found:
            return "; ".join(found)
    return None


def _gave_up(supervisor: Process | None) -> Iterator[str]:
    while isinstance(supervisor, SupervisorProcess) and supervisor.gave_up is not None:
        child = supervisor.gave_up
        process = child.process
        title = supervisor.name or supervisor.label
        if process is None:
            last = "it could not be started again"
        else:
            last = f"the last time by {format_reason(process.exit_reason)}"
        yield (
            f"the supervisor {title!r} gave up, since its child {child.spec.id!r} ended more than "
            f"{supervisor.intensity} times in {supervisor.period:g} s, {last}"
        )
        supervisor = process
