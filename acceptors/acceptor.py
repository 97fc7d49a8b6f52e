"""The acceptor: takes one connection at a time from a listening socket, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acceptors.handover import discard
from acceptors.otp import NORMAL, Process, Reason

if TYPE_CHECKING:
    from acceptors.acceptor_pool import AcceptorPool


class Acceptor(Process):
    """One acceptor of a pool, a process without a Task.

    accepted   how many sockets it has handed over
    sleeping   whether it waits until there is room for the connection that it has accepted last
               (only with the soft limit, as in Ranch)
    """

    __slots__ = ("accepted", "pool", "sleeping")

    def __init__(self, pool: AcceptorPool) -> None:
        super().__init__(pool)
        self.pool = pool
        self.accepted = 0
        self.sleeping = False

    def accept(self, family: int, descriptor: int, address: Any = None) -> bool:
        """Hand an accepted socket to a new connection process. address: as accept(2) gives it.

        Returns whether this acceptor is free again: False where it must sleep first. What a
        protocol raises is the end of that connection, not of the acceptor.
        """
        pool = self.pool
        connections = pool.connections
        self.accepted += 1
        try:
            connection = connections.start_protocol()
        except Exception as error:
            discard(descriptor)
            pool.start_failed(error)
            return True
        if connections.peer_limits is not None:
            connections.peer_limits.hold(connection, address)
        options = pool.listener.options
        if options.ssl is None and options.proxy_protocol is None:
            pool.handover.start(connection, family, descriptor, options)
        else:
            pool.handover.arrive(connection, family, descriptor)
        return connections.active < connections.limit or options.max_connections_limit == "hard"

    def _signalled(self, reason: Reason) -> None:
        self._exited(reason)

    def _exited(self, reason: Reason = NORMAL) -> None:
        if self.alive:
            self.pool.forget(self)
        super()._exited(reason)

    def snapshot(self) -> dict[str, Any]:
        """What an observer shows."""
        return {
            **super().snapshot(),
            "accepted": self.accepted,
            "activity": "sleeping" if self.sleeping else "waiting",
        }
