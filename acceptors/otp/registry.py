"""Registry: processes by key, with a value each. Source: Elixir's Registry."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final, Literal

from acceptors.otp.child_spec import ChildSpec
from acceptors.otp.errors import BadArgumentError
from acceptors.otp.mailbox import matches
from acceptors.otp.process import ParentProcess, Process
from acceptors.otp.reasons import NORMAL, Reason
from acceptors.otp.starting import check_free, take_name
from acceptors.otp.supervision import attach, caller_and_parent
from acceptors.otp.task_process import self as calling_process

KEYS: Final = ("unique", "duplicate")


class AlreadyRegisteredError(BadArgumentError):
    """The unique key is held by `process`."""

    def __init__(self, key: Any, process: Process) -> None:
        super().__init__(f"{key!r} is registered by {process!r}")
        self.process = process


class Registry(Process):
    """Keys, each held by one process ("unique") or by any number ("duplicate").

    An entry is gone before anybody hears of the end of its process. Lookups are dict look-ups, in
    the caller: the registry is a process that owns the table and has no Task.
    """

    __slots__ = ("_entries", "_listeners", "keys_are", "meta")

    def __init__(
        self,
        keys: Literal["unique", "duplicate"] = "unique",
        *,
        listeners: tuple[Process, ...] = (),
        parent: ParentProcess | None = None,
    ) -> None:
        if keys not in KEYS:
            raise ValueError(f"keys are 'unique' or 'duplicate', got {keys!r}")
        super().__init__(parent)
        self.keys_are = keys
        self.meta: dict[Any, Any] = {}
        self._listeners = listeners
        self._entries: dict[Hashable, dict[Process, Any]] = {}

    @classmethod
    async def start_link(
        cls,
        keys: Literal["unique", "duplicate"] = "unique",
        *,
        name: str | None = None,
        listeners: tuple[Process, ...] = (),
    ) -> Registry:
        """Start a registry linked with the caller."""
        check_free(name)
        caller, parent = caller_and_parent(link=True)
        registry = cls(keys, listeners=listeners, parent=parent)
        registry.label = cls.__name__
        take_name(name, registry)
        if caller is not None:
            attach(registry, caller)
        return registry

    @classmethod
    def child_spec(cls, keys: Literal["unique", "duplicate"], **options: Any) -> ChildSpec:
        """A registry as a child; start it before those who register."""
        return ChildSpec(
            id=options.get("name") or cls.__name__,
            start=cls.start_link,
            args=(keys,),
            kwargs=options,
            type="supervisor",
            modules=(cls,),
        )

    def register(self, key: Hashable, value: Any = None, process: Process | None = None) -> None:
        """Enter `process` (default: the caller) under `key` with `value`.

        A duplicate registry keeps one entry of a process for each key: entering it again replaces
        the value. Raises AlreadyRegisteredError when the key is unique and held.
        """
        if process is None:
            process = calling_process()
        if not process.alive:
            raise BadArgumentError(f"{process!r} is not alive and cannot be registered")
        if not self.alive:
            raise BadArgumentError(f"the registry {self!r} is over")
        entries = self._entries.setdefault(key, {})
        if self.keys_are == "unique" and entries:
            holder = next(iter(entries))
            raise AlreadyRegisteredError(key, holder)
        if process not in entries:
            wiring = process._wire()
            if wiring.registrations is None:
                wiring.registrations = []
            wiring.registrations.append((self, key))
        entries[process] = value
        self._tell("register", key, process, value)

    def unregister(self, key: Hashable, process: Process | None = None) -> None:
        """Remove the entry of `process` (default: the caller) under `key`, if there is one."""
        if process is None:
            process = calling_process()
        registrations = process._wire().registrations
        if registrations and (self, key) in registrations:
            registrations.remove((self, key))
            self._forget(process, key)

    def lookup(self, key: Hashable) -> list[tuple[Process, Any]]:
        """The (process, value) of each entry under `key`."""
        return list(self._entries.get(key, {}).items())

    def keys(self, process: Process | None = None) -> list[Hashable]:
        """The keys of `process` (default: the caller)."""
        wiring = (process or calling_process())._wiring
        registrations = (wiring.registrations if wiring is not None else None) or []
        return [key for registry, key in registrations if registry is self]

    def values(self, key: Hashable, process: Process) -> list[Any]:
        """The value of `process` under `key`, as a list of one or none."""
        entries = self._entries.get(key, {})
        return [entries[process]] if process in entries else []

    def update_value(self, key: Hashable, change: Callable[[Any], Any]) -> Any:
        """Replace the caller's value under `key` by `change(value)`; returns it."""
        entries = self._entries.get(key, {})
        process = calling_process()
        if process not in entries:
            raise BadArgumentError(f"{process!r} has no entry under {key!r}")
        entries[process] = value = change(entries[process])
        return value

    def dispatch(self, key: Hashable, function: Callable[[list[tuple[Process, Any]]], Any]) -> None:
        """Call `function(entries)` once with the entries under `key`, if there are any.

        Publish and subscribe: `dispatch("news", lambda all: [send(p, "hi") for p, _ in all])`.
        """
        entries = self.lookup(key)
        if entries:
            function(entries)

    def select(self, wanted: Callable[[Any, Process, Any], bool]) -> list[tuple[Any, Process, Any]]:
        """All (key, process, value) for which `wanted(key, process, value)` is true."""
        return [
            (key, process, value)
            for key, entries in self._entries.items()
            for process, value in entries.items()
            if wanted(key, process, value)
        ]

    def match(
        self, key: Hashable, pattern: Any, wanted: Callable[[Any], bool] | None = None
    ) -> list[tuple[Process, Any]]:
        """The (process, value) under `key` whose value has the shape of `pattern`.

        pattern: as in `receive`, see `mailbox.matches`. wanted: what must be true of the value too.
        """
        return [
            (process, value)
            for process, value in self.lookup(key)
            if matches(pattern, value) and (wanted is None or wanted(value))
        ]

    def count_match(self, key: Hashable, pattern: Any) -> int:
        """How many entries `match` finds."""
        return len(self.match(key, pattern))

    def unregister_match(self, key: Hashable, pattern: Any, process: Process | None = None) -> bool:
        """`unregister`, if the value of `process` (default: the caller) has the shape of `pattern`.

        True when there was such an entry.
        """
        if process is None:
            process = calling_process()
        found = any(holder is process for holder, _ in self.match(key, pattern))
        if found:
            self.unregister(key, process)
        return found

    def count(self) -> int:
        """How many entries there are."""
        return sum(map(len, self._entries.values()))

    def whereis_name(self, key: Hashable) -> Process | None:
        """The process that holds `key`; what `via(registry, key)` asks."""
        if self.keys_are != "unique":
            raise BadArgumentError("via needs a registry of unique keys")
        return next(iter(self._entries.get(key, ())), None)

    def register_name(self, key: Hashable, process: Process) -> bool:
        """Enter `process` under `key`; False when it is held."""
        if self.whereis_name(key) is not None:
            return False
        self.register(key, None, process)
        return True

    def _forget(self, process: Process, key: Hashable) -> None:
        entries = self._entries.get(key)
        if entries is not None and process in entries:
            del entries[process]
            if not entries:
                del self._entries[key]
            self._tell("unregister", key, process, None)

    def _tell(self, event: str, key: Hashable, process: Process, value: Any) -> None:
        for listener in self._listeners:
            if listener.alive:
                listener._message((event, self, key, process, value))

    def _exited(self, reason: Reason = NORMAL) -> None:
        if self.alive:
            for entries in self._entries.values():
                for process in entries:
                    wiring = process._wiring
                    if wiring is not None and wiring.registrations:
                        wiring.registrations = [
                            entry for entry in wiring.registrations if entry[0] is not self
                        ]
            self._entries = {}
            super()._exited(reason)
