"""Process: a record with a pid and a parent that takes part in exit signals.

A *record process* has no Task: it is whatever object inherits from `Process` (a connection is its
`asyncio.Protocol` and its process in one). `task_process.TaskProcess` adds code of its own.

Creating one is an object and an entry in `parent.children`; that entry is its link to the parent.
Ending one that nobody linked or monitors is the deletion of that entry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextvars import Context, ContextVar, copy_context
from types import MappingProxyType
from typing import Any

from acceptors.otp import signals
from acceptors.otp.callers import acting_for
from acceptors.otp.errors import BadArgumentError, NoProcessError
from acceptors.otp.mailbox import Mailbox
from acceptors.otp.pid import ALIAS_MODES, Alias, AliasMode, Pid, Reference, next_serial
from acceptors.otp.reasons import KILLED, NOPROC, NORMAL, Reason, is_kill, is_normal
from acceptors.otp.reports import logger
from acceptors.otp.wiring import Wiring

_current: ContextVar[Process | None] = ContextVar("process", default=None)


def nobodys_context() -> Context:
    """A copy of the calling context in which `self()` is nobody: for callbacks that are registered
    by one process and run for whatever comes."""
    context = copy_context()
    context.run(_current.set, None)
    context.run(acting_for.set, None)
    return context


class Process(Mailbox):
    """A process without a Task. Subclasses add `__slots__` and override the hooks.

    pid: unique in this worker, prints as `<0.17>`.
    parent: the process whose `children` holds this one; `root` when none was given.
    alive: False as soon as its links and monitors are told.
    exit_reason: None while it runs; set once it is asked to end, and never changed but by `kill`.

    Hooks: `_signalled` (asked to end), `_killed` (was killed), `_message`, `_exit_message`.
    """

    __slots__ = ("_serial", "_wiring", "alive", "exit_reason", "parent")

    def __init__(self, parent: ParentProcess | None = None) -> None:
        if parent is None:
            parent = root
        elif not parent.alive:
            raise NoProcessError(parent)
        # A plain int here: making the printable Pid for every connection costs as much again.
        self._serial = serial = next_serial()
        self.parent = parent
        self.alive = True
        self.exit_reason: Reason = None
        self._wiring: Wiring | None = None
        try:
            parent.children[serial] = self
        except TypeError:
            parent._first_child(self)

    def __repr__(self) -> str:
        title = self.name or self.label
        return f"{self.pid}({title})" if title else f"{self.pid}"

    # Identity.

    @property
    def pid(self) -> Pid:
        """The number of this process, unique in its worker; equal to its key in `children`."""
        return Pid(self._serial)

    @property
    def name(self) -> str | None:
        """The name of `register(name, process)`, or None."""
        return self._wiring.name if self._wiring is not None else None

    @property
    def label(self) -> str | None:
        """What an observer shows for a process without a name; subclasses may compute it."""
        return self._wiring.label if self._wiring is not None else None

    @label.setter
    def label(self, label: str | None) -> None:
        self._wire().label = label

    @property
    def trap_exit(self) -> bool:
        """Whether exit signals arrive as messages `("EXIT", process, reason)`; False at first."""
        return self._wiring is not None and self._wiring.trap_exit

    @trap_exit.setter
    def trap_exit(self, trap: bool) -> None:
        self._wire().trap_exit = trap

    @property
    def links(self) -> list[Process]:
        """The processes of `link()`; the link with the parent is not listed."""
        return list((self._wiring.links if self._wiring is not None else None) or ())

    @property
    def monitors(self) -> list[Reference]:
        """The monitors that others hold on this process."""
        return list((self._wiring.watchers if self._wiring is not None else None) or ())

    def ancestors(self) -> list[Process]:
        """Parent, grandparent, ... up to and without the root."""
        found: list[Process] = []
        process = self.parent
        while process is not root:
            found.append(process)
            process = process.parent
        return found

    def context(self) -> Context:
        """A copy of the calling context in which `self()` is this process.

        Give it to the Task that runs code for a record process. It is fresh every time: an eager
        Task in a context that is already entered corrupts the loop (gh-157301).
        """
        context = copy_context()
        context.run(_current.set, self)
        return context

    def snapshot(self) -> dict[str, Any]:
        """What an observer shows of this process; plain values, made on demand."""
        return {
            "pid": str(self.pid),
            "parent": str(self.parent.pid),
            "name": self.name,
            "label": self.label,
            "kind": type(self).__name__,
            "state": "running" if self.exit_reason is None else "exiting",
            "trap_exit": self.trap_exit,
            "links": [str(link.pid) for link in self.links],
            "monitors": len(self.monitors),
            "message_queue_length": self.message_queue_length,
        }

    # Links and monitors.

    def link(self, other: Process) -> bool:
        """Link this process and `other`: when one ends, the other is signalled. Always True.

        Raises NoProcessError when `other` is dead, unless this process traps exits: then it gets
        `("EXIT", other, "noproc")`.
        """
        _expect_process(other)
        if other is self:
            return True
        if not other.alive:
            if not self.trap_exit:
                raise NoProcessError(other)
            self._exit_message(other, NOPROC)
            return True
        if other is self.parent or other.parent is self:
            return True  # that is a link already
        mine, theirs = self._wire(), other._wire()
        if mine.links is None:
            mine.links = {}
        if theirs.links is None:
            theirs.links = {}
        mine.links[other] = None
        theirs.links[self] = None
        return True

    def unlink(self, other: Process) -> bool:
        """Remove both ends of the link with `other`, if there is one. Always True.

        An EXIT message that is already in the mailbox stays there.
        """
        _expect_process(other)
        for one, two in ((self, other), (other, self)):
            if one._wiring is not None and one._wiring.links is not None:
                one._wiring.links.pop(two, None)
            parent = one.parent
            if parent is two and one.alive and parent is not root:
                one._move(root)
                parent._child_left(one)
        return True

    def monitor(
        self, target: Process, name: Any = None, *, alias: AliasMode | None = None
    ) -> Reference:
        """Be told of the end of `target` by `("DOWN", reference, "process", target, reason)`.

        Never raises for a dead target: the message comes at once, with reason `noproc`. With
        `name` the message names that instead of the process; with `alias` the reference is an
        `Alias` of that mode.
        """
        _expect_process(target)
        reference = Reference(self._serial) if alias is None else self.alias(alias)
        if not target.alive:
            if isinstance(reference, Alias):
                reference._monitor_ended()
            self._message(("DOWN", reference, "process", name or target, NOPROC))
            return reference
        target._watch(reference, self, name)
        wiring = self._wire()
        if wiring.monitoring is None:
            wiring.monitoring = {}
        wiring.monitoring[reference] = target
        return reference

    def monitor_absent(self, name: Any) -> Reference:
        """What monitoring a name does that nobody has: the DOWN comes at once, with `noproc`."""
        reference = Reference(self._serial)
        self._message(("DOWN", reference, "process", name, NOPROC))
        return reference

    def alias(self, mode: AliasMode = "explicit_unalias") -> Alias:
        """A reference by which `send` reaches this process until `unalias`; see `pid.Alias`.

        Raises BadArgumentError for an unknown mode.
        """
        if mode not in ALIAS_MODES:
            raise BadArgumentError(f"alias is one of {', '.join(ALIAS_MODES)}, got {mode!r}")
        return Alias(self, mode)

    def unalias(self, alias: Alias) -> bool:
        """End an alias of this process: what is sent to it is dropped. False when it was over.

        Raises BadArgumentError for an alias of another process.
        """
        if alias.owner != self._serial:
            raise BadArgumentError(f"{alias!r} is an alias of another process than {self!r}")
        active = alias.process is not None
        alias.process = None
        return active

    def demonitor(self, reference: Reference, *, flush: bool = False) -> bool:
        """Stop a monitor of this process: no DOWN comes after this returns.

        `flush=True` also removes a DOWN that is already in the mailbox. Returns False when the
        monitor had already fired. Raises BadArgumentError for a monitor of another process.
        """
        wiring = self._wiring
        target = None
        if wiring is not None and wiring.monitoring is not None:
            target = wiring.monitoring.pop(reference, None)
        if target is not None:
            target._unwatch(reference)
        elif reference.owner != self._serial:
            raise BadArgumentError(f"{reference!r} is a monitor of another process than {self!r}")
        if isinstance(reference, Alias):
            reference._monitor_ended()
        if flush:
            self._remove_message(lambda message: _is_down(message, reference))
        return target is not None

    async def join(self) -> Reason:
        """Wait for the end of this process and return its exit reason (`noproc` if it is over)."""
        future: asyncio.Future[Reason] = asyncio.get_running_loop().create_future()
        reference = self.watch(future.set_result)
        try:
            return await future
        finally:
            self.unwatch(reference)

    def watch(self, callback: Callable[[Reason], object]) -> Reference:
        """Have `callback(reason)` called once when this process ends, unless `unwatch` comes first.

        For a dead process it is called at once, with `noproc`. It runs among the exit signals: it
        must be short and not raise.
        """
        reference = Reference(self._serial)
        if self.alive:
            self._watch(reference, callback, None)
        else:
            callback(NOPROC)
        return reference

    def unwatch(self, reference: Reference) -> None:
        """Undo `watch`."""
        self._unwatch(reference)

    # Hooks for subclasses.

    def _signalled(self, reason: Reason) -> None:
        """An exit signal that ends this process came (`shutdown`, the crash of a link, ...).

        `exit_reason` is set. End now or later (a connection drains first) by calling `_exited`.
        """
        self._exited(reason)

    def _killed(self) -> None:
        """This process was killed: links and monitors know already; let go of everything now."""

    def _exit_message(self, source: Process, reason: Reason) -> None:
        """An exit signal was trapped."""
        self._message(("EXIT", source, reason))

    def _exit_self(self, reason: Reason) -> None:
        """Hook: code of this process sends it an exit signal that ends it. Either does not return,
        or leaves it to the signal."""

    def _still_runs(self) -> bool:
        """Hook: whether code of this process goes on although it is dead."""
        return False

    # The end.

    def _exited(self, reason: Reason = NORMAL) -> None:
        """This process is over: free its names, tell links, monitors and parent. Idempotent.

        The reason of an exit signal that came before counts, not `reason`.
        """
        if not self.alive:
            return
        self.alive = False
        if self.exit_reason is None:
            self.exit_reason = reason
        if self._wiring is not None:
            self._announce(self._wiring)
        parent = self.parent
        del parent.children[self._serial]
        try:
            parent._child_exited(self, self.exit_reason)
        except Exception:
            logger.exception("%r failed while it was told of the end of %r", parent, self)

    def _announce(self, wiring: Wiring) -> None:
        # Names go first: whoever hears of the death must find the name free (table O3).
        if wiring.name is not None:
            names.pop(wiring.name, None)
        for registry, key in wiring.registrations or ():
            try:
                registry._forget(self, key)
            except Exception:  # a key whose __eq__ raises, a listener that fails
                logger.exception("%r failed while it forgot %r", registry, self)
        for reference, target in (wiring.monitoring or {}).items():
            target._unwatch(reference)
        links, watchers = wiring.links, wiring.watchers
        reason = self.exit_reason
        wiring.links = wiring.watchers = wiring.monitoring = wiring.mailbox = None
        for reference, (watcher, name) in (watchers or {}).items():
            try:
                if isinstance(watcher, Process):
                    if watcher._wiring is not None and watcher._wiring.monitoring is not None:
                        watcher._wiring.monitoring.pop(reference, None)
                    if isinstance(reference, Alias):
                        reference._monitor_ended()
                    watcher._message(("DOWN", reference, "process", name or self, reason))
                else:
                    watcher(reason)
            except Exception:
                # One watcher failed; the others, the links and the parent still have to hear.
                logger.exception("%r failed while it was told of the end of %r", watcher, self)
        if links:
            signals.post_links([(signals.LINK, self, other, reason) for other in links])

    def _receive_exit(self, kind: int, source: Process, reason: Reason) -> None:
        """The decision procedure of exit signals, in the order of erl_proc_sig_queue.c."""
        if not self.alive:
            return
        wiring = self._wiring
        if kind == signals.LINK:
            if wiring is None or not wiring.links or source not in wiring.links:
                return
            del wiring.links[source]
        elif kind == signals.PARENT:
            if self.parent is not source:
                return
            self._move(root)
        killing = kind == signals.EXIT and is_kill(reason)
        if killing:
            self.exit_reason = KILLED
            self._exited(KILLED)
            self._killed()
        elif self.exit_reason is not None:
            return  # it is ending: it takes no more signals, the first reason stays (E12)
        elif wiring is not None and wiring.trap_exit:
            self._exit_message(source, reason)
        elif is_normal(reason) and (kind != signals.EXIT or source is not self):
            return
        else:
            self.exit_reason = reason
            self._signalled(reason)

    # Wiring.

    def _wire(self) -> Wiring:
        wiring = self._wiring
        if wiring is None:
            wiring = self._wiring = Wiring()
        return wiring

    def _move(self, parent: ParentProcess) -> None:
        self.parent.children.pop(self._serial, None)
        self.parent = parent
        try:
            parent.children[self._serial] = self
        except TypeError:
            parent._first_child(self)

    def _watch(
        self, reference: Reference, watcher: Process | Callable[[Reason], object], name: Any
    ) -> None:
        wiring = self._wire()
        if wiring.watchers is None:
            wiring.watchers = {}
        wiring.watchers[reference] = (watcher, name)

    def _unwatch(self, reference: Reference) -> None:
        if self._wiring is not None and self._wiring.watchers is not None:
            self._wiring.watchers.pop(reference, None)


NO_CHILDREN: dict[int, Process] = MappingProxyType({})  # type: ignore[assignment]
"""What a process without children may have as `children`: a dict of its own is made for the first
one. It can't be changed, so nobody is put there by mistake."""


class ParentProcess(Process):
    """A process that others are children of: a supervisor, or the root.

    children: the living processes whose parent this is, by pid, oldest first.
    """

    __slots__ = ("children",)

    def __init__(self, parent: ParentProcess | None = None) -> None:
        self.children: dict[int, Process] = {}
        super().__init__(parent)

    def _first_child(self, child: Process) -> None:
        # It had NO_CHILDREN. With a wiring its end is not that of a process which nobody knows.
        self.children = {child._serial: child}
        self._wire()

    def _child_exited(self, child: Process, reason: Reason) -> None:
        """Hook: `child` ended and is no longer among the children."""

    def _linked_child_exited(self, child: Process, reason: Reason) -> None:
        """What a parent that is no supervisor does in `_child_exited`: as a link does (table L)."""
        if not self.alive or self.exit_reason is not None:
            return
        if self.trap_exit:
            self._exit_message(child, reason)
        elif not is_normal(reason):
            self.exit_reason = reason
            self._signalled(reason)

    def _child_left(self, child: Process) -> None:
        """Hook: `child` unlinked itself from this process and lives on under the root."""

    def _stops(self, child: Process) -> bool:
        """Hook: whether this process is stopping `child` and sets its time limit itself."""
        return False

    def _announce_children(self) -> None:
        if self.children:
            reason = self.exit_reason
            signals.post_links(
                [(signals.PARENT, self, child, reason) for child in self.children.values()]
            )

    def _exited(self, reason: Reason = NORMAL) -> None:
        if self.alive:
            super()._exited(reason)
            self._announce_children()


class _Root(ParentProcess):
    # The top of this worker's tree: not a process to be ended, linked or written to.
    __slots__ = ()

    def __init__(self) -> None:
        self.children = {}
        self._serial = 0
        self.parent = self
        self.alive = True
        self.exit_reason = None
        self._wiring = None

    def _receive_exit(self, kind: int, source: Process, reason: Reason) -> None:
        pass

    def _message(self, message: Any) -> None:
        pass


root = _Root()
"""The parent of every process that was given none."""

names: dict[str, Process] = {}
"""The registered names of this worker; see `names.register`."""


def processes(top: ParentProcess = root) -> Iterator[Process]:
    """Every living process under `top`, parents before children. Safe to read from a thread."""
    waiting: list[ParentProcess] = [top]
    while waiting:
        # A copy: the loop may add and remove while an observer's thread walks (P10).
        for process in list(waiting.pop().children.values()):
            yield process
            if isinstance(process, ParentProcess):
                waiting.append(process)


def _expect_process(process: object) -> None:
    if not isinstance(process, Process):
        raise BadArgumentError(
            f"a Process is needed, got {process!r}; look a name up with whereis(name) first"
        )


def _is_down(message: Any, reference: Reference) -> bool:
    return (
        isinstance(message, tuple)
        and len(message) == 5
        and isinstance(message[0], str)
        and message[0] == "DOWN"
        and message[1] is reference
    )
