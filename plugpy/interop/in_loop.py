"""Calling a plug that needs an event loop from where none runs yet, as tests do."""

from collections.abc import Callable
from typing import Any

from plugpy.conn import Conn


async def in_loop(plug: Callable[[Conn], Any], conn: Conn) -> Conn:
    """`plug(conn)` when this is awaited, in the loop of whoever does."""
    result = plug(conn)
    answered: Conn = result if isinstance(result, Conn) else await result
    return answered
