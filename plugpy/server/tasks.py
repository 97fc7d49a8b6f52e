"""Tasks: work that outlives its request (`conn.tasks`), a supervisor in every server's tree.

It is started before the listener and stopped after it. When the server stops, what still runs may
go on for what is left of the option shutdown-timeout; then it gets the exit signal `shutdown`, and
CANCEL_GRACE seconds later `kill`.
"""

import logging
from functools import partial
from typing import Final

from acceptors.otp import ChildSpec, Process, Reason, TaskSupervisor
from acceptors.otp.supervision import Child

logger = logging.getLogger("plugpy.server")

CANCEL_GRACE: Final = 2.0
"""Seconds between the exit signal `shutdown` and `kill`: what is cancelled may clean up."""


class Tasks(TaskSupervisor):
    """The server's supervisor of tasks.

    deadline: until when, by the clock of acceptors.otp, its tasks may finish once it stops; None:
        they are told to end at once.
    """

    __slots__ = ("_adopted", "deadline")

    def __init__(self, **options: object) -> None:
        super().__init__(shutdown=CANCEL_GRACE, **options)  # type: ignore[arg-type]
        self.deadline: float | None = None
        self._adopted = ChildSpec(
            id="request", start=_not_started, restart="temporary", shutdown=CANCEL_GRACE
        )

    def adopt(self, process: Process) -> None:
        """Take a process over whose parent is gone: a request that goes on without its client."""
        process._move(self)
        self._active[process._serial] = Child(self._adopted, process)

    async def _stop_all(self) -> None:
        if self.deadline is not None and self._active:
            await self._wait_for_tasks(self.deadline)
        await super()._stop_all()

    async def _wait_for_tasks(self, deadline: float) -> None:
        """Let the tasks of now finish by themselves, until `deadline`."""
        running = {
            serial: child
            for serial, child in self._active.items()
            if child.process is not None and child.process.alive
        }
        logger.info("waiting for %d tasks", len(running))
        for serial, child in list(running.items()):
            assert child.process is not None
            child.process.watch(partial(self._task_ended, running, serial))
        limit = None if deadline == float("inf") else deadline
        if not await self._wait(running, limit):
            logger.warning("%d tasks have not finished in time: they are cancelled", len(running))

    def _task_ended(self, running: dict[int, Child], serial: int, reason: Reason) -> None:
        running.pop(serial, None)
        ended = self._all_ended
        if not running and ended is not None and not ended.done():
            ended.set_result(None)


def _not_started() -> None:
    raise NotImplementedError("a request is adopted, not started")
