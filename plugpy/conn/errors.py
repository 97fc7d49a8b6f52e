"""Errors of a Conn, each with the HTTP `status` that it is answered with when nobody rescues it.

One table of classes (Plug.Conn.*Error, Plug.Parsers.*Error, Plug.Router.*Error). An exception of
any other kind may carry a `status` attribute too, a number or a name; without one it is a 500
(Plug.Exception).
"""

from typing import Any

from plugpy.conn.status import code


class ConnError(Exception):
    """The base of all errors raised by a Conn. `status` is the HTTP status, an int."""

    status: int = 500

    def __init__(self, message: str = "", *, status: int | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").split("\n", 1)[0])
        if status is not None:
            self.status = status


class NotSentError(ConnError):
    """A response was neither set nor sent by the plugs of this request."""


class AlreadySentError(ConnError):
    """The response was already sent; it can't be changed or sent again."""


class InvalidHeaderError(ConnError):
    """A header name or value that would change the framing of the message."""


class CookieOverflowError(ConnError):
    """A cookie is larger than the 4,096 bytes that browsers keep."""


class UnfetchedError(ConnError):
    """A part of the request was used before it was fetched."""


class PlugError(ConnError):
    """A plug broke the contract `conn -> conn`."""


class NoTasksError(ConnError):
    """There is no supervisor for tasks that outlive the request."""


class ContentLengthError(ConnError):
    """The body does not have the length that the content-length header promised."""


class BadRequestError(ConnError):
    """The request could not be understood."""

    status = 400


class InvalidQueryError(BadRequestError):
    """The query string could not be decoded. 414 when it is too long."""


class InvalidPathError(BadRequestError):
    """The path could not be decoded."""


class BadEncodingError(BadRequestError):
    """Text in the request is not valid UTF-8."""


class InvalidCookieError(BadRequestError):
    """The cookie header breaks a limit."""


class NoRouteError(ConnError):
    """No route matches the request."""

    status = 404


class MethodNotAllowedError(ConnError):
    """The path has routes, none of them for this method."""

    status = 405

    def __init__(self, message: str = "", *, allow: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.allow = allow


class RequestTimeoutError(ConnError):
    """The request body did not arrive in time."""

    status = 408


class RequestTooLargeError(ConnError):
    """The request body is larger than allowed."""

    status = 413


class UnsupportedMediaTypeError(ConnError):
    """The request body is of a type that is not accepted here."""

    status = 415


class ClientDisconnected(ConnError, ConnectionError):  # noqa: N818 - an event more than an error
    """The client went away. Raised where an answer can no longer arrive; not a server error."""

    status = 499


def status_of(error: BaseException) -> int:
    """The HTTP status that `error` is answered with: its `status`, in 400..599 or the name of such
    a one ("not_found"), else 500.

    Source: Plug.Exception.status/1.
    """
    status: Any = getattr(error, "status", None)
    if isinstance(status, str):
        try:
            status = code(status)
        except ValueError:  # it means something else by it
            return 500
    if isinstance(status, int) and 400 <= status <= 599:
        return int(status)
    return 500


def brings_its_answer(error: BaseException) -> bool:
    """Whether `error` says itself what the client is told: a ConnError with `resp_body`, bytes or
    str, of the type that its `resp_headers` name, a list of pairs.

    Other exceptions are not asked: some HTTP client's may hold the body of somebody else's answer.
    """
    return isinstance(error, ConnError) and hasattr(error, "resp_body")
