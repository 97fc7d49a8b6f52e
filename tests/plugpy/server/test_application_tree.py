"""The server is made of processes: what runs beside the router, and what the end of each process in
the tree means for the others."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import acceptors
import plugpy
from acceptors import otp
from plugpy import Application, Conn, Router, Server, every, get, supervisor, worker
from plugpy.server.application import identify
from plugpy.server.errors import ApplicationError
from plugpy.server.serving import run_server

PATIENCE = 10.0
"""Seconds after which a test that waits has failed; never waited for in a good run."""


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = set(otp.processes())
    yield
    assert set(otp.processes()) <= before
    assert otp.zombies() == []


@pytest.fixture
def clock() -> Iterator[otp.VirtualClock]:
    with otp.VirtualClock() as clock:
        yield clock


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)


class Client:
    """One connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def of(cls, server: Server) -> Client:
        # A listener that was killed has another port where any would do.
        (ref,) = acceptors.info()
        return cls(*await asyncio.open_connection(server.host, acceptors.get_port(ref)))

    async def send(self, path: str = "/") -> None:
        self.writer.write(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())

    async def answer(self) -> tuple[int, bytes]:
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return int(head.split()[1]), await self.reader.readexactly(length)

    async def get(self, path: str = "/") -> tuple[int, bytes]:
        await self.send(path)
        return await self.answer()

    async def ended(self) -> bool:
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True

    def close(self) -> None:
        self.writer.close()


def hello(conn: Conn) -> Conn:
    return conn.send_resp(200, "hello")


def serving(application: Any, **options: Any) -> Server:
    return Server(application, **{"port": 0, "access_log": False, "acceptors": 2, **options})


async def forever() -> None:
    await asyncio.Event().wait()


class Noted(otp.GenServer):
    """Notes its start and its end."""

    def init(self, events: list[str], title: str) -> None:
        otp.flag("trap_exit", True)
        self.events, self.title = events, title
        events.append(f"{title} up")

    def terminate(self, reason: otp.Reason) -> None:
        self.events.append(f"{self.title} down")

    def handle_call(self, request: Any, from_: Any) -> Any:
        if request == "crash":
            raise ValueError("asked to")
        return self.title


def noted(events: list[str], title: str, **fields: Any) -> otp.ChildSpec:
    return worker(Noted, events, title, id=title, name=title, **fields)


# -- children are started before the listener and stopped after it, in order


async def test_children_start_before_the_listener_and_stop_after_it_in_order() -> None:
    events: list[str] = []

    class Hello(Application):
        router = hello

        async def start(self) -> Any:
            assert acceptors.info() == {}
            events.append("start")
            return [noted(events, "one"), noted(events, "two")]

        def prep_stop(self) -> None:
            events.append("prep_stop")

        async def stop(self) -> None:
            assert acceptors.info() == {}
            events.append("stop")

    async with serving(Hello) as server:
        client = await Client.of(server)
        assert await client.get() == (200, b"hello")
        client.close()
        assert events == ["start", "one up", "two up"]
        tree = [str(id_) for id_, *_ in server.supervisor.which_children()]
        assert tree == ["application", "tasks", "('listener', 'http')"]
        events.append("stopping")
    await server.stop()
    assert events[3:] == ["stopping", "prep_stop", "two down", "one down", "stop"]


async def test_a_request_in_flight_still_has_its_children() -> None:
    events: list[str] = []
    entered, release = asyncio.Event(), asyncio.Event()

    async def slow(conn: Conn) -> Conn:
        entered.set()
        await release.wait()
        return conn.send_resp(200, await otp.call("cache", "who"))

    server = serving(Application(slow, children=[noted(events, "cache")]))
    await server.start()
    client = await Client.of(server)
    await client.send()
    await entered.wait()
    stopping = asyncio.create_task(server.stop())
    await until(lambda: acceptors.info() == {} or not acceptors.info("http")["acceptors"])
    release.set()
    assert await client.answer() == (200, b"cache")
    await stopping
    client.close()
    assert events == ["cache up", "cache down"]


class Beside(Router):
    children = (worker(forever, id="beside"),)

    @get("/")
    def index(self, conn: Conn) -> Conn:
        return conn.send_resp(200, "")


class Subclass(Application):
    router = Beside
    children = (worker(forever, id="beside"),)


class WithMethod(Application):
    children = (worker(forever, id="beside"),)

    def router(self, conn: Conn) -> Conn:
        return conn.send_resp(200, "")


@pytest.mark.parametrize(
    "application",
    [
        WithMethod,
        Beside,
        Beside(),
        Subclass,
        Subclass(),
        Application(hello, children=[worker(forever, id="beside")]),
        Application(Beside, children=[forever], name="my.supervisor"),
    ],
)
async def test_every_form_of_an_application(application: Any) -> None:
    async with serving(application) as server:
        top = server.supervisor.which_child("application")
        assert isinstance(top, otp.Supervisor)
        assert len(top.which_children()) == 1
        client = await Client.of(server)
        assert (await client.get())[0] == 200
        client.close()


async def test_start_may_return_a_supervisor_of_its_own() -> None:
    class Hello(Application):
        router = hello

        async def start(self) -> Any:
            return await otp.Supervisor.start_link([forever], name="own")

    async with serving(Hello) as server:
        assert server.supervisor.which_child("application") is otp.whereis("own")


async def test_strategy_and_intensity_are_the_users() -> None:
    application = Application(
        hello,
        children=[worker(forever, id=name) for name in "abc"],
        strategy="rest_for_one",
        max_restarts=7,
        max_seconds=11,
        name="mine",
    )
    async with serving(application):
        mine = otp.whereis("mine")
        assert isinstance(mine, otp.Supervisor)
        assert (mine.strategy, mine.intensity, mine.period) == ("rest_for_one", 7, 11)
        a, b, c = (mine.which_child(name) for name in "abc")
        otp.exit(b, "kill")
        await until(lambda: mine.which_child("c") not in (c, None))
        assert mine.which_child("a") is a


async def test_an_asgi_application_may_have_children() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        body = str(otp.self().parent.label).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async with serving(Application(app, children=[noted([], "beside")])) as server:
        client = await Client.of(server)
        assert (await client.get())[0] == 200
        client.close()


def test_the_forms_of_a_child() -> None:
    async def poll(url: str) -> None: ...

    assert worker(poll, "x", restart="transient").restart == "transient"
    assert worker(poll, "x").id == "poll"
    spec = worker(otp.Agent, dict, name="cache", shutdown=1)
    assert (spec.id, spec.shutdown, spec.kwargs) == ("cache", 1, {"name": "cache"})
    pair = supervisor([worker(poll, "x")], strategy="one_for_all", name="pair")
    assert (pair.id, pair.type, pair.shutdown) == ("pair", "supervisor", "infinity")
    mails = supervisor(otp.TaskSupervisor, name="mails", shutdown=30)
    assert mails.kwargs == {"name": "mails", "shutdown": 30}
    assert {"Application", "every", "supervisor", "worker"} <= set(plugpy.__all__)


@pytest.mark.parametrize(
    ("application", "message"),
    [
        (Application(), "has no router"),
        (Application(Subclass), "is an Application itself"),
        (Application(hello, children=[42]), r"children\[0\]: a child is a ChildSpec.*got 42"),
        (Application(hello, children=[forever, forever]), "two children have the id 'forever'"),
        (Application(hello, children=forever), "children is a list of children"),
        (Application(hello, strategy="all_for_one"), "strategy is one of one_for_one"),
        (Application(hello, max_restarts=-1), "max_restarts is a number"),
        (Application(hello, max_seconds=0), "max_seconds is above 0"),
        (Application(hello, children=[dict]), r"children\[0\]"),
        (Application(hello, children=[{"id": 1, "strat": forever}]), "did you mean 'start'"),
    ],
)
def test_what_is_wrong_is_said(application: Application, message: str) -> None:
    with pytest.raises(ApplicationError, match=message):
        serving(application)


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(TypeError, match="has no option 'child'; there are children"):
        Application(hello, child=[])
    with pytest.raises(otp.ChildSpecError, match="has no child_spec"):
        worker(dict)
    with pytest.raises(otp.ChildSpecError, match="a function or a class"):
        worker("poll")


def test_the_router_of_an_application_is_what_is_served() -> None:
    loaded = identify(Subclass, name="app:Subclass")
    assert isinstance(loaded.application, Beside)
    assert isinstance(loaded.owner, Subclass)


# -- a child that does not start


class Fails(otp.GenServer):
    def init(self) -> None:
        raise ConnectionRefusedError("no database")


async def test_a_child_that_fails_to_start_says_which_and_why() -> None:
    events: list[str] = []
    children = [noted(events, "one"), supervisor([worker(Fails, id="db")], name="data")]
    with pytest.raises(ApplicationError) as raised:
        await serving(Application(hello, children=children)).start()
    first, *rest = str(raised.value).splitlines()
    assert first == (
        "the child data > db of Application did not start: ConnectionRefusedError: no database"
    )
    assert any("raise ConnectionRefusedError" in line for line in rest)
    assert events == ["one up", "one down"]
    assert raised.value.exit_code == 3
    assert acceptors.info() == {}


async def test_a_start_that_raises_says_so() -> None:
    class Hello(Application):
        router = hello

        def start(self) -> Any:
            raise RuntimeError("not today")

    with pytest.raises(
        ApplicationError,
        match=r"the children of .*Hello could not be started: RuntimeError: not today",
    ):
        await serving(Hello).start()


def run_file(folder: Path, text: str, *arguments: str) -> tuple[int, str]:
    """Serve `app:App` by the command line until it ends by itself: exit code and what it said."""
    (folder / "app.py").write_text(text)
    command = [sys.executable, "-m", "plugpy", "serve", "app:App", "--port", "0", *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr


FAILS = """
from acceptors import otp
from plugpy import Application, worker

class Cache(otp.GenServer):
    def init(self):
        raise ValueError("no cache")

class App(Application):
    router = staticmethod(lambda conn: conn.send_resp(200, ""))
    children = [worker(Cache)]
"""


@pytest.mark.parametrize("arguments", [(), ("--workers", "2")])
def test_the_command_ends_with_exit_code_3(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, said = run_file(tmp_path, FAILS, *arguments)
    assert code == 3
    assert "the child Cache of app:App did not start: ValueError: no cache" in said
    assert 'raise ValueError("no cache")' in said
    assert said.count("no cache") <= 3


# -- a supervisor that gives up


async def crash() -> None:
    raise ValueError("again")


def test_a_supervisor_that_gives_up_ends_the_server_in_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    events: list[str] = []
    inner = supervisor([worker(crash)], name="inner", intensity=1)
    application = Application(
        hello, children=[noted(events, "one"), inner], max_restarts=1, name="outer"
    )
    with caplog.at_level(logging.CRITICAL, "plugpy.server"):
        code = run_server(
            serving(application, block_warning=0),
            lambda: events.append("ready"),
            stop_signals=(signal.SIGUSR2,),
        )
    assert code == 1
    assert events == ["one up", "ready", "one down"]
    critical = [r.getMessage() for r in caplog.records if r.levelno == logging.CRITICAL]
    (said,) = critical
    assert said.startswith("the server has ended by itself: the supervisor 'outer' gave up, since ")
    assert "its child 'inner' ended more than 1 times in 5 s, the last time by shutdown" in said
    assert said.endswith(
        "'crash' ended more than 1 times in 5 s, the last time by ValueError: again"
    )


async def test_what_is_in_flight_is_answered_when_a_supervisor_gives_up() -> None:
    entered, release, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(conn: Conn) -> Conn:
        entered.set()
        await release.wait()
        return conn.send_resp(200, "done")

    async def once() -> None:
        await over.wait()
        raise ValueError("over")

    server = serving(Application(slow, children=[once], max_restarts=0))
    await server.start()
    client = await Client.of(server)
    await client.send()
    await entered.wait()
    over.set()
    ended = asyncio.create_task(server.wait_ended())
    await until(lambda: server.supervisor._ending)
    release.set()
    assert await client.answer() == (200, b"done")
    assert await ended == "shutdown"
    assert "its child 'once' ended more than 0 times" in server.why_ended()
    client.close()
    await server.stop()


# -- each process of the tree is killed


class Busy:
    """A server with everything in its tree: a child, a task, an idle connection, one at work."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.entered, self.release = asyncio.Event(), asyncio.Event()

        async def application(conn: Conn) -> Conn:
            if conn.request_path == "/work":
                self.request = otp.self()
                self.entered.set()
                await self.release.wait()
            return conn.send_resp(200, "done")

        self.server = serving(
            Application(application, children=[noted(self.events, "child")], name="beside"),
            shutdown_timeout="5s",
        )

    async def __aenter__(self) -> Busy:
        await self.server.start()
        self.idle, self.working = await Client.of(self.server), await Client.of(self.server)
        assert await self.idle.get() == (200, b"done")
        await self.working.send("/work")
        await self.entered.wait()
        self.task = self.tasks.start_task(forever)
        connections = self.child(("listener", "http")).connections
        self.idle_connection = next(
            one for one in connections.children.values() if one is not self.request.parent
        )
        self.working_connection = self.request.parent
        return self

    async def __aexit__(self, *error: object) -> None:
        self.release.set()
        self.idle.close()
        self.working.close()
        otp.exit(self.task, "kill")
        await self.server.stop()

    def child(self, id_: Any) -> Any:
        return self.server.supervisor.which_child(id_)

    @property
    def tasks(self) -> Any:
        return self.child("tasks")

    def processes(self) -> dict[str, otp.Process]:
        """Each kind of process in the tree."""
        listener = self.child(("listener", "http"))
        pool = listener.acceptors
        connections = listener.connections
        return {
            "plugpy": self.server.supervisor,
            "application": self.child("application"),
            "child": self.child("application").which_child("child"),
            "tasks": self.tasks,
            "task": self.task,
            "listener": listener,
            "acceptors": pool,
            "acceptor": next(iter(pool.children.values())),
            "connections": connections,
            "working": self.working_connection,
            "idle": self.idle_connection,
            "request": self.request,
        }


# What is killed -> what ends with it, and what is there anew. All else is untouched.
KILLS: dict[str, tuple[set[str], set[str]]] = {
    "child": (set(), {"child"}),
    "application": ({"child"}, {"application", "child"}),
    "task": (set(), set()),
    "tasks": ({"task"}, {"tasks"}),
    "acceptor": (set(), {"acceptor"}),
    "acceptors": ({"acceptor"}, {"acceptors", "acceptor"}),
    "connections": (
        {"acceptors", "acceptor", "idle", "working", "request"},
        {"connections", "acceptors", "acceptor"},
    ),
    "listener": (
        {"connections", "acceptors", "acceptor", "idle", "working", "request"},
        {"listener", "connections", "acceptors", "acceptor"},
    ),
    "idle": (set(), set()),
    "working": ({"request"}, set()),
    "request": (set(), set()),
}


@pytest.mark.parametrize("victim", KILLS)
async def test_kill_of_each_kind_of_process(victim: str) -> None:
    with_it, anew = KILLS[victim]
    async with Busy() as busy:
        before = busy.processes()
        server = busy.server
        otp.exit(before[victim], "kill")
        ended = {victim, *with_it}
        await until(lambda: not any(before[name].alive for name in ended))

        def back() -> bool:
            try:
                after = busy.processes()
            except (acceptors.NoListenerError, AttributeError, StopIteration):
                return False  # a supervisor has no process for that child right now
            return all(after[name] not in (None, before[name]) for name in anew)

        if anew - {"acceptor"}:
            await until(back)
        assert all(before[name].alive for name in before.keys() - ended), victim
        # New clients are served, whatever it was.
        await until(lambda: acceptors.info("http")["acceptors"] == 2)
        client = await Client.of(server)
        assert await client.get() == (200, b"done")
        client.close()
        # Connections that were not among them are as they were.
        busy.release.set()
        if "idle" in ended:
            assert await busy.idle.ended()
        else:
            assert await busy.idle.get() == (200, b"done")
        if "working" in ended:
            assert await busy.working.ended()
        else:
            status = 500 if victim == "request" else 200
            assert (await busy.working.answer())[0] == status


async def test_kill_of_the_top_ends_all() -> None:
    busy = Busy()
    async with busy:
        before = busy.processes()
        otp.exit(busy.server.supervisor, "kill")
        busy.release.set()
        await until(lambda: not any(process.alive for process in before.values()))
        assert await busy.server.wait_ended() == "killed"
        assert await busy.idle.ended()


# -- an acceptor pool that gives up


async def test_acceptors_that_die_too_often_are_all_started_anew_and_no_connection_notices() -> (
    None
):
    async with Busy() as busy:
        pool = busy.processes()["acceptors"]
        while pool.alive:
            otp.exit(next(iter(pool.children.values())), "kill")
        await until(lambda: bool(acceptors.info("http")["acceptors"]))
        assert busy.processes()["acceptors"] is not pool
        assert await busy.idle.get() == (200, b"done")
        client = await Client.of(busy.server)
        assert await client.get() == (200, b"done")
        client.close()


# -- crashes


async def test_a_crash_in_a_handler_ends_that_request_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def application(conn: Conn) -> Conn:
        if conn.request_path == "/crash":
            raise ValueError("of the handler")
        return conn.send_resp(200, "")

    async with serving(application) as server:
        one, two = await Client.of(server), await Client.of(server)
        assert (await two.get())[0] == 200
        processes = set(otp.processes())
        assert (await one.get("/crash?token=hunter2"))[0] == 500
        assert (await one.get())[0] == 200
        assert (await two.get())[0] == 200
        assert processes <= set(otp.processes())
        one.close()
        two.close()
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    report = record.report  # type: ignore[attr-defined]
    assert report["report"] == "crash"
    assert report["request"] == "GET /crash"
    assert isinstance(report["pid"], otp.Pid)
    assert len(report["ancestors"]) == 3  # connections, listener, plugpy
    assert str(report["reason"]) == "of the handler"
    assert [frame.name for frame in report["stack"]][-1] == "application"
    assert record.exc_info is not None
    assert "hunter2" not in caplog.text


async def test_a_crash_in_a_connection_ends_that_connection_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from plugpy.http import Http1Connection

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    async with serving(hello) as server:
        one, two = await Client.of(server), await Client.of(server)
        assert (await two.get())[0] == 200
        settle = Http1Connection._read

        def broken(self: Any, data: bytes, kept: int = 0) -> None:
            if b"/broken" in data:
                raise ValueError("of the connection")
            settle(self, data, kept)

        monkeypatch.setattr(Http1Connection, "_read", broken)
        await one.send("/broken")
        assert await one.ended()
        assert (await two.get())[0] == 200
        await until(lambda: server.connections == 1)
        one.close()
        two.close()


# -- tasks


async def test_a_task_outlives_its_request_and_its_connection() -> None:
    release, seen = asyncio.Event(), []

    async def later(word: str) -> None:
        await release.wait()
        seen.append(word)

    def application(conn: Conn) -> Conn:
        conn.tasks.start_task(later, conn.query_params["word"])
        return conn.send_resp(202, "")

    async with serving(application) as server:
        client = await Client.of(server)
        assert (await client.get("/?word=a"))[0] == 202
        client.close()
        await until(lambda: server.connections == 0)
        tasks = server.supervisor.which_child("tasks")
        assert len(tasks.children) == 1
        release.set()
        await until(lambda: not tasks.children)
    assert seen == ["a"]


async def test_the_crash_of_a_task_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def application(conn: Conn) -> Conn:
        task = conn.tasks.async_nolink(crash)
        with pytest.raises(otp.CallError):
            await task
        return conn.send_resp(200, "")

    async with serving(application) as server:
        client = await Client.of(server)
        assert (await client.get())[0] == 200
        client.close()


async def test_a_linked_task_that_crashes_ends_its_request() -> None:
    async def application(conn: Conn) -> Conn:
        conn.tasks.async_(crash)
        await forever()
        return conn

    async with serving(application) as server:
        client = await Client.of(server)
        assert (await client.get())[0] == 500
        client.close()


async def test_tasks_are_drained_after_the_listener() -> None:
    release, seen = asyncio.Event(), []

    async def later() -> None:
        await release.wait()
        seen.append(acceptors.info())

    def application(conn: Conn) -> Conn:
        conn.tasks.start_task(later)
        return conn.send_resp(202, "")

    server = serving(application)
    await server.start()
    client = await Client.of(server)
    assert (await client.get())[0] == 202
    client.close()
    stopping = asyncio.create_task(server.stop())
    await until(lambda: acceptors.info() == {})
    release.set()
    await stopping
    assert seen == [{}]


async def test_a_task_has_no_more_than_the_shutdown_timeout(clock: otp.VirtualClock) -> None:
    seen: list[str] = []

    async def later(stubborn: bool) -> None:
        while True:
            try:
                await forever()
            except asyncio.CancelledError:
                seen.append(f"{clock.now():g}")
                if not stubborn:
                    raise

    def application(conn: Conn) -> Conn:
        conn.tasks.start_task(later, conn.request_path == "/stubborn")
        return conn.send_resp(202, "")

    server = serving(application, shutdown_timeout="7s")
    await server.start()
    client = await Client.of(server)
    assert (await client.get())[0] == 202
    assert (await client.get("/stubborn"))[0] == 202
    client.close()
    await until(lambda: server.connections == 0)
    stopping = asyncio.create_task(server.stop())
    await until(lambda: acceptors.info() == {})
    await clock.advance(6.9)
    assert seen == []
    await clock.advance(0.2)
    assert seen == ["7", "7"]
    assert not stopping.done()
    await clock.advance(2.0)
    await stopping


async def test_a_request_whose_client_left_is_waited_for_as_a_task() -> None:
    release, seen = asyncio.Event(), []
    router = Router()

    @router.get("/", cancel_on_disconnect=False)
    async def index(conn: Conn) -> Conn:
        seen.append(otp.self())
        await release.wait()
        seen.append("done")
        return conn.send_resp(200, "")

    server = serving(router)
    await server.start()
    client = await Client.of(server)
    await client.send()
    await until(lambda: bool(seen))
    client.close()
    await until(lambda: server.connections == 0)
    tasks = server.supervisor.which_child("tasks")
    assert list(tasks.children.values()) == seen
    stopping = asyncio.create_task(server.stop())
    await until(lambda: acceptors.info() == {})
    assert not stopping.done()
    release.set()
    await stopping
    assert seen[1:] == ["done"]


async def test_in_a_test_tasks_work_without_a_server() -> None:
    from plugpy.testing import conn

    seen: list[int] = []
    one = conn()
    one.tasks.start_task(seen.append, 1)
    task = one.tasks.async_nolink(lambda: 2)
    assert await task == 2
    await until(lambda: seen == [1])


# -- periodic jobs


async def test_a_periodic_job_runs_at_whole_periods(clock: otp.VirtualClock) -> None:
    seen: list[float] = []
    tree = await otp.Supervisor.start([every(10, lambda: seen.append(clock.now()))])
    await clock.advance(35)
    assert seen == [10, 20, 30]
    await tree.stop()


async def test_a_periodic_job_never_overlaps_and_does_not_drift(clock: otp.VirtualClock) -> None:
    seen: list[tuple[str, float]] = []

    async def slow() -> None:
        seen.append(("begin", clock.now()))
        done = asyncio.get_running_loop().create_future()
        clock.call_later(14, done.set_result, None)
        await done
        seen.append(("end", clock.now()))

    tree = await otp.Supervisor.start([every(10, slow, immediately=True)])
    await clock.advance(40)
    assert seen == [("begin", 0), ("end", 14), ("begin", 20), ("end", 34), ("begin", 40)]
    await clock.advance(14)
    await tree.stop()


async def test_a_periodic_job_that_crashes_is_started_anew(clock: otp.VirtualClock) -> None:
    seen: list[float] = []

    def job() -> None:
        seen.append(clock.now())
        if len(seen) == 1:
            raise ValueError("once")

    tree = await otp.Supervisor.start([every(10, job)])
    await clock.advance(25)
    assert seen == [10, 20]
    (process,) = tree.children.values()
    assert process.label == "every 10 s: job"
    await tree.stop()


async def test_jitter_puts_off_and_does_not_add_up(clock: otp.VirtualClock) -> None:
    seen: list[float] = []
    tree = await otp.Supervisor.start([every(10, lambda: seen.append(clock.now()), jitter=4)])
    await clock.advance(1000.1)
    assert len(seen) in (99, 100)
    assert all(0 <= when - number * 10 <= 4 for number, when in enumerate(seen, 1))
    assert any(when % 10 for when in seen)
    await tree.stop()


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((0, print), {}),
        ((-1, print), {}),
        ((1, print), {"jitter": 1}),
        ((1, print), {"jitter": -1}),
    ],
)
def test_periods_that_can_not_be(arguments: Any, options: Any) -> None:
    with pytest.raises(ValueError, match=r"period|jitter"):
        every(*arguments, **options)


def test_a_periodic_job_is_a_function() -> None:
    with pytest.raises(TypeError, match="a function to run"):
        every(1, "job")  # type: ignore[arg-type]


# -- by the command line


SERVES = """
from plugpy import Application, every, worker
from acceptors import otp

class App(Application):
    router = staticmethod(lambda conn: conn.send_resp(200, ""))

    def start(self):
        return [worker(otp.Agent, dict, name="cache"), every(60, print)]

    def stop(self):
        print("goodbye", flush=True)
"""


def test_it_is_served_by_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SERVES)
    command = [sys.executable, "-m", "plugpy", "serve", "app:App", "--port", "0"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        assert "serves app:App on http://127.0.0.1:" in process.stderr.readline()
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stdout is not None
        assert process.stdout.read() == "goodbye\n"
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
