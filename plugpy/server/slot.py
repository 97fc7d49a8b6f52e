"""Slot: one of the places that the master keeps filled with a worker."""

import asyncio
import socket

from plugpy.server.worker_process import WorkerProcess


class Slot:
    """`current` serves or is starting; `successor` is starting to take its place in a roll.

    sockets: what its workers accept from. failures: ends in a row that were not asked for.
    timer: the start that is waited for.
    """

    __slots__ = ("current", "failures", "index", "sockets", "successor", "timer")

    def __init__(self, index: int, sockets: list[socket.socket]) -> None:
        self.index = index
        self.sockets = sockets
        self.current: WorkerProcess | None = None
        self.successor: WorkerProcess | None = None
        self.failures = 0
        self.timer: asyncio.TimerHandle | None = None

    def workers(self) -> list[WorkerProcess]:
        """Those that fill it, the old one first."""
        return [worker for worker in (self.current, self.successor) if worker is not None]

    def forget(self, worker: WorkerProcess) -> None:
        """`worker` is gone; a successor takes its place."""
        if self.current is worker:
            self.current, self.successor = self.successor, None
        elif self.successor is worker:
            self.successor = None

    def cancel_timer(self) -> None:
        """Do not start what was to be started."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
