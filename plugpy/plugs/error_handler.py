"""ErrorHandler: an answer of your own to what the plugs behind it raise (Plug.ErrorHandler)."""

from collections.abc import Awaitable, Callable
from typing import Any

from plugpy.conn import Conn, MethodNotAllowedError, status_of
from plugpy.pipeline.compiler import Application, trusted

HandleErrors = Callable[[Conn, Exception], Any]


class ErrorHandler:
    """Calls a function with what was raised, so that it may answer; the error goes on all the same.

    Options:
      handle_errors   function (conn, error) -> conn, async if it likes; `conn.status` is the status
                      that the error stands for. The default answers "Something went wrong"

    It is not called once a response has begun. The error is raised again, so that the server logs
    it. Put it around the plugs that follow, in a pipeline or router:

        wrap(ErrorHandler, handle_errors=apologize)

    In a router that another one forwards to it is asked about paths without a route too, before
    the router above is. The router at the top answers those by itself, unless its `not_found` is
    off. For errors of routes alone there is `error` of the router.

    >>> from plugpy.pipeline import Pipeline, wrap
    >>> from plugpy.testing import conn
    >>> def crash(conn):
    ...     raise ValueError("no")
    >>> sent = conn("GET", "/")
    >>> try:
    ...     Pipeline([wrap(ErrorHandler), crash])(sent)
    ... except ValueError:
    ...     print(sent.status, sent.resp_body)
    500 Something went wrong
    """

    __slots__ = ("_handle", "_inner", "checks_plugs")

    def __init__(self, inner: Application, *, handle_errors: HandleErrors | None = None) -> None:
        if not callable(inner):
            raise TypeError("ErrorHandler goes around plugs: declare it by wrap(ErrorHandler)")
        self._inner = inner
        self._handle = handle_errors or _apologize
        trusted(self)

    def __call__(self, conn: Conn) -> Conn | Awaitable[Conn]:
        try:
            result: Any = self._inner(conn)
        except Exception as error:
            answer = self._answer(conn, error)
            if isinstance(answer, Awaitable):
                return _raise_after(answer, error)
            raise
        return result if result is conn else self._wait(conn, result)

    async def _wait(self, conn: Conn, awaitable: Awaitable[Conn]) -> Conn:
        try:
            return await awaitable
        except Exception as error:
            answer = self._answer(conn, error)
            if isinstance(answer, Awaitable):
                await answer
            raise

    def _answer(self, conn: Conn, error: Exception) -> Any:
        if conn.sent:
            return None
        conn.put_status(status_of(error))
        if isinstance(error, MethodNotAllowedError):
            conn.put_resp_header("allow", ", ".join(error.allow))  # RFC 9110 section 15.5.6
        return self._handle(conn, error)


async def _raise_after(answer: Awaitable[Any], error: Exception) -> Conn:
    await answer
    raise error


def _apologize(conn: Conn, error: Exception) -> Conn:
    return conn.text("Something went wrong")
