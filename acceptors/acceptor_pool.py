"""AcceptorPool: the supervisor of a listener's acceptors, who wait in line (ranch_acceptors_sup).

One reader for each listening socket hands what it accepts to the acceptor at the head of the line.
(Were each acceptor to poll the socket itself, all would wake for every connection: with 100
acceptors that was measured at 1.8 times the CPU for a connection.)
"""

from __future__ import annotations

import errno
import logging
import math
import socket
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from acceptors.acceptor import Acceptor
from acceptors.connections import Connections
from acceptors.handover import Handover
from acceptors.idle import LOOK_INTERVAL, IdleConnections
from acceptors.otp import NORMAL, SHUTDOWN, ParentProcess, Process, Reason, current_clock
from acceptors.otp.clock import TimerHandle
from acceptors.otp.process import nobodys_context
from acceptors.otp.restarts import add_restart
from acceptors.refusals import Refusals

if TYPE_CHECKING:
    from acceptors.listener import Listener

logger = logging.getLogger("acceptors")

BATCH: Final = 16
"""Connections accepted in one turn of the event loop by each socket's reader, at most: those that
are served get their turn in between, however many knock."""

STREAK: Final = 8
"""Turns of the event loop that found as many connections as they tried to accept, before the next
tries to accept twice as many."""

BACK_OFF: Final = 0.1
"""Seconds without accepting when the system has no descriptors or no memory left (Ranch)."""

LOG_INTERVAL: Final = 5.0
"""Seconds between two log lines about that."""

EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""accept(2): the system is short of something."""

TRANSIENT: Final = frozenset(
    # accept(2): "treat them like EAGAIN by retrying": errors of the new connection, not of ours.
    number
    for name in [
        "ECONNABORTED",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "EINTR",
        "ENETDOWN",
        "ENETUNREACH",
        "ENONET",
        "ENOPROTOOPT",
        "EOPNOTSUPP",
        "EPERM",
        "EPROTO",
    ]
    if (number := getattr(errno, name, None)) is not None
)

GONE: Final = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})
"""The listening socket itself is no more: the listener has to open it again."""


class AcceptorPool(ParentProcess):
    """The acceptors of a listener. `children` are Acceptor processes."""

    __slots__ = (
        "_backing_off",
        "_blocked",
        "_complaints",
        "_idle",
        "_logged",
        "_looking",
        "_reading",
        "_restarts",
        "_size",
        "_sleeping",
        "_streak",
        "_tries",
        "connections",
        "handover",
        "idle_connections",
        "listener",
        "refusals",
        "sockets",
    )

    def __init__(self, listener: Listener, connections: Connections) -> None:
        super().__init__(listener)
        self.label = "acceptors"
        self.listener = listener
        self.connections = connections
        self.handover = Handover(connections.loop)
        self.refusals = Refusals(connections.loop)
        self.idle_connections = IdleConnections(connections)
        self.sockets: list[socket.socket] = listener.sockets
        self._idle: deque[Acceptor] = deque()
        self._sleeping: list[Acceptor] = []
        # Descriptors that the event loop watches.
        self._reading: list[int] = []
        # Whether nothing is accepted until a connection ends.
        self._blocked = False
        # The timer that looks for idle connections again, while acceptors wait for room.
        self._looking: TimerHandle | None = None
        self._backing_off: TimerHandle | None = None
        self._logged = -math.inf
        self._complaints = 0
        self._restarts: list[float] = []
        self._size = 0
        # How many connections the next turn of the loop tries to accept, and for how many turns.
        self._tries = 1
        self._streak = 0
        self.resize(listener.options.num_acceptors)
        connections.room_made = None
        self._watch_sockets()

    # the line -----------------------------------------------------------------------------------

    def resize(self, size: int) -> None:
        """Have `size` acceptors: hire more, or let those go that have waited longest."""
        self._size = size
        while len(self.children) < size:
            self._idle.append(Acceptor(self))
        surplus = len(self.children) - size
        for acceptor in [*self._idle, *self._sleeping][:surplus]:
            acceptor._exited(SHUTDOWN)
        self._watch_sockets()

    def forget(self, acceptor: Acceptor) -> None:
        """An acceptor ends: it stands in the line no more."""
        if acceptor in self._idle:
            self._idle.remove(acceptor)
        elif acceptor in self._sleeping:
            self._sleeping.remove(acceptor)

    def _child_exited(self, child: Process, reason: Reason) -> None:
        # A dead acceptor is replaced; connections are not concerned. Too many deaths are the
        # listener's business: 1 + log2(N) in 5 s, as in Ranch.
        if not self.alive or self.exit_reason is not None or len(self.children) >= self._size:
            return
        intensity = 1 + math.ceil(math.log2(self._size + 1))
        now = current_clock().now()
        self._restarts, go_on = add_restart(self._restarts, now, intensity, 5.0)
        logger.error(
            "listener %r: acceptor %r ended: %r%s",
            self.listener.ref,
            child,
            reason,
            "; it is replaced" if go_on else "; that is too often, all are started anew",
        )
        if go_on:
            self._idle.append(Acceptor(self))
            self._watch_sockets()
        else:
            self._exited((SHUTDOWN, "reached_max_restart_intensity"))

    def wake(self) -> None:
        """There is room for connections again."""
        self.connections.room_made = None
        self._blocked = False
        self._look_no_more()
        sleeping, self._sleeping = self._sleeping, []
        for acceptor in sleeping:
            acceptor.sleeping = False
            self._idle.append(acceptor)
        self._watch_sockets()

    # the sockets --------------------------------------------------------------------------------

    def _watch_sockets(self) -> None:
        wanted = (
            self.alive
            and self.exit_reason is None
            and self.connections.alive
            and bool(self._idle)
            and self._backing_off is None
            and not self._blocked
        )
        if not wanted:
            self.stop_reading()
        elif not self._reading:
            context = nobodys_context()
            for one in self.sockets:
                # PERF: socket.accept would make a socket object, which asks the kernel for its
                # address; socket.family makes an enum member each time.
                accept = one._accept  # type: ignore[attr-defined]
                family = int(one.family)
                # What is accepted is not this process, nor the one whose end has made room.
                context.run(
                    self.connections.loop.add_reader,
                    one.fileno(),
                    self._readable,
                    accept,
                    family,
                )
                self._reading.append(one.fileno())

    def stop_reading(self) -> None:
        """Accept nothing for now; before the sockets are closed, or their numbers are used again
        by others while the event loop still watches them."""
        for descriptor in self._reading:
            self.connections.loop.remove_reader(descriptor)
        self._reading.clear()

    def _readable(self, accept: Callable[[], tuple[int, Any]], family: int) -> None:
        """Connections wait in the backlog: one acceptor for each takes them."""
        idle = self._idle
        connections = self.connections
        tries = self._tries
        limits = connections.peer_limits
        try:
            for done in range(tries if tries < len(idle) else len(idle)):
                full = connections.active >= connections.limit
                if full and self._at_the_limit():
                    return
                if limits is not None and (pause := limits.pause()):
                    self._pause(pause)
                    return
                try:
                    descriptor, address = accept()
                except BlockingIOError:
                    self._tries, self._streak = done or 1, 0
                    return
                except OSError as error:
                    if self._accept_failed(error):
                        return
                    continue
                if full and self.listener.options.max_connections_policy != "wait":
                    self._refuse(family, descriptor)
                    continue
                if limits is not None:
                    limits.accepted()
                    if limits.turns_away(address):
                        self._refuse(family, descriptor)
                        continue
                acceptor = idle.popleft()
                if acceptor.accept(family, descriptor, address):
                    idle.append(acceptor)
                else:
                    acceptor.sleeping = True
                    self._sleeping.append(acceptor)
                    connections.room_made = self.wake
                    self._look_later()
        finally:
            self.handover.flush()
        # PERF: an accept(2) that finds nothing costs as much as one that finds a connection, so
        # one more is tried only where several turns in a row have left some in the queue, or may
        # have: what is still there is told again in the next turn.
        if tries < BATCH:
            self._streak += 1
            if self._streak >= STREAK:
                self._tries, self._streak = min(2 * tries, BATCH), 0
        if not idle:
            self._watch_sockets()

    def _at_the_limit(self) -> bool:
        """At max_connections: whether nothing is to be accepted until a connection ends.

        Idle connections are closed first, so that there is room in the next turns of the loop.
        """
        options = self.listener.options
        making_room = self.idle_connections.shed(self._tries) > 0
        if options.max_connections_policy == "wait":
            if options.max_connections_limit == "soft":
                return False
        elif not making_room:
            return False
        self._blocked = True
        self.connections.room_made = self.wake
        self._watch_sockets()
        self._look_later()
        return True

    def _look_later(self) -> None:
        # A busy connection that becomes idle tells nobody.
        if self._looking is None:
            self._looking = current_clock().call_later(LOOK_INTERVAL, self._look)

    def _look(self) -> None:
        self._looking = None
        if self.connections.full():
            self.idle_connections.shed(max(self._tries, len(self._sleeping)))
            self._look_later()

    def _look_no_more(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _refuse(self, family: int, descriptor: int) -> None:
        listener = self.listener
        answer = b""
        if listener.options.max_connections_policy == "refuse" and listener.options.ssl is None:
            answer = listener.protocol.refusal(listener.protocol_options)
        self.refusals.refuse(family, descriptor, answer)

    def start_failed(self, error: Exception) -> None:
        """A protocol could not be started; its connection is closed."""
        logger.error(
            "listener %r: %s could not be started: its connection is closed",
            self.listener.ref,
            getattr(self.listener.protocol, "__qualname__", self.listener.protocol),
            exc_info=error,
        )

    def _accept_failed(self, error: OSError) -> bool:
        """An error of accept(2). Returns whether to accept no more in this turn."""
        if error.errno in TRANSIENT:
            return False
        if error.errno in GONE:
            self._exited(error)
            return True
        # Exhaustion; and what nobody has heard of must not become a loop that spins either.
        self._complaints += 1
        now = current_clock().now()
        if now - self._logged >= LOG_INTERVAL:
            logger.warning(
                "listener %r: accept failed: %s; no connection is accepted for %g s"
                "%s (%d connections are open)",
                self.listener.ref,
                error.strerror or error,
                BACK_OFF,
                f"; it failed {self._complaints} times since this was last said"
                if self._complaints > 1
                else "",
                len(self.connections.children),
            )
            self._logged = now
            self._complaints = 0
        self._pause(BACK_OFF)
        return True

    def _pause(self, seconds: float) -> None:
        """Accept nothing for so long."""
        self._backing_off = current_clock().call_later(seconds, self._try_again)
        self._watch_sockets()

    def _try_again(self) -> None:
        self._backing_off = None
        self._watch_sockets()

    # the end ------------------------------------------------------------------------------------

    def take_queued(self) -> None:
        """Take what the kernel has queued already, so that closing the sockets resets nobody."""
        connections = self.connections
        for one in self.sockets:
            accept = one._accept  # type: ignore[attr-defined]
            for _ in range(self.listener.options.backlog + 1):
                if connections.active >= connections.limit or not self._idle:
                    break
                try:
                    descriptor, address = accept()
                except OSError:
                    break
                self._idle[0].accept(one.family, descriptor, address)
                self._idle.rotate()
        self.handover.flush()

    def _signalled(self, reason: Reason) -> None:
        if self.listener.accepts_no_more and not self.listener.keeps_sockets:
            self.take_queued()
            self._exited(reason)
            self.listener.close_sockets()
        else:
            # Only started anew: what is in the queue of the kernel stays there meanwhile.
            self._exited(reason)

    def _exited(self, reason: Reason = NORMAL) -> None:
        if not self.alive:
            return
        self.exit_reason = self.exit_reason or reason
        self.stop_reading()
        if self._backing_off is not None:
            self._backing_off.cancel()
            self._backing_off = None
        self._look_no_more()
        self.connections.room_made = None
        self.refusals.close()
        super()._exited(reason)

    def snapshot(self) -> dict[str, Any]:
        """What an observer shows."""
        return {**super().snapshot(), "waiting": len(self._idle), "sleeping": len(self._sleeping)}
