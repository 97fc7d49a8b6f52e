"""An ASGI 3 application as a plug."""

import asyncio
import inspect
from collections.abc import Awaitable
from contextvars import copy_context
from typing import Any, Protocol

from acceptors.otp.callers import acting_for
from plugpy.conn import Conn
from plugpy.http.eager import EAGER, start_task
from plugpy.interop.asgi_response import AsgiOptions, AsgiResponse
from plugpy.interop.asgi_scope import ScopeMaker
from plugpy.interop.asgi_types import AsgiApplication
from plugpy.interop.asgi_websocket import serve_websocket
from plugpy.interop.in_loop import in_loop
from plugpy.interop.lifespan import SHUTDOWN_TIMEOUT, Lifespan, LifespanMode


class AsgiPlug(Protocol):
    """A plug with the lifespan of its application."""

    lifespan: Lifespan

    def __call__(self, conn: Conn, /) -> Conn | Awaitable[Conn]: ...


def asgi_plug(
    app: AsgiApplication,
    *,
    lifespan: LifespanMode = "auto",
    root_path: str = "",
    max_body: int | None = None,
    shutdown_timeout: float = SHUTDOWN_TIMEOUT,
) -> AsgiPlug:
    """A plug that answers every request by an ASGI 3 application.

    lifespan: "auto", "on" or "off", see Lifespan; the plug's attribute `lifespan` is an async
    context manager to start and stop the application with. A server does so for the application
    that it serves and for those that are mounted in it.
    root_path: where a proxy has mounted the application, "/app". max_body: bytes of request body,
    None: as the route or the server says. shutdown_timeout: seconds that the end of background
    work, and of the application, is waited for.

    Raises TypeError for what is no ASGI 3 application, ValueError for a wrong option.
    """
    if not is_asgi(app):
        raise TypeError(
            f"an ASGI 3 application is `async def app(scope, receive, send)`, got {app!r}"
        )
    if root_path and (not root_path.startswith("/") or root_path.endswith("/")):
        raise ValueError(f"root_path begins with a slash and does not end with one: {root_path!r}")
    span = Lifespan(app, lifespan, shutdown_timeout=shutdown_timeout)
    options = AsgiOptions(app, max_body, span.background)
    scopes = ScopeMaker(root_path, span.state)
    get_running_loop = asyncio.get_running_loop

    def plug(conn: Conn) -> Conn | Awaitable[Conn]:
        try:
            loop = get_running_loop()
        except RuntimeError:
            return in_loop(plug, conn)  # a test without a server
        # PERF: where the server calls this plug first, nobody has changed anything.
        runtime = getattr(conn.adapter, "runtime", None)
        untouched = runtime is not None and runtime.options.application is plug
        scope = scopes.make(conn, untouched=untouched)
        if scope["type"] == "websocket":
            return serve_websocket(conn, options, scope)
        response = AsgiResponse(conn, loop, options)
        if not untouched:
            response.take_body()
        running = response.run(scope)
        if response.owner is not None:
            # This call runs in a context of the request's own: `self()` is the request's process.
            acting_for.set(conn)
        if EAGER:
            response.started(start_task(running, loop, copy_context()))
            if response.done() and response.exception() is None:
                return conn
        else:
            response.started(loop.create_task(running))
        return response

    # In messages, and in lists of routes, it goes by the name of its application.
    plug.__qualname__ = getattr(app, "__qualname__", None) or type(app).__qualname__
    plug.lifespan = span  # type: ignore[attr-defined]
    return plug  # type: ignore[return-value]


def is_asgi(candidate: Any) -> bool:
    """Whether `candidate` can be called as an ASGI 3 application: with three arguments, and not as
    a WSGI application or a plug."""
    if inspect.isclass(candidate) or not callable(candidate):
        return False
    try:
        signature = inspect.signature(candidate)
    except (TypeError, ValueError):
        return False
    try:
        signature.bind(None, None, None)
    except TypeError:
        return False
    required = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    # (*args) alone fits everything, a plug too: it must be told to be ASGI by being async.
    return len(required) == 3 or (not required and _is_async(candidate))


def _is_async(candidate: Any) -> bool:
    call = candidate if inspect.isroutine(candidate) else type(candidate).__call__
    return inspect.iscoroutinefunction(call)
