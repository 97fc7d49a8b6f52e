"""A row of plugs becomes one function, made once.

The function calls one plug after the other, as long as each gives the conn back at once: no
coroutine, no Task. The first plug that gives an awaitable turns the rest of that one request into
a coroutine.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import CoroutineType
from typing import Any

from plugpy.conn.conn import Conn
from plugpy.conn.errors import PlugError
from plugpy.pipeline.codegen import build
from plugpy.pipeline.order import check_order, warn_of_order
from plugpy.pipeline.steps import Step, as_step, describe

Plug = Callable[[Conn], Conn | Awaitable[Conn]]
"""A plug that is ready to be called."""

Application = Callable[[Conn], Conn | Awaitable[Conn]]
"""What a server calls with each request."""

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}

logger = logging.getLogger("plugpy.pipeline")


class Tail:
    """Source that ends a compiled pipeline, in place of a last plug: it must `return`.

    PERF: saves the router one function call per request.
    """

    __slots__ = ("lines", "values")

    def __init__(self, lines: Sequence[str], values: dict[str, Any]) -> None:
        self.lines = lines
        self.values = values


def trusted(application: Any) -> Any:
    """Mark a function as one that has checked what its plugs gave back."""
    application.checks_plugs = True
    return application


def with_parts(application: Any, parts: Iterable[Any]) -> Any:
    """Let a function tell of which plugs it is made, see plugpy.pipeline.parts."""
    application.parts = tuple(parts)
    return application


def compile_pipeline(
    plugs: Iterable[Any],
    *,
    log_on_halt: str | None = None,
    title: str = "pipeline",
    owner: Any = None,
    tail: Tail | None = None,
) -> Application:
    """One callable that runs `plugs` in order until one halts.

    plugs: callables, classes, pairs (plug, options) and Steps. A conn that comes in halted runs
    nothing. log_on_halt: a level ("debug", "info", "warning", "error", "critical") at which the
    logger plugpy.pipeline is told who halted. title: what the pipeline is called in tracebacks and
    logs. owner: where plugs that are names are looked up.
    The callable raises PlugError for a plug that gives back anything but the conn.
    Raises TypeError for what is no plug, ValueError for a wrong order or level.
    Source: Plug.Builder.compile/3.
    """
    level = log_level(log_on_halt)
    steps = [as_step(plug).made(owner) for plug in plugs]
    check_order([step.plug for step in steps])
    warn_of_order([step.plug for step in steps], title)
    parts = [step.plug for step in steps if not step.around]
    for index in range(len(steps) - 1, -1, -1):
        step = steps[index]
        if step.around:
            inner = _compile(steps[index + 1 :], level, title, tail)
            tail = None
            plug = step.plug(inner, **step.options)
            if not callable(plug):
                raise TypeError(f"wrap({describe(step.plug)}) gave {plug!r}, which is not a plug")
            del steps[index:]
            steps.append(Step(plug, {}))
            parts.append(plug)
    return with_parts(_compile(steps, level, title, tail), parts)  # type: ignore[no-any-return]


def log_level(name: str | None) -> int | None:
    """The number of a log level by its name. Raises ValueError."""
    if name is None:
        return None
    try:
        return LEVELS[name]
    except (KeyError, TypeError):
        raise ValueError(
            f"a log level is one of {', '.join(LEVELS)} or None, got {name!r}"
        ) from None


def _compile(
    steps: Sequence[Step], level: int | None, title: str, tail: Tail | None
) -> Application:
    plugs: list[Plug] = [step.plug for step in steps]
    rest = _Rest(plugs, level, title, tail)
    lines = ["def pipeline(conn):", "    if conn.halted:", "        return conn"]
    values: dict[str, Any] = {"resume": rest.resume, "log_halt": rest.log_halt}
    last = len(plugs) - 1
    halted = "return conn" if level is None else "return log_halt(conn, {index})"
    for index, plug in enumerate(plugs):
        values[f"plug_{index}"] = plug
        if index == last and tail is None and level is None and is_trusted(plug):
            lines.append(f"    return plug_{index}(conn)")
            break
        lines += [
            f"    result = plug_{index}(conn)",
            "    if result is not conn:",
            f"        return resume(conn, result, {index})",
        ]
        if index < last or tail is not None or level is not None:
            lines += ["    if conn.halted:", "        " + halted.format(index=index)]
    else:
        if tail is None:
            lines.append("    return conn")
        else:
            lines += ["    " + line for line in tail.lines]
            values.update(tail.values)
    application: Application = build("\n".join(lines) + "\n", "pipeline", title, values)
    application.__name__ = application.__qualname__ = title
    return trusted(application)  # type: ignore[no-any-return]


def is_trusted(plug: Any) -> bool:
    """Whether `plug` checks itself that a conn comes back."""
    return getattr(plug, "checks_plugs", False) is True


class _Rest:
    """The part of a compiled pipeline that is not on the straight way."""

    __slots__ = ("level", "plugs", "tail", "title")

    def __init__(
        self, plugs: Sequence[Plug], level: int | None, title: str, tail: Tail | None
    ) -> None:
        self.plugs = plugs
        self.level = level
        self.title = title
        self.tail: Application | None = None
        if tail is not None:
            lines = ["def tail(conn):", *("    " + line for line in tail.lines)]
            self.tail = build("\n".join(lines) + "\n", "tail", title, tail.values)

    def resume(self, conn: Conn, result: Any, index: int) -> Awaitable[Conn]:
        """The rest of the pipeline from plug `index` on, which gave `result`: not the conn."""
        if type(result) is not CoroutineType and not isinstance(result, Awaitable):
            raise wrong_return(conn, self.plugs[index], result)
        return self._resume(conn, result, index)

    async def _resume(self, conn: Conn, awaitable: Awaitable[Any], index: int) -> Conn:
        plugs = self.plugs
        result: object = await awaitable
        if result is not conn:
            raise wrong_return(conn, plugs[index], result)
        count = len(plugs)
        while not conn.halted:
            index += 1
            if index == count:
                if self.tail is not None:
                    ended: object = self.tail(conn)
                    if isinstance(ended, Awaitable):
                        await ended
                return conn
            given: Any = plugs[index](conn)
            if given is conn:
                continue
            result = await given if isinstance(given, Awaitable) else given
            if result is not conn:
                raise wrong_return(conn, plugs[index], result)
        if self.level is not None:
            self.log_halt(conn, index)
        return conn

    def log_halt(self, conn: Conn, index: int) -> Conn:
        if self.level is not None:
            logger.log(self.level, "%s halted in %s", self.title, describe(self.plugs[index]))
        return conn


def wrong_return(conn: Conn, plug: Any, result: Any) -> PlugError:
    """The error of a plug that did not give its conn back."""
    if isinstance(result, Conn):
        return PlugError(
            f"expected {describe(plug)} to return the Conn it was given, got another one: "
            f"{conn!r} went in, {result!r} came out"
        )
    return PlugError(
        f"expected {describe(plug)} to return a Conn, got {_shown(result)} "
        "(did you forget `return conn`?)"
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}... ({type(value).__name__})"


def run(
    conn: Conn, plugs: Iterable[Any], *, log_on_halt: str | None = None
) -> Conn | Awaitable[Conn]:
    """Run plugs that are known only now, without compiling them (Plug.run/3).

    plugs: as in `compile_pipeline`; classes are instantiated by each call. Gives the conn, or an
    awaitable of it once a plug is async. Errors as `compile_pipeline`.
    """
    level = log_level(log_on_halt)
    steps = [as_step(plug).made() for plug in plugs]
    if any(step.around for step in steps):
        raise TypeError("run takes no wrap(...): an around-plug needs a compiled pipeline")
    rest = _Rest([step.plug for step in steps], level, "run", None)
    for index, plug in enumerate(rest.plugs):
        if conn.halted:
            return rest.log_halt(conn, index - 1) if index else conn
        result: Any = plug(conn)
        if result is not conn:
            return rest.resume(conn, result, index)
    if conn.halted and rest.plugs:
        rest.log_halt(conn, len(rest.plugs) - 1)
    return conn
