"""The master: owns the listening sockets and supervises worker processes. It never imports the
application, so a bug in there can't bring it down, and each worker is a fresh interpreter.

| signal | what it does |
|---|---|
| SIGTERM, SIGINT | drains all workers and stops; a second one kills them |
| SIGHUP | rolls: each worker is replaced once its successor is ready |
| SIGTTIN, SIGTTOU | one worker more, one less |
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from typing import Any, Final

from acceptors.otp import ParentProcess, Process
from plugpy.server.announce import announce, format_workers
from plugpy.server.cpus import available_cpus
from plugpy.server.errors import EXIT_FAILURE, EXIT_OK, EXIT_START
from plugpy.server.intensity import Intensity, backoff
from plugpy.server.logs import configure_logging
from plugpy.server.settings import Settings
from plugpy.server.slot import Slot
from plugpy.server.sockets import ListeningSockets
from plugpy.server.units import format_span
from plugpy.server.worker_process import WorkerProcess, describe_exit

logger = logging.getLogger("plugpy.master")

STABLE_AFTER: Final = 10.0
"""Seconds that a worker must have served for its next failure to count as the first."""

KILL_AFTER: Final = 5.0
"""Seconds over the shutdown timeout until a worker that does not end is killed."""

RELOAD_SHUTDOWN: Final = 0.5
"""Shutdown timeout with --reload, unless it was set: an open stream must not hold a reload up."""

LOOK_INTERVAL: Final = 1.0
"""Seconds between two looks at the workers for stuck loops and late starts."""


def run_master(settings: Settings) -> int:
    """Serve with several workers, or one that is reloaded; returns the exit code."""
    configure_logging(settings["log_format"], settings["log_level"])
    sockets = ListeningSockets(settings)
    try:
        return asyncio.run(_run(settings, sockets))
    finally:
        sockets.close()


async def _run(settings: Settings, sockets: ListeningSockets) -> int:
    return await Master(settings, sockets).run()


class Master(ParentProcess):
    """The parent of the workers in the tree of processes; `run()` returns the exit code."""

    __slots__ = (
        "_code",
        "_exit",
        "_intensity",
        "_looked",
        "_loop",
        "_payload",
        "_roll",
        "_roll_again",
        "_settings",
        "_sockets",
        "_stopping",
        "_was_ready",
        "slots",
    )

    def __init__(self, settings: Settings, sockets: ListeningSockets) -> None:
        super().__init__()
        self._settings = settings
        self._sockets = sockets
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = self._loop.create_future()
        self._code = EXIT_OK
        if settings["reload"] and settings.is_default("shutdown_timeout"):
            settings.values["shutdown_timeout"] = RELOAD_SHUTDOWN
        self._payload = settings.dump()
        self._was_ready = False
        self._stopping = False
        self._roll: asyncio.Task[None] | None = None
        self._roll_again = False
        self._looked = time.monotonic()
        self.slots: list[Slot] = []
        count = available_cpus() if settings["workers"] == "auto" else settings["workers"]
        self._intensity = Intensity(settings["max_restarts"] * count, settings["restart_window"])
        for _ in range(count):
            self._add_slot()

    @property
    def label(self) -> str | None:
        """What an observer shows: `master of 4 workers`."""
        return f"master of {format_workers(len(self.slots))}"

    @label.setter
    def label(self, label: str | None) -> None:
        raise AttributeError("the label of the master is computed")

    async def run(self) -> int:
        """Start the workers and supervise them until the end; returns the exit code."""
        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: lambda: self._on_stop_signal("SIGTERM"),
            signal.SIGINT: lambda: self._on_stop_signal("SIGINT"),
            signal.SIGHUP: self.roll,
            signal.SIGTTIN: self.add_worker,
            signal.SIGTTOU: self.remove_worker,
            signal.SIGCHLD: self._reap,
        }
        for number, handler in handlers.items():
            self._loop.add_signal_handler(number, handler)
        watcher = None
        if self._settings["reload"]:
            from plugpy.server.reload import Watcher

            watcher = Watcher(self._settings, self._loop, self._on_change)
            watcher.start()
        try:
            for slot in self.slots:
                self._start(slot)
            self._look()
            return await self._exit
        finally:
            if watcher is not None:
                watcher.stop()
            for number in handlers:
                self._loop.remove_signal_handler(number)
            self._exited()

    # What can be asked of it.

    def roll(self) -> None:
        """Replace every worker, one after the other: the new one is ready before the old drains.

        When a new one can't start the roll ends there and the old ones keep serving.
        """
        if self._stopping:
            return
        if self._roll is not None:
            self._roll_again = True
        else:
            self._roll = self._loop.create_task(self._roll_all())

    def add_worker(self) -> None:
        """One worker more (SIGTTIN)."""
        if not self._stopping:
            self._start(self._add_slot())
            logger.info("SIGTTIN: now %s", format_workers(len(self.slots)))

    def remove_worker(self) -> None:
        """One worker less (SIGTTOU); the last one stays."""
        if self._stopping:
            return
        if len(self.slots) == 1:
            logger.warning("SIGTTOU: the last worker stays; SIGTERM stops the server")
            return
        slot = self.slots.pop()
        slot.cancel_timer()
        logger.info("SIGTTOU: now %s", format_workers(len(self.slots)))
        if not self._sockets.shared:
            # Its socket stays open, so the kernel goes on giving it connections: another worker
            # takes them over. Closing it would reset those that wait in its queue.
            heir = self.slots[0]
            heir.sockets += slot.sockets
            for worker in heir.workers():
                worker.adopt(slot.sockets)
        for worker in slot.workers():
            self._drain(worker)

    def stop(self, why: str, code: int = EXIT_OK) -> None:
        """Drain all workers, then let `run` return `code`."""
        if self._stopping:
            return
        self._stopping, self._code = True, code
        if self._roll is not None:
            self._roll.cancel()
        # New connections are refused from here on; the workers take what is queued already.
        self._sockets.close()
        for slot in self.slots:
            slot.cancel_timer()
        workers = self.workers()
        if workers:
            limit = self._settings["shutdown_timeout"]
            within = "without a time limit" if limit == "infinity" else f"in {format_span(limit)}"
            logger.info(
                "%s: draining %s %s; send it again to stop at once",
                why,
                format_workers(len(workers)),
                within,
            )
        for worker in workers:
            self._drain(worker)
        self._settle()

    def workers(self) -> list[WorkerProcess]:
        """The living workers, those that drain included."""
        return [child for child in self.children.values() if isinstance(child, WorkerProcess)]

    # Supervision.

    def _add_slot(self) -> Slot:
        for slot in self.slots:
            if len(slot.sockets) > 1:
                # Taken over from a removed worker: its heir goes on with it too until it rolls.
                sock = slot.sockets.pop()
                break
        else:
            sock = self._sockets.take() if self.slots else self._sockets.sockets[0]
        slot = Slot(len(self.slots), [sock])
        self.slots.append(slot)
        return slot

    def _start(self, slot: Slot) -> WorkerProcess:
        slot.timer = None
        worker = WorkerProcess(self, slot.index, self._payload, slot.sockets, self._changed)
        if slot.current is None:
            slot.current = worker
        else:
            slot.successor = worker
        return worker

    def _drain(self, worker: WorkerProcess) -> None:
        worker.drain()
        limit = self._settings["shutdown_timeout"]
        if limit != "infinity":
            self._loop.call_later(limit + KILL_AFTER, self._kill, worker, "did not end in time")

    def _kill(self, worker: WorkerProcess, why: str) -> None:
        if worker.returncode is None:
            logger.error("%s %s: killed", worker.label, why)
            worker.kill()

    def _reap(self) -> None:
        for worker in self.workers():
            worker.poll()

    def _changed(self, worker: WorkerProcess) -> None:
        """A worker went on to another state."""
        logger.debug("%s", worker.label)
        if self._was_ready or not all(
            slot.current is not None and slot.current.state == "ready" for slot in self.slots
        ):
            return
        self._was_ready = True
        announce(self._settings, self._sockets.url, format_workers(len(self.slots)), os.getpid())

    def _child_exited(self, child: Process, reason: Any) -> None:
        """A worker is gone (hook of ParentProcess)."""
        if not isinstance(child, WorkerProcess):
            return
        slot = next((slot for slot in self.slots if child in slot.workers()), None)
        if slot is not None:
            slot.forget(child)
        if self._stopping:
            self._settle()
        elif slot is not None and slot.current is None and slot.timer is None:
            self._replace(slot, child)

    def _replace(self, slot: Slot, worker: WorkerProcess) -> None:
        """`worker` ended and nobody else fills its slot."""
        self._report_end(worker)
        if self._settings["reload"]:
            logger.info("waiting for a source file to change")
            return
        if worker.failure is not None and not self._was_ready:
            # What can't start at first will not start the second time.
            self.stop("giving up", worker.failure.exit_code)
            return
        now = time.monotonic()
        orderly = worker.state_before_exit == "draining"
        if orderly or (worker.was_ready and now - worker.started >= STABLE_AFTER):
            slot.failures = 0
        slot.failures += not orderly
        if not orderly and self._intensity.exceeded(now):
            limit, window = self._intensity.limit, format_span(self._intensity.window)
            logger.critical("more than %d restarts of workers in %s", limit, window)
            crashed = self._was_ready and worker.failure is None
            self.stop("giving up", EXIT_FAILURE if crashed else EXIT_START)
            return
        slot.timer = self._loop.call_later(backoff(slot.failures), self._start, slot)

    def _report_end(self, worker: WorkerProcess) -> None:
        if worker.failure is not None:
            logger.error("worker %d could not start: %s", worker.slot + 1, worker.failure.text)
        elif worker.state_before_exit == "draining":
            logger.info("%s drained and is replaced", worker.label)
        else:
            logger.error("%s %s", worker.label, describe_exit(worker.returncode or 0))

    def _settle(self) -> None:
        """Let `run` return when the last worker is gone."""
        if not self.workers() and not self._exit.done():
            self._exit.set_result(self._code)

    def _on_stop_signal(self, name: str) -> None:
        if not self._stopping:
            self.stop(name)
            return
        logger.warning("%s again: stopping at once", name)
        self._code = self._code or EXIT_FAILURE
        for worker in self.workers():
            worker.kill()

    def _look(self) -> None:
        """Once a second: replace workers whose loop is stuck, or that never become ready."""
        self._loop.call_later(LOOK_INTERVAL, self._look)
        now = time.monotonic()
        late, self._looked = now - self._looked > 5 * LOOK_INTERVAL, now
        for worker in self.workers():
            if late:
                # The master itself did not run (a suspended machine): it knows nothing of them.
                worker.beaten = now
            elif worker.state == "starting":
                limit = self._settings["worker_start_timeout"]
                if limit and now - worker.started > limit:
                    worker.write_stacks()
                    self._kill(worker, f"was not ready in {format_span(limit)}")
            elif limit := self._settings["worker_timeout"]:
                silent = now - worker.beaten
                was_stuck, worker.stuck = worker.stuck, silent > limit
                if worker.stuck and was_stuck:
                    self._kill(worker, f"has been stuck for {silent:.0f} s")
                elif worker.stuck:
                    # It has until the next look to write where it is.
                    logger.error("%s is stuck; its stacks follow", worker.label)
                    worker.write_stacks()

    # Rolling.

    def _on_change(self, paths: list[str]) -> None:
        """Source files changed: roll, or start at last what could not start before."""
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        logger.info("reloading: %s%s changed", os.path.relpath(paths[0]), more)
        self.roll()

    async def _roll_all(self) -> None:
        try:
            self._roll_again = True
            while self._roll_again:
                self._roll_again = False
                for slot in list(self.slots):
                    if slot in self.slots and not await self._roll_slot(slot):
                        break
        finally:
            self._roll = None

    async def _roll_slot(self, slot: Slot) -> bool:
        """Replace the worker of `slot`; False when its successor could not start."""
        slot.cancel_timer()
        old = slot.current
        new = self._start(slot)
        if await new.settled:
            if old is not None and slot.current is old:
                slot.current, slot.successor = new, None
                self._drain(old)
            logger.info("%s serves now", new.label)
            return True
        if slot.current is not None:
            self._report_end(new)
            logger.error("the roll ends here: the workers of before keep serving")
        return False
