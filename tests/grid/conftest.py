"""Each example is served by a real server in a thread of its own, and asked by plain clients."""

import asyncio
import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from plugpy.server import Server

sys.path.insert(0, str(Path(__file__).parent))

from grid import COLUMNS, NOT_HAD, Column

ATTEMPTS = 5_000
"""Times that an example is asked until something has happened in it."""


@contextlib.contextmanager
def serving(application: Any) -> Iterator[Server]:
    """A server of `application`, in a thread with an event loop of its own."""
    ready = threading.Event()
    found: list[Any] = []

    async def main() -> None:
        stop = asyncio.Event()
        try:
            async with Server(application, port=0, access_log=False) as server:
                found.extend([server, asyncio.get_running_loop(), stop])
                ready.set()
                await stop.wait()
        finally:
            ready.set()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failures.append(error)

    failures: list[BaseException] = []
    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(30)
    try:
        if failures or not found:
            thread.join()
            raise failures[0]
        yield found[0]
    finally:
        if found:
            found[1].call_soon_threadsafe(found[2].set)
        thread.join(30)
    assert not thread.is_alive()
    assert failures == []


class Example:
    """A served example. `client` keeps its connections, `other` is a second client."""

    def __init__(self, column: Column, module: ModuleType, app: Any, server: Server) -> None:
        self.column = column
        self.module = module
        self.app = app
        self.server = server
        self.client = httpx.Client(base_url=server.url)
        self.other = httpx.Client(base_url=server.url)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=10)

    def until(self, path: str, condition: Callable[[str], bool]) -> str:
        """Ask until the answer is as wanted."""
        for _ in range(ATTEMPTS):
            text = self.other.get(path).text
            if condition(text):
                return text
        raise AssertionError(f"{path} went on saying {text!r}")


@pytest.fixture(scope="module", params=COLUMNS, ids=lambda column: column.name)
def served(request: pytest.FixtureRequest) -> Iterator[Example]:
    column: Column = request.param
    if column.missing:
        pytest.skip(f"{column.package} is not installed: pip install 'plugpy[grid]'")
    module, app = column.load()
    with serving(app) as server:
        example = Example(column, module, app, server)
        with example.client, example.other:
            yield example


@pytest.fixture
def example(request: pytest.FixtureRequest, served: Example) -> Example:
    behaviour = request.node.originalname.removeprefix("test_")
    reason = NOT_HAD.get((served.column.name, behaviour))
    if reason is not None:
        pytest.skip(f"{served.column.name}: {reason}")
    return served


@pytest.fixture
def serve() -> Any:
    return serving
