"""What is known of a failure, gathered once; each format shows the same."""

import os
from dataclasses import dataclass

from plugpy.conn import Conn, status_of
from plugpy.conn.status import REASON_PHRASES
from plugpy.debugging.failures import Failure, failures
from plugpy.debugging.redaction import Redaction
from plugpy.debugging.request import Section, request_line, sections

PLAIN = Redaction()
"""Hides what goes by the names that are secrets everywhere."""


@dataclass(frozen=True, slots=True)
class Report:
    """A failure: the status that it is answered with, the exceptions, the request."""

    status: int
    phrase: str
    request: str
    failures: tuple[Failure, ...]
    sections: tuple[Section, ...]

    @property
    def title(self) -> str:
        """One line: exception, method and path."""
        return f"{self.failures[0].kind} at {self.request}"


def report(
    conn: Conn,
    error: Exception,
    *,
    redaction: Redaction = PLAIN,
    root: str | None = None,
    show_locals: bool = True,
) -> Report:
    """Gather what is known of `error`. root: the folder of the application, default the current
    one; show_locals: whether variables of the frames are part of it."""
    folder = os.path.abspath(root or os.getcwd())
    status = status_of(error)
    return Report(
        status=status,
        phrase=REASON_PHRASES.get(status, ""),
        request=request_line(conn),
        failures=tuple(failures(error, redaction=redaction, root=folder, show_locals=show_locals)),
        sections=tuple(sections(conn, redaction)),
    )
