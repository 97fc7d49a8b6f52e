"""From the first close frame to the end of the transport, and what waits meanwhile."""

from __future__ import annotations

import asyncio
import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest

import acceptors
from acceptors.otp import exit as exit_process
from acceptors.otp import self as myself
from acceptors.otp import send
from plugpy.websocket import Stop, WebSocketHandler
from plugpy.websocket.codec import Codec
from plugpy.websocket.options import DEFAULTS
from plugpy.websocket.socket import QUEUED

from .conftest import BINARY, CONT, PING, PONG, TEXT, Client, Frame, Server, close_frame, frame
from .test_callbacks import Recorder, upgrading
from .test_handshake import callbacks, styles
from .wire import Wire

WRONG = frame(CONT, b"of nothing")


class Busy(WebSocketHandler):
    """Its callback waits for `gate`."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def handle_in(self, message: Any, state: Any) -> Any:
        await self.gate.wait()


async def send_until_held_back(server: Server, client: Client, data: bytes) -> None:
    """Send `data`, and then what it ends with, again and again."""
    upgraded = server.connection.upgraded
    client.sock.setblocking(False)
    while not upgraded._reading_paused:
        try:
            data = data[client.sock.send(data) :] or bytes(50_000)
        except BlockingIOError:
            await asyncio.sleep(0)


def test_while_it_closes_nothing_is_said_and_nothing_kept() -> None:
    wire = Wire(Codec((), 1 << 22, 1 << 22, 0))
    peer = wire.connection
    peer.close(4000, "bye")
    assert wire.sent.endswith(b"bye")
    wire.sent = b""
    peer.send("late")
    peer.ping(b"late")
    peer.pong(b"late")
    peer.close(4001)
    peer.data_received(frame(PING, b"are you there?") + frame(TEXT, b"late"))
    piece = frame(CONT, b"x" * 1000, fin=False)
    tracemalloc.start()
    peer.data_received(frame(BINARY, b"", fin=False))
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(1000):
        peer.data_received(piece)
        wire.run()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert (wire.messages, wire.sent) == ([], b"")
    assert grown < 100_000, grown
    peer.data_received(frame(CONT, b"") + close_frame(4000))
    assert (wire.messages, wire.sent) == ([], b"")
    assert wire.over == ("normal", 4000)


@pytest.mark.parametrize("how", ["a close frame", "gone"])
def test_who_has_left_need_not_be_told_to_go(how: str) -> None:
    """The timer of the server's stop would keep the connection for up to ten seconds."""
    cancelled: list[bool] = []
    wire = Wire(Codec((), 1000, 1000, 0))
    upgraded_from: Any = wire.connection.upgraded_from
    upgraded_from.connections = SimpleNamespace(children=range(1000))
    upgraded_from.connection_lost = lambda error: None
    upgraded_from.runtime.loop.call_later = lambda delay, call: SimpleNamespace(
        cancel=lambda: cancelled.append(True)
    )
    wire.connection.drain()
    if how == "gone":
        wire.connection.connection_lost(None)
    else:
        wire.connection.data_received(close_frame())
    assert cancelled == [True]


@styles
async def test_after_a_close_frame_only_our_half_is_closed(serve: Any, style: Any) -> None:
    """What a client still sends would reset a connection that is closed whole (RFC 6455 section
    7.1.1)."""
    server = await serve(style())
    client = await server.connect()
    await client.send(close_frame(4000))
    assert (await client.frame()).close == (4000, "")
    assert await client.receive() == b""
    assert server.connection.transport is not None
    client.close()
    await server.until(server.is_empty)


async def test_a_close_frame_that_is_held_back_answers_ours(serve: Any) -> None:
    """Nobody receives, so it stands behind messages that nobody takes."""
    ready, seen = asyncio.Event(), asyncio.Event()

    async def application(conn: Any) -> Any:
        async with conn.websocket() as ws:
            await ready.wait()
            await ws.close(4000)
            await seen.wait()
        return conn

    server = await serve(application)
    client = await server.connect()
    await client.send(frame(TEXT, b"x") * (QUEUED + 4) + close_frame(4001))
    await server.until(lambda: server.connection.upgraded._codec.waiting > 0)
    ready.set()
    assert await client.closed() == (4000, "")
    seen.set()


def test_nobody_is_silent_to_whom_nobody_listens() -> None:
    wire = Wire(Codec((), 1 << 20, 1 << 20, 0))
    peer = wire.connection
    peer.hold(True)
    peer.data_received(frame(BINARY, bytes(100_000)))
    for number in range(1, 4):
        peer.check_deadlines(number * (DEFAULTS.timeout - 1))
        assert peer.open
    peer.hold(False)
    assert wire.messages == [bytes(100_000)]
    peer.check_deadlines(4 * (DEFAULTS.timeout - 1))
    assert peer.open
    peer.check_deadlines(5 * (DEFAULTS.timeout - 1))
    assert not peer.open


async def test_a_fault_that_was_held_back_reads_on_until_the_client_has_left(serve: Any) -> None:
    handler = Busy()
    server = await serve(upgrading(handler))
    client = await server.connect()
    await send_until_held_back(server, client, frame(TEXT, b"1") + WRONG + bytes(200_000))
    handler.gate.set()
    assert (await client.frame()).close[0] == 1002
    client.close()
    await server.until(server.is_empty)


async def test_who_does_not_hang_up_is_cut_off_although_a_coroutine_goes_on(serve: Any) -> None:
    gate = asyncio.Event()

    async def application(conn: Any) -> Any:
        async with conn.websocket(handler_timeout=0):
            await gate.wait()
        return conn

    server = await serve(application, linger_timeout=2)
    client = await server.connect()
    await client.send(WRONG)
    assert (await client.frame()).close[0] == 1002
    server.advance(1)
    assert server.connection.transport is not None
    server.advance(2)
    await server.until(server.is_empty)
    gate.set()


async def test_an_async_callback_of_a_killed_process_is_cancelled(serve: Any) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    class Waiting(Recorder):
        async def handle_in(self, message: Any, state: Any) -> Any:
            self.process = myself()
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

    handler = Waiting()
    client = await (await serve(upgrading(handler))).connect()
    await client(TEXT, "x")
    async with asyncio.timeout(10):
        await begun.wait()
        exit_process(handler.process, "kill")
        assert (await client.frame()).close == (1011, "")
        await cancelled.wait()


async def test_an_async_callback_ends_with_the_servers_time(serve: Any) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    class Waiting(Recorder):
        async def handle_in(self, message: Any, state: Any) -> Any:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

    server = await serve(upgrading(Waiting()))
    client = await server.connect()
    await client(TEXT, "x")
    async with asyncio.timeout(10):
        await begun.wait()
        acceptors.drain(server.ref, timeout=0)
        assert (await client.frame()).close[0] == 1001
        await cancelled.wait()


async def test_after_stop_nothing_that_waits_is_told(serve: Any) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    class Stopping(Recorder):
        async def handle_in(self, message: Any, state: Any) -> Any:
            self.process = myself()
            begun.set()
            await gate.wait()
            return Stop(4000)

        def handle_info(self, message: Any, state: Any) -> Any:
            self.calls.append(("info", message))

    handler = Stopping()
    client = await (await serve(upgrading(handler))).connect()
    await client(TEXT, "x")
    async with asyncio.timeout(10):
        await begun.wait()
    send(handler.process, "too late")
    gate.set()
    assert (await client.frame()).close == (4000, "")
    await client.send(close_frame(4000))
    assert await handler.end() == ("normal", None)
    assert handler.calls == [("terminate", "normal", None)]


async def test_after_the_end_nothing_that_waits_is_told(serve: Any) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    class Busy(Recorder):
        async def handle_in(self, message: Any, state: Any) -> Any:
            self.process = myself()
            begun.set()
            await gate.wait()

        def handle_info(self, message: Any, state: Any) -> Any:
            self.calls.append(("info", message))

    handler = Busy()
    server = await serve(upgrading(handler))
    client = await server.connect()
    await client(TEXT, "x")
    async with asyncio.timeout(10):
        await begun.wait()
    send(handler.process, "too late")
    client.reset()
    await server.until(server.is_empty)
    gate.set()
    reason, _ = await handler.end()
    assert reason == ("remote", 1006, "")
    assert [call[0] for call in handler.calls] == ["terminate"]


async def test_a_pong_that_was_not_asked_for_is_told(serve: Any) -> None:
    heard: list[tuple[str, bytes]] = []

    class Listening(WebSocketHandler):
        def handle_control(self, opcode: str, data: bytes, state: Any) -> Any:
            heard.append((opcode, data))

    server = await serve(upgrading(Listening(), ping_interval=10))
    client = await server.connect()
    server.advance(10)
    ping = await client.frame()
    assert ping.opcode == PING
    await client(PONG, b"of my own")
    await server.until(lambda: bool(heard))
    assert server.connection.upgraded.latency is None
    await client(PONG, ping.data)
    await server.until(lambda: server.connection.upgraded.latency is not None)
    assert heard == [("pong", b"of my own")]


async def test_one_ping_for_each_interval(serve: Any) -> None:
    server = await serve(callbacks(ping_interval=10))
    client = await server.connect()
    for _ in range(2):
        server.advance(10)
        for _ in range(9):
            server.advance(1)
        await client(TEXT, "between")
        assert (await client.frame()).opcode == PING
        assert await client.frame() == Frame(TEXT, b"between")
        server.advance(-9)
