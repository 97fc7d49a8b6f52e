"""TaskSupervisor: one-off work in processes of its own, awaited or not.

    tasks = await TaskSupervisor.start_link()
    task = tasks.async_nolink(fetch, url)
    answer = await task

Source: Elixir's Task and Task.Supervisor.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from inspect import isawaitable
from typing import Any, Literal

from acceptors.otp.child_spec import ChildSpec, Shutdown
from acceptors.otp.clock import current_clock
from acceptors.otp.dynamic_supervisor import DynamicSupervisor
from acceptors.otp.errors import CallError, CallTimeoutError
from acceptors.otp.process import ParentProcess
from acceptors.otp.reasons import KILL, SHUTDOWN, Reason
from acceptors.otp.signals import post_exit
from acceptors.otp.supervision import Child
from acceptors.otp.task_process import Body, TaskProcess, current, spawn_link
from acceptors.otp.task_process import self as calling_process

AWAIT_TIMEOUT = 5.0
"""Seconds that `AsyncTask.result` waits by default."""

_NO_VALUE: Any = object()

Outcome = tuple[Literal["ok", "exit"], Any]


class AsyncTask:
    """Work that was started for its result; `await task`, or one of the methods.

    process: the process that does it.
    """

    __slots__ = ("_outcome", "_value", "process")

    def __init__(self, process: TaskProcess) -> None:
        self.process = process
        self._value: Any = _NO_VALUE
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        process.watch(self._ended)

    def _ended(self, reason: Reason) -> None:
        # At the end of the process and not before: its place among the children is free by then.
        if not self._outcome.done():
            done = self._value is not _NO_VALUE
            self._outcome.set_result(("ok", self._value) if done else ("exit", reason))

    async def _run(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        value = function(*args)
        if isawaitable(value):
            value = await value
        self._value = value

    def __await__(self) -> Generator[Any, None, Any]:
        return self.result(timeout=None).__await__()

    async def result(
        self,
        timeout: float | None = AWAIT_TIMEOUT,  # noqa: ASYNC109  the clock seam times it
    ) -> Any:
        """What the function returned.

        timeout: seconds, None for no limit; the work goes on after it.
        Raises CallError with the reason when the process ended otherwise (`__cause__` is the
        exception), CallTimeoutError.
        """
        outcome = await self.yield_(timeout)
        if outcome is None:
            raise CallTimeoutError("timeout", self.process, "await")
        kind, value = outcome
        if kind == "ok":
            return value
        failure = value if isinstance(value, BaseException) else None
        raise CallError(value, self.process, "await") from failure

    async def yield_(
        self,
        timeout: float | None = AWAIT_TIMEOUT,  # noqa: ASYNC109
    ) -> Outcome | None:
        """("ok", value), ("exit", reason), or None when the time is up; it may be asked again."""
        if self._outcome.done():
            return self._outcome.result()
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()

        def wake(_: object = None) -> None:
            if not woken.done():
                woken.set_result(None)

        timer = None if timeout is None else current_clock().call_later(timeout, wake)
        self._outcome.add_done_callback(wake)
        try:
            await woken
        finally:
            self._outcome.remove_done_callback(wake)
            if timer is not None:
                timer.cancel()
        return self._outcome.result() if self._outcome.done() else None

    async def shutdown(
        self,
        timeout: float | Literal["brutal_kill"] = AWAIT_TIMEOUT,  # noqa: ASYNC109
    ) -> Outcome:
        """End the work: exit signal `shutdown`, `kill` after `timeout` seconds; its outcome."""
        source = self.process.parent
        if timeout != "brutal_kill":
            post_exit(source, self.process, SHUTDOWN)
            outcome = await self.yield_(timeout)
            if outcome is not None:
                return outcome
        post_exit(source, self.process, KILL)
        return await self._outcome

    def ignore(self) -> None:
        """Let the work go on alone: nobody will await it and it ends by itself."""
        _unlink(self.process)


class TaskSupervisor(DynamicSupervisor):
    """Supervises temporary processes that each do one thing.

    shutdown: how its tasks are stopped; default 5.0 seconds.
    max_children: at most so many at a time.
    """

    __slots__ = ("_spec",)

    def __init__(
        self,
        *,
        shutdown: Shutdown = 5.0,
        max_children: int | None = None,
        parent: ParentProcess | None = None,
    ) -> None:
        super().__init__(max_children=max_children, parent=parent)
        # One spec for all: a temporary child's arguments need not be kept.
        self._spec = ChildSpec(id="task", start=spawn_link, restart="temporary", shutdown=shutdown)

    def start_task(self, body: Body, *args: Any) -> TaskProcess:
        """Run `body(*args)` for what it does: linked with nobody, its result is dropped.

        Raises ChildError (max_children).
        """
        process = self._make()
        process.start(body, *args)
        return process

    def async_(self, function: Callable[..., Any], *args: Any) -> AsyncTask:
        """Run `function(*args)` linked with the caller: if one crashes, so does the other."""
        process = self._make()
        try:
            calling_process().link(process)
        except BaseException:
            process._exited(KILL)
            raise
        return self._begin(process, function, args)

    def async_nolink(self, function: Callable[..., Any], *args: Any) -> AsyncTask:
        """Run `function(*args)`; its crash is seen by whoever awaits it."""
        return self._begin(self._make(), function, args)

    async def async_stream(
        self,
        items: Iterable[Any],
        function: Callable[..., Any],
        *,
        max_concurrency: int | None = None,
        ordered: bool = True,
        timeout: float | None = AWAIT_TIMEOUT,  # noqa: ASYNC109
        on_timeout: Literal["exit", "kill_task"] = "exit",
        link: bool = True,
    ) -> AsyncIterator[Outcome]:
        """Run `function(item)` for each item; yields ("ok", value) or ("exit", reason).

        max_concurrency: tasks at a time, the number of processors by default.
        ordered: yield in the order of the items (default), or as they end.
        timeout: seconds for each task. on_timeout: "exit" raises CallTimeoutError, "kill_task" ends
        that task and yields ("exit", "timeout").
        What still runs when the iteration is left is killed.
        """
        limit = max_concurrency or os.cpu_count() or 1
        waiting = iter(items)
        running: dict[AsyncTask, Any] = {}
        late: set[AsyncTask] = set()

        def too_late(task: AsyncTask) -> None:
            late.add(task)
            post_exit(self, task.process, KILL)

        def fill() -> None:
            while len(running) < limit:
                try:
                    item = next(waiting)
                except StopIteration:
                    return
                make = self.async_ if link and on_timeout == "exit" else self.async_nolink
                task = make(function, item)
                timer = None
                if timeout is not None:
                    timer = current_clock().call_later(timeout, too_late, task)
                running[task] = timer

        try:
            fill()
            while running:
                task = next(iter(running)) if ordered else await _first(running)
                outcome = await task._outcome
                timer = running.pop(task)
                if timer is not None:
                    timer.cancel()
                if task in late:
                    if on_timeout == "exit":
                        raise CallTimeoutError("timeout", task.process, "async_stream")
                    outcome = ("exit", "timeout")
                fill()
                yield outcome
        finally:
            for task, timer in running.items():
                if timer is not None:
                    timer.cancel()
                _unlink(task.process)
                post_exit(self, task.process, KILL)

    def _make(self) -> TaskProcess:
        self._check_room()
        process = TaskProcess(self)
        self._active[process._serial] = Child(self._spec, process)
        return process

    def _begin(
        self, process: TaskProcess, function: Callable[..., Any], args: tuple[Any, ...]
    ) -> AsyncTask:
        task = AsyncTask(process)
        process.start(task._run, function, args)
        return task


def _unlink(process: TaskProcess) -> None:
    caller = current()
    if caller is not None:
        caller.unlink(process)


async def _first(running: Iterable[AsyncTask]) -> AsyncTask:
    tasks = list(running)
    await asyncio.wait([task._outcome for task in tasks], return_when=asyncio.FIRST_COMPLETED)
    return next(task for task in tasks if task._outcome.done())
