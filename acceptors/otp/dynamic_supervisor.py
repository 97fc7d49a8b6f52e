"""DynamicSupervisor: any number of children, started on demand, known by their process.

One_for_one only. Stopping it stops all children at once and waits for the slowest.
Source: Elixir's DynamicSupervisor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from acceptors.otp.child_spec import (
    Childlike,
    ChildSpec,
    ChildSpecError,
    check_significant,
    child_spec,
)
from acceptors.otp.clock import current_clock
from acceptors.otp.errors import StartError
from acceptors.otp.names import Via
from acceptors.otp.process import ParentProcess, Process
from acceptors.otp.reasons import KILL, NOPROC, SHUTDOWN, Reason, format_reason, is_orderly
from acceptors.otp.reports import supervisor_report
from acceptors.otp.signals import post_exit
from acceptors.otp.starting import check_free
from acceptors.otp.supervision import (
    Child,
    ChildError,
    ChildRow,
    SupervisorProcess,
    attach,
    caller_and_parent,
    child_counts,
    child_row,
    stopped_well,
)

STOP_SLICE: Final = 250
"""Children signalled in one turn of the loop: 50,000 of them must not hold it up."""


class DynamicSupervisor(Childlike, SupervisorProcess):
    """A supervisor of children that come and go; `await DynamicSupervisor.start_link(...)`.

    max_children: at most so many at a time, None (default) for no limit.
    extra_arguments: given to every start function before its own.
    intensity, period: as for Supervisor, over all children together.
    """

    __slots__ = ("_active", "_all_ended", "_errors", "_groups", "extra_arguments", "max_children")

    def __init__(
        self,
        *,
        max_children: int | None = None,
        extra_arguments: Iterable[Any] = (),
        intensity: int = 3,
        period: float = 5.0,
        parent: ParentProcess | None = None,
    ) -> None:
        if max_children is not None and max_children < 0:
            raise ValueError(f"max_children is a number or None, got {max_children!r}")
        super().__init__(parent, intensity=intensity, period=period)
        self.max_children = max_children
        self.extra_arguments = tuple(extra_arguments)
        # By the serial of the process; a child that restarts stays under its last one.
        self._active: dict[int, Child] = {}
        # While stopping: the children that are still to end, by serial, in one dict per time limit.
        self._groups: dict[int, dict[int, Child]] = {}
        self._all_ended: asyncio.Future[None] | None = None
        self._errors: dict[str, tuple[Reason, int, Child]] = {}

    @classmethod
    async def start_link(
        cls, *, name: str | Via | None = None, label: str | None = None, **flags: Any
    ) -> Any:
        """Start one, linked with the caller. Raises StartError when the name is taken."""
        return await cls._start_supervisor(True, name, label, flags)

    @classmethod
    async def start(
        cls, *, name: str | Via | None = None, label: str | None = None, **flags: Any
    ) -> Any:
        """Start one, linked with nobody; end it with `stop`."""
        return await cls._start_supervisor(False, name, label, flags)

    @classmethod
    async def _start_supervisor(
        cls, link: bool, name: str | Via | None, label: str | None, flags: dict[str, Any]
    ) -> DynamicSupervisor:
        if "auto_shutdown" in flags:
            raise ChildSpecError(f"a {cls.__name__} has no auto_shutdown; use a Supervisor for it")
        check_free(name)
        caller, parent = caller_and_parent(link)
        supervisor = cls(parent=parent, **flags)
        supervisor.label = label or cls.__name__
        if caller is not None:
            attach(supervisor, caller)
        await supervisor._boot(name, caller)
        return supervisor

    @classmethod
    def child_spec(cls, **options: Any) -> ChildSpec:
        """One as the child of a supervisor; `options` are those of `start_link`."""
        defaults: dict[str, Any] = {
            "id": options.get("name") or cls.__name__,
            "start": cls.start_link,
            "kwargs": options,
            "type": "supervisor",
            "modules": (cls,),
        }
        return ChildSpec(**{**defaults, **cls._child_fields})

    async def start_child(self, child: Any) -> Process | None:
        """Start a child of what `child_spec` takes; None when its start said IGNORE.

        Raises ChildError (max_children), StartError, ChildSpecError.
        """
        spec = child_spec(child)
        check_significant(spec, "never")
        return await self._submit(lambda: self._start_child(spec))

    async def terminate_child(self, process: Process) -> None:
        """Stop a child and forget it. Raises ChildError (not_found)."""
        await self._submit(lambda: self._terminate_child(process))

    def which_children(self) -> list[ChildRow]:
        """(None, process or "restarting", type, modules) of each child."""
        return [child_row(None, child) for child in list(self._active.values())]

    def count_children(self) -> dict[str, int]:
        """How many specs, active, supervisors and workers there are; one that restarts is not."""
        return child_counts(self._active.values())

    def _check_room(self) -> None:
        if self.max_children is not None and len(self._active) >= self.max_children:
            raise ChildError("max_children", f"there are {len(self._active)} children already")

    async def _start_child(self, spec: ChildSpec) -> Process | None:
        self._check_room()
        process = await self._start(spec, *self.extra_arguments)
        if process is not None:
            self._active[process._serial] = Child(spec, process)
        return process

    async def _terminate_child(self, process: Process) -> None:
        child = self._active.pop(process._serial, None)
        if child is None:
            raise ChildError("not_found", f"{process!r} is no child of {self!r}")
        await self._shut_down(child)

    def _child_exited(self, child: Process, reason: Reason) -> None:
        if self._groups:
            self._child_stopped(child._serial, reason)
            return
        record = self._active.get(child._serial)
        if record is not None and record.spec.restart == "temporary":
            # Nothing to wait for: a finished task of a TaskSupervisor must not cost a Task, and its
            # place is free at once (S22).
            self._forget_temporary(record, child, reason)
        else:
            super()._child_exited(child, reason)

    def _forget_temporary(self, record: Child, process: Process, reason: Reason) -> None:
        if process._serial in self._stopping:
            return
        del self._active[process._serial]
        if not is_orderly(reason):
            supervisor_report(self, "child_terminated", reason, record.spec.offender(process))

    async def _child_ended(self, process: Process, reason: Reason) -> None:
        child = self._active.get(process._serial)
        if child is None or child.process is not process:
            return
        restart = child.spec.restart
        if is_orderly(reason) and restart != "permanent":
            del self._active[process._serial]
            return
        supervisor_report(self, "child_terminated", reason, child.spec.offender(process))
        if restart == "temporary":
            del self._active[process._serial]
        else:
            await self._restart(process._serial, child)

    async def _restart(self, serial: int, child: Child) -> None:
        if not self._may_restart(child):
            self._active.pop(serial, None)
            await self._give_up(child)
            return
        child.process, child.restarting = None, True
        try:
            process = await self._start(child.spec, *self.extra_arguments)
        except StartError as failure:
            supervisor_report(self, "start_error", failure.reason, child.spec.offender(None))
            self._request(lambda: self._try_again(serial, child))
            return
        self._active.pop(serial, None)
        if process is not None:
            child.process, child.restarting = process, False
            self._active[process._serial] = child

    async def _try_again(self, serial: int, child: Child) -> None:
        await asyncio.sleep(0)
        if child.restarting and self._active.get(serial) is child:
            await self._restart(serial, child)

    # Stopping all at once.

    async def _stop_all(self) -> None:
        limits: dict[Any, dict[int, Child]] = {}
        gone: list[Child] = []
        for serial, child in self._active.items():
            if child.process is None:
                continue
            if child.process.alive:
                group = limits.setdefault(child.spec.shutdown, {})
                group[serial] = child
                self._groups[serial] = group
            else:
                gone.append(child)
        self._active = {}
        for child in gone:
            process = child.process
            assert process is not None
            left = process.parent is not self
            self._note_stop(child, NOPROC if left else process.exit_reason)
        self._stopping.update(self._groups)
        for group in limits.values():
            for child in group.values():
                if child.process is not None and child.process.parent is not self:
                    self._child_left(child.process)
        for shutdown, group in limits.items():
            await self._signal(group, KILL if shutdown == "brutal_kill" else SHUTDOWN)
        started = current_clock().now()
        for seconds in sorted(limit for limit in limits if not isinstance(limit, str)):
            if not await self._wait(limits[seconds], started + seconds):
                await self._signal(limits[seconds], KILL)
        for group in limits.values():
            await self._wait(group, None)
        for reason, count, child in self._errors.values():
            offender = child.spec.offender(None) | {"nb_children": count}
            supervisor_report(self, "shutdown_error", reason, offender)
        self._errors = {}

    async def _signal(self, group: dict[int, Child], reason: Reason) -> None:
        children = list(group.values())
        for start in range(0, len(children), STOP_SLICE):
            for child in children[start : start + STOP_SLICE]:
                if child.process is not None:
                    post_exit(self, child.process, reason)
            await asyncio.sleep(0)

    async def _wait(self, group: dict[int, Child], deadline: float | None) -> bool:
        """Wait until all of `group` ended; False when `deadline` came first."""
        if not group:
            return True
        clock = current_clock()
        self._all_ended = ended = asyncio.get_running_loop().create_future()
        timer = None
        if deadline is not None:
            timer = clock.call_later(max(0.0, deadline - clock.now()), _resolve, ended)
        try:
            while group and not (ended.done() and deadline is not None):
                await ended
                if group and deadline is None:
                    self._all_ended = ended = asyncio.get_running_loop().create_future()
        finally:
            self._all_ended = None
            if timer is not None:
                timer.cancel()
        return not group

    def _child_left(self, child: Process) -> None:
        if child._serial in self._groups:
            child.watch(partial(self._child_stopped, child._serial))

    def _child_stopped(self, serial: int, reason: Reason) -> None:
        group = self._groups.pop(serial, None)
        if group is None:
            return
        self._stopping.discard(serial)
        self._note_stop(group.pop(serial), reason)
        if not group and self._all_ended is not None:
            _resolve(self._all_ended)

    def _note_stop(self, child: Child, reason: Reason) -> None:
        if not stopped_well(child.spec, reason):
            key = format_reason(reason)
            _, count, _ = self._errors.get(key, (reason, 0, child))
            self._errors[key] = (reason, count + 1, child)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
