"""Starting the Task of an async plug: at once where Python can, else in the next loop turn."""

import asyncio
import sys
from asyncio import AbstractEventLoop, Task
from collections.abc import Awaitable
from contextvars import Context
from typing import Any

EAGER = sys.version_info >= (3, 12)
"""Since 3.12 a Task can run its first step right away (gh-97696): a plug that never suspends is
done before its Task is returned, which saves a loop turn."""


def start_task(awaitable: Awaitable[Any], loop: AbstractEventLoop, context: Context) -> "Task[Any]":
    """A Task for `awaitable` in `context`, which must be fresh: an eager Task in a context that is
    entered already corrupts the loop (gh-157301)."""
    if not asyncio.iscoroutine(awaitable):
        awaitable = _await(awaitable)
    if EAGER:
        # Not loop.create_task: before 3.14 it takes no eager_start, and uvloop's differs again.
        return Task(awaitable, loop=loop, context=context, eager_start=True)  # type: ignore[call-arg, unused-ignore]
    return loop.create_task(awaitable, context=context)


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
