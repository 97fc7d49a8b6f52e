"""Server in an event loop that is running already."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import acceptors
from acceptors.otp import GenServer, whereis
from plugpy.server import Server
from plugpy.server.errors import ApplicationError, ConfigurationError, StartError


def hello(conn: Any) -> Any:
    return conn.send_resp(200, "hello")


async def ask(address: Any, path: str = "/") -> bytes:
    """One request, the whole answer."""
    reader, writer = await asyncio.open_connection(*address[:2])
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
        return await reader.read()
    finally:
        writer.close()


def on(loop: str) -> Callable[[Any], None]:
    """Run a coroutine on an event loop of that name."""

    def run(coroutine: Any) -> None:
        from plugpy.server.loops import loop_factory

        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            runner.run(coroutine)

    return run


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Any], None]:
    """Run a coroutine on each event loop."""
    return on(request.param)


def test_it_serves_as_long_as_the_block_lasts(run: Any) -> None:
    async def main() -> None:
        async with Server(hello, port=0, access_log=False) as server:
            address = server.address
            assert server.port == address[1] > 0
            assert server.url == f"http://127.0.0.1:{server.port}"
            assert (await ask(address)).endswith(b"hello")
        with pytest.raises(ConnectionRefusedError):
            await ask(address)

    run(main())


async def test_two_servers_live_in_one_event_loop() -> None:
    async with (
        Server(hello, port=0, access_log=False) as one,
        Server(hello, port=0, access_log=False) as two,
    ):
        assert one.port != two.port
        assert (await ask(one.address)).endswith(b"hello")
        assert (await ask(two.address)).endswith(b"hello")
        assert set(acceptors.info()) == {"http", "http-2"}


async def test_options_reach_the_listener_and_the_connections() -> None:
    options = {"acceptors": 2, "max_connections": 7, "max_body": "1KB", "header_timeout": "3s"}
    async with Server(hello, port=0, access_log=False, **options):
        info = acceptors.info("http")
        assert (info["acceptors"], info["max_connections"]) == (2, 7)
        assert info["protocol_options"].max_body == 1000
        assert info["protocol_options"].header_timeout == 3.0


async def test_a_class_is_instantiated_and_a_router_compiled() -> None:
    from plugpy.router import Router, get

    class App(Router):
        @get("/users/:id")
        def show(self, conn: Any, id: int) -> Any:  # noqa: A002  the name in the path
            return conn.send_resp(200, f"user {id}")

    async with Server(App, port=0, access_log=False) as server:
        assert (await ask(server.address, "/users/3")).endswith(b"user 3")
        assert (await ask(server.address, "/users/x")).startswith(b"HTTP/1.1 404")


async def test_an_asgi_application_starts_before_and_stops_after_the_requests() -> None:
    events: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for stage in ("startup", "shutdown"):
                await receive()
                events.append(stage)
                await send({"type": f"lifespan.{stage}.complete"})
            return
        events.append(scope["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"asgi"})

    async with Server(app, port=0, access_log=False) as server:
        assert (await ask(server.address)).endswith(b"asgi")
    assert events == ["startup", "http", "shutdown"]


async def test_an_asgi_application_that_fails_to_start_is_an_error_of_the_application() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(ApplicationError, match="no database"):
        await Server(app, port=0).start()
    assert acceptors.info() == {}


class Cache(GenServer):
    """A child of the application."""

    def init(self) -> None:
        pass


async def test_children_of_the_application_live_in_its_tree() -> None:
    class App:
        children = (Cache.child_spec(name="cache"),)

        def __call__(self, conn: Any) -> Any:
            return conn.send_resp(200, str(whereis("cache") is not None))

    async with Server(App, port=0, access_log=False) as server:
        assert (await ask(server.address)).endswith(b"True")
        ids = [id_ for id_, *_ in server.supervisor.which_children()]
        assert ids == ["application", "tasks", ("listener", "http")]
    assert whereis("cache") is None


async def test_what_is_in_flight_is_finished_before_it_stops() -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def slow(conn: Any) -> Any:
        entered.set()
        await release.wait()
        return conn.send_resp(200, "finished")

    server = Server(slow, port=0, access_log=False)
    await server.start()
    answer = asyncio.create_task(ask(server.address))
    await entered.wait()
    assert server.connections == 1
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    release.set()
    assert (await answer).endswith(b"finished")
    await stopping
    assert server.connections == 0


async def test_connections_can_be_closed_at_once() -> None:
    entered = asyncio.Event()

    async def slow(conn: Any) -> Any:
        entered.set()
        await asyncio.Event().wait()

    server = Server(slow, port=0, access_log=False, shutdown_timeout="infinity")
    await server.start()
    answer = asyncio.create_task(ask(server.address))
    await entered.wait()
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    server.close_connections()
    await stopping
    assert isinstance((await asyncio.gather(answer, return_exceptions=True))[0], (bytes, OSError))


async def test_stopping_twice_is_fine_and_so_is_stopping_what_never_started() -> None:
    server = Server(hello, port=0)
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()


async def test_before_its_start_it_has_no_address() -> None:
    with pytest.raises(RuntimeError, match="before it has started"):
        _ = Server(hello, port=0).url


async def test_a_port_in_use_says_which_argument_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=f"127.0.0.1:{port} is in use.*the argument port"):
            await Server(hello, port=port).start()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"prot": 1}, ConfigurationError, "unknown option 'prot'; did you mean 'port'"),
        ({"max_body": "much"}, ConfigurationError, "the argument max_body"),
    ],
)
def test_wrong_options_are_named(options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        Server(hello, **options)


def test_what_can_not_be_served_is_refused() -> None:
    with pytest.raises(ApplicationError, match="is an int"):
        Server(42)


def test_a_secret_is_not_in_any_repr() -> None:
    server = Server(hello, port=0, secret_key_base="hunter2" * 10)
    assert "hunter2" not in repr(server.settings)
    assert "hunter2" not in repr(server)


# plugpy.run


def test_run_serves_until_a_signal(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import sys\n"
        "from plugpy.server import run\n"
        "def plug(conn):\n    return conn.send_resp(200, 'hello')\n"
        "if __name__ == '__main__':\n    sys.exit(run(plug, port=0, access_log=False))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "main.py"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "serves plug on http://127.0.0.1:" in line
        os.kill(process.pid, signal.SIGINT)
        assert process.wait() == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_run_with_workers_needs_an_import_string() -> None:
    from plugpy.server import run

    with pytest.raises(StartError, match="need an import string"):
        run(hello, workers=2)
