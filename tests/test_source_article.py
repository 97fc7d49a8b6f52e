"""The source article, "Parallel requests": acceptors bound how many connections can be accepted at
a time, not how many are served. Asked of `plugpy serve` as a process, and of a Server in this one.

Nothing here waits for a time to pass: sleeping requests meet in the handler, and are let go when
all of them are there.
"""

import asyncio
import json
import re
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import plugpy

ROOT = Path(__file__).parents[1]
THOUSAND = 1_000

MEETING = """
import asyncio
import acceptors
from plugpy import Conn, Router, get, match

class Meeting(Router):
    '''`/sleep` sleeps until `/wake`; `/look?at=N` answers when N requests sleep.'''

    def __init__(self):
        super().__init__()
        self.sleeping = 0
        self.most = 0
        self.changed = asyncio.Condition()
        self.awake = asyncio.Event()

    @get("/sleep")
    async def sleep(self, conn: Conn) -> Conn:
        async with self.changed:
            self.sleeping += 1
            self.most = max(self.most, self.sleeping)
            self.changed.notify_all()
        await self.awake.wait()
        self.sleeping -= 1
        return conn.send_resp(200, "Hello Plug!")

    @get("/look")
    async def look(self, conn: Conn) -> Conn:
        expected = int(conn.query_params["at"])
        async with self.changed:
            await self.changed.wait_for(lambda: self.sleeping >= expected)
        info = acceptors.info("http")
        connections = acceptors.procs("http", "connections")
        others = [one for one in connections if one is not conn.owner]
        return conn.json({
            "sleeping": self.sleeping,
            "info": [info["acceptors"], info["all_connections"] - 1],
            "procs": [len(acceptors.procs("http", "acceptors")), len(others)],
            "activities": sorted({one.snapshot()["activity"] for one in others}),
        })

    @get("/wake")
    def wake(self, conn: Conn) -> Conn:
        self.awake.set()
        return conn.json({"most": self.most})

    @match("/*rest")
    def not_found(self, conn: Conn, rest: list[str]) -> Conn:
        return conn.send_resp(404, "Nothing here")
"""

Open = Callable[..., AbstractAsyncContextManager[int]]


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """A thousand connections have two ends in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * THOUSAND
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this machine allows {hard} open files")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def meeting(tmp_path: Path) -> Path:
    """The folder of the module `meeting`."""
    (tmp_path / "meeting.py").write_text(MEETING)
    return tmp_path


@asynccontextmanager
async def command(target: str, folder: Path, loop: str, number: int) -> AsyncIterator[int]:
    """`plugpy serve` as a process of its own: its port. It must end well on SIGTERM."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "plugpy", "serve", target, "--app-dir", str(folder)],
        *["--acceptors", str(number), "--port", "0", "--loop", loop, "--no-access-log"],
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        line = (await process.stderr.readline()).decode()
        found = re.search(r" on http://127\.0\.0\.1:(\d+) ", line)
        assert found, line + (await process.stderr.read()).decode()
        assert f"{number} acceptors, {loop}" in line
        yield int(found[1])
        process.send_signal(signal.SIGTERM)
        await process.stderr.read()
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def in_process(target: str, folder: Path, loop: str, number: int) -> AsyncIterator[int]:
    """A Server in the event loop of the test: its port."""
    from plugpy.server.application import load

    application = load(target, app_dir=str(folder)).application
    async with plugpy.Server(application, port=0, acceptors=number, access_log=False) as server:
        yield server.port


@pytest.fixture(params=["plugpy serve, uvloop", "Server, uvloop", "Server, asyncio"])
def way(request: pytest.FixtureRequest) -> tuple[Any, str]:
    """How it is served, and in which event loop: that of the server and of the test."""
    how, loop = request.param.split(", ")
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    return (command if how == "plugpy serve" else in_process), loop


@pytest.fixture
def loop(way: tuple[Any, str]) -> str:
    """The name of the event loop."""
    return way[1]


@pytest.fixture
def served(way: tuple[Any, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Serves with two acceptors, in one of the two ways."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)

    def open_(target: str, folder: Path) -> AbstractAsyncContextManager[int]:
        opened: AbstractAsyncContextManager[int] = way[0](target, folder, way[1], 2)
        return opened

    yield open_
    for name in {"hello", "meeting"} & (set(sys.modules) - before):
        del sys.modules[name]


def run(coroutine: Any, loop: str) -> None:
    """Run a test in an event loop of that kind."""
    from plugpy.server.loops import loop_factory

    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        runner.run(coroutine)


async def ask(port: int, path: str) -> tuple[int, str]:
    """One request on a connection of its own: status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    return int(head.split()[1]), body.decode()


def test_hello(served: Open, loop: str) -> None:
    async def article() -> None:
        async with served("hello:HelloRouter", ROOT / "examples") as port:
            assert await ask(port, "/") == (200, "Hello Plug!")
            assert await ask(port, "/no/such/path") == (404, "Nothing here")

    run(article(), loop)


@pytest.mark.parametrize("count", [5, THOUSAND])
def test_sleeping_requests_are_all_in_progress_at_once_on_two_acceptors(
    served: Open, loop: str, meeting: Path, count: int
) -> None:
    async def article() -> None:
        async with served("meeting:Meeting", meeting) as port:
            asking = [asyncio.create_task(ask(port, "/sleep")) for _ in range(count)]
            status, seen = await ask(port, f"/look?at={count}")
            assert status == 200
            assert json.loads(seen) == {
                "sleeping": count,
                "info": [2, count],
                "procs": [2, count],
                "activities": ["handling"],
            }
            assert not any(task.done() for task in asking)
            status, most = await ask(port, "/wake")
            assert (status, json.loads(most)) == (200, {"most": count})
            answers = await asyncio.gather(*asking)
            assert answers == [(200, "Hello Plug!")] * count

    run(article(), loop)
