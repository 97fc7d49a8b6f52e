"""The report as problem+json (RFC 9457), for programs."""

from typing import Any

from plugpy.conn.json import dumps
from plugpy.debugging.failures import Failure
from plugpy.debugging.frames import Frame
from plugpy.debugging.report import Report


def problem(report: Report) -> bytes:
    """type, title, status and detail as the RFC has them; further: errors, the first one raised
    last, each with its frames, the innermost first; request, section by section."""
    first = report.failures[0]
    return dumps(
        {
            "type": "about:blank",
            "title": report.phrase or str(report.status),
            "status": report.status,
            "detail": f"{first.kind}: {first.message}" if first.message else first.kind,
            "errors": [_failure(failure) for failure in report.failures],
            "request": {
                section.title: [list(row) for row in section.rows] for section in report.sections
            },
        }
    )


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "type": failure.kind,
        "message": failure.message,
        "relation": failure.relation,
        "frames": [_frame(frame) for frame in failure.frames],
    }


def _frame(frame: Frame) -> dict[str, Any]:
    return {
        "file": frame.shown_file,
        "line": frame.number,
        "function": frame.function,
        "library": frame.library,
        "source": next((line.text for line in frame.source if line.current), ""),
    }
