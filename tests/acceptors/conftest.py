"""Fixtures of the listener's tests: both event loops, listeners that end with the test, clients on
loopback, a virtual clock, a leak check."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from typing import Any

import pytest
import uvloop

import acceptors
from acceptors import otp

PATIENCE = 5.0
"""Seconds after which a test that waits has failed; never waited for in a good run."""

_refs = count()


def pytest_asyncio_loop_factories(config, item):
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def _sockets() -> int:
    """How many sockets this process has open."""
    number = 0
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            number += os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:")
    return number


@pytest.fixture(autouse=True)
async def no_leaks() -> AsyncIterator[None]:
    """After each test there is no process, Task or socket left that was not there before."""
    before = _sockets()
    yield
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while _left() or _sockets() > before:
                await asyncio.sleep(0)
    left = _left()
    for process in otp.processes():
        otp.exit(process, "kill")
    assert not left
    assert _sockets() <= before


def _left() -> list[object]:
    return [*otp.processes(), *(asyncio.all_tasks() - {asyncio.current_task()})]


@pytest.fixture
def clock() -> Iterator[otp.VirtualClock]:
    with otp.VirtualClock() as clock:
        yield clock


class Client:
    """A client of a test: a stream that must not wait for ever."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def receive(self, size: int = 65_536) -> bytes:
        """The next bytes; b"" at the end, also where that is a reset."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read(size)
            except ConnectionError:
                return b""

    async def line(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readline()

    async def echo(self, data: bytes) -> bool:
        """Whether what is sent comes back."""
        self.send(data)
        got = b""
        while len(got) < len(data) and (piece := await self.receive()):
            got += piece
        return got == data

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


class Echo(acceptors.Connection):
    """Sends back what it gets."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


@pytest.fixture
def echo() -> type[acceptors.Connection]:
    return Echo


@pytest.fixture
async def listen() -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """`await listen(Protocol, protocol_options, **options)` is the ref of a new listener."""
    refs: list[Any] = []

    async def start(protocol: Any = Echo, options: Any = None, **transport: Any) -> Any:
        ref = f"test-{next(_refs)}"
        await acceptors.start_listener(ref, {"shutdown": 0.0, **transport}, protocol, options)
        refs.append(ref)
        return ref

    yield start
    for ref in refs:
        with contextlib.suppress(acceptors.NoListenerError):
            await acceptors.stop_listener(ref)


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Awaitable[Client]]]:
    """`await connect(ref)` is a Client of that listener, or of an address or path."""
    clients: list[Client] = []

    async def start(to: Any, **how: Any) -> Client:
        known = acceptors.info()
        address = acceptors.get_addr(to) if to in known else to
        async with asyncio.timeout(PATIENCE):
            if isinstance(address, str):
                streams = await asyncio.open_unix_connection(address, **how)
            else:
                streams = await asyncio.open_connection(*address[:2], **how)
        clients.append(Client(*streams))
        return clients[-1]

    yield start
    for client in clients:
        await client.close()


@pytest.fixture
def wait_for() -> Callable[..., Awaitable[None]]:
    """`await wait_for(ref, "==", 3)`: wait_for_connections that gives up."""

    async def wait(ref: Any, comparison: Any, number: int) -> None:
        async with asyncio.timeout(PATIENCE):
            await acceptors.wait_for_connections(ref, comparison, number)

    return wait


@pytest.fixture
def turns() -> Callable[..., Awaitable[None]]:
    """Let the event loop turn: for what must *not* happen."""

    async def turn(number: int = 20) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(number):
            # A turn that polls: a timer of no time at all.
            done = loop.create_future()
            loop.call_later(0.0005, done.set_result, None)
            await done

    return turn


class ScriptedSocket(socket.socket):
    """A listening socket whose accept(2) fails as `script` says, in that order, then works.

    accepts counts the calls.
    """

    script: list[int]
    accepts = 0

    def dup(self) -> ScriptedSocket:  # the listener takes this one
        return self

    def _accept(self) -> Any:
        self.accepts += 1
        if self.script:
            number = self.script.pop(0)
            raise OSError(number, os.strerror(number))
        return super()._accept()  # type: ignore[misc]


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedSocket]]:
    """`scripted(errno.EMFILE, ...)`: a ScriptedSocket on loopback."""
    made: list[ScriptedSocket] = []

    def make(*script: int) -> ScriptedSocket:
        one = ScriptedSocket(socket.AF_INET, socket.SOCK_STREAM)
        one.script = list(script)
        one.bind(("127.0.0.1", 0))
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()
