"""Running plugs in tests that are not async."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from plugpy.conn import Conn


def call(plug: Any, conn: Conn) -> Conn:
    """The conn as `plug` gives it back; a plug that is async runs to its end.

    plug: any plug, a class of which is made without options. Raises what the plug raises, and
    RuntimeError for an async plug inside an event loop: `await plug(conn)` there.
    """
    if isinstance(plug, type):
        plug = plug()
    result = plug(conn)
    if isinstance(result, Awaitable):
        result = asyncio.run(_wait_for(result))
    ended: Conn = result
    return ended


async def _wait_for(awaitable: Awaitable[Conn]) -> Conn:
    return await awaitable
