"""A WSGI application as a plug (PEP 3333)."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any, Final, Protocol

from acceptors.otp.callers import acting_for
from plugpy.conn import Conn
from plugpy.interop.in_loop import in_loop
from plugpy.interop.lifespan import SHUTDOWN_TIMEOUT
from plugpy.interop.thread_pool import ThreadPool
from plugpy.interop.wsgi_environ import shared_environ
from plugpy.interop.wsgi_lifespan import WsgiLifespan
from plugpy.interop.wsgi_response import WsgiOptions, WsgiResponse

THREADS: Final = 16
"""Threads of an application. Each may hold a connection to a database, so not one for every
request that could wait."""

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Any]


class WsgiPlug(Protocol):
    """A plug with the end of its application."""

    lifespan: WsgiLifespan

    def __call__(self, conn: Conn, /) -> Awaitable[Conn]: ...


def wsgi_plug(
    app: WsgiApplication,
    *,
    threads: int = THREADS,
    root_path: str = "",
    max_body: int | None = None,
    multiprocess: bool = False,
    shutdown_timeout: float = SHUTDOWN_TIMEOUT,
) -> WsgiPlug:
    """A plug that answers every request by a WSGI application, in a thread.

    threads: how many requests it works on at a time, default 16; others wait. root_path: where a
    proxy has mounted the application, "/app"; SCRIPT_NAME begins with it. max_body: bytes of
    request body, None: as the route or the server says. multiprocess: what wsgi.multiprocess says.
    shutdown_timeout: seconds that threads are waited for at the end. The plug's attribute
    `lifespan` is an async context manager that ends the threads; a server does so by itself.

    Raises TypeError for what is no WSGI application, ValueError for a wrong option.
    """
    if not _takes_two(app):
        raise TypeError(f"a WSGI application is `def app(environ, start_response)`, got {app!r}")
    if root_path and (not root_path.startswith("/") or root_path.endswith("/")):
        raise ValueError(f"root_path begins with a slash and does not end with one: {root_path!r}")
    name = getattr(app, "__qualname__", None) or type(app).__qualname__
    pool = ThreadPool(threads, f"wsgi-{name}")
    shared = shared_environ(multiprocess=multiprocess)
    options = WsgiOptions(app, pool, root_path, max_body, shared)

    def plug(conn: Conn) -> Awaitable[Conn]:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return in_loop(plug, conn)  # a test without a server
        response = WsgiResponse(conn, loop, options)
        context = copy_context()
        if response.owner is not None:
            # In the thread too `self()` is the request's process.
            context.run(acting_for.set, conn)
        response.begin(context)
        return response

    plug.__qualname__ = name
    plug.lifespan = WsgiLifespan(pool, shutdown_timeout=shutdown_timeout)  # type: ignore[attr-defined]
    return plug  # type: ignore[return-value]


def _takes_two(app: Any) -> bool:
    """Whether `app` can be called with two arguments, and is not async."""
    if not callable(app) or (inspect.isclass(app) and not hasattr(app, "__iter__")):
        return False
    try:
        inspect.signature(app).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # a function in C may have no signature
        return not inspect.isclass(app)
    call = app if inspect.isroutine(app) else type(app).__call__
    return not inspect.iscoroutinefunction(call)


def is_wsgi(candidate: Any) -> bool:
    """Whether `candidate` can be called as a WSGI application: with two arguments that must be
    given, and not async.

    A class is one where making an instance is the call (PEP 3333 allows it): it takes two
    arguments and its instances are iterable.
    """
    if not _takes_two(candidate):
        return False
    try:
        parameters = inspect.signature(candidate).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    required = [parameter for parameter in positional if parameter.default is parameter.empty]
    names = [parameter.name.strip("_") for parameter in positional[:2]]
    return len(required) == 2 or names == ["environ", "start_response"]
