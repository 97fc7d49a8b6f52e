"""WebSocketHandler: callbacks with explicit state, one at a time, in the request's process."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from acceptors.otp import exit as exit_process
from acceptors.otp import flag, send, spawn_link, whereis
from acceptors.otp import self as myself
from plugpy.websocket import (
    Ok,
    Ping,
    Pong,
    Push,
    Stop,
    Upgrade,
    WebSocketHandler,
    WebSocketOptions,
)
from plugpy.websocket.codec import OUT_OF_ORDER

from .conftest import BINARY, PING, PONG, TEXT, Frame, close_frame, frame, request


class Recorder(WebSocketHandler):
    """Notes what it was called with; each test overrides what it looks at."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.ended = asyncio.Event()

    def terminate(self, reason: Any, state: Any) -> None:
        self.calls.append(("terminate", reason, state))
        self.ended.set()

    async def end(self) -> tuple[Any, Any]:
        """Reason and state that `terminate` got; it must have been called once."""
        async with asyncio.timeout(10):
            await self.ended.wait()
        (call,) = [call for call in self.calls if call[0] == "terminate"]
        return call[1], call[2]


def upgrading(handler: Any, state: Any = None, **options: Any) -> Any:
    upgrade = Upgrade(handler, state, WebSocketOptions(**options))
    return lambda conn: conn.upgrade_adapter("websocket", upgrade)


async def test_state_goes_from_callback_to_callback(serve: Any) -> None:
    class Counter(Recorder):
        def init(self, state: int) -> Any:
            return Push("ready", state + 1)

        def handle_in(self, message: str, state: int) -> Any:
            if message == "none":
                return None
            if message == "ok":
                return Ok(state + 10)
            if message == "stop":
                return Stop(4001, "enough", [f"{state}"], state + 1000)
            return Push(f"{state}", state + 100)

    handler = Counter()
    server = await serve(upgrading(handler, 1))
    client = await server.connect()
    assert await client.text() == "ready"
    for message in ("none", "ok", "push", "stop"):
        await client(TEXT, message)
    assert [await client.text(), await client.text()] == ["12", "112"]
    assert (await client.frame()).close == (4001, "enough")
    await client.send(close_frame(4001))
    await client.ended()
    assert await handler.end() == ("normal", 1112)


async def test_what_can_be_pushed(serve: Any) -> None:
    frames = ["text", b"binary", bytearray(b"more"), Ping(b"p"), Pong(b"q"), ""]

    class Pusher(Recorder):
        def init(self, state: Any) -> Any:
            return Push(frames)

    client = await (await serve(upgrading(Pusher()))).connect()
    assert [await client.frame() for _ in frames] == [
        Frame(TEXT, b"text"),
        Frame(BINARY, b"binary"),
        Frame(BINARY, b"more"),
        Frame(PING, b"p"),
        Frame(PONG, b"q"),
        Frame(TEXT, b""),
    ]


async def test_one_frame_of_each_kind(serve: Any) -> None:
    class Pusher(Recorder):
        def handle_in(self, message: Any, state: Any) -> Any:
            return Push({"ping": Ping(b"1"), "array": bytearray(b"2")}[message])

    client = await (await serve(upgrading(Pusher()))).connect()
    await client(TEXT, "ping")
    await client(TEXT, "array")
    assert [await client.frame(), await client.frame()] == [Frame(PING, b"1"), Frame(BINARY, b"2")]


@pytest.mark.parametrize(
    "wrong", [42, "x", Push(42), Push([42]), Push(Ping(b"x" * 126)), Stop(1005)]
)
async def test_what_makes_no_sense_is_told(
    serve: Any, wrong: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Wrong(Recorder):
        def handle_in(self, message: Any, state: Any) -> Any:
            return wrong

    handler = Wrong()
    client = await (await serve(upgrading(handler))).connect()
    await client(TEXT, "x")
    assert (await client.frame()).close == (1011, "")
    reason, _ = await handler.end()
    assert reason[0] == "error"
    assert isinstance(reason[1], TypeError | ValueError)
    assert "crashed" in caplog.text


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("where", ["init", "handle_in", "handle_control", "handle_info"])
async def test_a_crash_ends_this_connection_only(
    serve: Any, where: str, asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def crash(*arguments: Any) -> Any:
        raise RuntimeError("my secret")

    async def crash_later(*arguments: Any) -> Any:
        await asyncio.sleep(0)
        raise RuntimeError("my secret")

    class Sound(Recorder):
        def handle_in(self, message: Any, state: Any) -> Any:
            return Push(message)

    class Crashing(Recorder):
        pass

    kind = type("Crashing", (Recorder,), {where: crash_later if asynchronous else crash})
    handler, sound = kind(), Sound()

    def application(conn: Any) -> Any:
        mine = sound if conn.request_path == "/sound" else handler
        if where == "handle_info" and mine is handler:
            send(myself(), "message")
        return conn.upgrade_adapter("websocket", Upgrade(mine))

    server = await serve(application)
    other = await server.connect("/sound")
    client = await server.connect()
    if where == "handle_in":
        await client(TEXT, "x")
    elif where == "handle_control":
        await client(PONG, b"x")
    assert (await client.frame()).close == (1011, "")
    reason, _ = await handler.end()
    assert reason[0] == "error"
    assert str(reason[1]) == "my secret"
    assert len([record for record in caplog.records if "crashed" in record.getMessage()]) == 1
    await other(TEXT, "well")
    assert await other.text() == "well"


async def test_async_callbacks_run_one_at_a_time(serve: Any) -> None:
    gate = asyncio.Event()

    class Slow(Recorder):
        async def handle_in(self, message: str, state: list[str]) -> Any:
            state.append(f"{message} begins")
            await gate.wait()
            state.append(f"{message} ends")
            return Push(message)

    state: list[str] = []
    client = await (await serve(upgrading(Slow(), state))).connect()
    await client.send(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(PING, b"p"))
    await asyncio.sleep(0)
    gate.set()
    got = [await client.frame() for _ in range(3)]
    assert [one.data for one in got if one.opcode == TEXT] == [b"1", b"2"]
    assert state == ["1 begins", "1 ends", "2 begins", "2 ends"]


async def test_who_is_busy_holds_the_client_back(serve: Any) -> None:
    gate = asyncio.Event()

    class Slow(Recorder):
        async def handle_in(self, message: str, state: Any) -> Any:
            await gate.wait()

    server = await serve(upgrading(Slow()))
    client = await server.connect()
    client.sock.setblocking(False)
    piece = frame(BINARY, b"x" * 10_000)
    sent = 0
    while not server.connection.upgraded._reading_paused:
        try:
            sent += client.sock.send(piece[sent % len(piece) :])
        except BlockingIOError:
            await asyncio.sleep(0)
    assert server.connection.upgraded._codec.waiting < 500_000
    gate.set()
    await server.until(lambda: not server.connection.upgraded._reading_paused)


async def test_terminate_says_why(serve: Any) -> None:
    async def run(end: Any) -> Any:
        handler = Recorder()
        server = await serve(upgrading(handler))
        client = await server.connect()
        await end(server, client)
        return (await handler.end())[0]

    async def closes(server: Any, client: Any) -> None:
        await client.send(close_frame(4000, "bye"))

    async def resets(server: Any, client: Any) -> None:
        client.reset()

    async def breaks(server: Any, client: Any) -> None:
        await client.send(frame(0))

    async def sleeps(server: Any, client: Any) -> None:
        server.advance(61)

    async def drains(server: Any, client: Any) -> None:
        server.connection.drain()

        async def answer() -> None:
            assert (await client.frame()).close[0] == 1001
            await client.send(close_frame(1001))

        await answer()

    assert await run(closes) == ("remote", 4000, "bye")
    assert await run(resets) == ("remote", 1006, "")
    assert await run(breaks) == ("error", 1002, OUT_OF_ORDER)
    assert await run(sleeps) == "timeout"
    assert await run(drains) == "shutdown"


async def test_terminate_may_be_async_and_may_crash(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    done = asyncio.Event()

    class Late(WebSocketHandler):
        async def terminate(self, reason: Any, state: Any) -> Any:
            await asyncio.sleep(0)
            done.set()
            raise RuntimeError("at the very end")

    client = await (await serve(upgrading(Late))).connect()
    client.close()
    async with asyncio.timeout(10):
        await done.wait()
        while "at the very end" not in caplog.text:
            await asyncio.sleep(0)


async def test_control_frames_are_told(serve: Any) -> None:
    class Control(Recorder):
        def handle_control(self, opcode: str, data: bytes, state: Any) -> Any:
            return Push(f"{opcode} {data.decode()}")

    client = await (await serve(upgrading(Control()))).connect()
    await client(PING, b"a")
    assert [await client.frame(), await client.text()] == [Frame(PONG, b"a"), "ping a"]
    await client(PONG, b"b")
    assert await client.text() == "pong b"


# processes ---------------------------------------------------------------------------------------


class Chatty(Recorder):
    def init(self, state: Any) -> Any:
        self.process = myself()
        return Push("ready")

    def handle_info(self, message: Any, state: Any) -> Any:
        if isinstance(message, tuple):
            message = f"{message[0]} {message[-1]}"
        return Push(message)


async def test_messages_of_other_processes(serve: Any) -> None:
    handler = Chatty()
    client = await (await serve(upgrading(handler))).connect()
    assert await client.text() == "ready"
    send(handler.process, "from afar")
    assert await client.text() == "from afar"


async def test_the_process_is_that_of_the_request(serve: Any) -> None:
    """What the plug before the upgrade has registered, sent and trapped is still there after it."""
    handler = Chatty()
    ours: list[Any] = []

    def application(conn: Any) -> Any:
        from acceptors.otp import register

        ours.append(myself())
        register("the-chat", myself())
        send(myself(), "sent before")
        return conn.upgrade_adapter("websocket", Upgrade(handler))

    client = await (await serve(application)).connect()
    assert await client.text() == "ready"
    assert await client.text() == "sent before"
    assert handler.process is ours[0] is whereis("the-chat")
    client.close()
    await handler.end()
    async with asyncio.timeout(10):
        while whereis("the-chat") is not None:
            await asyncio.sleep(0)


async def test_exits_are_messages_for_who_traps_them(serve: Any) -> None:
    async def crash() -> None:
        raise RuntimeError("child")

    class Parent(Chatty):
        def init(self, state: Any) -> Any:
            self.process = myself()
            flag("trap_exit", True)
            spawn_link(crash)

    client = await (await serve(upgrading(Parent()))).connect()
    assert await client.text() == "EXIT child"


async def test_the_crash_of_a_link_ends_the_connection(serve: Any) -> None:
    class Parent(Recorder):
        def init(self, state: Any) -> Any:
            self.process = myself()

    handler = Parent()
    client = await (await serve(upgrading(handler))).connect()
    await client(PING, b"")
    await client.frame()
    exit_process(handler.process, "reason")
    assert (await client.frame()).close == (1011, "")
    await client.send(close_frame(1011))
    await handler.end()


async def test_a_killed_process_ends_the_connection(serve: Any) -> None:
    class Parent(Recorder):
        def init(self, state: Any) -> Any:
            self.process = myself()

    handler = Parent()
    client = await (await serve(upgrading(handler))).connect()
    await client(PING, b"")
    await client.frame()
    exit_process(handler.process, "kill")
    assert (await client.frame()).close == (1011, "")


async def test_too_many_messages_end_the_connection(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    gate = asyncio.Event()

    class Slow(Chatty):
        async def handle_info(self, message: Any, state: Any) -> Any:
            await gate.wait()

    handler = Slow()
    client = await (await serve(upgrading(handler, max_backlog=10))).connect()
    assert await client.text() == "ready"
    for number in range(30):
        send(handler.process, number)
    assert (await client.frame()).close == (1013, "too many messages wait")
    assert "messages wait for a WebSocket handler" in caplog.text
    gate.set()
    await client.send(close_frame(1013))
    assert (await handler.end())[0] == "normal"


async def test_messages_wait_while_the_client_is_slow(serve: Any) -> None:
    class Flood(Chatty):
        def handle_info(self, message: Any, state: Any) -> Any:
            return Push(b"x" * 100_000)

    handler = Flood()
    server = await serve(upgrading(handler, max_backlog=200))
    client = await server.connect(receive_buffer=4096)
    assert await client.text() == "ready"
    for _ in range(100):
        send(handler.process, "more")
        await asyncio.sleep(0)
    assert server.connection.transport.get_write_buffer_size() < 1_000_000
    for _ in range(100):
        assert len((await client.frame()).data) == 100_000


async def test_variables_of_the_plugs_are_seen(serve: Any) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="none")

    class Reader(Recorder):
        async def handle_in(self, message: Any, state: Any) -> Any:
            return Push(variable.get())

    def application(conn: Any) -> Any:
        variable.set("set by a plug")
        return conn.upgrade_adapter("websocket", Upgrade(Reader()))

    client = await (await serve(application)).connect()
    await client(TEXT, "x")
    assert await client.text() == "set by a plug"


async def test_an_async_pipeline_upgrades_too(serve: Any) -> None:
    class Echo(Recorder):
        def handle_in(self, message: Any, state: Any) -> Any:
            return Push(message)

    async def application(conn: Any) -> Any:
        await asyncio.sleep(0)
        conn.upgrade_adapter("websocket", Upgrade(Echo()))
        await asyncio.sleep(0)
        return conn

    server = await serve(application)
    client = await server.dial()
    await client.send(request() + frame(TEXT, b"early"))
    assert (await client.head())[0] == 101
    assert await client.text() == "early"


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("kind", [asyncio.CancelledError, GeneratorExit])
async def test_what_is_no_exception_ends_the_connection_too(
    serve: Any, kind: type[BaseException], waits: bool
) -> None:
    class Raiser(Recorder):
        def handle_in(self, message: str, state: Any) -> Any:
            if not waits:
                raise kind

            async def later() -> None:
                await asyncio.sleep(0)
                raise kind

            return later()

    handler = Raiser()
    client = await (await serve(upgrading(handler))).connect()
    await client(TEXT, "go")
    assert (await client.frame()).close == (1011, "")
    await client.send(close_frame(1011))
    await client.ended()
    (why, error), _ = await handler.end()
    assert why == "error"
    assert kind.__name__ in str(error)


async def test_many_large_answers_wait_for_the_client(serve: Any) -> None:
    """Small messages of one read, large answers: the next is asked for once the last has left."""

    class Large(Recorder):
        def handle_in(self, message: str, state: int) -> Any:
            self.calls.append(("in", message))
            return Push(b"x" * 4_000_000)

    handler = Large()
    server = await serve(upgrading(handler))
    client = await server.connect(receive_buffer=4096)
    await client.send(frame(TEXT, b"more") * 32)
    await server.until(lambda: server.connection.upgraded.slow)
    assert len(handler.calls) < 8
    client.reset()
    await handler.end()
