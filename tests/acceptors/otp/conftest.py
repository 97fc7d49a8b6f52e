"""Fixtures of the process tests: both loops, a leak check after each test, a virtual clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import uvloop

from acceptors import otp
from acceptors.otp.wiring import Wiring


def pytest_asyncio_loop_factories(config, item):
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
async def no_leaks(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """After each test there is no process, link, monitor, name, signal, Task or zombie left."""
    wirings = record_wirings(monkeypatch)
    yield
    left = await otp.testing.leaks()
    for process in list(otp.processes()):
        otp.exit(process, "kill")
    assert left == []
    assert tied(wirings) == []


def record_wirings(monkeypatch: pytest.MonkeyPatch) -> list[Wiring]:
    """The wiring of every process that is made from now on, also of those that are dead by then."""
    made: list[Wiring] = []
    plain = Wiring.__init__

    def init(wiring: Wiring) -> None:
        plain(wiring)
        made.append(wiring)

    monkeypatch.setattr(Wiring, "__init__", init)
    return made


def tied(wirings: list[Wiring]) -> list[str]:
    """What the dead still hold: links, monitors of theirs and on them, messages."""
    fields = ("links", "watchers", "monitoring", "mailbox", "waiter")
    return [
        f"a process left {field}: {getattr(wiring, field)!r}"
        for wiring in wirings
        for field in fields
        if getattr(wiring, field)
    ]


@pytest.fixture
def clock() -> Iterator[otp.VirtualClock]:
    with otp.VirtualClock() as clock:
        yield clock


@pytest.fixture
def settle() -> Callable[[], Awaitable[None]]:
    """Let everything run that can run."""

    async def turns() -> None:
        for _ in range(40):
            await asyncio.sleep(0)

    return turns


@pytest.fixture
def reports(caplog: pytest.LogCaptureFixture) -> Callable[..., list[dict]]:
    """The structured reports so far, of one kind or all."""
    caplog.set_level(logging.INFO, logger="acceptors.otp")

    def read(kind: str | None = None, **fields: object) -> list[dict]:
        found = [record.report for record in caplog.records if hasattr(record, "report")]
        return [
            report
            for report in found
            if (kind is None or report["report"] == kind)
            and all(report.get(key) == value for key, value in fields.items())
        ]

    return read


class Subject:
    """A process under test: it keeps its messages, and runs the functions that it is sent."""

    def __init__(self) -> None:
        self.messages: list[object] = []
        self.process: otp.Process

    async def serve(self, trap: bool) -> None:
        otp.flag("trap_exit", trap)
        while True:
            message = await otp.receive()
            if callable(message):
                message()
            else:
                self.messages.append(message)

    def act(self, function: Callable[[], object]) -> None:
        """Run `function` in the process."""
        if isinstance(self.process, otp.TaskProcess):
            otp.send(self.process, function)
        else:
            self.process.context().run(function)

    def exits(self) -> list[object]:
        return [message[2] for message in self.messages if message[0] == "EXIT"]


class Record(otp.Process):
    """A record process that keeps its messages."""

    __slots__ = ("subject",)

    def _message(self, message: object) -> None:
        self.subject.messages.append(message)


@pytest.fixture
async def subject(settle) -> AsyncIterator[Callable[..., Awaitable[Subject]]]:
    """Start a Subject: `await subject(trap=False, kind="task")`; ended with the test."""
    made: list[otp.Process] = []

    async def start(trap: bool = False, kind: str = "task") -> Subject:
        new = Subject()
        if kind == "task":
            new.process = otp.spawn(new.serve, trap)
            await settle()
        else:
            new.process = record = Record()
            record.subject = new
            record.trap_exit = trap
        made.append(new.process)
        return new

    yield start
    for process in made:
        otp.exit(process, "kill")
