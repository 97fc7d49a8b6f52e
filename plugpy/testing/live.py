"""A real server for tests: in a thread with an event loop of its own, or in the test's loop."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

from plugpy.server import Server

PATIENCE = 30.0
"""Seconds that a server in a thread may take to start or stop."""

LEAK_TURNS = 200
"""Turns of the event loop that what is about to end gets, before it counts as a leak."""

DEFAULTS = {"host": "127.0.0.1", "port": 0, "access_log": False, "shutdown_timeout": 5.0}


class LeakError(AssertionError):
    """Something that the application has started goes on after its server has stopped."""


class LiveServer:
    """A server in a thread. `url`, `host`, `port`; `server`, the plugpy.Server, whose methods
    belong to the thread's event loop.

    The application and options are those of plugpy.Server; the options start as port 0 (any free
    one) of 127.0.0.1, without access log, shutdown_timeout 5 s. Raises what the server raises when
    it can't start.
    """

    def __init__(self, application: Any, **options: Any) -> None:
        self.server = Server(application, **{**DEFAULTS, **options})
        self._started: Future[None] = Future()
        self._ended: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="plugpy live server", daemon=True)
        self._thread.start()
        self._started.result(PATIENCE)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:54321`."""
        return self.server.url

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return self.server.host

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.server.port

    def stop(self) -> None:
        """Stop it and end its thread; again is harmless. Raises LeakError, and what stopping
        raises."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._ended.result(PATIENCE)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            for future in (self._started, self._ended):
                if not future.done():
                    future.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await self.server.start()
        self._started.set_result(None)
        await self._stop.wait()
        await self.server.stop()
        await check_leaks(set())


@asynccontextmanager
async def serving(application: Any, **options: Any) -> AsyncIterator[Server]:
    """A plugpy.Server in the running event loop: `async with serving(App) as server: server.url`.

    Application and options are those of LiveServer. Raises LeakError at the end for Tasks that the
    application, or the test inside the block, has left behind.
    """
    before = asyncio.all_tasks()
    async with Server(application, **{**DEFAULTS, **options}) as server:
        yield server
    await check_leaks(before)


async def check_leaks(known: "set[asyncio.Task[Any]]") -> None:
    """Raise LeakError for Tasks of this event loop besides `known` and the calling one."""
    mine = {*known, asyncio.current_task()}
    for _ in range(LEAK_TURNS):
        if not asyncio.all_tasks() - mine:
            return
        await asyncio.sleep(0)
    if left := asyncio.all_tasks() - mine:
        names = ", ".join(sorted(f"{task.get_name()} ({task.get_coro()!r})" for task in left))
        raise LeakError(f"the server has stopped, and this goes on: {names}")
