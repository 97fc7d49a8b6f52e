"""Closing idle connections when a listener is full, so that new ones need not wait.

Which connections are idle is known to themselves, and they change their mind with every request:
nothing is kept in order for them. At the limit, and only there, all are asked once; those idle
longest wait in a queue and are closed from its head, each only when it has stayed idle. So a look
at all of them pays for many closes, and a request pays nothing.
"""

from __future__ import annotations

from collections import deque
from heapq import nsmallest
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from acceptors.connection import Connection
from acceptors.otp import current_clock

if TYPE_CHECKING:
    from acceptors.connections import Connections

LOOK_INTERVAL: Final = 1.0
"""Seconds between two looks at all connections, unless the last has found `PLENTY`. A look at
16,000 takes about 5 ms."""

PLENTY: Final = 64

MOST: Final = 1024
"""Idle connections that one look remembers."""


class IdleConnections:
    """The idle connections of a listener, longest idle first."""

    __slots__ = ("_connections", "_looked", "_queue")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._queue: deque[tuple[float, Connection]] = deque()
        self._looked = float("-inf")

    def shed(self, number: int) -> int:
        """Close up to `number` idle connections; returns how many are closing now."""
        queue = self._queue
        closing = 0
        while closing < number:
            if not queue and not self._look():
                break
            since, connection = queue.popleft()
            # One that has worked since then is as good as new: the next look finds it.
            if connection.idle_since() == since and connection.shed():
                closing += 1
        return closing

    def _look(self) -> bool:
        """Ask all connections; returns whether there is an idle one."""
        now = current_clock().now()
        if now - self._looked < LOOK_INTERVAL:
            return False
        found = [
            (since, connection)
            for connection in self._connections.children.values()
            if isinstance(connection, Connection) and (since := connection.idle_since()) is not None
        ]
        self._queue.extend(nsmallest(MOST, found, key=itemgetter(0)))
        if len(found) < PLENTY:
            self._looked = now
        return bool(found)
