"""ChildSpec: how a supervisor starts, restarts and stops one child."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from acceptors.otp.reports import logger
from acceptors.otp.task_process import call_name, spawn_link

Restart: TypeAlias = Literal["permanent", "transient", "temporary"]
Shutdown: TypeAlias = float | Literal["infinity", "brutal_kill"]
ChildType: TypeAlias = Literal["worker", "supervisor"]
AutoShutdown: TypeAlias = Literal["never", "any_significant", "all_significant"]

RESTARTS: Final = ("permanent", "transient", "temporary")
CHILD_TYPES: Final = ("worker", "supervisor")
WORKER_SHUTDOWN: Final = 5.0


class _Ignore:
    __slots__ = ()

    def __repr__(self) -> str:
        return "IGNORE"


IGNORE: Final = _Ignore()
"""What a start function or `GenServer.init` returns to say: run nothing, and that is fine."""


class ChildSpecError(ValueError):
    """A child spec says something that no supervisor can do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """One child of a supervisor.

    id: names the child within its supervisor; any hashable.
    start: called with `args` and `kwargs` in the supervisor's process; sync or async; returns the
        child's Process when the child is ready, or IGNORE, or raises.
    restart: `permanent` always, `transient` after an abnormal end, `temporary` never.
    shutdown: seconds between the exit signals `shutdown` and `kill`, or "infinity", or
        "brutal_kill". None means 5.0 for a worker and "infinity" for a supervisor.
    type: "worker" or "supervisor".
    significant: its own end can end the supervisor, see `auto_shutdown`; never when permanent.
    modules: classes or names shown by `which_children`.
    Source: supervisor(3), child_spec().
    """

    id: Any
    start: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    restart: Restart = "permanent"
    shutdown: Shutdown | None = None
    type: ChildType = "worker"
    significant: bool = False
    modules: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        if not callable(self.start):
            raise ChildSpecError(f"child {self.id!r}: start is a function, got {self.start!r}")
        if self.restart not in RESTARTS:
            raise ChildSpecError(_one_of(self.id, "restart", self.restart, RESTARTS))
        if self.type not in CHILD_TYPES:
            raise ChildSpecError(_one_of(self.id, "type", self.type, CHILD_TYPES))
        shutdown = self.shutdown
        if shutdown is None:
            shutdown = "infinity" if self.type == "supervisor" else WORKER_SHUTDOWN
            object.__setattr__(self, "shutdown", shutdown)
        elif shutdown not in ("infinity", "brutal_kill") and not (
            isinstance(shutdown, int | float) and not isinstance(shutdown, bool) and shutdown >= 0
        ):
            raise ChildSpecError(
                f"child {self.id!r}: shutdown is seconds, 'infinity' or 'brutal_kill', "
                f"got {self.shutdown!r}"
            )
        if self.significant and self.restart == "permanent":
            raise ChildSpecError(
                f"child {self.id!r}: a permanent child cannot be significant, since it never ends "
                "by itself; make it transient or temporary"
            )

    def offender(self, process: Any) -> dict[str, Any]:
        """The fields of this child in a report."""
        return {
            "id": self.id,
            "pid": None if process is None else process.pid,
            "start": call_name(self.start),
            "restart": self.restart,
            "shutdown": self.shutdown,
            "significant": self.significant,
            "type": self.type,
        }


class Childlike:
    """A class that says how it is supervised: `class Cache(GenServer, restart="transient")`.

    The keywords are fields of ChildSpec (Elixir: `use GenServer, restart: :transient`); subclasses
    inherit them, and `child_spec(Cache, restart=...)` still overrides.
    """

    __slots__ = ()

    _child_fields: Mapping[str, Any] = {}

    def __init_subclass__(cls, **fields: Any) -> None:
        super().__init_subclass__()
        if fields:
            cls._child_fields = {**cls._child_fields, **_known(fields)}
            if "start" not in fields and "id" not in fields:
                ChildSpec(id=cls.__name__, start=cls, **fields)  # a bad field is told here


FIELDS: Final = tuple(spec_field.name for spec_field in dataclasses.fields(ChildSpec))


def child_spec(child: Any, **overrides: Any) -> ChildSpec:
    """Make a ChildSpec of what stands in a list of children.

    A ChildSpec; a dict of its fields; a class with `child_spec` (GenServer, Agent, Supervisor,
    Registry, ...); `(Class, *arguments)`; or an async function, which becomes `worker(function)`.
    `overrides` replace fields: `child_spec((Cache, 10), id="small")`.
    Raises ChildSpecError.
    """
    spec = _to_spec(child)
    return dataclasses.replace(spec, **_known(overrides)) if overrides else spec


def worker(function: Callable[..., Any], *args: Any, **fields: Any) -> ChildSpec:
    """A child that runs `function(*args)` as its process; `fields` are those of ChildSpec."""
    defaults: dict[str, Any] = {
        "id": getattr(function, "__name__", None) or call_name(function),
        "start": spawn_link,
        "args": (function, *args),
        "modules": (call_name(function),),
    }
    return ChildSpec(**{**defaults, **_known(fields)})


def check_childspecs(children: Iterable[Any], auto_shutdown: str = "never") -> list[ChildSpec]:
    """The specs of `children`, when a supervisor could have them all.

    Raises ChildSpecError for a bad spec, an id that comes twice, and a significant child under
    `auto_shutdown="never"`. Warns of a supervisor that may be killed half way through its shutdown.
    """
    specs: list[ChildSpec] = []
    seen: set[Any] = set()
    for child in children:
        spec = child_spec(child)
        check_significant(spec, auto_shutdown)
        if spec.id in seen:
            raise ChildSpecError(
                f"two children have the id {spec.id!r}; give one another id: "
                "child_spec(child, id=...)"
            )
        seen.add(spec.id)
        if spec.type == "supervisor" and spec.shutdown != "infinity":
            logger.warning(
                "child %r is a supervisor with shutdown %r: its children may be killed",
                spec.id,
                spec.shutdown,
            )
        specs.append(spec)
    return specs


def check_significant(spec: ChildSpec, auto_shutdown: str) -> None:
    """Raise ChildSpecError (OTP's bad_combination) for significant without auto_shutdown."""
    if spec.significant and auto_shutdown == "never":
        raise ChildSpecError(
            f"child {spec.id!r} is significant, but the supervisor has auto_shutdown='never'; "
            "use 'any_significant' or 'all_significant'"
        )


def _to_spec(child: Any) -> ChildSpec:
    if isinstance(child, ChildSpec):
        return child
    if isinstance(child, Mapping):
        return ChildSpec(**_known(child))
    if isinstance(child, tuple) and child:
        subject, *args = child
    else:
        subject, args = child, []
    maker = getattr(subject, "child_spec", None)
    if maker is not None:
        spec = maker(*args)
        if not isinstance(spec, ChildSpec):
            raise ChildSpecError(f"{call_name(subject)}.child_spec returned {spec!r}, no ChildSpec")
        return spec
    if callable(subject) and not isinstance(subject, type):
        return worker(subject, *args)
    raise ChildSpecError(
        f"a child is a ChildSpec, a class with child_spec, (Class, *arguments) or an async "
        f"function, got {child!r}"
    )


def _known(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in fields:
        if name not in FIELDS:
            close = difflib.get_close_matches(name, FIELDS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(FIELDS)}"
            raise ChildSpecError(f"a child spec has no {name!r}{hint}")
    return fields


def _one_of(child: Any, what: str, got: Any, allowed: tuple[str, ...]) -> str:
    return f"child {child!r}: {what} is one of {', '.join(allowed)}, got {got!r}"
