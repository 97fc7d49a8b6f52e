"""Which event loop a server runs on."""

import asyncio
from collections.abc import Callable

from plugpy.server.errors import StartError


def loop_factory(name: str = "auto") -> Callable[[], asyncio.AbstractEventLoop]:
    """A function that makes the event loop called `name`: "auto", "uvloop" or "asyncio".

    auto is uvloop where it is installed. Raises StartError when "uvloop" is asked for and missing.
    """
    if name != "asyncio":
        try:
            import uvloop
        except ImportError:
            if name == "uvloop":
                raise StartError(
                    "--loop uvloop: uvloop is not installed here; pip install uvloop"
                ) from None
        else:
            return uvloop.new_event_loop
    return asyncio.new_event_loop
