"""The master: owns the listening sockets and supervises worker processes. It never imports the
application, so a bug in there can't bring it down, and each worker is a fresh interpreter.

It is a supervisor as those in a process are (acceptors.otp): each worker is a permanent child with
a child spec, restarts count against an intensity, `shutdown` and then `kill` end a child. What
differs has its reason in what a worker is: all start and drain at the same time, a start returns
before the worker is ready, and a worker that keeps failing waits before it is started again.

| signal | what it does |
|---|---|
| SIGTERM, SIGINT | drains all workers and stops; a second one kills them |
| SIGHUP | reads the configuration again and rolls: each worker is replaced by a ready successor |
| SIGTTIN, SIGTTOU | one worker more, one less |
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from acceptors.otp import (
    KILL,
    NORMAL,
    SHUTDOWN,
    ChildSpec,
    Process,
    Reason,
    StartError,
    current_clock,
    root,
)
from acceptors.otp.reports import supervisor_report
from acceptors.otp.signals import post_exit
from acceptors.otp.supervision import (
    Child,
    ChildRow,
    SupervisorProcess,
    child_counts,
    child_row,
)
from plugpy.server.announce import announce, format_workers
from plugpy.server.backoff import backoff
from plugpy.server.control.master import MasterControl
from plugpy.server.cpus import available_cpus
from plugpy.server.errors import EXIT_FAILURE, EXIT_OK, EXIT_START, ServerError
from plugpy.server.liveness import Liveness
from plugpy.server.logs import configure_logging
from plugpy.server.master_sockets import ListeningSockets
from plugpy.server.reread import Reread, take_over
from plugpy.server.rolling import Roller
from plugpy.server.settings import Settings
from plugpy.server.slot import Slot
from plugpy.server.systemd import Notifier
from plugpy.server.units import format_span
from plugpy.server.worker_process import WorkerProcess, describe_exit

logger = logging.getLogger("plugpy.master")

STABLE_AFTER: Final = 10.0
"""Seconds that a worker must have served for its next failure to count as the first."""

KILL_AFTER: Final = 5.0
"""Seconds over the shutdown timeout until a worker that does not end is killed."""

RELOAD_SHUTDOWN: Final = 0.5
"""Shutdown timeout with --reload, unless it was set: an open stream must not hold a reload up."""

PROGRESS_INTERVAL: Final = 1.0
"""Seconds between two words to systemd while the workers drain."""


def run_master(settings: Settings, reread: Reread | None = None) -> int:
    """Serve with workers under a master; returns the exit code.

    reread: resolves the settings anew on SIGHUP; without it they stay as they are.
    """
    configure_logging(settings["log_format"], settings["log_level"])
    sockets = ListeningSockets(settings)
    try:
        return asyncio.run(_run(settings, sockets, reread))
    finally:
        sockets.close()


async def _run(settings: Settings, sockets: ListeningSockets, reread: Reread | None) -> int:
    return await Master(settings, sockets, reread).run()


class Master(SupervisorProcess):
    """The supervisor of the workers; `run()` returns the exit code.

    settings: those in force. slots: its children, with their specs. was_ready: all workers were
    ready once. stopping: the server ends.
    """

    __slots__ = (
        "_code",
        "_control",
        "_liveness",
        "_loop",
        "_notifier",
        "_over",
        "_payload",
        "_reread",
        "_retiring",
        "_roller",
        "_sockets",
        "_starts",
        "_unreaped",
        "settings",
        "slots",
        "stopping",
        "was_ready",
    )

    def __init__(
        self, settings: Settings, sockets: ListeningSockets, reread: Reread | None = None
    ) -> None:
        # A window of nothing is one that nothing falls into.
        super().__init__(period=settings["restart_window"] or 1e-6)
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._code = EXIT_OK
        self._sockets = sockets
        self._reread = reread
        self._roller = Roller(self)
        self._liveness = Liveness(self)
        self._notifier = Notifier.from_environment()
        self._starts = 0
        # All operating-system processes that were started and not waited for yet.
        self._unreaped: dict[WorkerProcess, None] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self.was_ready = False
        self.stopping = False
        self.slots: list[Slot] = []
        self._set(settings)
        for _ in range(_count(settings)):
            self._add_slot()
        self._control = MasterControl(self)

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
            signal.SIGHUP: self.reload,
            signal.SIGTTIN: self.add_worker,
            signal.SIGTTOU: self.remove_worker,
            signal.SIGCHLD: self._reap,
        }
        for number, handler in handlers.items():
            self._loop.add_signal_handler(number, handler)
        watcher = None
        if self.settings["reload"]:
            from plugpy.server.reload import Watcher

            watcher = Watcher(self.settings, self._loop, self._on_change)
            watcher.start()
        try:
            await self._control.start()
            await self._boot(None, None)
            self._liveness.start()
            self._notifier.watch(self._loop, self._liveness.any_alive)
            await self._over
            return self._code
        finally:
            self._liveness.stop()
            self._notifier.close()
            await self._control.stop()
            if watcher is not None:
                watcher.stop()
            for number in handlers:
                self._loop.remove_signal_handler(number)
            self._exited(SHUTDOWN)

    # What can be asked of it.

    def which_children(self) -> list[ChildRow]:
        """(id, process or "restarting" or None, type, modules) of each slot, in their order."""
        return [child_row(slot.spec.id, slot) for slot in self.slots]

    def count_children(self) -> dict[str, int]:
        """How many specs, active, supervisors and workers there are."""
        return child_counts(self.slots)

    def workers(self) -> list[WorkerProcess]:
        """The workers whose operating-system processes live, those that drain included."""
        return list(self._unreaped)

    def reload(self) -> None:
        """Read the configuration again, then roll (SIGHUP). A faulty one changes nothing at all."""
        if self.stopping:
            return
        self._notifier.reloading("reloading")
        if self._reread is None:
            self.roll()
            return
        try:
            settings = self._reread()
            if settings.app is None:
                settings.app = self.settings.app
        except ServerError as error:
            logger.error("SIGHUP: %s; the settings of before stay, and nothing is replaced", error)
            self.rolled()
            return
        for sentence in [*settings.warnings, *take_over(self.settings, settings)]:
            logger.warning("%s", sentence)
        wanted = _count(settings) if settings["workers"] != self.settings["workers"] else None
        self._set(settings)
        if wanted is not None:
            self._resize(wanted)
        self.roll()

    def roll(self) -> None:
        """Replace every worker, one after the other: the new one is ready before the old drains.

        When a new one can't start the roll ends there and the old ones keep serving.
        """
        if not self.stopping:
            self._roller.roll()

    def recycle(self, slot: Slot, why: str) -> None:
        """Replace the worker of one slot as in a roll."""
        if not self.stopping and slot.process is not None and self._roller.recycle(slot):
            logger.info("%s is replaced: %s", slot.process.label, why)

    def add_worker(self, why: str = "SIGTTIN") -> None:
        """One worker more."""
        if not self.stopping:
            slot = self._add_slot()
            self._request(partial(self._fill, slot))
            logger.info("%s: now %s", why, format_workers(len(self.slots)))

    def remove_worker(self, why: str = "SIGTTOU") -> None:
        """One worker less; the last one stays."""
        if self.stopping:
            return
        if len(self.slots) == 1:
            logger.warning("%s: the last worker stays; SIGTERM stops the server", why)
            return
        slot = self.slots.pop()
        self._set_intensity()
        slot.cancel_timer()
        logger.info("%s: now %s", why, format_workers(len(self.slots)))
        if not self._sockets.shared:
            # Its socket stays open, so the kernel goes on giving it connections: another worker
            # takes them over. Closing it would reset those that wait in its queue.
            heir = self.slots[0]
            heir.groups += slot.groups
            for worker in heir.workers():
                worker.adopt(slot.sockets)
        for worker in slot.workers():
            self.retire(slot, worker)

    def drain(self, why: str, code: int = EXIT_OK) -> None:
        """Drain all workers, then let `run` return `code`."""
        if not self.stopping:
            self._begin_stop(why, code)
            self._request(lambda: self._finish(SHUTDOWN))

    # Slots.

    def _set(self, settings: Settings) -> None:
        if settings["reload"] and settings.is_default("shutdown_timeout"):
            settings.values["shutdown_timeout"] = RELOAD_SHUTDOWN
        self.settings = settings
        self._payload = {**settings.dump(), "sizes": self._sockets.sizes}
        self.period = settings["restart_window"] or 1e-6
        self._set_intensity()
        for slot in self.slots:
            slot.spec = self._spec(slot.index)

    def _set_intensity(self) -> None:
        self.intensity = self.settings["max_restarts"] * max(1, len(self.slots))

    def _spec(self, index: int) -> ChildSpec:
        limit = self.settings["shutdown_timeout"]
        return ChildSpec(
            id=f"worker {index + 1}",
            start=self._start_worker,
            args=(index,),
            # With --reload only a change of a source file starts it again.
            restart="temporary" if self.settings["reload"] else "permanent",
            shutdown=limit if limit == "infinity" else limit + KILL_AFTER,
            modules=(WorkerProcess,),
        )

    def _add_slot(self) -> Slot:
        for slot in self.slots:
            if len(slot.groups) > 1:
                # Taken over from a removed worker: its heir goes on with it too until it rolls.
                group = slot.groups.pop()
                break
        else:
            group = self._sockets.take(len(self.slots))
        slot = Slot(len(self.slots), self._spec(len(self.slots)), group)
        self.slots.append(slot)
        self._set_intensity()
        return slot

    def _resize(self, count: int) -> None:
        while len(self.slots) < count:
            self.add_worker("the configuration changed")
        while len(self.slots) > count:
            self.remove_worker("the configuration changed")

    def _slot_of(self, worker: Process) -> Slot | None:
        return next((slot for slot in self.slots if worker in slot.workers()), None)

    # Starting and stopping one worker.

    def _start_worker(self, index: int) -> WorkerProcess:
        self._starts += 1
        slot = self.slots[index]
        try:
            worker = WorkerProcess(
                self, index, self._payload, slot.sockets, self._changed, self._starts
            )
        except OSError as error:
            raise StartError(error) from error
        self._unreaped[worker] = None
        return worker

    async def launch(self, slot: Slot) -> WorkerProcess | None:
        """Start a worker for `slot`, as successor of the one that it has; None when that failed."""
        try:
            worker = await self._start(slot.spec)
        except StartError as failure:
            supervisor_report(self, "start_error", failure.reason, slot.spec.offender(None))
            return None
        assert isinstance(worker, WorkerProcess)
        if slot.process is None:
            slot.process = worker
        else:
            slot.successor = worker
        return worker

    def retire(self, slot: Slot, worker: WorkerProcess) -> None:
        """Stop `worker` by the spec of `slot`, while all else goes on."""
        worker.restarting = True
        task = self._loop.create_task(
            self._shut_down(Child(slot.spec, worker)), context=self.context()
        )
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _fill(self, slot: Slot) -> None:
        slot.timer, slot.restarting = None, False
        if not self.stopping and slot in self.slots and slot.process is None:
            await self.launch(slot)
            if slot.process is None:
                self._wait_and_fill(slot)

    def _wait_and_fill(self, slot: Slot) -> None:
        slot.failures += 1
        slot.restarting = True
        slot.timer = current_clock().call_later(
            backoff(slot.failures), self._request, partial(self._fill, slot)
        )

    # Supervision.

    async def _start_all(self) -> None:
        for slot in self.slots:
            await self._fill(slot)

    async def _stop_all(self) -> None:
        self._begin_stop("asked to stop", EXIT_OK)
        self._say_drain()
        living = [child for child in self.children.values() if isinstance(child, WorkerProcess)]
        # All at once: they share nothing, and the slowest sets the time.
        await asyncio.gather(
            *(self._shut_down(Child(self._spec(worker.slot), worker)) for worker in living),
        )

    def _begin_stop(self, why: str, code: int) -> None:
        if self.stopping:
            return
        self.stopping, self._code = True, code
        self._roller.cancel()
        # New connections are refused from here on; the workers take what is queued already.
        self._sockets.close()
        for slot in self.slots:
            slot.cancel_timer()
        if self.children:
            limit = self.settings["shutdown_timeout"]
            within = "without a time limit" if limit == "infinity" else f"in {format_span(limit)}"
            logger.info(
                "%s: draining %s %s; send it again to stop at once",
                why,
                format_workers(len(self.children)),
                within,
            )

    def _say_drain(self) -> None:
        if self._notifier.on and not self._over.done():
            left = sum(worker.connections for worker in self._unreaped)
            self._notifier.stopping(f"draining, {left} connections left")
            self._loop.call_later(PROGRESS_INTERVAL, self._say_drain)

    async def _child_ended(self, process: Process, reason: Reason) -> None:
        """A worker is gone that nobody had asked to end."""
        slot = self._slot_of(process)
        if slot is None or not isinstance(process, WorkerProcess):
            return
        if slot.successor is process:
            slot.successor = None  # the roller sees it by `settled`
            return
        # Also while a successor starts already: that is how it is known why.
        self.report_end(slot, process)
        if slot.successor is not None:
            slot.process, slot.successor = slot.successor, None
        else:
            await self._restart(slot, process)

    async def _leaves(self, worker: WorkerProcess) -> None:
        """A worker drains though nobody here asked it to: its successor starts meanwhile."""
        slot = self._slot_of(worker)
        if slot is None or not worker.alive or self.stopping:
            return
        if slot.process is worker:
            logger.info("%s was asked to end by somebody else and is replaced", worker.label)
            self.retire(slot, worker)
            if slot.successor is not None:
                slot.process, slot.successor = slot.successor, None
            else:
                await self._restart(slot, worker)

    async def _restart(self, slot: Slot, worker: WorkerProcess) -> None:
        """Fill `slot` again, whose worker ended or is about to."""
        if slot.spec.restart == "temporary":
            slot.process = None
            logger.info("waiting for a source file to change")
            return
        if worker.failure is not None and not self.was_ready:
            # What can't start at first will not start the second time.
            await self._give_up_with(worker.failure.exit_code)
            return
        if worker.was_ready and time.monotonic() - worker.started >= STABLE_AFTER:
            slot.failures = 0
        # A start that fails while others serve counts for nothing but the pause before the next:
        # to give up would end those too. Not so what died of a request before it could say ready.
        failed = worker.failure is not None or not worker.turned
        counts = not (failed and any(other.state == "ready" for other in self._unreaped))
        if counts and not self._may_restart(slot):
            crashed = self.was_ready and worker.failure is None
            window = format_span(self.settings["restart_window"])
            supervisor_report(
                self,
                "shutdown",
                "reached_max_restart_intensity",
                slot.spec.offender(worker),
                f"more than {self.intensity} restarts of workers in {window}",
            )
            await self._give_up_with(EXIT_FAILURE if crashed else EXIT_START)
            return
        slot.process = None
        self._wait_and_fill(slot)

    async def _give_up_with(self, code: int) -> None:
        self._begin_stop("giving up", code)
        await self._finish(SHUTDOWN)

    def report_end(self, slot: Slot, worker: WorkerProcess) -> None:
        """Log why `worker` is gone, as the report of a supervisor."""
        if worker.failure is not None:
            context, text = "start_error", f"{slot.spec.id} could not start: {worker.failure.text}"
        elif worker.returncode is None:
            return  # killed by us: that has been said
        else:
            context = "child_terminated"
            text = f"{worker.label} {describe_exit(worker.returncode)}"
        reason = worker.exit_reason
        supervisor_report(self, context, reason, slot.spec.offender(worker), text)

    def _reap(self) -> None:
        for worker in self.workers():
            worker.poll()
            if worker.returncode is not None:
                del self._unreaped[worker]
                self._control.detach(worker)
        self._settle()

    def _exited(self, reason: Reason = NORMAL) -> None:
        super()._exited(reason)
        self._settle()

    def _settle(self) -> None:
        """Let `run` return when all is over and waited for."""
        if not self.alive and not self._unreaped and not self._over.done():
            self._over.set_result(None)

    # What it hears.

    def _changed(self, worker: WorkerProcess) -> None:
        """A worker went on to another state, or has reached a limit."""
        logger.debug("%s", worker.label)
        if worker.state == "ready":
            self._control.attach(worker)
        if worker.over is not None:
            slot = self._slot_of(worker)
            if slot is not None and slot.process is worker and worker.state == "ready":
                self.recycle(slot, worker.over)
        elif worker.state == "draining" and worker.exit_reason is None and worker.alive:
            self._request(partial(self._leaves, worker))
        elif worker.state == "ready" and not self.was_ready and self._all_ready():
            self.was_ready = True
            how = format_workers(len(self.slots))
            announce(self.settings, self._sockets.url, how, os.getpid())
            self.rolled()

    def _all_ready(self) -> bool:
        return all(
            slot.process is not None and slot.process.state == "ready" for slot in self.slots
        )

    def rolled(self) -> None:
        """The workers are those that were wanted: tell systemd."""
        if self._notifier.on and not self.stopping and self.was_ready:
            count = format_workers(len(self.slots))
            self._notifier.ready(f"{count} on {self._sockets.url}")

    def _on_change(self, paths: list[str]) -> None:
        """Source files changed: roll, or start at last what could not start before."""
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        logger.info("reloading: %s%s changed", os.path.relpath(paths[0]), more)
        self.roll()

    def _on_stop_signal(self, name: str) -> None:
        if not self.stopping:
            self.drain(name)
            return
        logger.warning("%s again: stopping at once", name)
        self._code = self._code or EXIT_FAILURE
        for worker in self.workers():
            if worker.alive:
                post_exit(root, worker, KILL)


def _count(settings: Settings) -> int:
    count: int = available_cpus() if settings["workers"] == "auto" else settings["workers"]
    return count
