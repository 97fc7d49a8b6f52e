"""Supervisor: a fixed order of children, started, restarted and stopped by a strategy.

| strategy | when a child must be restarted |
|---|---|
| one_for_one | that child |
| one_for_all | all others are stopped in reverse order, then all are started |
| rest_for_one | those started after it are stopped in reverse order, then it and they are started |

Source: supervisor(3) and supervisor.erl.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from inspect import isawaitable
from typing import Any, Final, Literal, TypeAlias

from acceptors.otp.child_spec import (
    IGNORE,
    AutoShutdown,
    Childlike,
    ChildSpec,
    check_childspecs,
    check_significant,
    child_spec,
)
from acceptors.otp.errors import StartError
from acceptors.otp.names import Via
from acceptors.otp.process import ParentProcess, Process
from acceptors.otp.reasons import SHUTDOWN, Reason, is_orderly
from acceptors.otp.reports import supervisor_report
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
)

Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]

STRATEGIES: Final = ("one_for_one", "one_for_all", "rest_for_one")
AUTO_SHUTDOWNS: Final = ("never", "any_significant", "all_significant")


class Supervisor(Childlike, SupervisorProcess):
    """A supervisor; start one with `await Supervisor.start_link(children, ...)`.

    Or a class of its own says what it supervises, and is started with the arguments of its `init`:

        class Jobs(Supervisor, restart="transient"):
            def init(self, database):
                self.strategy = "rest_for_one"
                return [(Queue, database), Worker]

        await Jobs.start_link(database)        # or (Jobs, database) in a list of children

    children: what `child_spec` takes; started in this order, stopped in reverse.
    strategy: see the table above; default "one_for_one".
    intensity, period: at most 3 restarts in 5.0 seconds by default.
    auto_shutdown: end when a significant child ends by itself: "never" (default),
        "any_significant", "all_significant" (the last of them).
    """

    __slots__ = ("_children", "_init_arguments", "strategy")

    def __init__(
        self,
        children: Iterable[Any] = (),
        *,
        strategy: Strategy = "one_for_one",
        intensity: int = 3,
        period: float = 5.0,
        auto_shutdown: AutoShutdown = "never",
        parent: ParentProcess | None = None,
    ) -> None:
        _check_flags(strategy, auto_shutdown)
        specs = check_childspecs(children, auto_shutdown)
        super().__init__(parent, intensity=intensity, period=period, auto_shutdown=auto_shutdown)
        self.strategy = strategy
        # In the order of starting: a dict keeps it through restarts.
        self._children: dict[Any, Child] = {spec.id: Child(spec) for spec in specs}
        self._init_arguments: tuple[Any, ...] = ()

    def init(self, *arguments: Any) -> Any:
        """Hook: the children of a class of supervisors, or IGNORE; sync or async.

        Runs in the supervisor. It may set `strategy`, `intensity`, `period` and `auto_shutdown`.
        """
        raise NotImplementedError

    @classmethod
    async def start_link(
        cls,
        *arguments: Any,
        name: str | Via | None = None,
        label: str | None = None,
        start_timeout: float | None = None,
        **flags: Any,
    ) -> Any:
        """Start a supervisor linked with the caller; returns when all children are up.

        arguments: the children, or those of `init` where the class has one; flags: see the class.
        start_timeout: seconds for all of that, None (default) for no limit; then it is killed, the
            caller is not harmed, and StartError has the reason `timeout`.
        Raises StartError `("shutdown", ("failed_to_start_child", id, reason))` when one is not; an
        untrapping caller is then ended by the link, as in OTP (`start` makes no link).
        """
        return await cls._start_supervisor(arguments, True, name, label, start_timeout, flags)

    @classmethod
    async def start(
        cls,
        *arguments: Any,
        name: str | Via | None = None,
        label: str | None = None,
        start_timeout: float | None = None,
        **flags: Any,
    ) -> Any:
        """As `start_link` without the link: the top of a tree, ended by `stop`."""
        return await cls._start_supervisor(arguments, False, name, label, start_timeout, flags)

    @classmethod
    async def _start_supervisor(
        cls,
        arguments: tuple[Any, ...],
        link: bool,
        name: str | Via | None,
        label: str | None,
        seconds: float | None,
        flags: dict[str, Any],
    ) -> Any:
        check_free(name)
        caller, parent = caller_and_parent(link)
        if cls.init is Supervisor.init:
            supervisor = cls(*arguments, parent=parent, **flags)
        else:
            supervisor = cls(parent=parent, **flags)
            supervisor._init_arguments = arguments
        supervisor.label = label or cls.__name__
        if caller is not None:
            attach(supervisor, caller)
        return await supervisor._boot(name, caller, seconds)

    @classmethod
    def child_spec(cls, *arguments: Any, **options: Any) -> ChildSpec:
        """A supervisor as the child of another; the arguments are those of `start_link`."""
        defaults: dict[str, Any] = {
            "id": options.get("name") or cls.__name__,
            "start": cls.start_link,
            "args": arguments,
            "kwargs": options,
            "type": "supervisor",
            "modules": (cls,),
        }
        return ChildSpec(**{**defaults, **cls._child_fields})

    # The children, as calls.

    async def start_child(self, child: Any) -> Process | None:
        """Add a child and start it, after all others; None when its start said IGNORE.

        Raises ChildError (already_started, already_present: its spec is known and not running, use
        restart_child), StartError, ChildSpecError.
        """
        spec = child_spec(child)
        check_significant(spec, self.auto_shutdown)
        return await self._submit(lambda: self._start_child(spec))

    async def terminate_child(self, id: Any) -> None:  # noqa: A002  OTP's name
        """Stop a child; its spec stays, unless temporary. Raises ChildError (not_found)."""
        await self._submit(lambda: self._terminate_child(self._get(id)))

    async def restart_child(self, id: Any) -> Process | None:  # noqa: A002
        """Start a child that is stopped. Raises ChildError (not_found, running, restarting)."""
        return await self._submit(lambda: self._restart_child(id))

    async def delete_child(self, id: Any) -> None:  # noqa: A002
        """Forget a child that is stopped. Raises ChildError (not_found, running, restarting)."""
        await self._submit(lambda: self._delete_child(id))

    def which_children(self) -> list[ChildRow]:
        """(id, process or "restarting" or None, type, modules) of each, in order of starting.

        Read at once, also while the supervisor waits for a child to start or stop.
        """
        return [child_row(id, child) for id, child in self._children.items()]  # noqa: A001

    def count_children(self) -> dict[str, int]:
        """How many specs, active, supervisors and workers there are."""
        return child_counts(self._children.values())

    def get_childspec(self, id: Any) -> ChildSpec:  # noqa: A002
        """The spec of a child. Raises ChildError (not_found)."""
        return self._get(id).spec

    def which_child(self, id: Any) -> Process | None:  # noqa: A002
        """The process of a child, None while it has none. Raises ChildError (not_found)."""
        return self._get(id).process

    # Serving them.

    def _get(self, id: Any) -> Child:  # noqa: A002
        try:
            return self._children[id]
        except KeyError:
            known = ", ".join(repr(name) for name in self._children) or "none"
            raise ChildError(
                "not_found", f"no child has the id {id!r}; there are {known}"
            ) from None

    async def _start_child(self, spec: ChildSpec) -> Process | None:
        known = self._children.get(spec.id)
        if known is not None:
            if known.process is not None:
                raise ChildError(("already_started", known.process), f"as child {spec.id!r}")
            raise ChildError(
                "already_present", f"child {spec.id!r} is stopped: restart_child or delete_child it"
            )
        process = await self._start(spec)
        if process is not None or spec.restart != "temporary":
            self._children[spec.id] = Child(spec, process)
        return process

    async def _terminate_child(self, child: Child) -> None:
        await self._shut_down(child)
        if child.spec.restart == "temporary":
            self._children.pop(child.spec.id, None)

    async def _restart_child(self, id: Any) -> Process | None:  # noqa: A002
        child = self._stopped(id)
        child.process = await self._start(child.spec)
        if child.process is None and child.spec.restart == "temporary":
            del self._children[id]
        return child.process

    async def _delete_child(self, id: Any) -> None:  # noqa: A002
        self._stopped(id)
        del self._children[id]

    def _stopped(self, id: Any) -> Child:  # noqa: A002
        child = self._get(id)
        if child.restarting:
            raise ChildError("restarting", f"child {id!r} is about to be restarted")
        if child.process is not None:
            raise ChildError("running", f"child {id!r} is {child.process!r}; terminate_child it")
        return child

    # Starting and stopping all.

    async def _init(self) -> Any:
        children = self.init(*self._init_arguments)
        if isawaitable(children):
            children = await children
        if children is not IGNORE:
            _check_flags(self.strategy, self.auto_shutdown)
            specs = check_childspecs(children, self.auto_shutdown)
            self._children = {spec.id: Child(spec) for spec in specs}
        return children

    async def _start_all(self) -> Any:
        if type(self).init is not Supervisor.init and await self._init() is IGNORE:
            return IGNORE
        try:
            await self._start_children(list(self._children.values()))
        except _FailedToStartError as failed:
            child, reason = failed.child, failed.reason
            supervisor_report(self, "start_error", reason, child.spec.offender(None))
            self._ending = True
            await self._stop_all()
            raise StartError(
                (SHUTDOWN, ("failed_to_start_child", child.spec.id, reason))
            ) from failed.__cause__

    async def _start_children(self, children: list[Child]) -> None:
        for child in children:
            try:
                child.process = await self._start(child.spec)
            except StartError as failure:
                raise _FailedToStartError(child, failure.reason) from failure
            if child.process is None and child.spec.restart == "temporary":
                self._children.pop(child.spec.id, None)

    async def _stop_all(self) -> None:
        await self._terminate(list(self._children.values()))

    async def _terminate(self, children: list[Child]) -> None:
        for child in reversed(children):
            await self._terminate_child(child)

    # The end of a child.

    async def _child_ended(self, process: Process, reason: Reason) -> None:
        child = next((c for c in self._children.values() if c.process is process), None)
        if child is None:
            return
        restart = child.spec.restart
        if is_orderly(reason) and restart != "permanent":
            await self._child_done(child)
            return
        supervisor_report(self, "child_terminated", reason, child.spec.offender(process))
        if restart == "temporary":
            await self._child_done(child)
        else:
            await self._restart(child)

    async def _child_done(self, child: Child) -> None:
        child.process = None
        if child.spec.restart == "temporary":
            self._children.pop(child.spec.id, None)
        if not child.spec.significant:
            return
        if self.auto_shutdown == "any_significant" or not any(
            other.spec.significant and (other.process is not None or other.restarting)
            for other in self._children.values()
        ):
            await self._finish(SHUTDOWN)

    async def _restart(self, child: Child) -> None:
        if not self._may_restart(child):
            offender, child.process, child.restarting = child.process, None, False
            await self._give_up(Child(child.spec, offender))
            return
        child.process, child.restarting = None, False
        try:
            await self._start_children(await _SCOPE[self.strategy](self, child))
        except _FailedToStartError as failed:
            pending = failed.child
            pending.process, pending.restarting = None, True
            supervisor_report(self, "start_error", failed.reason, pending.spec.offender(None))
            self._request(lambda: self._try_again(pending))

    async def _try_again(self, child: Child) -> None:
        # No delay, but a turn of the loop: what others asked meanwhile is served first.
        await asyncio.sleep(0)
        if child.restarting and self._children.get(child.spec.id) is child:
            await self._restart(child)

    async def _only(self, child: Child) -> list[Child]:
        return [child]

    async def _rest(self, child: Child) -> list[Child]:
        children = list(self._children.values())
        index = children.index(child)
        await self._terminate(children[index + 1 :])
        return list(self._children.values())[index:]

    async def _everyone(self, child: Child) -> list[Child]:
        await self._terminate(list(self._children.values()))
        return list(self._children.values())


def _check_flags(strategy: Any, auto_shutdown: Any) -> None:
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy is one of {', '.join(STRATEGIES)}, got {strategy!r}")
    if auto_shutdown not in AUTO_SHUTDOWNS:
        raise ValueError(
            f"auto_shutdown is one of {', '.join(AUTO_SHUTDOWNS)}, got {auto_shutdown!r}"
        )


class _FailedToStartError(Exception):
    def __init__(self, child: Child, reason: Reason) -> None:
        super().__init__(child.spec.id, reason)
        self.child = child
        self.reason = reason


# What a strategy stops and then starts when a child has to be restarted.
_SCOPE: Final[dict[str, Callable[[Supervisor, Child], Any]]] = {
    "one_for_one": Supervisor._only,
    "rest_for_one": Supervisor._rest,
    "one_for_all": Supervisor._everyone,
}
