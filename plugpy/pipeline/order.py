"""The order of plugs, checked once when a pipeline is made: each plug says where it belongs.

Attributes of a plug class, all by the names of other plug classes:

runs_after, runs_before       tuples: the other way round can't work. ValueError
better_after, better_before   dicts name -> why: the other way round works, and is seldom meant.
                              A warning
needs                         dict name -> why: without it anywhere in the application the plug is
                              of no use. A warning when the application is served
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

logger = logging.getLogger("plugpy.pipeline")

_gathered: ContextVar[list[str] | None] = ContextVar("plugpy_odd_orders", default=None)


def check_order(plugs: Sequence[Any]) -> None:
    """Report plugs of one pipeline in an order that can't work. Raises ValueError that names both
    of them."""
    names = [class_name(plug) for plug in plugs]
    for index, plug in enumerate(plugs):
        for other in getattr(plug, "runs_after", ()):
            if other in names[index + 1 :]:
                raise ValueError(
                    f"wrong order of plugs: {names[index]} needs {other} before it, and {other} "
                    "comes later in this pipeline; swap them"
                )
        for other in getattr(plug, "runs_before", ()):
            if other in names[:index]:
                raise ValueError(
                    f"wrong order of plugs: {names[index]} must come before {other}; swap them"
                )


def odd_order(plugs: Sequence[Any]) -> Iterator[str]:
    """What is odd in the order of the plugs of one pipeline: what, why, and what to do."""
    names = [class_name(plug) for plug in plugs]
    for index, plug in enumerate(plugs):
        for other, why in getattr(plug, "better_after", {}).items():
            if other in names[index + 1 :]:
                yield f"{names[index]} comes before {other}: {why}; put {other} first"
        for other, why in getattr(plug, "better_before", {}).items():
            if other in names[:index]:
                yield f"{names[index]} comes after {other}: {why}; put {names[index]} first"
    ends = [index for index, plug in enumerate(plugs) if getattr(plug, "ends_pipeline", False)]
    if ends:
        router = names[ends[0]]
        for index in range(ends[0] + 1, len(plugs)):
            if _is_built_in(plugs[index]):
                yield (
                    f"{names[index]} comes after the router {router}, which has answered by then, "
                    f"also by 404; put {names[index]} first"
                )


def warn_of_order(plugs: Sequence[Any], title: str) -> None:
    """Log what `odd_order` finds, as warnings of the logger plugpy.pipeline, or give it to who
    gathers it."""
    gathered = _gathered.get()
    for oddity in odd_order(plugs):
        if gathered is None:
            logger.warning("the order of plugs in %s: %s", title, oddity)
        else:
            gathered.append(f"the order of plugs in {title}: {oddity}")


@contextmanager
def gathering_oddities() -> Iterator[list[str]]:
    """A list of what is found odd in the pipelines that are compiled meanwhile; none is logged."""
    found: list[str] = []
    token = _gathered.set(found)
    try:
        yield found
    finally:
        _gathered.reset(token)


def missing_plugs(parts: Iterable[Any]) -> list[str]:
    """What plugs need and nobody has, of all the plugs of an application (`parts_of`)."""
    every = list(parts)
    names = {class_name(part) for part in every}
    found: dict[str, None] = {}  # a set that keeps its order
    for part in every:
        for other, why in getattr(part, "needs", {}).items():
            if other not in names:
                found[f"{class_name(part)} without {other}: {why}; add {other} before it"] = None
    return list(found)


def class_name(plug: Any) -> str:
    """The name of a plug's class, or of the function that it is."""
    name: str | None = getattr(plug, "__name__", None)
    return name or type(plug).__name__


def _is_built_in(plug: Any) -> bool:
    module = str(getattr(plug, "__module__", ""))
    return module.startswith("plugpy.plugs.")
