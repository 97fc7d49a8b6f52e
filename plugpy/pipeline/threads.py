"""Plugs and handlers that block: run in a thread, so that the event loop goes on."""

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from plugpy.conn.conn import Conn

P = ParamSpec("P")
R = TypeVar("R")

SENDS = frozenset({"send_resp", "send_file", "send_chunked", "inform", "upgrade"})
"""The calls of an adapter that touch the transport, which belongs to the event loop's thread."""


def blocking(function: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Run a plug or handler in the event loop's default thread pool.

        @router.get("/report")
        @blocking
        def report(conn): ...

    For code that waits without `await`: database drivers, file systems, subprocesses. The pool is
    asyncio's: min(32, CPUs + 4) threads unless the loop was given another; a request waits for a
    free one. Context variables are copied into the thread. Sending from the thread is handed over
    to the event loop. When the request is cancelled the thread runs on, and what it sends is
    refused. Raises TypeError for an async function and for a class: decorate its `__call__`.
    """
    if inspect.isclass(function):
        raise TypeError(f"blocking takes a function; decorate the __call__ of {function.__name__}")
    if inspect.iscoroutinefunction(function):
        raise TypeError(
            f"{getattr(function, '__qualname__', function)} is async, so it must not block; "
            "make it a plain function to use @blocking"
        )

    if hasattr(function, "is_route_handler"):
        raise TypeError(
            f"{function.__qualname__} is the handler of a route already, which would still call "
            "the plain function; put @blocking below @get"
        )

    @functools.wraps(function)
    def in_thread(*args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        return _run(function, args, kwargs)

    in_thread.blocking = True  # type: ignore[attr-defined]
    return in_thread


async def _run(function: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
    conn = next((value for value in (*args, *kwargs.values()) if isinstance(value, Conn)), None)
    if conn is None:
        return await asyncio.to_thread(function, *args, **kwargs)
    adapter = conn.adapter
    conn.adapter = handed = LoopAdapter(adapter, asyncio.get_running_loop())

    def call() -> R:
        try:
            return function(*args, **kwargs)
        finally:
            # Here and not in the coroutine: a cancelled request leaves the thread running.
            if conn.adapter is handed:
                conn.adapter = adapter

    return await asyncio.to_thread(call)


class LoopAdapter:
    """The adapter of a conn while a thread works on it: sending happens in the event loop."""

    def __init__(self, adapter: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._adapter = adapter
        self._loop = loop
        self._thread = threading.get_ident()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._adapter, name)
        if name in SENDS and threading.get_ident() != self._thread:
            return functools.partial(self._in_loop, value)
        return value

    def _in_loop(self, send: Callable[..., R], *args: Any) -> R:
        async def call() -> R:
            return send(*args)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result()
