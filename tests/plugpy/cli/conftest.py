"""The command `plugpy` as a real process."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

APP = '''
import asyncio
import os

async def plug(conn):
    """Answers with the process that served it; sleeps for as long as the query says."""
    if conn.query_string:
        await asyncio.sleep(float(conn.query_string))
    return conn.send_resp(200, str(os.getpid()))

def environment(conn):
    return conn.send_resp(200, os.environ.get("GREETING", ""))

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"asgi"})

not_callable = 42
'''


class Running:
    """A running command. Its standard error is read line by line in the background."""

    def __init__(self, process: "subprocess.Popen[bytes]", stdout: Path) -> None:
        self.process = process
        self.stdout = stdout
        self.lines: list[str] = []
        self._queue: Queue[str | None] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._queue.put(line.decode())
        self._queue.put(None)

    def wait_for(self, pattern: str) -> "re.Match[str]":
        """The next line of standard error that matches; fails when the command ends before."""
        while (line := self._next()) is not None:
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"ended without a line like {pattern!r}:\n{self.stderr}")

    @property
    def stderr(self) -> str:
        """What was read so far."""
        return "".join(self.lines)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def url(self) -> tuple[str, int]:
        """Wait for the line with the URL: its host and port."""
        found = self.wait_for(r" on http://([^/ ]+):(\d+) ")
        return found[1], int(found[2])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it alone."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait until it ends and read the rest of its standard error; its exit code."""
        code = self.process.wait()
        self._reader.join()
        while self._next() is not None:
            pass
        return code

    def _next(self) -> str | None:
        line = self._queue.get()
        if line is None:
            self._queue.put(None)  # the end stays the end
        else:
            self.lines.append(line)
        return line

    def output(self) -> str:
        """What it wrote to standard output."""
        return self.stdout.read_text()


class Commands:
    """Runs `plugpy` in `folder`, which has the module `app`; kills what is left at the end."""

    def __init__(self, folder: Path) -> None:
        (folder / "app.py").write_text(APP)
        self.folder = folder
        self._running: list[Running] = []

    def start(self, *arguments: str, env: dict[str, str] | None = None, **options: Any) -> Running:
        """Start `plugpy` with these arguments; `env` is added to the environment."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PLUGPY_")
        }
        environment.update(env or {})
        stdout = self.folder / f"stdout-{len(self._running)}"
        with stdout.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "plugpy", *arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.PIPE,
                **options,
            )
        self._running.append(Running(process, stdout))
        return self._running[-1]

    def close(self) -> None:
        """Kill what still runs."""
        for one in self._running:
            if one.process.poll() is None:
                one.process.kill()
            one.end()
            assert one.process.stderr is not None
            one.process.stderr.close()


@pytest.fixture
def app_dir(tmp_path: Path) -> Path:
    """A folder with the module `app`."""
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture
def start(app_dir: Path) -> Iterator[Callable[..., Running]]:
    """Run `plugpy` with these arguments in the folder of the application."""
    commands = Commands(app_dir)
    yield commands.start
    commands.close()


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Commands that several tests of a module share."""
    shared = Commands(tmp_path_factory.mktemp("commands"))
    yield shared
    shared.close()


def get(address: tuple[str, int], path: str = "/") -> tuple[int, str]:
    """One request on a connection of its own: status and body."""
    connection = http.client.HTTPConnection(*address, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def is_free(address: tuple[str, int]) -> bool:
    """Whether nobody listens there any more."""
    with socket.socket() as probe:
        return probe.connect_ex(address) != 0


@pytest.fixture(name="get")
def get_fixture() -> Callable[..., tuple[int, str]]:
    """`get(address, path)`."""
    return get


@pytest.fixture(name="is_free")
def is_free_fixture() -> Callable[[tuple[str, int]], bool]:
    """`is_free(address)`."""
    return is_free
