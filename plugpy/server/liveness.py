"""Liveness: once a second the master looks whether the event loop of each worker turns.

A worker's loop itself sends the sign of life, so a thread that is alive proves nothing. One that
has sent none for worker-timeout is asked for its stacks, which a handler in C writes whatever
Python code or C function it is in; a look later they are logged and it is killed.
"""

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from acceptors.otp import KILL, root
from acceptors.otp.signals import post_exit
from plugpy.server.units import format_span

if TYPE_CHECKING:
    from plugpy.server.master import Master
    from plugpy.server.worker_process import WorkerProcess

logger = logging.getLogger("plugpy.master")

LOOK_INTERVAL: Final = 1.0
"""Seconds between two looks at the workers for stuck loops and late starts."""

ALIVE_WITHIN: Final = 3.0
"""Seconds since its last sign of life in which a worker counts as alive for systemd's watchdog."""


class Liveness:
    """Looks at the workers of `master` from `start` to `stop`."""

    __slots__ = ("_looked", "_master", "_timer")

    def __init__(self, master: "Master") -> None:
        self._master = master
        self._looked = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look once a second from now on."""
        self._timer = asyncio.get_running_loop().call_later(LOOK_INTERVAL, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def any_alive(self) -> bool:
        """Whether the loop of at least one worker that serves has turned lately."""
        since = time.monotonic() - ALIVE_WITHIN
        return any(
            worker.was_ready and not worker.stuck and worker.beaten >= since
            for worker in self._master.workers()
        )

    def _look(self) -> None:
        self.start()
        now = time.monotonic()
        late, self._looked = now - self._looked > 5 * LOOK_INTERVAL, now
        for worker in self._master.workers():
            if late:
                # The master itself did not run (a suspended machine): it knows nothing of them.
                worker.beaten = now
            elif worker.state == "starting":
                self._look_at_start(worker, now - worker.started)
            else:
                self._look_at(worker, now - worker.beaten)

    def _look_at_start(self, worker: "WorkerProcess", took: float) -> None:
        limit = self._master.settings["worker_start_timeout"]
        if limit and took > limit:
            self._judge(worker, f"was not ready in {format_span(limit)}")

    def _look_at(self, worker: "WorkerProcess", silent: float) -> None:
        limit = self._master.settings["worker_timeout"]
        if limit and silent > limit:
            self._judge(worker, f"is stuck: its event loop has not turned for {silent:.0f} s")
        elif worker.stuck:
            worker.stuck = False
            logger.warning(
                "%s was stuck for longer than worker-timeout and goes on:\n%s",
                worker.label,
                worker.stacks(),
            )

    def _judge(self, worker: "WorkerProcess", what: str) -> None:
        if not worker.stuck:
            # It has until the next look to write where it is.
            worker.stuck = True
            worker.write_stacks()
            return
        logger.error("%s %s; it is killed. Its stacks:\n%s", worker.label, what, worker.stacks())
        post_exit(root, worker, KILL)
