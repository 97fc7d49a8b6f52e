"""Answers to what went wrong: requests that can't be parsed, plugs that raise."""

import logging
import traceback

from acceptors.otp import Reason, format_reason, is_orderly
from acceptors.otp.reports import neighbours
from plugpy.conn import Conn, ConnError, MethodNotAllowedError, status_of
from plugpy.conn.errors import brings_its_answer
from plugpy.conn.starting_over import start_over
from plugpy.conn.state import UNSENT_STATES, UNSET
from plugpy.http.blocks import phrase_of, status_line
from plugpy.http.errors import HttpError
from plugpy.http.request_process import RequestExitError, find_process

logger = logging.getLogger("plugpy.http")


def refusal(error: HttpError, date: bytes) -> bytes:
    """The whole response to a request that could not be read; the connection ends with it."""
    body = f"{error.status} {phrase_of(error.status)}: {error.reason}\n".encode()
    return (
        status_line(error.status)
        + b"content-type: text/plain; charset=utf-8\r\n"
        + date
        + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        + body
    )


def answer_failure(conn: Conn, error: Exception, *, debug: bool) -> bool:
    """Log what a plug raised, and answer with the status of the error.

    The client is told the reason only of 4xx errors that plugpy itself raised: any other text may
    hold secrets. debug: the client is told everything. Returns False when a response has begun
    already.
    """
    status = status_of(error)
    if isinstance(error, HttpError):
        # Time was up: nothing crashed.
        if status >= 500:
            logger.warning("%s %s was ended: %s", conn.method, conn.request_path, error.reason)
    elif isinstance(error, RequestExitError):
        _report_exit(conn, error.reason)
    elif status >= 500:
        report_crash(conn, error)
    if conn.sent:
        return False
    message = f"{status} {phrase_of(status)}"
    if isinstance(error, HttpError) or (
        status < 500 and isinstance(error, ConnError) and str(error)
    ):
        message += f": {error}"
    try:
        if debug and not (status < 500 and brings_its_answer(error)):
            from plugpy.debugging import answer_with_report

            answer_with_report(conn, error)
        else:
            start_over(conn)
            _answer(conn, error, status, message)
    except Exception:
        logger.exception("while answering a failure: a before_send callback or a header is broken")
        if conn.state not in UNSENT_STATES:
            return False
        conn.state = UNSET
        conn._before_send = None
        conn._resp_headers = None
        _answer(conn, error, status, message)
    return True


def report_crash(conn: Conn, error: Exception) -> None:
    """The crash report of a request: one log record, its attribute `report` a dict.

    report "crash" · request, without its query, which may hold secrets · pid and ancestors of the
    process that served it, None and [] without one · neighbours, the processes that end with it ·
    reason, the exception · stack, a traceback.StackSummary, innermost frame last.
    """
    process = find_process(conn)
    stack = traceback.StackSummary.extract(
        traceback.walk_tb(error.__traceback__), lookup_lines=False
    )
    report = {
        "report": "crash",
        "request": f"{conn.method} {conn.request_path}",
        "pid": None if process is None else process.pid,
        "ancestors": [] if process is None else [ancestor.pid for ancestor in process.ancestors()],
        "neighbours": [] if process is None else neighbours(process),
        "reason": error,
        "stack": stack,
    }
    logger.error(
        "%s %s crashed: %s",
        conn.method,
        conn.request_path,
        type(error).__name__,
        exc_info=error,
        extra={"report": report},
    )


def _report_exit(conn: Conn, reason: Reason) -> None:
    # No traceback: who crashed has reported it, and the signal of that has ended this request.
    level = logging.INFO if is_orderly(reason) else logging.ERROR
    process = find_process(conn)
    report = {
        "report": "exit",
        "request": f"{conn.method} {conn.request_path}",
        "pid": None if process is None else process.pid,
        "reason": reason,
    }
    logger.log(
        level,
        "%s %s was ended by an exit signal: %s",
        conn.method,
        conn.request_path,
        format_reason(reason),
        extra={"report": report},
    )


def _answer(conn: Conn, error: Exception, status: int, message: str) -> None:
    headers = conn.resp_headers
    if isinstance(error, MethodNotAllowedError) and error.allow:
        headers.append(("allow", ", ".join(error.allow)))
    headers += getattr(error, "resp_headers", ())
    if brings_its_answer(error):
        conn.send_resp(status, error.resp_body)  # type: ignore[attr-defined]
        return
    headers.append(("content-type", "text/plain; charset=utf-8"))
    conn.send_resp(status, message + "\n")
