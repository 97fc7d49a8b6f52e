"""`plugpy ctl` against real servers: one process, and a master with two workers."""

import contextlib
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plugpy.server.control import COMMANDS, ControlClient, ControlError, NoServerError

APP = """
import asyncio
import os

async def app(conn):
    if conn.request_path == "/block":
        with open(os.environ["FOLDER"] + "/gate") as gate:  # blocks until the test writes
            gate.read()
    if conn.request_path == "/wait":
        while not os.path.exists(os.environ["FOLDER"] + "/go"):
            await asyncio.sleep(0.01)
    return conn.send_resp(200, str(os.getpid()))
"""

PATIENCE = 20.0


class Server:
    """A running server with its control socket."""

    def __init__(self, running: Any, path: str) -> None:
        self.running = running
        self.path = path
        self.host, self.port = running.url()

    def ask(self, command: str, **arguments: Any) -> Any:
        with ControlClient(self.path) as client:
            return client.ask(command, **arguments)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)

    def get(self, path: str = "/") -> str:
        with contextlib.closing(self.connect()) as connection:
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def wait_until(self, condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE
        while not (result := condition()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return result


@pytest.fixture(params=["1", "2"])
def workers(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short: the path of a unix socket has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="pytest-plugpy-") as name:
        yield Path(name)


@pytest.fixture
def server(commands: Any, workers: str, folder: Path) -> Iterator[Server]:
    (folder / "ctlapp.py").write_text(APP)
    os.mkfifo(folder / "gate")
    path = str(folder / "control.sock")
    running = commands.start(
        *("serve", "ctlapp:app", "--app-dir", str(folder), "--port", "0"),
        *("--workers", workers, "--control", path),
        env={"FOLDER": str(folder)},
    )
    server = Server(running, path)
    server.wait_until(lambda: server.ask("status")["urls"])
    server.wait_until(lambda: len(server.ask("stacks")) == int(workers))
    yield server
    if running.process.poll() is None:
        with contextlib.suppress(OSError):
            os.close(os.open(folder / "gate", os.O_WRONLY | os.O_NONBLOCK))
        running.signal(signal.SIGTERM)
        running.end()


def test_what_is_asked_of_a_running_server(server: Server, workers: str) -> None:
    count = int(workers)
    with contextlib.closing(server.connect()) as connection:
        connection.request("GET", "/?token=s3cret", headers={"Authorization": "Bearer s3cret"})
        connection.getresponse().read()
        answers = {
            name: server.ask(name)
            for name, command in COMMANDS.items()
            if not command.changing and name != "process"
        }
        (row,) = answers["connections"]["connections"]
        process = server.ask("process", process=row["pid"])
    status = answers["status"]
    assert status["application"] == "ctlapp:app"
    assert (status["connections"], status["requests"], status["loop"]) == (1, 1, "turns")
    assert len(answers["workers"]) == count
    (listener,) = answers["listeners"]
    assert listener["acceptors"] == 100
    assert (listener["connections"], listener["accepted"]) == (1, 1)
    assert (row["state"], row["requests"], row["request"]) == ("idle", 1, None)
    assert row["peer"].startswith("127.0.0.1:")
    assert process["kind"] == "Http1Connection"
    assert len(answers["stacks"]) == count
    assert answers["stalls"] == []
    labels = [one["label"] or one["name"] for one in answers["tree"]["processes"]]
    assert labels.count("listener http") == count
    assert "s3cret" not in json.dumps([answers, process])


def test_the_current_request_of_a_connection_without_its_query(
    server: Server, folder: Path
) -> None:
    with contextlib.closing(server.connect()) as connection:
        connection.request("GET", "/wait?token=secret")
        rows = server.wait_until(lambda: server.ask("connections", state="handling")["connections"])
        assert rows[0]["request"] == "GET /wait"
        assert server.ask("connections", state="idle")["connections"] == []
        assert server.ask("connections", peer="127.0.0.2")["connections"] == []
        assert server.ask("connections", min_seconds=3600)["connections"] == []
        (folder / "go").touch()
        assert connection.getresponse().status == 200


def test_it_answers_while_an_event_loop_is_blocked(server: Server, folder: Path) -> None:
    with contextlib.closing(server.connect()) as connection:
        connection.request("GET", "/block?token=secret")
        status = server.wait_until(
            lambda: found if "blocked" in (found := server.ask("status"))["loop"] else None
        )
        assert "ctlapp.py" in status["loop"]
        rows = server.ask("connections", state="handling")["connections"]
        assert [row["request"] for row in rows] == ["GET /block"]
        assert "ctlapp.py" in json.dumps(server.ask("stacks"))
        with (
            pytest.raises(ControlError, match="the event loop")
            if len(server.ask("workers")) == 1
            else contextlib.nullcontext()
        ):
            answer = server.ask("set-acceptors", number=4)
            assert "the event loop" in json.dumps(answer)
        with open(folder / "gate", "w") as gate:
            gate.write("go on")
        assert connection.getresponse().status == 200
    server.wait_until(lambda: server.ask("status")["loop"] == "turns")


def test_limits_are_changed_while_it_serves(server: Server) -> None:
    server.ask("set-max-connections", number=7)
    server.ask("set-acceptors", number=3)
    (listener,) = server.ask("listeners")
    assert (listener["max_connections"], listener["acceptors"]) == (7, 3)
    server.ask("set-max-connections", number="infinity", listener="http")
    assert server.ask("listeners")[0]["max_connections"] == "infinity"
    with pytest.raises(ControlError) as caught:
        server.ask("set-max-connections", number=5, listener="nothing")
    assert caught.value.code == "not_found"
    assert server.get()


def test_suspended_it_accepts_nobody_and_resumed_it_does(server: Server, workers: str) -> None:
    with contextlib.closing(server.connect()) as kept:
        kept.request("GET", "/")
        kept.getresponse().read()
        server.ask("suspend")
        assert server.ask("listeners")[0]["status"] == "suspended"
        kept.request("GET", "/")
        assert kept.getresponse().read()  # who is there is served
        if workers == "1":
            with pytest.raises(ConnectionRefusedError):
                server.get()
            server.ask("resume")
            assert server.get()
        else:
            # The master's sockets stay open: who comes waits.
            with contextlib.closing(server.connect()) as waiting:
                waiting.request("GET", "/")
                assert server.ask("connections")["total"] == 1
                server.ask("resume")
                assert waiting.getresponse().read()
    assert server.ask("listeners")[0]["status"] == "running"


def test_one_connection_is_drained_and_finishes_its_request(server: Server, folder: Path) -> None:
    with (
        contextlib.closing(server.connect()) as one,
        contextlib.closing(server.connect()) as other,
    ):
        one.request("GET", "/wait")
        other.request("GET", "/")
        other.getresponse().read()
        rows = server.wait_until(lambda: server.ask("connections", state="handling")["connections"])
        server.ask("drain", connection=rows[0]["pid"])
        (folder / "go").touch()
        answer = one.getresponse()
        assert answer.status == 200
        assert answer.getheader("connection") == "close"
        other.request("GET", "/")
        assert other.getresponse().getheader("connection") is None


def test_connections_of_a_client_are_drained_and_one_is_killed(server: Server) -> None:
    with contextlib.closing(server.connect()) as one:
        one.request("GET", "/")
        one.getresponse().read()
        (row,) = server.ask("connections")["connections"]
        server.ask("drain", peer="127.0.0.2")
        server.ask("kill", connection=row["pid"])
        server.wait_until(lambda: server.ask("connections")["total"] == 0)
    with contextlib.closing(server.connect()) as one:
        one.request("GET", "/")
        one.getresponse().read()
        server.ask("drain", peer="127.0.0.1")
        server.wait_until(lambda: server.ask("connections")["total"] == 0)
    with pytest.raises(ControlError) as caught:
        server.ask("kill", connection=row["pid"])
    assert caught.value.code == "not_found"


def test_the_server_is_drained_and_its_socket_goes(server: Server) -> None:
    assert stat.S_IMODE(os.stat(server.path).st_mode) == 0o600
    server.ask("drain")
    assert server.running.end() == 0
    assert not os.path.exists(server.path)
    with pytest.raises(NoServerError):
        ControlClient(server.path)


@pytest.mark.parametrize("workers", ["2"])
def test_workers_are_added_removed_and_rolled(server: Server) -> None:
    def ready() -> list[dict[str, Any]]:
        return [one for one in server.ask("workers") if one["state"] == "ready"]

    server.ask("set-max-connections", number=9)
    before = {one["os_pid"] for one in ready()}
    server.ask("add-worker")
    server.wait_until(lambda: len(ready()) == 3)
    server.ask("remove-worker")
    server.wait_until(lambda: len(server.ask("workers")) == 2)
    server.ask("roll")
    server.wait_until(
        lambda: len(ready()) == 2 and not before & {one["os_pid"] for one in server.ask("workers")}
    )
    # What was changed holds for those that came later too.
    server.wait_until(lambda: server.ask("listeners")[0]["max_connections"] == 9)
    server.wait_until(lambda: server.ask("listeners")[0]["workers"] == 2)
    assert server.ask("listeners")[0]["max_connections"] == 9


@pytest.mark.parametrize("workers", ["2"])
def test_a_change_outlives_a_worker_that_is_killed(server: Server) -> None:
    server.ask("set-acceptors", number=5)
    victim = server.ask("workers")[0]["os_pid"]
    os.kill(victim, signal.SIGKILL)
    server.wait_until(lambda: victim not in {one["os_pid"] for one in server.ask("workers")})
    server.wait_until(lambda: [one["loop"] for one in server.ask("workers")] == ["turns"] * 2)
    server.wait_until(lambda: server.ask("listeners")[0]["acceptors"] == 5)


@pytest.mark.parametrize("workers", ["1"])
@pytest.mark.parametrize("command", ["roll", "add-worker", "remove-worker"])
def test_one_process_has_no_workers(server: Server, command: str) -> None:
    with pytest.raises(ControlError, match="--workers 2") as caught:
        server.ask(command)
    assert caught.value.code == "refused"


def test_hostile_clients_disturb_nobody(server: Server) -> None:
    with contextlib.ExitStack() as stack:

        def connect() -> socket.socket:
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.settimeout(PATIENCE)
            sock.connect(server.path)
            return sock

        half = connect()
        half.sendall(b'{"id": 1, "comm')
        for line in (b"garbage\n", b"[]\n", b'{"id":1}\n', b"[" * 30_000 + b"\n", b"\xff\n"):
            sock = connect()
            sock.sendall(line)
            answer = json.loads(sock.makefile("rb").readline())
            assert answer["error"]["code"] == "usage", line[:20]
            sock.close()
        endless = connect()
        with contextlib.suppress(OSError):
            for _ in range(40):
                endless.sendall(b"x" * 65_536)
        with contextlib.suppress(OSError):
            assert endless.recv(100) == b""
        assert server.ask("status")["loop"] == "turns"
    assert server.get()


def test_who_asked_is_in_the_log(server: Server) -> None:
    server.ask("set-acceptors", number=9)
    line = server.running.wait_for(r"set-acceptors number=9")
    assert f"uid {os.getuid()} (pid {os.getpid()})" in line.string


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become somebody else")
def test_another_user_is_refused(server: Server) -> None:
    os.chmod(server.path, 0o666)
    os.chmod(Path(server.path).parent, 0o755)
    script = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX);"
        "s.settimeout(20); s.connect(sys.argv[1]);"
        's.sendall(b\'{"id":1,"command":"status"}\\n\'); print(s.recv(100))'
    )
    done = subprocess.run(
        [sys.executable, "-c", script, server.path], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "b''" or "Error" in done.stderr
    assert "application" not in done.stdout


# the command itself ---------------------------------------------------------------------------


def ctl(commands: Any, server: Server, *arguments: str) -> tuple[int, str, str]:
    done = commands.start("ctl", "--control", server.path, *arguments)
    code = done.end()
    return code, done.output(), done.stderr


@pytest.mark.parametrize("workers", ["1"])
def test_the_command_line(commands: Any, server: Server) -> None:
    code, output, _ = ctl(commands, server, "status")
    assert code == 0
    assert "ctlapp:app" in output
    code, output, _ = ctl(commands, server, "--json", "listeners")
    assert json.loads(output)[0]["listener"] == "http"
    code, output, _ = ctl(commands, server, "tree")
    assert "`- acceptors 1.5 (100 acceptors)" in output
    code, output, _ = ctl(commands, server, "set-acceptors", "2")
    assert code == 0
    code, _, error = ctl(commands, server, "set-acceptors", "none")
    assert (code, "can't be 'none'" in error) == (2, True)
    code, _, error = ctl(commands, server, "kill", "1.99999")
    assert (code, "no connection" in error) == (1, True)
    code, _, error = ctl(commands, server, "nonsense")
    assert code == 2


def test_without_a_server_the_code_is_3(commands: Any, folder: Path) -> None:
    missing = str(folder / "none.sock")
    done = commands.start("ctl", "--control", missing, "status")
    assert done.end() == 3
    assert "no server answers" in done.stderr
    empty = folder / "runtime"
    empty.mkdir()
    done = commands.start("ctl", "status", env={"XDG_RUNTIME_DIR": str(empty)})
    assert done.end() == 3
    assert "no server is running" in done.stderr


def test_servers_are_found_by_their_user(commands: Any, folder: Path) -> None:
    runtime = folder / "runtime"
    runtime.mkdir()
    env = {"XDG_RUNTIME_DIR": str(runtime)}
    one = commands.start("serve", "app:plug", "--port", "0", env=env)
    one.url()
    place = runtime / "plugpy"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE((place / f"{one.pid}.sock").stat().st_mode) == 0o600
    found = commands.start("ctl", "status", env=env)
    assert found.end() == 0
    other = commands.start("serve", "app:plug", "--port", "0", env=env)
    other.url()
    several = commands.start("ctl", "status", env=env)
    assert several.end() == 3
    assert f"--pid {one.pid}" in several.stderr
    assert f"--pid {other.pid}" in several.stderr
    chosen = commands.start("ctl", "--pid", str(other.pid), "--json", "status", env=env)
    assert chosen.end() == 0
    assert json.loads(chosen.output())["pid"] == other.pid
    # A server that is killed leaves its socket behind; the next one cleans up.
    other.signal(signal.SIGKILL)
    other.end()
    assert (place / f"{other.pid}.sock").exists()
    third = commands.start("serve", "app:plug", "--port", "0", env=env)
    third.url()
    assert not (place / f"{other.pid}.sock").exists()
    for running in (one, third):
        running.signal(signal.SIGTERM)
        assert running.end() == 0
    assert list(place.iterdir()) == []


def test_a_folder_that_others_may_enter_is_not_used(commands: Any, folder: Path) -> None:
    runtime = folder / "runtime"
    (runtime / "plugpy").mkdir(parents=True)
    os.chmod(runtime / "plugpy", 0o777)
    running = commands.start(
        "serve", "app:plug", "--port", "0", env={"XDG_RUNTIME_DIR": str(runtime)}
    )
    running.wait_for(r"no control socket in .*: others may enter it")
    running.url()
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    assert list((runtime / "plugpy").iterdir()) == []


def test_a_path_that_cannot_be_used_is_code_3(commands: Any) -> None:
    running = commands.start("serve", "app:plug", "--port", "0", "--control", "/nowhere/at/all")
    assert running.end() == 3
    assert "can't make the control socket" in running.stderr
