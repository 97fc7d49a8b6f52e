"""What a router answers where no route serves the request (404, 405, OPTIONS); error handlers."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from plugpy.conn.conn import Conn
from plugpy.conn.errors import ConnError, MethodNotAllowedError, NoRouteError, status_of
from plugpy.conn.json import dumps
from plugpy.conn.status import reason_phrase
from plugpy.router.results import answer
from plugpy.router.route import STANDARD_METHODS

logger = logging.getLogger("plugpy.router")


def allow_header(methods: Iterable[str], options: bool) -> str:
    """The value of Allow: standard methods in their order, others after. options: list OPTIONS."""
    found = set(methods)
    if options:
        found.add("OPTIONS")
    standard = [name for name in STANDARD_METHODS if name in found]
    return ", ".join([*standard, *sorted(found.difference(STANDARD_METHODS))])


def answer_options(conn: Conn, allow: str) -> Conn:
    """204 with Allow (RFC 9110 section 9.3.7)."""
    return conn.put_resp_header("allow", allow).send_resp(204, b"").halt()


def answer_refusal(conn: Conn, error: ConnError) -> Conn:
    """A short answer for 404 and 405: problem+json (RFC 9457) to those who accept JSON and not
    HTML, else text."""
    status = error.status
    title = reason_phrase(status)
    if isinstance(error, MethodNotAllowedError):
        conn.put_resp_header("allow", ", ".join(error.allow))
    accept = ",".join(conn.get_req_header("accept")).lower()
    if "json" in accept and "html" not in accept:
        conn.put_resp_header("content-type", "application/problem+json")
        body: str | bytes = dumps({"type": "about:blank", "title": title, "status": status})
    else:
        body = title
    return conn.send_resp(status, body).halt()


class ErrorHandlers:
    """The error handlers of a router by class and by status."""

    __slots__ = ("_classes", "_statuses")

    def __init__(self) -> None:
        self._classes: dict[type, Callable[..., Any]] = {}
        self._statuses: dict[int, Callable[..., Any]] = {}

    def add(self, key: int | type[Exception], handler: Callable[..., Any]) -> None:
        """The first handler of a key wins."""
        if isinstance(key, int):
            self._statuses.setdefault(key, handler)
        else:
            self._classes.setdefault(key, handler)

    def __bool__(self) -> bool:
        return bool(self._classes or self._statuses)

    def find(self, error: Exception) -> tuple[Callable[..., Any] | None, bool]:
        """The handler for `error`: of its nearest class, else of its status; and whether it was
        meant for this kind of error rather than for whatever goes wrong."""
        status = status_of(error)
        for kind in type(error).__mro__:
            handler = self._classes.get(kind)
            if handler is not None:
                return handler, kind is not Exception or status < 500
        return self._statuses.get(status), status < 500

    def rescue(self, conn: Conn, error: Exception) -> Conn | Awaitable[Conn]:
        """Answer an error, or raise it again: without a handler, or when a response has begun.

        An error that nobody expected is logged with its traceback, handled or not.
        """
        handler, expected = self.find(error)
        if handler is None or conn.sent:
            raise error
        if not expected:
            logger.error(
                "%s %s: %s", conn.method, conn.request_path, type(error).__name__, exc_info=error
            )
        conn.put_status(status_of(error))
        if isinstance(error, MethodNotAllowedError):
            conn.put_resp_header("allow", ", ".join(error.allow))
        result: object = handler(conn, error)
        if result is conn:
            return conn
        if isinstance(result, Awaitable):
            return _answer_later(conn, result, handler)
        return answer(conn, result, handler)

    def around(self, application: Callable[[Conn], Any]) -> Callable[[Conn], Any]:
        """`application` with these handlers around it."""

        def rescued(conn: Conn) -> Any:
            try:
                result = application(conn)
            except Exception as error:
                return self.rescue(conn, error)
            return conn if result is conn else rescued_later(conn, result)

        async def rescued_later(conn: Conn, awaitable: Awaitable[Any]) -> Conn:
            try:
                await awaitable
            except Exception as error:
                rescued: object = self.rescue(conn, error)
                if isinstance(rescued, Awaitable):
                    await rescued
            return conn

        return rescued


async def _answer_later(conn: Conn, awaitable: Awaitable[Any], handler: Any) -> Conn:
    result = await awaitable
    return conn if result is conn else answer(conn, result, handler)


def refusal(
    allowed: Sequence[str] | None, conn: Conn, allow: str
) -> NoRouteError | MethodNotAllowedError:
    """The error of a request that no route serves."""
    where = f"{conn.method} {conn.request_path}"
    if allowed:
        return MethodNotAllowedError(
            f"no route for {where}; the path takes {allow}", allow=tuple(allow.split(", "))
        )
    return NoRouteError(f"no route for {where}")
