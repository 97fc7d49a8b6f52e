"""assert_error_sent: what a client gets of an error (Phoenix.ConnTest.assert_error_sent/2)."""

from collections.abc import Awaitable, Callable
from typing import Any

from plugpy.conn.response import StatusLike
from plugpy.conn.status import code
from plugpy.testing.adapter import TestAdapter, witnessing
from plugpy.testing.building import conn
from plugpy.testing.calling import finish
from plugpy.testing.sent import SentResponse, sent_resp


def assert_error_sent(status: StatusLike, function: Callable[[], Any]) -> SentResponse:
    """Run `function`, which calls a plug, and check that the client is told of an error.

    status: 404 or "not_found". An error that was answered, by `@error` of a router or the plugs
    ErrorHandler and Debugger, counts by what they sent, whether they raised it again or not. One
    that nobody answered counts by what a server would send for it. A function that is async is
    awaited; in an event loop use `assert_error_sent_async`.

    Returns what was sent. Raises AssertionError when there was no error or another status.

    >>> def broken(conn):
    ...     raise LookupError("no such page")
    >>> assert_error_sent(500, lambda: broken(conn("GET", "/"))).body
    b'500 Internal Server Error\\n'
    """
    with witnessing() as adapters:
        try:
            finish(function(), "assert_error_sent_async")
        except Exception as error:
            return _check(code(status), adapters, error)
    return _check(code(status), adapters, None)


async def assert_error_sent_async(status: StatusLike, function: Callable[[], Any]) -> SentResponse:
    """`assert_error_sent` for async tests; `function` may be async or not."""
    with witnessing() as adapters:
        try:
            result = function()
            if isinstance(result, Awaitable):
                await result
        except Exception as error:
            return _check(code(status), adapters, error)
    return _check(code(status), adapters, None)


def _check(status: int, adapters: list[TestAdapter], error: Exception | None) -> SentResponse:
    if adapters:
        adapter = adapters[-1]
        assert adapter.sent_status is not None
        sent = SentResponse(adapter.sent_status, list(adapter.sent_headers), adapter.sent_body)
    elif error is not None:
        sent = _answer_of_server(error)
    else:
        raise AssertionError(f"expected an error to be sent with status {status}, none happened")
    if sent.status != status or (error is None and status < 400):
        raised = "" if error is None else f" for {error!r}"
        raise AssertionError(
            f"expected an error to be sent with status {status}, "
            f"got {sent.status}{raised}: {sent.body[:200]!r}"
        ) from error
    return sent


def _answer_of_server(error: Exception) -> SentResponse:
    from plugpy.http.failure import answer_failure

    fresh = conn("GET", "/")
    answer_failure(fresh, error, debug=False)
    return sent_resp(fresh)
