"""Connections: the supervisor of a listener's connections (ranch_conns_sup).

Special-purpose, as in Ranch: each connection is a temporary child, counted, told to finish when
the listener stops, reported when it crashes. While too many are there, acceptors wait here.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from acceptors.connection import Connection
from acceptors.otp import (
    KILL,
    KILLED,
    NORMAL,
    SHUTDOWN,
    ParentProcess,
    Process,
    Reason,
    current_clock,
    format_reason,
    is_orderly,
)
from acceptors.otp.clock import TimerHandle
from acceptors.otp.signals import post_exit
from acceptors.peer_limits import PeerLimits, limits_anything

if TYPE_CHECKING:
    from acceptors.arrival import Arrival
    from acceptors.listener import Listener

logger = logging.getLogger("acceptors")

SLICE: Final = 500
"""Connections told to finish in one turn of the event loop: the others go on meanwhile."""

CANCEL_GRACE: Final = 2.0
"""Seconds that what was cancelled at the end of `shutdown` has to clean up, before it is killed."""

TURNS: Final = 3
"""Turns of the event loop between the end of accepting and the order to finish."""


class Connections(ParentProcess):
    """All connections of a listener.

    active        those that count against max_connections
    limit         max_connections as a number
    peer_limits   PeerLimits, or None where no option limits addresses or the rate of accepting
    accepted      how many there have been, terminated: how many of them are over
    arrivals      connection -> Arrival, of those that wait for a PROXY header or shake hands, and
                  of those that came with such a header
    """

    __slots__ = (
        "__weakref__",
        "_alarmed",
        "_counting",
        "_deadlines",
        "_removed",
        "_waiters",
        "accepted",
        "active",
        "arrivals",
        "limit",
        "listener",
        "loop",
        "peer_limits",
        "room_made",
    )

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        self.label = "connections"
        self.listener = listener
        self.loop = asyncio.get_running_loop()
        self.active = 0
        self.limit = _limit(listener)
        self.accepted = 0
        self.arrivals: dict[Process, Arrival] = {}
        # Connections that remove_connection took out of the count.
        self._removed: set[Process] = set()
        # Alarms that have gone off -> the timer that looks again.
        self._alarmed: dict[str, TimerHandle] = {}
        self._waiters: list[tuple[Callable[[int], bool], asyncio.Future[None]]] = []
        # Timers of what is being drained: of the option `shutdown` while it stops, and of others.
        self._deadlines: set[TimerHandle] = set()
        # Whether somebody wants to know of each change of the count.
        self._counting = bool(listener.options.alarms)
        # Called when a connection ends while acceptors wait for that; None while none does.
        self.room_made: Callable[[], None] | None = None
        self.peer_limits: PeerLimits | None = None
        if limits_anything(listener.options):
            self.peer_limits = PeerLimits(listener.ref)
            self.peer_limits.change(listener.options)

    @property
    def terminated(self) -> int:
        """How many connections are over."""
        return self.accepted - len(self.children)

    def full(self) -> bool:
        """Whether no further connection may be served now."""
        return self.active >= self.limit

    def start_protocol(self) -> Connection:
        """The process of a new connection. Raises what the protocol's constructor raises."""
        listener = self.listener
        before = len(self.children)
        try:
            connection: Connection = listener.protocol(self, listener.protocol_options)
        except BaseException:
            # It may have been registered before it raised.
            for half_made in list(self.children.values())[before:]:
                self.active += 1
                half_made._exited(SHUTDOWN)
            raise
        self.active += 1
        self.accepted += 1
        if self._counting:
            self._count_changed()
        return connection

    def _child_exited(self, child: Process, reason: Reason) -> None:
        if self._removed and child in self._removed:
            self._removed.discard(child)
        else:
            self.active -= 1
        if self.arrivals and (arrival := self.arrivals.pop(child, None)) is not None:
            arrival.close()
        if reason != NORMAL:
            self._report(child, reason)
        if self.room_made is not None and self.active < self.limit:
            self.room_made()
        if self._counting:
            self._count_changed()
        if self.exit_reason is not None and not self.children:
            self._exited(self.exit_reason)

    def _report(self, child: Process, reason: Reason) -> None:
        # Peers that leave and orders to stop are everyday life (ranch_conns_sup).
        if isinstance(reason, BaseException):
            logger.error(
                "listener %r: connection %r crashed", self.listener.ref, child, exc_info=reason
            )
        elif reason == KILLED and self.exit_reason is not None:
            pass  # `_kill` has said so for all of them
        elif reason != SHUTDOWN and not (isinstance(reason, tuple) and reason[:1] == (SHUTDOWN,)):
            logger.warning(
                "listener %r: connection %r ended: %s",
                self.listener.ref,
                child,
                format_reason(reason),
            )

    def remove(self, connection: Process) -> None:
        """Take a connection out of the count; it lives on (ranch:remove_connection/1)."""
        if connection.parent is self and connection.alive and connection not in self._removed:
            self._removed.add(connection)
            self.active -= 1
            if self.room_made is not None and self.active < self.limit:
                self.room_made()
            if self._counting:
                self._count_changed()

    # the end ------------------------------------------------------------------------------------

    def _signalled(self, reason: Reason) -> None:
        shutdown = self.listener.options.shutdown
        if not self.children:
            self._exited(reason)
        elif shutdown == "brutal_kill" or not is_orderly(reason):
            self._tell_all(KILL)
        else:
            # What was accepted last gets its transport in the next turn of the loop and its first
            # bytes, where they are there already, in the one after that; then it is in flight.
            self._in_turns(TURNS, self._tell_all, SHUTDOWN)
            if shutdown != "infinity":
                self._later(shutdown, self._time_is_up)

    def _in_turns(self, turns: int, callback: Callable[..., None], *args: Any) -> None:
        if turns:
            self.loop.call_soon(self._in_turns, turns - 1, callback, *args)
        else:
            callback(*args)

    def drain(self, connections: Sequence[Process], timeout: float | None = None) -> None:
        """Let these finish and close; what has not in `timeout` seconds is cancelled, then
        killed."""
        self._tell(connections, SHUTDOWN)
        if timeout is not None:
            self._later(timeout, self._end, connections)

    def _time_is_up(self) -> None:
        logger.warning(
            "listener %r: %d connections have not finished in %s s; they are ended",
            self.listener.ref,
            len(self.children),
            self.listener.options.shutdown,
        )
        self._end(list(self.children.values()))

    def _end(self, connections: Sequence[Process], start: int = 0) -> None:
        """Cancel what they work at; where there is nothing to cancel, kill."""
        for connection in islice(connections, start, start + SLICE):
            if connection.alive and not self._cancel(connection):
                post_exit(self, connection, KILL)
        if not self.alive:
            return
        if start + SLICE < len(connections):
            self.loop.call_soon(self._end, connections, start + SLICE)
        else:
            left = [connection for connection in connections if connection.alive]
            if left:
                self._later(CANCEL_GRACE, self._kill, left)

    def _cancel(self, connection: Process) -> bool:
        try:
            return isinstance(connection, Connection) and connection.cancel(SHUTDOWN)
        except Exception:
            logger.exception("%r could not be cancelled: it is killed", connection)
            return False

    def _kill(self, connections: Sequence[Process]) -> None:
        left = [connection for connection in connections if connection.alive]
        if left:
            logger.warning(
                "listener %r: %d connections have not ended %s s after they were cancelled; "
                "they are killed",
                self.listener.ref,
                len(left),
                CANCEL_GRACE,
            )
            self._tell(left, KILL)

    def _later(self, delay: float, callback: Callable[..., None], *args: Any) -> None:
        """A timer that ends with this process."""

        def due() -> None:
            self._deadlines.discard(timer)
            callback(*args)

        timer = current_clock().call_later(delay, due)
        self._deadlines.add(timer)

    def _tell_all(self, reason: Reason) -> None:
        self._tell(list(self.children.values()), reason)

    def _tell(self, connections: Sequence[Process], reason: Reason, start: int = 0) -> None:
        for connection in islice(connections, start, start + SLICE):
            if connection.alive:
                post_exit(self, connection, reason)
        if start + SLICE < len(connections) and self.alive:
            self.loop.call_soon(self._tell, connections, reason, start + SLICE)

    def _exited(self, reason: Reason = NORMAL) -> None:
        if self.alive:
            # Until both are started anew nothing is accepted: there would be nobody to serve it.
            pool = self.listener.acceptors
            if pool is not None and pool.connections is self:
                pool.stop_reading()
            for timer in (*self._deadlines, *self._alarmed.values()):
                timer.cancel()
            self._deadlines.clear()
            for _, waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
        super()._exited(reason)

    # counting -----------------------------------------------------------------------------------

    def wait(self, condition: Callable[[int], bool]) -> asyncio.Future[None]:
        """A future that is done when `condition(number of connections)` holds, or this ends."""
        waiter: asyncio.Future[None] = self.loop.create_future()
        if condition(self.active):
            waiter.set_result(None)
        else:
            self._waiters.append((condition, waiter))
            self._counting = True
        return waiter

    def options_changed(self) -> None:
        """The listener's options were changed: alarms and limits may be others."""
        self._counting = True
        self.limit = _limit(self.listener)
        options = self.listener.options
        if self.peer_limits is not None:
            self.peer_limits.change(options)
        elif limits_anything(options):
            self.peer_limits = PeerLimits(self.listener.ref)
            self.peer_limits.change(options)
        if self.room_made is not None and self.active < self.limit:
            self.room_made()
        self._count_changed()

    def _count_changed(self) -> None:
        count = self.active
        for entry in list(self._waiters):
            condition, waiter = entry
            if waiter.done() or condition(count):
                self._waiters.remove(entry)
                if not waiter.done():
                    waiter.set_result(None)
        alarms = self.listener.options.alarms
        for name, alarm in alarms.items():
            if name not in self._alarmed:
                if count >= alarm.threshold:
                    self._go_off(name)
            elif count < alarm.threshold and alarm.off is not None:
                self._alarmed.pop(name).cancel()
                self.loop.call_soon(alarm.off, self.listener.ref, name, count)
        self._counting = bool(alarms or self._waiters)

    def _go_off(self, name: str) -> None:
        alarm = self.listener.options.alarms[name]
        self._alarmed[name] = current_clock().call_later(alarm.cooldown, self._look_again, name)
        self.loop.call_soon(alarm.callback, self.listener.ref, name, self.active)

    def _look_again(self, name: str) -> None:
        self._alarmed.pop(name, None)
        alarm = self.listener.options.alarms.get(name)
        if alarm is not None and self.active >= alarm.threshold:
            self._go_off(name)

    def snapshot(self) -> dict[str, Any]:
        """What an observer shows."""
        return {
            **super().snapshot(),
            "active": self.active,
            "accepted": self.accepted,
            "terminated": self.terminated,
        }


def _limit(listener: Listener) -> float:
    limit = listener.options.max_connections
    return math.inf if limit == "infinity" else limit
