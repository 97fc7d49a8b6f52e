"""`async with conn.websocket()`: the coroutine's side of a connection."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from acceptors.otp import receive, send
from acceptors.otp import self as myself
from plugpy.websocket import (
    NotAcceptedError,
    UpgradeError,
    WebSocket,
    WebSocketClosed,
    WebSocketOptions,
)
from plugpy.websocket.socket import QUEUED

from .conftest import BINARY, PING, PONG, TEXT, close_frame, frame, request


class Handler:
    """An application whose WebSocket runs `body`; `outcome` is what that returned or raised."""

    def __init__(self, body: Callable[[WebSocket], Awaitable[Any]], **options: Any) -> None:
        self.body = body
        self.options = options
        self.over = asyncio.Event()
        self.outcome: Any = None

    async def __call__(self, conn: Any) -> Any:
        try:
            async with conn.websocket(**self.options) as ws:
                self.outcome = await self.body(ws)
        except BaseException as error:
            self.outcome = error
            raise
        finally:
            self.over.set()
        return conn

    async def end(self) -> Any:
        async with asyncio.timeout(10):
            await self.over.wait()
        return self.outcome


async def collect(ws: WebSocket) -> Any:
    got = [message async for message in ws]
    return got, ws.close_code, ws.close_reason


async def test_the_iteration_ends_with_the_connection(serve: Any) -> None:
    handler = Handler(collect)
    client = await (await serve(handler)).connect()
    await client.send(frame(TEXT, b"1") + frame(BINARY, b"2") + close_frame(4000, "bye"))
    assert await client.closed() == (4000, "")
    assert await handler.end() == (["1", b"2"], 4000, "bye")


async def echo(ws: WebSocket) -> Any:
    async for message in ws:
        await asyncio.sleep(0)
        await ws.send(message)
    return ws.close_code


FAULTS = [
    (frame(TEXT, b"\xff"), (1007, "not UTF-8")),
    (frame(3), (1002, "invalid opcode: 3")),
    (frame(TEXT, b"x", mask=None), (1002, "incorrect masking")),
    (close_frame(4000, "bye"), (4000, "")),
    (close_frame(None), (1005, "")),
]


@pytest.mark.parametrize(("end", "told"), FAULTS)
@pytest.mark.parametrize("size", [1, 1000])
async def test_what_came_before_the_end_is_answered(
    serve: Any, end: bytes, told: tuple[int, str], size: int
) -> None:
    handler = Handler(echo)
    server = await serve(handler)
    client = await server.connect()
    data = b"".join(frame(TEXT, b"%d" % number) for number in range(QUEUED - 1)) + end
    for start in range(0, len(data), size):
        await client.send(data[start : start + size])
    assert [await client.text() for _ in range(QUEUED - 1)] == [*map(str, range(QUEUED - 1))]
    code, reason = await client.closed()
    assert (code, reason) == (told[0], reason if told[0] == 1002 else told[1])
    assert await handler.end() == told[0]


async def test_nothing_after_the_end_is_looked_at(serve: Any) -> None:
    handler = Handler(collect)
    client = await (await serve(handler)).connect()
    late = frame(PING, b"late") + frame(TEXT, b"late") + close_frame(4001)
    await client.send(frame(TEXT, b"1") + frame(3) + late)
    assert (await client.closed())[0] == 1002
    got, code, _ = await handler.end()
    assert (got, code) == (["1"], 1002)


async def test_who_does_not_take_messages_delays_the_end_by_a_second_only(serve: Any) -> None:
    going_on = asyncio.Event()

    async def body(ws: WebSocket) -> Any:
        await going_on.wait()
        return await collect(ws)

    handler = Handler(body)
    server = await serve(handler)
    client = await server.connect()
    await client.send(frame(PING) + frame(TEXT, b"1") + close_frame(4000))
    assert (await client.frame()).opcode == PONG
    await server.until(lambda: server.connection.upgraded._ending is not None)
    server.advance(0.5)
    assert server.connection.upgraded.open
    server.advance(0.6)
    assert await client.closed() == (4000, "")
    going_on.set()
    assert await handler.end() == (["1"], 4000, "")


async def test_a_body_that_returns_ends_as_the_client_has_asked(serve: Any) -> None:
    going_on = asyncio.Event()

    async def body(ws: WebSocket) -> Any:
        await going_on.wait()

    handler = Handler(body)
    server = await serve(handler)
    client = await server.connect()
    await client.send(frame(TEXT, b"1") + close_frame(4000))
    await server.until(lambda: server.connection.upgraded._ending is not None)
    going_on.set()
    assert await client.closed() == (4000, "")


async def test_a_client_that_leaves_after_its_close_frame(serve: Any) -> None:
    going_on = asyncio.Event()

    async def body(ws: WebSocket) -> Any:
        await going_on.wait()
        return await collect(ws)

    handler = Handler(body)
    server = await serve(handler)
    client = await server.connect()
    await client.send(frame(TEXT, b"1") + close_frame(4000, "bye"))
    client.close()
    await server.until(server.is_empty)
    going_on.set()
    assert await handler.end() == (["1"], 4000, "bye")


async def test_a_client_that_vanishes(serve: Any) -> None:
    handler = Handler(collect)
    client = await (await serve(handler)).connect()
    await client(TEXT, "1")
    client.close()
    assert await handler.end() == (["1"], 1006, "")


async def test_the_end_of_the_body_closes(serve: Any) -> None:
    async def body(ws: WebSocket) -> Any:
        await ws.send("bye")
        return ws.open, ws.close_code

    handler = Handler(body)
    server = await serve(handler)
    client = await server.connect()
    assert await client.text() == "bye"
    assert (await client.frame()).close == (1000, "")
    assert await handler.end() == (True, None)
    # The closing handshake goes on although the handler is over.
    assert server.connection.transport is not None
    await client.send(close_frame())
    await client.ended()


async def test_a_crash_closes_with_1011_and_is_reported(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(ws: WebSocket) -> Any:
        await ws.send("about to crash")
        raise RuntimeError("my secret")

    client = await (await serve(Handler(body))).connect()
    assert await client.text() == "about to crash"
    assert (await client.frame()).close == (1011, "")
    await client.send(close_frame(1011))
    await client.ended()
    assert len([record for record in caplog.records if "crashed" in record.getMessage()]) == 1


async def test_a_code_of_ones_own(serve: Any) -> None:
    async def body(ws: WebSocket) -> Any:
        await ws.close(4002, "enough")
        with pytest.raises(WebSocketClosed):
            await ws.send("late")
        return await collect(ws)

    handler = Handler(body)
    client = await (await serve(handler)).connect()
    assert (await client.frame()).close == (4002, "enough")
    await client.send(frame(TEXT, b"too late") + close_frame(4002))
    assert (await handler.end())[0] == []


async def test_receive_and_its_kinds(serve: Any) -> None:
    async def body(ws: WebSocket) -> Any:
        return [
            await ws.receive(),
            await ws.receive_text(),
            await ws.receive_bytes(),
            await ws.receive_text(),
        ]

    handler = Handler(body)
    client = await (await serve(handler)).connect()
    for opcode, data in [(BINARY, "1"), (TEXT, "2"), (BINARY, "3"), (BINARY, "no text")]:
        await client(opcode, data)
    assert (await client.frame()).close == (1003, "text is expected here")
    outcome = await handler.end()
    assert isinstance(outcome, WebSocketClosed) or outcome is None


async def test_binary_is_expected(serve: Any) -> None:
    async def body(ws: WebSocket) -> Any:
        await ws.receive_bytes()

    client = await (await serve(Handler(body))).connect()
    await client(TEXT, "x")
    assert (await client.frame()).close == (1003, "binary messages are expected here")


async def test_what_can_be_sent(serve: Any) -> None:
    async def body(ws: WebSocket) -> Any:
        for message in ("text", b"bytes", bytearray(b"array"), memoryview(b"view")):
            await ws.send(message)
        await ws.send_json({"a": [1, "€"]})
        with pytest.raises(TypeError, match="messages are str or bytes"):
            await ws.send(42)  # type: ignore[arg-type]

    handler = Handler(body)
    client = await (await serve(handler)).connect()
    got = [await client.frame() for _ in range(5)]
    assert [one.opcode for one in got] == [TEXT, BINARY, BINARY, BINARY, TEXT]
    assert got[4].data.decode() == '{"a":[1,"€"]}'
    assert await handler.end() is None


async def test_pings_measure(serve: Any) -> None:
    async def body(ws: WebSocket) -> Any:
        seconds = await ws.ping()
        return seconds, await ws.ping(b"mine")

    handler = Handler(body)
    client = await (await serve(handler)).connect()
    for _ in range(2):
        ping = await client.frame()
        assert ping.opcode == PING
        await client(PONG, ping.data)
    seconds = await handler.end()
    assert all(0 < one < 10 for one in seconds)


async def test_a_ping_that_is_never_answered_ends_with_the_connection(serve: Any) -> None:
    async def body(ws: WebSocket) -> Any:
        await ws.ping()

    handler = Handler(body)
    client = await (await serve(handler)).connect()
    await client.frame()
    client.close()
    assert isinstance(await handler.end(), WebSocketClosed) or handler.outcome is None


async def test_who_does_not_receive_holds_the_client_back(serve: Any) -> None:
    gate = asyncio.Event()

    async def body(ws: WebSocket) -> Any:
        await gate.wait()
        return len([message async for message in ws])

    handler = Handler(body)
    server = await serve(handler)
    client = await server.connect()
    client.sock.setblocking(False)
    piece = frame(BINARY, b"x" * 10_000)
    sent = 0
    while not server.connection.upgraded._reading_paused:
        try:
            sent += client.sock.send(piece[sent % len(piece) :])
        except BlockingIOError:
            await asyncio.sleep(0)
    assert len(server.connection.upgraded.receiver._messages) == QUEUED
    gate.set()
    if rest := sent % len(piece):
        await client.send(piece[rest:])
        sent += len(piece) - rest
    await client.send(close_frame())
    assert await handler.end() == sent // len(piece)


async def test_sending_waits_for_a_slow_client(serve: Any) -> None:
    sent: list[int] = []

    async def body(ws: WebSocket) -> Any:
        for number in range(200):
            await ws.send(b"x" * 100_000)
            sent.append(number)

    handler = Handler(body)
    server = await serve(handler)
    client = await server.connect(receive_buffer=4096)
    await server.until(lambda: server.connection.upgraded.slow)
    before = len(sent)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(sent) - before <= 60  # the kernel may still take some; not all 200
    assert server.connection.transport.get_write_buffer_size() < 1_000_000
    for _ in range(200):
        assert len((await client.frame()).data) == 100_000
    await client.frame()


async def test_sending_to_a_client_that_leaves(serve: Any) -> None:
    async def body(ws: WebSocket) -> Any:
        while True:
            await ws.send(b"x" * 100_000)
            await asyncio.sleep(0)

    handler = Handler(body)
    client = await (await serve(handler)).connect(receive_buffer=4096)
    client.reset()
    outcome = await handler.end()  # WebSocketClosed ends the body, and is no error
    assert outcome is None


async def test_a_handler_that_does_not_notice_is_cancelled(serve: Any) -> None:
    cancelled = asyncio.Event()

    async def body(ws: WebSocket) -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    handler = Handler(body, handler_timeout=0.01)
    client = await (await serve(handler)).connect()
    client.close()
    async with asyncio.timeout(10):
        await cancelled.wait()


async def test_a_handler_that_has_noticed_leaves_nothing_behind(serve: Any) -> None:
    """The timer that would have cancelled it goes with it: it would keep all for as long."""

    class Held:
        pass

    held: list[weakref.ref[Held]] = []

    async def application(conn: Any) -> Any:
        kept = Held()
        held.append(weakref.ref(kept))
        conn = conn.assign("kept", kept)
        async with conn.websocket(handler_timeout=3_600) as ws:
            async for _ in ws:
                pass
        return conn

    server = await serve(application)
    client = await server.connect()
    client.close()
    await server.until(server.is_empty)
    server.connections.clear()  # the test's own list

    def gone() -> bool:
        gc.collect()
        return held[0]() is None

    await server.until(gone)


async def test_two_receivers_are_one_too_many(serve: Any) -> None:
    async def body(ws: WebSocket) -> Any:
        first = asyncio.ensure_future(ws.receive())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another coroutine"):
            await ws.receive()
        return await first

    handler = Handler(body)
    client = await (await serve(handler)).connect()
    await client(TEXT, "x")
    assert await handler.end() == "x"


async def test_receive_can_be_timed_out(serve: Any) -> None:
    async def body(ws: WebSocket) -> Any:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await ws.receive()
        return await ws.receive()

    handler = Handler(body)
    client = await (await serve(handler)).connect()
    await client(TEXT, "x")
    assert await handler.end() == "x"


async def test_other_requests_get_their_error_and_may_be_rescued(serve: Any) -> None:
    async def application(conn: Any) -> Any:
        try:
            conn.websocket()
        except UpgradeError as error:
            return conn.send_resp(200, f"plain {error.status}")
        return conn.send_resp(500, "")

    server = await serve(application)
    client = await server.dial()
    await client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await client.head())[0] == 200
    assert await client.read(9) == b"plain 426"


async def test_before_it_is_accepted(serve: Any) -> None:
    async def application(conn: Any) -> Any:
        ws = conn.websocket()
        assert not ws.open
        assert ws.latency is None
        with pytest.raises(NotAcceptedError, match="async with"):
            await ws.send("x")
        with pytest.raises(TypeError, match="either"):
            conn.websocket(WebSocketOptions(), timeout=1)
        # Not entered: the request is still an ordinary one.
        return conn.send_resp(403, "")

    client = await (await serve(application)).dial()
    await client.send(request())
    assert (await client.head())[0] == 403


async def test_the_subprotocol_is_known(serve: Any) -> None:
    async def body(ws: WebSocket) -> Any:
        return ws.subprotocol

    handler = Handler(body, subprotocols=["chat"])
    await (await serve(handler)).connect("/", "sec-websocket-protocol: chat")
    assert await handler.end() == "chat"


async def test_messages_of_processes_stay_in_the_mailbox(serve: Any) -> None:
    async def body(ws: WebSocket) -> Any:
        send(myself(), "for me")
        return await receive()

    handler = Handler(body)
    await (await serve(handler)).connect()
    assert await handler.end() == "for me"


async def test_a_ping_given_up_leaves_nothing_behind(serve: Any) -> None:
    looked = asyncio.Event()

    async def body(ws: WebSocket) -> Any:
        both = [asyncio.ensure_future(ws.ping(b"same")) for _ in range(2)]
        await asyncio.sleep(0)
        both[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await both[0]
        with pytest.raises(ValueError, match="125"):
            await ws.ping(b"x" * 126)
        left = list(ws._pings)
        looked.set()
        return left, await both[1], dict(ws._pings)

    handler = Handler(body)
    client = await (await serve(handler)).connect()
    assert (await client.frame()).data == b"same"
    await looked.wait()
    await client(PONG, b"same")
    left, seconds, after = await handler.end()
    assert (left, after) == ([b"same"], {})
    assert seconds > 0
