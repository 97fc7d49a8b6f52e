"""Running plugs to their end, in tests that are async and in those that are not."""

import asyncio
import inspect
import warnings
from collections.abc import Awaitable
from typing import Any

from plugpy.conn import Conn


def call(plug: Any, conn: Conn) -> Conn:
    """The conn as `plug` gives it back; a plug that is async runs to its end.

    plug: any plug, a class of which is made without options. Raises what the plug raises, and
    RuntimeError for an async plug inside an event loop: `await acall(plug, conn)` there.
    """
    ended: Conn = finish(_start(plug, conn), "acall")
    return ended


async def acall(plug: Any, conn: Conn) -> Conn:
    """`call` for async tests: `conn = await acall(App, conn("GET", "/"))`."""
    result = _start(plug, conn)
    ended: Conn = await result if isinstance(result, Awaitable) else result
    return ended


def _start(plug: Any, conn: Conn) -> Any:
    return (plug() if isinstance(plug, type) else plug)(conn)


def finish(result: Any, instead: str) -> Any:
    """`result`, awaited where it must be. instead: the function for those in an event loop."""
    if not isinstance(result, Awaitable):
        return result
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_wait_for(result))
    _close(result)
    raise RuntimeError(f"this is async, and an event loop is running: use `await {instead}(...)`")


def _close(awaitable: Any) -> None:
    """Close a coroutine that never ran, and those that it would have awaited: the error says enough
    without a warning for each."""
    if not inspect.iscoroutine(awaitable):
        return
    frame = awaitable.cr_frame
    inner = [] if frame is None else list(frame.f_locals.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for value in inner:
            _close(value)
        awaitable.close()


async def _wait_for(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
