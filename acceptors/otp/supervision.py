"""What all supervisors share: requests one at a time, starting and stopping a child, giving up.

A supervisor is a record process: it has a Task only while it has something to do. Requests (a
child's exit, start_child, ...) wait in line and are served one after the other, as a gen_server
serves its mailbox, so that an async start or a slow shutdown is never overtaken.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from inspect import isawaitable
from typing import Any, Literal, TypeAlias, TypeVar

from acceptors.otp import kill
from acceptors.otp.child_spec import IGNORE, AutoShutdown, ChildSpec, Shutdown
from acceptors.otp.clock import current_clock
from acceptors.otp.errors import BadArgumentError, CallError, Exit, StartError
from acceptors.otp.names import Via
from acceptors.otp.process import ParentProcess, Process, root
from acceptors.otp.reasons import (
    KILL,
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Reason,
    is_orderly,
)
from acceptors.otp.reports import logger, progress_report, supervisor_report
from acceptors.otp.restarts import add_restart
from acceptors.otp.signals import post_exit
from acceptors.otp.starting import abandon, take_name
from acceptors.otp.task_process import current, self

T = TypeVar("T")
S = TypeVar("S", bound="SupervisorProcess")
Request: TypeAlias = "tuple[Callable[[], Awaitable[Any]], asyncio.Future[Any] | None]"


class ChildError(Exception):
    """A request about a child cannot be served; `reason` says why.

    already_present, ("already_started", process), not_found, running, restarting, max_children.
    """

    def __init__(self, reason: Reason, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self._hint = hint

    def __str__(self) -> str:
        return f"{self.reason}: {self._hint}"


class Child:
    """What a supervisor remembers of a child: its spec, and its process or that it restarts."""

    __slots__ = ("process", "restarting", "spec")

    def __init__(self, spec: ChildSpec, process: Process | None = None) -> None:
        self.spec = spec
        self.process = process
        self.restarting = False


ChildRow: TypeAlias = 'tuple[Any, Process | Literal["restarting"] | None, str, Any]'
"""(id, process or "restarting" or None, type, modules), a row of `which_children`."""


def child_row(id: Any, child: Child) -> ChildRow:  # noqa: A002  OTP's name
    """What `which_children` says of one child."""
    process: Process | Literal["restarting"] | None
    process = "restarting" if child.restarting else child.process
    return id, process, child.spec.type, child.spec.modules


def child_counts(children: Iterable[Child]) -> dict[str, int]:
    """What `count_children` says: how many specs, active, supervisors and workers there are.

    One that restarts is not active.
    """
    found = list(children)
    supervisors = sum(child.spec.type == "supervisor" for child in found)
    return {
        "specs": len(found),
        "active": sum(child.process is not None and not child.restarting for child in found),
        "supervisors": supervisors,
        "workers": len(found) - supervisors,
    }


class SupervisorProcess(ParentProcess):
    """The base of Supervisor and DynamicSupervisor.

    intensity, period: more than `intensity` restarts in `period` seconds and it gives up: it stops
        all children and exits with `shutdown`.
    """

    __slots__ = (
        "_ending",
        "_pump",
        "_requests",
        "_restarts",
        "_started_by",
        "_stopping",
        "auto_shutdown",
        "gave_up",
        "intensity",
        "period",
    )

    def __init__(
        self,
        parent: ParentProcess | None = None,
        *,
        intensity: int = 3,
        period: float = 5.0,
        auto_shutdown: AutoShutdown = "never",
    ) -> None:
        if intensity < 0:
            raise ValueError(f"intensity is a number of restarts, 0 or more, got {intensity!r}")
        if not period > 0:
            raise ValueError(f"period is in seconds and more than 0, got {period!r}")
        super().__init__(parent)
        self.intensity = intensity
        self.period = period
        self.auto_shutdown = auto_shutdown
        # The child that ended too often, once that has made this supervisor give up.
        self.gave_up: Child | None = None
        self.trap_exit = True
        self._started_by: Process | None = None
        self._requests: deque[Request] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._restarts: list[float] = []
        self._stopping: set[int] = set()
        self._ending = False

    # Starting and stopping the supervisor.

    async def _boot(
        self, name: str | Via | None, caller: Process | None, seconds: float | None = None
    ) -> Any:
        """The rest of start_link; returns self, or IGNORE when `init` said so."""
        # A supervisor that cannot start its children is gone (S11).
        late = False

        def too_late() -> None:
            nonlocal late
            late = True
            abandon(caller, self)

        timer = None if seconds is None else current_clock().call_later(seconds, too_late)
        try:
            take_name(name, self)
            outcome = await self._submit(self._start_all)
        except BadArgumentError:
            forget_exit(caller, self)
            raise
        except asyncio.CancelledError:
            if self.alive:
                post_exit(self.parent, self, KILL)
            raise
        except Exception as failure:
            if late:
                raise StartError("timeout") from None
            reason = failure.reason if isinstance(failure, StartError) else failure
            self._exited(reason)
            # An untrapping caller has just been ended by the link: let it take that, not this.
            await asyncio.sleep(0)
            forget_exit(caller, self)
            raise StartError(self.exit_reason) from failure
        finally:
            if timer is not None:
                timer.cancel()
        if outcome is IGNORE:
            self._exited(NORMAL)
            forget_exit(caller, self)
            return IGNORE
        return self

    async def stop(self, reason: Reason = NORMAL) -> None:
        """Stop all children, in reverse order of their start, then end with `reason`.

        Returns when it is over; at once when it was over already.
        """
        if self.alive and not self._ending:
            self._request(lambda: self._finish(reason))
        if self.alive:
            await self.join()

    async def __aenter__(self: S) -> S:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def _start_all(self) -> Any:
        """Start what is started with the supervisor; IGNORE for none at all. Raises StartError."""

    async def _stop_all(self) -> None:
        """Stop all children."""
        raise NotImplementedError

    async def _finish(self, reason: Reason) -> None:
        if self._ending:
            return
        self._ending = True
        await self._stop_all()
        self._exited(reason)

    # Requests, one at a time.

    def _request(
        self, operation: Callable[[], Awaitable[Any]], answer: asyncio.Future[Any] | None = None
    ) -> None:
        self._requests.append((operation, answer))
        if self._pump is None:
            loop = asyncio.get_running_loop()
            self._pump = loop.create_task(self._serve(), context=self.context())
            # Here and not in the coroutine: it may be cancelled before it begins (P1).
            self._pump.add_done_callback(self._served)

    async def _submit(self, operation: Callable[[], Awaitable[T]]) -> T:
        if not self.alive:
            raise CallError(NOPROC, self, operation)
        if current() is self:
            raise RuntimeError(
                f"{self!r} was asked from its own process (a start function of a child), "
                "which would wait for ever; ask from the child once it runs"
            )
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._request(operation, answer)
        return await answer

    async def _serve(self) -> None:
        while self._requests and self.alive:
            operation, answer = self._requests.popleft()
            try:
                result = await operation()
            except asyncio.CancelledError:
                if answer is not None:
                    answer.cancel()
                raise
            except GeneratorExit:
                # Killed while it served this: its Task is closed.
                if answer is not None and not answer.done():
                    answer.set_exception(CallError(NOPROC, self, operation))
                raise
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as failure:
                if answer is None:
                    logger.exception("%r could not serve a request", self)
                elif not answer.done():
                    answer.set_exception(failure)
            else:
                if answer is not None and not answer.done():
                    answer.set_result(result)

    def _served(self, pump: asyncio.Task[None]) -> None:
        self._pump = None
        if not pump.cancelled():
            pump.exception()
        if self.alive and self._requests:
            operation, answer = self._requests.popleft()
            self._request(operation, answer)

    # Exit signals.

    def _exit_message(self, source: Process, reason: Reason) -> None:
        # Only the parent can end a supervisor; others are ignored, whatever the reason (V3, V4).
        # Its children come by _child_exited.
        mine = self._started_by if self._started_by is not None else self.parent
        if source is mine or (source is self.parent and source is not root):
            self._request(lambda: self._finish(reason))

    def _message(self, message: Any) -> None:
        logger.error("supervisor %r got a message that it does not know: %r", self, message)

    def _child_exited(self, child: Process, reason: Reason) -> None:
        if self.alive and not self._ending and child._serial not in self._stopping:
            self._request(lambda: self._child_ended(child, reason))

    async def _child_ended(self, process: Process, reason: Reason) -> None:
        """Act on the end of a child that nobody asked for."""
        raise NotImplementedError

    def _stops(self, child: Process) -> bool:
        return child._serial in self._stopping

    def _killed(self) -> None:
        if self._pump is not None and not self._pump.done():
            kill.close_task(self._pump, self.context())

    def _exited(self, reason: Reason = NORMAL) -> None:
        if not self.alive:
            return
        super()._exited(reason)
        self._started_by = None
        requests, self._requests = self._requests, deque()
        for operation, answer in requests:
            if answer is not None and not answer.done():
                answer.set_exception(CallError(NOPROC, self, operation))

    # One child.

    async def _start(self, spec: ChildSpec, *more: Any) -> Process | None:
        """Start a child: its process, None for IGNORE; raises StartError."""
        try:
            process = spec.start(*more, *spec.args, **spec.kwargs)
            if isawaitable(process):
                process = await process
        except StartError:
            raise
        except Exit as failure:
            raise StartError(failure.reason) from failure
        except Exception as failure:
            raise StartError(failure) from failure
        if process is IGNORE:
            return None
        if not isinstance(process, Process) or process.parent not in (self, root):
            raise StartError(("bad_return_value", process))
        if process.parent is not self:
            if process.alive:
                process._move(self)
            else:
                self._child_exited(process, process.exit_reason)
        progress_report(self, spec.offender(process))
        return process

    async def _stop_process(self, process: Process, shutdown: Shutdown | None) -> Reason:
        """Stop one process in time; its exit reason, `noproc` if it had left us and ended."""
        if not process.alive:
            return process.exit_reason if process.parent is self else NOPROC
        ended: asyncio.Future[Reason] = asyncio.get_running_loop().create_future()
        process.watch(ended.set_result)
        self._stopping.add(process._serial)
        timer = None
        try:
            if shutdown == "brutal_kill":
                post_exit(self, process, KILL)
            else:
                post_exit(self, process, SHUTDOWN)
                if isinstance(shutdown, int | float) and not ended.done():
                    timer = current_clock().call_later(shutdown, post_exit, self, process, KILL)
            return await ended
        finally:
            self._stopping.discard(process._serial)
            if timer is not None:
                timer.cancel()

    async def _shut_down(self, child: Child) -> None:
        """Stop a child and report when it did not end as it should; the child keeps its spec."""
        process, child.process, child.restarting = child.process, None, False
        if process is None:
            return
        reason = await self._stop_process(process, child.spec.shutdown)
        if not stopped_well(child.spec, reason):
            supervisor_report(self, "shutdown_error", reason, child.spec.offender(process))

    def _may_restart(self, child: Child) -> bool:
        self._restarts, go_on = add_restart(
            self._restarts, current_clock().now(), self.intensity, self.period
        )
        return go_on

    async def _give_up(self, child: Child) -> None:
        self.gave_up = child
        offender = child.spec.offender(child.process)
        supervisor_report(self, "shutdown", "reached_max_restart_intensity", offender)
        await self._finish(SHUTDOWN)


def stopped_well(spec: ChildSpec, reason: Reason) -> bool:
    """Whether a child that was asked to stop ended as it should (supervisor.erl, shutdown/1)."""
    if isinstance(reason, str):
        if reason == SHUTDOWN and spec.shutdown != "brutal_kill":
            return True
        if reason == KILLED and spec.shutdown == "brutal_kill":
            return True
    return spec.restart != "permanent" and is_orderly(reason)


def attach(process: SupervisorProcess | Process, caller: Process) -> None:
    """Link a process that was made by `start_link` with its caller, as parent or by a link."""
    if process.parent is not caller:
        caller.link(process)
    if isinstance(process, SupervisorProcess):
        process._started_by = caller


def caller_and_parent(link: bool) -> tuple[Process | None, ParentProcess | None]:
    """The process that calls start_link (None for start) and the parent it gives a new process."""
    caller = self() if link else None
    return caller, caller if isinstance(caller, ParentProcess) else None


def forget_exit(caller: Process | None, process: Process) -> None:
    """Take the EXIT of a process that did not start out of its caller's mailbox (G5)."""
    if caller is not None:
        caller._remove_message(
            lambda message: (
                isinstance(message, tuple)
                and len(message) == 3
                and message[0] == "EXIT"
                and message[1] is process
            )
        )
