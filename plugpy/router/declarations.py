"""The functions that declare routes: `get`, `post`, ... `match`, `forward`, `error`.

In the body of a Router class they record; elsewhere they give values for `Router(routes=[...])`.
The methods of the same names on a Router are made of them too.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from plugpy.pipeline.class_body import ClassBody
from plugpy.router.route import Route, method_set

Function = TypeVar("Function", bound=Callable[..., Any])


class ErrorHandler:
    """A handler of errors: `key` is a status (int) or a class of exceptions. Also a decorator."""

    __slots__ = ("handler", "key", "owner")

    def __init__(self, key: Any) -> None:
        is_class = isinstance(key, type) and issubclass(key, Exception)
        if not is_class and not (isinstance(key, int) and 400 <= key <= 599):
            raise TypeError(
                f"error takes a status from 400 to 599 or a class of exceptions, got {key!r}"
            )
        self.key: int | type[Exception] = key
        self.handler: Any = None
        self.owner: Any = None

    def __call__(self, handler: Function) -> Function:
        self.handler = handler
        return handler


def route(method: str | None, path: str, handler: Any, options: dict[str, Any]) -> Route:
    """A Route for one method (None: those of the options via and methods). handler: None where
    one is decorated later, or `to` is among the options."""
    via, methods = options.pop("via", None), options.pop("methods", None)
    if method is None:
        wanted = method_set(via, methods)
    elif via is not None or methods is not None:
        raise TypeError(f"{method.lower()} has its method; use match(path, via=...) for others")
    else:
        wanted = frozenset({method})
    made = Route(path, wanted, **options)
    if handler is not None:
        made(handler)
    return made


def forward_route(path: str, to: Any, options: dict[str, Any]) -> Route:
    """A Route that hands all below `path` to another plug."""
    if to is None:
        raise TypeError("forward needs a plug: forward('/admin', to=Admin)")
    wanted = method_set(options.pop("via", None), options.pop("methods", None))
    return Route(path, wanted, to=to, forward=True, **options)


def _record(made: Route) -> Route:
    # Two frames up: the caller of `get` and the like.
    body = sys._getframe(2).f_locals
    if isinstance(body, ClassBody):
        body.routes.append(made)
    return made


def get(path: str, handler: Any = None, /, **options: Any) -> Route:
    """Declare a route for GET, and HEAD unless that is switched off.

        @get("/users/:id")
        def show(self, conn, id: int): ...

    path: see plugpy.router.pattern. handler: instead of decorating one. Options: to, a plug in
    place of a handler; a class is instantiated with `init_opts` and further keywords · host, exact
    or, ending with ".", a prefix · when, a guard `callable(conn) -> bool` · assigns and private,
    merged into the conn when the route matches · plugs, run before the handler · name, for
    `path_for`; default the handler's. Raises InvalidSpecError, TypeError.
    Source: Plug.Router.get/3.
    """
    return _record(route("GET", path, handler, options))


def head(path: str, handler: Any = None, /, **options: Any) -> Route:
    """Declare a route for HEAD; it wins over a `get` of the same path. See `get`."""
    return _record(route("HEAD", path, handler, options))


def post(path: str, handler: Any = None, /, **options: Any) -> Route:
    """Declare a route for POST. See `get`."""
    return _record(route("POST", path, handler, options))


def put(path: str, handler: Any = None, /, **options: Any) -> Route:
    """Declare a route for PUT. See `get`."""
    return _record(route("PUT", path, handler, options))


def patch(path: str, handler: Any = None, /, **options: Any) -> Route:
    """Declare a route for PATCH. See `get`."""
    return _record(route("PATCH", path, handler, options))


def delete(path: str, handler: Any = None, /, **options: Any) -> Route:
    """Declare a route for DELETE. See `get`."""
    return _record(route("DELETE", path, handler, options))


def options(path: str, handler: Any = None, /, **options: Any) -> Route:
    """Declare a route for OPTIONS, in place of the automatic answer. See `get`."""
    return _record(route("OPTIONS", path, handler, options))


def match(path: str = "/*_rest", handler: Any = None, /, **options: Any) -> Route:
    """Declare a route for the methods of `via` (or `methods`), or for any; without a path, for
    all paths. See `get`. Source: Plug.Router.match/3."""
    return _record(route(None, path, handler, options))


def forward(path: str, to: Any = None, **options: Any) -> Route:
    """Hand all requests at and below `path` to another plug or router.

    It sees `path` moved from conn.path_info to conn.script_name, until it returns. Options as
    `get`, and via. Source: Plug.Router.forward/2.
    """
    return _record(forward_route(path, to, options))


def error(key: int | type[Exception]) -> ErrorHandler:
    """Declare a handler `(conn, error)` of a status or of a class of exceptions.

        @error(404)
        def missing(self, conn, error): ...

    It is asked for errors that the plugs and handlers of this router raise, and for its own 404
    and 405, as long as nothing was sent. conn.status is set to the status of the error. The
    nearest class wins over a status.
    """
    made = ErrorHandler(key)
    body = sys._getframe(1).f_locals
    if isinstance(body, ClassBody):
        body.errors.append(made)
    return made


__all__ = [
    "ErrorHandler",
    "Iterable",
    "delete",
    "error",
    "forward",
    "get",
    "head",
    "match",
    "options",
    "patch",
    "post",
    "put",
]
