"""The process of a request: `self()` in handlers, linked children, exit signals, its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import Any

import pytest

from acceptors import otp
from plugpy.conn import Conn, NoTasksError
from plugpy.http.request_process import CHILDREN_SHUTDOWN, RequestProcess, requests
from plugpy.pipeline import blocking, compiled


@pytest.fixture(autouse=True)
def nothing_is_left():
    """No request keeps its process, and no process, once the test is over."""
    before = set(otp.processes())
    yield
    assert requests == {}
    assert set(otp.processes()) <= before
    assert otp.zombies() == []


@pytest.fixture
def clock():
    with otp.VirtualClock() as clock:
        yield clock


def alive() -> list[RequestProcess]:
    return [one for one in otp.processes() if isinstance(one, RequestProcess)]


class Seen(list):
    """What handlers have noted."""


async def forever() -> None:
    await asyncio.Event().wait()


# -- who one is


async def test_a_plain_handler_is_a_process(serve):
    seen = Seen()

    def application(conn: Conn) -> Conn:
        me = otp.self()
        seen.append(me)
        assert otp.self() is me
        assert otp.current() is me
        assert isinstance(me, RequestProcess)
        assert me.parent is conn.owner
        assert me.conn is conn
        return conn.send_resp(200, "")

    server = await serve(application)
    client = await server.connect()
    assert (await client.get("/path?secret=1")).status == 200
    await server.until(lambda: not alive())
    assert seen[0].label == "GET /path"
    assert seen[0].exit_reason == "normal"


async def test_an_async_handler_is_a_process(serve):
    async def application(conn: Conn) -> Conn:
        me = otp.self()
        await asyncio.sleep(0)
        assert otp.self() is me
        assert me.parent is conn.owner
        assert list(conn.owner.children.values()) == [me]
        assert me in otp.processes()
        assert me.snapshot()["request"] == "GET /"
        return conn.send_resp(200, "")

    server = await serve(application)
    client = await server.connect()
    assert (await client.get()).status == 200
    assert alive() == []


async def test_a_handler_in_a_thread_is_a_process(serve):
    seen = Seen()

    @blocking
    def application(conn: Conn) -> Conn:
        assert threading.current_thread() is not threading.main_thread()
        seen.append(otp.self())
        assert otp.self() is seen[0]
        return conn.send_resp(200, "")

    server = await serve(compiled(application))
    client = await server.connect()
    assert (await client.get()).status == 200
    assert isinstance(seen[0], RequestProcess)
    await server.until(lambda: not seen[0].alive)


async def test_a_callback_of_the_response_is_the_same_process(serve):
    seen = Seen()

    def note(conn: Conn) -> Conn:
        seen.append(otp.self())
        return conn

    def application(conn: Conn) -> Conn:
        seen.append(otp.self())
        return conn.register_before_send(note).resp(200, "")

    server = await serve(application)
    client = await server.connect()
    assert (await client.get()).status == 200
    assert len(seen) == 2
    assert seen[0] is seen[1]
    await server.until(lambda: not seen[0].alive)


async def test_each_of_pipelined_requests_is_its_own_process(serve):
    seen = Seen()

    def application(conn: Conn) -> Conn:
        otp.spawn_link(forever)
        seen.append(otp.self())
        return conn.send_resp(200, "")

    server = await serve(application)
    client = await server.connect()
    await client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
    for _ in range(3):
        assert (await client.response()).status == 200
    assert len(set(seen)) == 3
    await server.until(lambda: not alive())
    assert [one.exit_reason for one in seen] == ["normal"] * 3


async def test_a_request_that_does_not_ask_has_no_process(serve):
    async def application(conn: Conn) -> Conn:
        await asyncio.sleep(0)
        return conn.send_resp(200, str(len(conn.owner.children) + len(requests)))

    server = await serve(application)
    client = await server.connect()
    assert (await client.get()).body == b"0"


async def test_a_task_that_outlives_the_request_is_not_the_request(serve):
    over, seen = asyncio.Event(), Seen()

    async def later(me: otp.Process) -> None:
        await over.wait()
        seen.append(otp.self() is me)

    async def application(conn: Conn) -> Conn:
        seen.append(asyncio.create_task(later(otp.self())))
        return conn.send_resp(200, "")

    server = await serve(application)
    client = await server.connect()
    assert (await client.get()).status == 200
    assert (await client.get()).status == 200
    over.set()
    await asyncio.gather(*seen[:2])
    assert seen[2:] == [False, False]


async def test_an_eager_task_in_a_plain_handler_is_not_the_request(serve):
    seen = Seen()

    async def other() -> None:
        seen.append(otp.self())

    def application(conn: Conn) -> Conn:
        coroutine = other()
        with pytest.raises(StopIteration):
            coroutine.send(None)  # as an eager Task runs its first step
        return conn.send_resp(200, "")

    server = await serve(application)
    client = await server.connect()
    assert (await client.get()).status == 500  # no Task, so nobody: a RuntimeError
    assert seen == []


# -- children


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_children_die_with_their_request(serve, kind):
    children = Seen()

    def start(conn: Conn) -> Conn:
        children.append(otp.spawn_link(forever))
        assert children[-1].parent is otp.self()
        return conn.send_resp(200, "")

    async def start_async(conn: Conn) -> Conn:
        return start(conn)

    server = await serve(start if kind == "plain" else start_async)
    client = await server.connect()
    assert (await client.get()).status == 200
    await server.until(lambda: not children[0].alive)
    assert children[0].exit_reason == ("shutdown", "request_ended")
    await server.until(lambda: not alive())
    assert (await client.get()).status == 200  # the connection lives on
    await server.until(lambda: not alive())


async def test_a_child_that_refuses_is_killed_in_time(serve, clock):
    children = Seen()

    async def stubborn() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await forever()

    async def application(conn: Conn) -> Conn:
        children.append(otp.spawn_link(stubborn))
        await asyncio.sleep(0)
        return conn.send_resp(200, "")

    server = await serve(application)
    client = await server.connect()
    assert (await client.get()).status == 200
    assert children[0].alive
    await clock.advance(CHILDREN_SHUTDOWN)
    assert not children[0].alive
    assert alive() == []
    await clock.settle()


async def test_a_child_that_traps_and_goes_on_is_killed_in_time(serve, clock):
    children, told = Seen(), Seen()

    async def stubborn() -> None:
        otp.flag("trap_exit", True)
        while True:
            told.append(await otp.receive())

    async def application(conn: Conn) -> Conn:
        children.append(otp.spawn_link(stubborn))
        await asyncio.sleep(0)
        return conn.send_resp(200, "")

    server = await serve(application)
    client = await server.connect()
    assert (await client.get()).status == 200
    await server.until(lambda: bool(told))
    assert [message[0] for message in told] == ["EXIT"]
    assert told[0][2] == ("shutdown", "request_ended")
    await clock.advance(CHILDREN_SHUTDOWN - 0.1)
    assert children[0].alive
    await clock.advance(0.1)
    assert not children[0].alive
    assert children[0].exit_reason == "killed"
    assert alive() == []
    assert (await client.get()).status == 200  # the connection lives on
    await clock.advance(CHILDREN_SHUTDOWN)


async def test_a_child_that_crashes_ends_the_request(serve, caplog):
    cancelled = Seen()

    async def crash() -> None:
        raise ValueError("of the child")

    async def application(conn: Conn) -> Conn:
        if conn.request_path == "/fine":
            return conn.send_resp(200, "fine")
        otp.spawn_link(crash)
        try:
            await forever()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return conn

    server = await serve(application)
    client = await server.connect()
    with caplog.at_level(logging.INFO):
        assert (await client.get("/?secret=1")).status == 500
    assert cancelled == [True]
    crashes = [
        r.report for r in caplog.records if getattr(r, "report", {}).get("report") == "crash"
    ]
    assert [str(report["reason"]) for report in crashes] == ["of the child"]
    assert "GET / was ended by an exit signal: ValueError: of the child" in caplog.text
    assert "secret" not in caplog.text
    assert (await client.get("/fine")).body == b"fine"  # the connection lives on


async def test_a_child_that_ends_normally_does_not(serve):
    async def application(conn: Conn) -> Conn:
        child = otp.spawn_link(asyncio.sleep, 0)
        await child.join()
        return conn.send_resp(200, "")

    server = await serve(application)
    client = await server.connect()
    assert (await client.get()).status == 200


async def test_a_request_that_traps_gets_the_message_and_answers_itself(serve):
    async def crash() -> None:
        raise ValueError("of the child")

    async def application(conn: Conn) -> Conn:
        otp.flag("trap_exit", True)
        child = otp.spawn_link(crash)
        _, source, reason = await otp.receive(("EXIT", child, otp.ANY))
        return conn.send_resp(503, f"{source is child} {reason}")

    server = await serve(application)
    client = await server.connect()
    answer = await client.get()
    assert (answer.status, answer.body) == (503, b"True of the child")


async def test_a_server_started_in_a_handler_ends_with_it(serve):
    class Cache(otp.GenServer):
        def handle_call(self, request: Any, from_: Any) -> Any:
            return request

    seen = Seen()

    async def application(conn: Conn) -> Conn:
        seen.append(await Cache.start_link())
        return conn.send_resp(200, await otp.call(seen[0], "hello"))

    server = await serve(application)
    client = await server.connect()
    assert (await client.get()).body == b"hello"
    await server.until(lambda: not seen[0].alive)


async def test_what_is_unlinked_lives_on(serve):
    children = Seen()

    async def application(conn: Conn) -> Conn:
        child = otp.spawn_link(forever)
        otp.unlink(child)
        children.append(child)
        return conn.send_resp(200, "")

    server = await serve(application)
    client = await server.connect()
    assert (await client.get()).status == 200
    assert alive() == []
    assert children[0].alive
    otp.exit(children[0], "kill")
    await server.until(lambda: children[0].task.done())


# -- messages


async def test_messages_monitors_and_timers(serve):
    async def application(conn: Conn) -> Conn:
        me = otp.self()
        otp.send(me, "one")
        otp.send_after(me, "two", 0)
        child, reference = otp.spawn_monitor(asyncio.sleep, 0)
        got = [await otp.receive("one"), await otp.receive("two")]
        down = await otp.receive(("DOWN", reference, "process", child, otp.ANY))
        return conn.json([*got, down[4]])

    server = await serve(application)
    client = await server.connect()
    assert (await client.get()).body == b'["one","two","normal"]'


# -- exit signals


async def started(server: Any, path: str = "/") -> tuple[Any, RequestProcess]:
    client = await server.connect()
    await client.send(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    await server.until(lambda: bool(alive()))
    return client, alive()[-1]


async def waiting(conn: Conn) -> Conn:
    if conn.request_path == "/fine":
        return conn.send_resp(200, "fine")
    otp.self()
    await forever()
    return conn


@pytest.mark.parametrize(
    ("reason", "status", "told"),
    [
        ("boom", 500, "boom"),
        (ValueError("x"), 500, None),
        ("shutdown", 503, "shutdown"),
        (("shutdown", "move"), 503, ("shutdown", "move")),
        ("kill", 500, "killed"),
    ],
)
async def test_an_exit_signal_ends_that_request_only(serve, reason, status, told):
    server = await serve(waiting)
    client, process = await started(server)
    ended = asyncio.create_task(process.join())
    await asyncio.sleep(0)
    otp.exit(process, reason)
    assert (await client.response()).status == status
    assert await ended == (reason if told is None else told)
    await client.send(b"GET /fine HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await client.response()).body == b"fine"


async def test_normal_is_harmless(serve):
    over = asyncio.Event()

    async def application(conn: Conn) -> Conn:
        otp.self()
        await over.wait()
        return conn.send_resp(200, "")

    server = await serve(application)
    client, process = await started(server)
    otp.exit(process, "normal")
    over.set()
    assert (await client.response()).status == 200


async def test_kill_ends_a_handler_that_swallows_cancellation(serve):
    seen = Seen()

    async def application(conn: Conn) -> Conn:
        otp.self()
        while True:
            try:
                await forever()
            except asyncio.CancelledError:
                seen.append("cancelled")

    server = await serve(application)
    client, process = await started(server)
    otp.exit(process, "kill")
    assert not process.alive
    assert (await client.response()).status == 500
    assert seen == []


async def test_one_that_does_not_end_is_killed_in_time(serve, clock):
    async def application(conn: Conn) -> Conn:
        otp.self()
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await forever()

    server = await serve(application)
    client, process = await started(server)
    otp.exit(process, "boom")
    await clock.advance(otp.EXIT_GRACE)
    assert not process.alive
    assert (await client.response()).status == 500


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize(
    ("leave", "status"),
    [
        (lambda: otp.exit("boom"), 500),
        (lambda: otp.exit(otp.self(), "boom"), 500),
        (lambda: otp.exit(otp.self(), "kill"), 500),
        (lambda: otp.exit(("shutdown", "enough")), 503),
    ],
)
async def test_a_handler_may_exit(serve, kind, leave, status):
    def plain(conn: Conn) -> Conn:
        leave()
        raise AssertionError("it went on")

    async def later(conn: Conn) -> Conn:
        return plain(conn)

    server = await serve(plain if kind == "plain" else later)
    client = await server.connect()
    assert (await client.get()).status == status
    assert (await client.get()).status == status  # on the same connection
    await server.until(lambda: not alive())


async def test_a_plain_handler_that_raises_cancelled_error_ends_its_request_only(serve):
    def application(conn: Conn) -> Conn:
        raise asyncio.CancelledError

    server = await serve(application)
    client = await server.connect()
    assert (await client.get()).status == 500
    assert (await client.get()).status == 500


async def test_links_learn_why_a_request_has_crashed(serve):
    seen = Seen()

    async def watcher() -> None:
        otp.flag("trap_exit", True)
        seen.append((await otp.receive())[2])

    other = otp.spawn(watcher)

    async def application(conn: Conn) -> Conn:
        otp.link(other)
        raise ValueError("of the handler")

    server = await serve(application)
    client = await server.connect()
    await asyncio.sleep(0)
    assert (await client.get()).status == 500
    await other.join()
    assert str(seen[0]) == "of the handler"


async def test_killing_the_connection_ends_its_request(serve):
    server = await serve(waiting)
    client, process = await started(server)
    connection = server.connection
    otp.exit(connection, "kill")
    assert await client.closed()
    assert not connection.alive
    await server.until(lambda: not process.alive)
    assert process.exit_reason == "killed"


# -- the end


async def test_a_client_that_leaves_ends_it(serve):
    children = Seen()

    async def application(conn: Conn) -> Conn:
        children.append(otp.spawn_link(forever))
        await forever()
        return conn

    server = await serve(application)
    client, process = await started(server)
    client.close()
    await server.until(lambda: not process.alive)
    assert process.exit_reason == ("shutdown", "closed")
    assert children[0].exit_reason == ("shutdown", "request_ended")


async def test_a_request_that_opts_out_goes_on_without_its_client(serve):
    from plugpy.router import Router

    router = Router()
    over, seen = asyncio.Event(), Seen()

    @router.get("/", cancel_on_disconnect=False)
    async def index(conn: Conn) -> Conn:
        seen.append(otp.self())
        await over.wait()
        seen.append(otp.self().alive)
        return conn.send_resp(200, "")

    server = await serve(compiled(router))
    client, process = await started(server)
    client.close()
    await server.until(lambda: not server.connection.alive)
    assert process.alive
    assert process in otp.processes()  # where an observer can see it
    over.set()
    await server.until(lambda: not process.alive)
    assert seen == [process, True]


async def test_time_that_is_up_ends_it(serve):
    server = await serve(waiting, request_timeout=3.0)
    client, process = await started(server)
    server.advance(4)
    assert (await client.response()).status == 503
    assert not process.alive


async def test_a_crash_of_the_handler_ends_it(serve, caplog):
    children = Seen()

    async def application(conn: Conn) -> Conn:
        children.append(otp.spawn_link(forever))
        raise ValueError("of the handler")

    server = await serve(application)
    client = await server.connect()
    assert (await client.get("/path?secret=1")).status == 500
    await server.until(lambda: not children[0].alive)
    report = next(r.report for r in caplog.records if hasattr(r, "report"))
    assert report["report"] == "crash"
    assert report["request"] == "GET /path"
    assert str(report["reason"]) == "of the handler"
    assert report["ancestors"][0] == server.connection.pid
    assert report["stack"][-1].name == "application"
    assert "secret" not in caplog.text


async def test_a_connection_gives_the_room_back(serve):
    def application(conn: Conn) -> Conn:
        otp.self()
        return conn.send_resp(200, "")

    server = await serve(application)
    client = await server.connect()
    before = server.connection.children
    assert (await client.get()).status == 200
    await server.until(lambda: not alive())
    assert server.connection.children is before
    with pytest.raises(TypeError):
        before[1] = None


async def test_without_a_server_there_are_no_tasks(serve, caplog):
    def application(conn: Conn) -> Conn:
        conn.tasks.start_task(print)
        return conn.send_resp(200, "")

    server = await serve(application)
    client = await server.connect()
    assert (await client.get()).status == 500
    assert caplog.records[0].exc_info[0] is NoTasksError
