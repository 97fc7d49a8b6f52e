"""Telemetry: events that libraries send and applications listen to (the Elixir library :telemetry).

    telemetry.attach("log-slow", "app.request.stop", report)
    telemetry.execute("app.request.stop", {"duration": 0.2}, {"conn": conn})

An event is a name with dots. Sending one that nobody listens to costs a look-up.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

logger = logging.getLogger("plugpy.telemetry")

Handler = Callable[[str, Mapping[str, Any], Mapping[str, Any]], object]
"""Called with the name of the event, measurements (numbers) and metadata."""


class Attached(NamedTuple):
    """A handler and what it listens to."""

    id: str
    event: str
    function: Handler


_handlers: dict[str, tuple[Attached, ...]] = {}


def attach(handler_id: str, event: str, function: Handler) -> None:
    """Have `function(event, measurements, metadata)` called for each such event.

    It runs where the event is sent: it must be short. One that raises is logged and detached, and
    never disturbs who sends. Raises ValueError for an id that is taken.
    Source: telemetry:attach/4.
    """
    if any(one.id == handler_id for many in _handlers.values() for one in many):
        raise ValueError(f"there is a handler {handler_id!r} already: detach it first")
    _handlers[event] = (*_handlers.get(event, ()), Attached(handler_id, event, function))


def detach(handler_id: str) -> bool:
    """Listen no more; False where there is no such handler (telemetry:detach/1)."""
    for event, many in _handlers.items():
        left = tuple(one for one in many if one.id != handler_id)
        if len(left) < len(many):
            if left:
                _handlers[event] = left
            else:
                del _handlers[event]
            return True
    return False


def handlers(prefix: str = "") -> list[Attached]:
    """Those who listen to events that begin with `prefix` (telemetry:list_handlers/1)."""
    return [one for event, many in _handlers.items() if event.startswith(prefix) for one in many]


def execute(
    event: str,
    measurements: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Send an event (telemetry:execute/3)."""
    many = _handlers.get(event)
    if many is None:
        return
    for one in many:
        try:
            one.function(event, measurements or {}, metadata or {})
        except Exception:
            detach(one.id)
            logger.exception("the handler %r raised on the event %r: it is detached", one.id, event)


@contextmanager
def span(prefix: str, metadata: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    """Send `prefix.start`, and `prefix.stop` or `prefix.exception` with the `duration` in seconds.

    Gives a dict for metadata of the stop event. Source: telemetry:span/3.
    """
    started = time.perf_counter()
    execute(f"{prefix}.start", {"system_time": time.time()}, metadata)
    more = dict(metadata or {})
    try:
        yield more
    except BaseException as error:
        duration = time.perf_counter() - started
        execute(f"{prefix}.exception", {"duration": duration}, {**more, "reason": error})
        raise
    execute(f"{prefix}.stop", {"duration": time.perf_counter() - started}, more)
