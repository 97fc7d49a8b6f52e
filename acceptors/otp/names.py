"""Names: a process can be registered under a name, and reached by it.

A destination, wherever one is taken, is a Process, a registered name, or `via(registry, key)`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeAlias

from acceptors.otp.errors import BadArgumentError
from acceptors.otp.process import Process, names


class NameRegistry(Protocol):
    """What `via` needs of a registry (`registry.Registry` is one)."""

    def whereis_name(self, key: Any) -> Process | None:
        """The process that holds `key`."""

    def register_name(self, key: Any, process: Process) -> bool:
        """Give `key` to `process`; False when it is taken."""


class Via(NamedTuple):
    """The name `key` in `registry`; made by `via`."""

    registry: NameRegistry
    key: Any


Destination: TypeAlias = "Process | str | Via"


def via(registry: NameRegistry, key: Any) -> Via:
    """A name that is looked up in `registry`, as Elixir's `{:via, Registry, {registry, key}}`."""
    return Via(registry, key)


def register(name: str | Via, process: Process) -> bool:
    """Give `process` the name; always True.

    Raises BadArgumentError when the name is taken, the process is dead, or it has a name already.
    """
    if isinstance(name, Via):
        if not name.registry.register_name(name.key, process):
            raise BadArgumentError(f"{name.key!r} is registered already")
        return True
    if not name:
        raise BadArgumentError(f"a name is a string that is not empty, got {name!r}")
    if name in names:
        raise BadArgumentError(f"the name {name!r} is taken by {names[name]!r}")
    if not process.alive:
        raise BadArgumentError(f"{process!r} is not alive and cannot be named {name!r}")
    if process.name is not None:
        raise BadArgumentError(f"{process!r} already has a name; unregister({process.name!r})")
    process._wire().name = name
    names[name] = process
    return True


def unregister(name: str) -> bool:
    """Free the name; always True. Raises BadArgumentError when nobody has it."""
    process = names.pop(name, None)
    if process is None:
        raise BadArgumentError(f"nothing is registered as {name!r}")
    process._wire().name = None
    return True


def registered() -> list[str]:
    """All registered names."""
    return sorted(names)


def whereis(destination: Destination) -> Process | None:
    """The living process that is registered so, or None."""
    if isinstance(destination, Process):
        return destination if destination.alive else None
    if isinstance(destination, Via):
        return destination.registry.whereis_name(destination.key)
    return names.get(destination)
