"""Fixtures of the server's tests: both event loops for the tree of processes.

The other modules stay on asyncio's: the master needs SIGCHLD, which uvloop keeps to itself.
"""

import asyncio
from typing import Any

import uvloop

ON_BOTH_LOOPS = {"test_application_tree.py"}


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Any]:
    factories: dict[str, Any] = {"asyncio": asyncio.new_event_loop}
    if item.path.name in ON_BOTH_LOOPS:
        factories["uvloop"] = uvloop.new_event_loop
    return factories
