"""Slot: one of the places that the master keeps filled with a worker."""

import socket

from acceptors.otp import ChildSpec
from acceptors.otp.clock import TimerHandle
from acceptors.otp.supervision import Child
from plugpy.server.worker_process import WorkerProcess


class Slot(Child):
    """A child of the master: `spec`, `process` (serves or is starting), `restarting`.

    index: from 0. successor: starts to take the place of `process`. groups: what its workers accept
    from; each group is the sockets of one worker, and a slot takes over those of one that was
    removed. failures: ends in a row that were not asked for. timer: the start that is waited for.
    not_before: the time, by the clock of processes, until which it is not recycled again.
    """

    __slots__ = ("failures", "groups", "index", "not_before", "successor", "timer")

    process: WorkerProcess | None

    def __init__(self, index: int, spec: ChildSpec, group: list[socket.socket]) -> None:
        super().__init__(spec)
        self.index = index
        self.groups = [group]
        self.successor: WorkerProcess | None = None
        self.failures = 0
        self.timer: TimerHandle | None = None
        self.not_before = 0.0

    @property
    def sockets(self) -> list[socket.socket]:
        """All that its workers accept from."""
        return [sock for group in self.groups for sock in group]

    def workers(self) -> list[WorkerProcess]:
        """Those that fill it, the old one first."""
        return [worker for worker in (self.process, self.successor) if worker is not None]

    def cancel_timer(self) -> None:
        """Do not start what was to be started."""
        self.restarting = False
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
