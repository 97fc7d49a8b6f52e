"""What the connections of one listener share in one event loop: clock, blocks, parser, memo.

The clock ticks once a second while there are connections: it keeps the date, and asks each
connection whether one of its deadlines has passed. No request and no connection has a timer.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Protocol

from plugpy.http.blocks import CONTENT_TYPES, Blocks, date_field
from plugpy.http.head import HeadMemo
from plugpy.http.parsers import PARSERS, HeadParser

if TYPE_CHECKING:
    from acceptors import Connections
    from plugpy.http.options import HttpOptions

logger = logging.getLogger("plugpy.http")

TICK = 1.0
"""Seconds between two sweeps; deadlines are kept to within one of them."""


class Swept(Protocol):
    """What the clock asks of a connection."""

    def check_deadlines(self, now: float) -> None: ...


class Runtime:
    """One per listener and event loop. `now` is the loop's time at the last tick, in seconds."""

    __slots__ = (
        "_connections",
        "_timer",
        "blocks",
        "context",
        "date",
        "loop",
        "memo",
        "now",
        "options",
        "parser",
    )

    def __init__(
        self, options: "HttpOptions", loop: asyncio.AbstractEventLoop, connections: dict[Any, Any]
    ) -> None:
        self.options = options
        self.loop = loop
        self.parser: HeadParser = PARSERS[options.http]()
        self.memo = HeadMemo(options.head_memo)
        untyped = Blocks("")
        self.blocks = {kind: Blocks(kind, untyped) for kind in CONTENT_TYPES if kind}
        self.blocks[""] = untyped
        # Each request runs in a copy of it: what a plug sets in a context variable must not be
        # seen by the next request of the connection, which may be another user's behind a proxy.
        self.context: Context = copy_context()
        self.now = loop.time()
        self.date = date_field()
        self._connections = connections
        self._timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Called by each new connection: the clock ticks while there is one."""
        if self._timer is None:
            self._refresh()
            self._timer = self.loop.call_later(TICK, self._tick)

    def _refresh(self) -> None:
        self.now = self.loop.time()
        self.date = date_field()
        for blocks in self.blocks.values():
            blocks.clear()

    def _tick(self) -> None:
        self._timer = None
        if not self._connections:
            return
        self._timer = self.loop.call_later(TICK, self._tick)
        self._refresh()
        self.sweep(list(self._connections.values()))

    def sweep(self, connections: Iterable[Swept]) -> None:
        """Let each connection look at its deadlines."""
        now = self.now
        for connection in connections:
            try:
                connection.check_deadlines(now)
            except Exception:
                # The deadlines of the others are kept all the same.
                logger.exception("%r could not look at its deadlines", connection)


def runtime_of(options: "HttpOptions", connections: "Connections") -> Runtime:
    """The runtime that the connections of one supervisor share, made for the first of them."""
    runtime = options._runtimes.get(connections)
    if runtime is None:
        runtime = Runtime(options, connections.loop, connections.children)
        options._runtimes[connections] = runtime
    return runtime
