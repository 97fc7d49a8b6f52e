"""Deadlines, pings, the server's stop, and what an observer sees."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

import acceptors
from plugpy.websocket.connection import DRAIN_LONGEST, DRAIN_RATE, WebSocketConnection
from plugpy.websocket.options import DEFAULTS

from .conftest import BINARY, CLOSE, PING, PONG, TEXT, close_frame, frame
from .test_handshake import callbacks, coroutine, styles


@styles
async def test_silence_ends_the_connection(serve: Any, style: Any) -> None:
    server = await serve(style())
    client = await server.connect()
    server.advance(DEFAULTS.timeout - 1)
    assert (await client.frame()).opcode == PING
    server.advance(2)
    assert await client.closed() == (1001, "nothing was heard for 60 seconds")


@styles
async def test_any_sign_of_life_will_do(serve: Any, style: Any) -> None:
    server = await serve(style())
    client = await server.connect()
    for _ in range(5):
        server.advance(19)
        await client(PONG)
        before = server.connection.upgraded.since
        await server.until(lambda before=before: server.connection.upgraded.since > before)
    await client.send(close_frame())
    frames = []
    while (got := await client.frame()).opcode != CLOSE:
        frames.append(got)
    assert {one.opcode for one in frames} == {PING}
    assert got.close == (1000, "")


async def test_pings_measure_the_latency(serve: Any) -> None:
    server = await serve(callbacks(ping_interval=10))
    client = await server.connect()
    upgraded = server.connection.upgraded
    assert upgraded.latency is None
    server.advance(9)
    server.advance(1)
    ping = await client.frame()
    assert ping.opcode == PING
    await client(PONG, b"another")
    await client(PONG, ping.data)
    await server.until(lambda: upgraded.latency is not None)
    assert 0 < upgraded.latency < 10


async def test_no_pings_where_none_are_wanted(serve: Any) -> None:
    server = await serve(callbacks(ping_interval=0, timeout=0))
    client = await server.connect()
    server.advance(10_000)
    await client.send(close_frame())
    assert await client.closed() == (1000, "")


@styles
async def test_a_close_that_is_not_answered(serve: Any, style: Any) -> None:
    server = await serve(style())
    client = await server.connect()
    server.connection.upgraded.close(4000)
    assert (await client.frame()).close == (4000, "")
    server.advance(DEFAULTS.close_timeout + 0.1)
    await client.ended()


@styles
async def test_a_fault_whose_client_does_not_hang_up(serve: Any, style: Any) -> None:
    server = await serve(style(), linger_timeout=2)
    client = await server.connect()
    await client.send(frame(0))
    assert (await client.frame()).close[0] == 1002
    server.advance(1)
    assert server.connection.transport is not None
    server.advance(2)
    await server.until(lambda: server.connection.transport is None)


@styles
async def test_a_client_that_takes_nothing(serve: Any, style: Any) -> None:
    server = await serve(style(), write_timeout=30)
    client = await server.connect(receive_buffer=4096)
    client.sock.setblocking(False)
    piece = frame(BINARY, b"x" * 50_000)
    sent = 0
    while not server.connection.upgraded.slow:
        try:
            sent += client.sock.send(piece[sent % len(piece) :])
        except BlockingIOError:
            await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    for _ in range(5):
        server.advance(16)
        if server.connection.transport is None:
            break
        await asyncio.sleep(0)
    await server.until(lambda: server.connection.transport is None)


async def test_the_server_stops(serve: Any) -> None:
    server = await serve(coroutine())
    clients = [await server.connect() for _ in range(3)]
    assert len(acceptors.drain(server.ref)) == 3
    for client in clients:
        got = await client.frame()
        assert got.close == (1001, "the server is stopping")
        await client.send(close_frame(1001))
        await client.ended()


async def test_another_process_serves_on(serve: Any) -> None:
    server = await serve(callbacks())
    client = await server.connect()
    server.options.restarting = True
    server.connection.drain()
    assert (await client.frame()).close == (1012, "the server is restarting")


def test_many_connections_are_told_over_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The delays are spread over a second for each DRAIN_RATE connections, and not for ever."""
    from types import SimpleNamespace

    from .wire import Wire

    spreads = []
    monkeypatch.setattr(
        "plugpy.websocket.connection.uniform", lambda low, high: spreads.append((low, high)) or high
    )
    delays = []
    loop = SimpleNamespace(
        call_later=lambda delay, call: delays.append(delay) or SimpleNamespace(cancel=lambda: None)
    )
    for count in (1, DRAIN_RATE * 3, DRAIN_RATE * 1000):
        from plugpy.websocket.codec import Codec

        connection: WebSocketConnection = Wire(Codec((), 1, 1, 0)).connection
        upgraded_from: Any = connection.upgraded_from
        upgraded_from.connections = SimpleNamespace(children=range(count))
        upgraded_from.runtime.loop = loop
        connection.drain()
        connection.drain()  # a second order changes nothing
    assert delays == [1 / DRAIN_RATE, 3, DRAIN_LONGEST]
    assert [low for low, _ in spreads] == [0, 0, 0]


async def test_the_deadline_of_the_stop(serve: Any) -> None:
    """A handler that does not end is cancelled."""
    cancelled = asyncio.Event()

    async def application(conn: Any) -> Any:
        async with conn.websocket():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise
        return conn

    server = await serve(application)
    client = await server.connect()
    acceptors.drain(server.ref, timeout=0)
    assert (await client.frame()).close[0] == 1001
    async with asyncio.timeout(10):
        await cancelled.wait()
    await client.send(close_frame(1001))
    await client.ended()


@styles
async def test_what_an_observer_sees(serve: Any, style: Any) -> None:
    server = await serve(style())
    client = await server.connect("/chat?token=secret")
    facts = server.connection.snapshot()
    assert facts["protocol"] == "websocket"
    assert facts["activity"] == "websocket"
    assert facts["request"] == "GET /chat"
    assert "secret" not in str(facts)
    server.connection.upgraded.close()
    assert server.connection.snapshot()["activity"] == "closing"
    await client.frame()


@styles
async def test_the_access_log_tells_of_it_at_once_and_once(serve: Any, style: Any) -> None:
    lines: list[tuple[str, int | None]] = []

    def log(conn: Any, sent: int, started: float) -> None:
        lines.append((conn.request_path, conn.status))

    server = await serve(style(), access_log=log)
    client = await server.connect("/chat")
    assert lines == [("/chat", 101)]
    await client.send(close_frame())
    await client.closed()
    await server.until(lambda: server.connection.transport is None)
    assert lines == [("/chat", 101)]


@styles
async def test_it_is_never_closed_to_make_room(serve: Any, style: Any) -> None:
    server = await serve(style())
    client = await server.connect()
    server.connection.runtime.now += 1000
    assert server.connection.idle_since() is None
    assert not server.connection.shed()
    await client(TEXT, "x")
    assert await client.text() == "x"


@styles
async def test_an_aborted_connection(serve: Any, style: Any) -> None:
    server = await serve(style())
    client = await server.connect()
    server.connection.abort()
    with contextlib.suppress(ConnectionError):
        assert await client.receive() == b""
    await server.until(lambda: server.connection.transport is None)
    assert not server.connection.alive


@styles
async def test_nothing_is_left(serve: Any, style: Any) -> None:
    """No cycle keeps a connection that is over in memory."""
    import gc

    def alive() -> list[Any]:
        gc.collect()
        found = [one for one in gc.get_objects() if type(one) is WebSocketConnection]
        return [one for one in found if one.conn.request_path == "/this-one"]

    server = await serve(style())
    compressed = "sec-websocket-extensions: permessage-deflate"
    client = await server.connect("/this-one", compressed)
    assert server.connection.upgraded in alive()
    await client.send(close_frame())
    await client.closed()
    await server.until(lambda: server.connection.transport is None)
    server.connections.clear()
    await server.until(lambda: not alive())
