"""Where a process is: the functions that its Task is in, outermost first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acceptors.otp.process import Process


def stack_of(process: Process, limit: int = 64) -> list[str]:
    """`function (file:line)` of each function that waits for the next, at most the last `limit`.

    Empty for a process without a Task. `Task.get_stack` shows the outermost function alone, so the
    chain of awaits is walked here; it ends at a Future or at code that is not Python.
    """
    task: Any = getattr(process, "task", None)
    get_coroutine = getattr(task, "get_coro", None)
    if get_coroutine is None or task.done():
        return []
    found: list[str] = []
    awaited: Any = get_coroutine()
    # A chain cannot be longer than the recursion limit lets it grow; this is for what lies.
    for _ in range(1_000):
        frame, inner = _inside(awaited)
        if frame is None:
            break
        code = frame.f_code
        found.append(f"{code.co_qualname} ({code.co_filename}:{frame.f_lineno})")
        awaited = inner
    return found[-limit:]


def _inside(awaited: Any) -> tuple[Any, Any]:
    for kind in ("cr", "gi", "ag"):
        frame = getattr(awaited, f"{kind}_frame", None)
        if frame is not None:
            inner = getattr(awaited, f"{kind}_{'yieldfrom' if kind == 'gi' else 'await'}", None)
            return frame, inner
    return None, None
