"""TaskProcess: a process with code of its own, run by an asyncio Task.

`spawn(function, *args)` starts one; any Task that calls `self()` becomes one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from inspect import CO_COROUTINE, isawaitable
from typing import Any, TypeAlias

from acceptors.otp import callers, kill
from acceptors.otp.errors import Exit
from acceptors.otp.pid import Reference
from acceptors.otp.process import ParentProcess, Process, _current, root
from acceptors.otp.reasons import KILLED, NORMAL, Reason, format_reason, is_kill, is_orderly
from acceptors.otp.reports import crash_report, logger

Body: TypeAlias = "Callable[..., Any] | Coroutine[Any, Any, Any]"
"""What a process runs: an (async) function, called with the arguments, or a coroutine."""


class TaskProcess(Process):
    """A process run by a Task.

    task: the Task, None before it is started.
    spawned_by: the process that spawned this one, None once this one is dead or for a first one.

    An exit signal cancels the Task once (cancellation is never repeated and never undone). The
    process is over when the Task is, or `kill.EXIT_GRACE` seconds later, when its coroutine is
    closed; a supervisor that stops a child sets the time itself.
    """

    __slots__ = ("_body", "spawned_by", "task")

    def __init__(self, parent: ParentProcess | None = None) -> None:
        super().__init__(parent)
        self.task: asyncio.Task[Any] | None = None
        self.spawned_by: Process | None = current()
        self._body: Any = None

    @property
    def initial_call(self) -> str:
        """The name of what this process runs: `module.qualified_name`."""
        return self._body if isinstance(self._body, str) else call_name(self._body)

    def start(self, body: Body, *args: Any) -> None:
        """Run `body` as the code of this process, from the next turn of the loop on."""
        try:
            coroutine = _as_coroutine(body, args)
        except BaseException:
            self._exited(NORMAL)
            raise
        self.run(coroutine, body)

    def run(self, coroutine: Coroutine[Any, Any, Any], body: Body | str) -> None:
        """As `start`, for the coroutine that `body` made already."""
        # The function and not its name: that is made when somebody looks.
        self._body = body if body is not coroutine else call_name(body)
        # Not eager: whoever spawns a process must hold its pid before the process does anything.
        try:
            loop = asyncio.get_running_loop()
            task = loop.create_task(coroutine, context=self.context())
        except BaseException:
            coroutine.close()
            self._exited(NORMAL)
            raise
        self.task = task
        # In the callback and not in a wrapper coroutine: a Task cancelled before its first step
        # never enters its body (P1).
        task.add_done_callback(self._finished)

    def ancestors(self) -> list[Process]:
        """Who started this process, who started that one, ...; dead ones end the list."""
        if self.parent is not root:
            return super().ancestors()
        found: list[Process] = []
        process = self.spawned_by
        if process is not None:
            found = [process, *process.ancestors()]
        return found

    def callers(self) -> list[Process]:
        """Who asked for this process, who asked for that one, ... (Elixir's `$callers`).

        Of a task of a TaskSupervisor that is who called, while `ancestors` are its supervisors.
        """
        found: list[Process] = []
        process = self.spawned_by
        while process is not None and process not in found:
            found.append(process)
            process = getattr(process, "spawned_by", None)
        return found

    def snapshot(self) -> dict[str, Any]:
        """As `Process.snapshot`, with `initial_call` and `spawned_by`."""
        spawned_by = self.spawned_by
        return super().snapshot() | {
            "initial_call": self.initial_call,
            "spawned_by": None if spawned_by is None else str(spawned_by.pid),
        }

    def _exit_self(self, reason: Reason) -> None:
        # exit(self(), reason) in the Task of this process, not trapped: it does not return.
        if self.task is not asyncio.current_task():
            return
        if is_kill(reason):
            self.exit_reason = KILLED
            self._exited(KILLED)
            kill.add_zombie(self)  # until the Task is done, which it is unless it swallows this
        elif self.exit_reason is None:
            self.exit_reason = reason
            kill.bound_exit(self)
        # Raised and not by task.cancel(): that would strike a second time at the next await.
        raise asyncio.CancelledError

    def _signalled(self, reason: Reason) -> None:
        if self.task is None:
            self._exited(reason)
            return
        if self.task.done():
            # It ended before the signal came, with a reason of its own and perhaps a traceback.
            self.exit_reason = None
            self._finished(self.task)
            return
        # Once: repeating it every turn spins the processor on refusers and breaks
        # `finally: await ...` (P5).
        self.task.cancel()
        kill.bound_exit(self)

    def _still_runs(self) -> bool:
        return self.task is not None and not self.task.done()

    def _killed(self) -> None:
        task = self.task
        if task is not None and not task.done() and not kill.close_task(task, self.context()):
            kill.add_zombie(self)

    def _reap(self) -> None:
        if self.alive and not self.parent._stops(self):
            self._exited(self.exit_reason)
            self._killed()

    def _exited(self, reason: Reason = NORMAL) -> None:
        if self.alive:
            super()._exited(reason)
            # A dead process must not hold a chain of dead spawners.
            self.spawned_by = None

    def _finished(self, task: asyncio.Task[Any]) -> None:
        kill.remove_zombie(self)
        reason, failure = _reason_of(task)
        if not self.alive:
            return
        # The first signal wins: libraries turn cancellation into errors of their own (P7).
        if self.exit_reason is None and not is_orderly(reason):
            crash_report(self, reason, self.initial_call, failure)
        self._exited(reason)


class AdoptedProcess(TaskProcess):
    """A Task that was started without `spawn` and became a process by calling `self()`."""

    __slots__ = ()

    def _signalled(self, reason: Reason) -> None:
        if self.task is not None and not self.task.done():
            # Its runner knows nothing of exit reasons and will show a bare CancelledError.
            text = f"exit signal: {format_reason(reason)}"
            if not is_orderly(reason):
                logger.warning("the Task of %r (%s) ends: %s", self, self.initial_call, text)
            self.task.cancel(text)

    def _killed(self) -> None:
        # The coroutine is not ours to close: its runner would report a RuntimeError for it.
        if self.task is not None and not self.task.done():
            self.task.cancel()
            kill.add_zombie(self)


def self() -> Process:
    """The calling process.

    Code that runs for what becomes a process on demand (see `callers`) makes that one. Another Task
    that is no process becomes one, which ends with the Task. In a Task of a process that was killed
    (a zombie) this raises `Exit(reason)`. Raises RuntimeError in a callback of nobody's.
    """
    process = _current.get()
    if process is not None and process.alive:
        return process
    return _adopt(process)


def _adopt(stale: Process | None) -> Process:
    if stale is not None and stale._still_runs():
        # A zombie, a Task that it started, or cleanup code that runs while it is closed.
        raise Exit(stale.exit_reason)
    made = callers.make() if stale is None else None
    if made is not None:
        return made
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    if task is None:
        raise RuntimeError(
            "self() was called outside of any Task, in a callback: use the process object at hand "
            "(process.link, process.monitor), or run the callback in process.context()"
        )
    process = AdoptedProcess()
    process.spawned_by = None
    process.task = task
    process._body = call_name(task.get_coro())
    task.add_done_callback(process._finished)
    _current.set(process)
    return process


def current() -> Process | None:
    """The calling process, or None when the caller is none (nothing is adopted or made)."""
    process = _current.get()
    if process is None:
        return callers.find()
    return process if process.alive else None


def spawn(body: Body, *args: Any) -> TaskProcess:
    """Start a process that runs `body(*args)`, linked to nobody.

    `body` is an async function, a plain function, or a coroutine. It first runs on the next turn of
    the loop.
    """
    coroutine = _as_coroutine(body, args)
    process = TaskProcess()
    process.run(coroutine, body)
    return process


def spawn_link(body: Body, *args: Any) -> TaskProcess:
    """Start a process that runs `body(*args)`, linked with the caller before it runs."""
    caller = self()
    coroutine = _as_coroutine(body, args)
    if isinstance(caller, ParentProcess):
        process = TaskProcess(caller)
    else:
        process = TaskProcess()
        caller.link(process)
    process.run(coroutine, body)
    return process


def spawn_monitor(body: Body, *args: Any) -> tuple[TaskProcess, Reference]:
    """Start a process that runs `body(*args)`, monitored by the caller before it runs."""
    caller = self()
    coroutine = _as_coroutine(body, args)
    process = TaskProcess()
    reference = caller.monitor(process)
    process.run(coroutine, body)
    return process, reference


def call_name(body: Any) -> str:
    """The name of a function or coroutine for reports: `module.qualified_name`."""
    name = getattr(body, "__qualname__", None) or type(body).__qualname__
    module = getattr(body, "__module__", None)
    return f"{module}.{name}" if module else name


def _as_coroutine(body: Body, args: tuple[Any, ...]) -> Coroutine[Any, Any, Any]:
    if asyncio.iscoroutine(body):
        return body
    if not callable(body):
        raise TypeError(f"a process runs an async function or a coroutine, got {body!r}")
    code = getattr(body, "__code__", None)
    if code is not None and code.co_flags & CO_COROUTINE:
        coroutine: Coroutine[Any, Any, Any] = body(*args)
        return coroutine
    return _call(body, args)


async def _call(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    # A plain function runs in the process and not in the one that spawns it.
    result = function(*args)
    if isawaitable(result):
        await result


def _reason_of(task: asyncio.Task[Any]) -> tuple[Reason, BaseException | None]:
    """Why a Task ended, and the exception that has the traceback."""
    try:
        failure = task.exception()
    except asyncio.CancelledError as cancelled:
        # Cancelled by someone who is no process (the end of asyncio.run), or a CancelledError that
        # leaked out of something awaited: that one is a crash.
        return ("shutdown", "cancelled") if task.cancelling() else cancelled, cancelled
    if failure is None:
        return NORMAL, None
    return failure.reason if isinstance(failure, Exit) else failure, failure
