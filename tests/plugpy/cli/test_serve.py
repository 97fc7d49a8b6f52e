"""`plugpy serve` with one process: start, answers, signals, what is left behind."""

import json
import re
import signal
import socket
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

PORT = ("--port", "0")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_it_serves_and_sigterm_ends_it_cleanly(
    start: Any, get: Any, is_free: Any, loop: str
) -> None:
    server = start("serve", "app:plug", *PORT, "--loop", loop)
    address = server.url()
    assert get(address, "/hello") == (200, str(server.pid))
    server.signal(signal.SIGTERM)
    assert server.end() == 0
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z 127\.0\.0\.1 GET /hello 200 \d+B \d+\.\d\dms\n",
        server.output(),
    )
    assert is_free(address)
    assert "SIGTERM: draining 0 connections in 15s" in server.stderr
    assert "Traceback" not in server.stderr


def test_what_is_in_flight_is_answered_before_it_ends(start: Any, is_free: Any) -> None:
    server = start("serve", "app:plug", *PORT)
    address = server.url()
    with socket.create_connection(address) as client:
        client.sendall(b"GET /?0.5 HTTP/1.1\r\nhost: a\r\n\r\n")
        with socket.create_connection(address) as other:
            # Answered means that the first request was read before.
            other.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert other.recv(1)
        server.signal(signal.SIGTERM)
        server.wait_for(r"draining 1 connections|draining 2 connections")
        answer = b""
        while part := client.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert server.end() == 0
    assert is_free(address)


def test_a_second_signal_stops_at_once(start: Any, is_free: Any) -> None:
    server = start("serve", "app:plug", *PORT)
    address = server.url()
    with socket.create_connection(address) as client:
        client.sendall(b"GET /?1000 HTTP/1.1\r\nhost: a\r\n\r\n")
        with socket.create_connection(address) as other:
            other.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert other.recv(1)
        server.signal(signal.SIGTERM)
        server.wait_for("draining")
        server.signal(signal.SIGTERM)
        assert server.end() == 1
    assert "SIGTERM again: stopping at once" in server.stderr
    assert is_free(address)


def test_the_drain_ends_at_its_deadline(start: Any) -> None:
    server = start("serve", "app:plug", *PORT, "--shutdown-timeout", "100ms")
    with socket.create_connection(server.url()) as client:
        client.sendall(b"GET /?1000 HTTP/1.1\r\nhost: a\r\n\r\n")
        with socket.create_connection(client.getpeername()) as other:
            other.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert other.recv(1)
        server.signal(signal.SIGTERM)
        assert server.end() == 0


def test_one_line_says_what_is_served_where_and_ctrl_c_ends_it(start: Any) -> None:
    server = start("serve", "app:asgi", *PORT, "--acceptors", "2")
    host, port = server.url()
    assert len(server.lines) == 1
    what = rf"\(2 acceptors, \w+, pid {server.pid}\)"
    assert re.fullmatch(
        rf"plugpy \S+ serves app:asgi on http://{host}:{port} {what}\n", server.lines[0]
    )
    server.signal(signal.SIGINT)
    assert server.end() == 0
    assert server.output() == ""


# Where it listens.


def test_a_unix_socket_has_its_mode_and_is_removed(start: Any, app_dir: Path) -> None:
    server = start("serve", "app:plug", "--uds", "app.sock", "--uds-mode", "600")
    server.wait_for(r" on unix:\S*app.sock ")
    path = app_dir / "app.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.0\r\nhost: a\r\n\r\n")
        assert client.recv(15) == b"HTTP/1.1 200 OK"
    server.signal(signal.SIGTERM)
    assert server.end() == 0
    assert not path.exists()


def test_a_unix_socket_that_a_killed_server_left_is_taken_over(start: Any, app_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(app_dir / "app.sock"))
    start("serve", "app:plug", "--uds", "app.sock").wait_for("serves app:plug on unix:")


def test_a_unix_socket_in_use_is_not_taken_over(start: Any, app_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(app_dir / "app.sock"))
        other.listen()
        server = start("serve", "app:plug", "--uds", "app.sock")
        assert server.end() == 3
    assert "in use" in server.stderr
    assert (app_dir / "app.sock").exists()


def test_a_passed_descriptor_is_used(start: Any, get: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.fileno()
        server = start("serve", "app:plug", "--fd", str(number), pass_fds=(number,))
        assert server.url() == listening.getsockname()
        assert get(listening.getsockname())[0] == 200


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use_says_which_setting_to_change(start: Any, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        server = start("serve", "app:plug", "-w", workers, env={"PLUGPY_PORT": port})
        assert server.end() == 3
    assert f"127.0.0.1:{port} is in use by another program" in server.stderr
    assert "set by PLUGPY_PORT" in server.stderr
    assert "Traceback" not in server.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_address_that_is_not_ours_says_so(start: Any, workers: str) -> None:
    server = start("serve", "app:plug", *PORT, "-w", workers, "--host", "192.0.2.1")
    assert server.end() == 3
    assert "change host (set by --host" in server.stderr
    assert "Traceback" not in server.stderr


# Configuration of the process.


def test_an_env_file_reaches_the_application(start: Any, get: Any, app_dir: Path) -> None:
    (app_dir / "my.env").write_text("GREETING=hello\nPLUGPY_PORT=0\n")
    server = start("serve", "app:environment", "--env-file", "my.env", "--no-access-log")
    assert get(server.url()) == (200, "hello")
    server.signal(signal.SIGTERM)
    server.end()
    assert server.output() == ""


def test_an_error_on_import_is_shown_without_our_frames(start: Any, app_dir: Path) -> None:
    (app_dir / "broken.py").write_text(
        "def load():\n    raise RuntimeError('no database')\nload()\n"
    )
    server = start("serve", "broken:plug", *PORT)
    assert server.end() == 3
    assert "importing broken raised:" in server.stderr
    assert "RuntimeError: no database" in server.stderr
    assert "importlib" not in server.stderr
    assert "plugpy/" not in server.stderr


@pytest.mark.parametrize(
    ("module", "arguments", "hint"),
    [
        ("h11", ["--http", "h11"], r"pip install .plugpy\[h11\]"),
        ("uvloop", ["--loop", "uvloop"], "pip install uvloop"),
        ("watchfiles", ["--reload"], r"pip install 'plugpy\[reload\]'"),
    ],
)
def test_a_missing_extra_says_what_to_install(
    start: Any, app_dir: Path, module: str, arguments: list[str], hint: str
) -> None:
    (app_dir / f"{module}.py").write_text(f"raise ModuleNotFoundError(name={module!r})\n")
    server = start("serve", "app:plug", *PORT, *arguments)
    assert server.end() == 3
    assert re.search(hint, server.stderr)
    assert "Traceback" not in server.stderr


# Logs.


def test_the_access_log_as_json(start: Any, get: Any) -> None:
    server = start("serve", "app:asgi", *PORT, "--log-format", "json")
    started = json.loads(server.wait_for(r"^(\{.*\})$")[1])
    host, port = re.findall(r"http://(.*):(\d+)", started["url"])[0]
    assert get((host, int(port)), "/hello") == (200, "asgi")
    server.signal(signal.SIGTERM)
    server.end()
    line = json.loads(server.output())
    assert (line["method"], line["path"], line["status"]) == ("GET", "/hello", 200)
    assert line["duration_ms"] >= 0
    assert line["bytes"] > 0
    for message in server.stderr.splitlines():
        json.loads(message)


SLOW_TO_IMPORT = {"rich", "watchfiles", "anyio", "tomllib", "cryptography", "h11", "hdrh"}


def test_nothing_is_imported_that_serving_does_not_need(start: Any, app_dir: Path) -> None:
    (app_dir / "modules.py").write_text(
        "import sys\ndef plug(conn):\n    return conn.send_resp(200, ' '.join(sys.modules))\n"
    )
    server = start("serve", "modules:plug", *PORT)
    address = server.url()
    import http.client

    connection = http.client.HTTPConnection(*address)
    connection.request("GET", "/")
    loaded = set(connection.getresponse().read().decode().split())
    connection.close()
    assert loaded & SLOW_TO_IMPORT == set()


def test_the_command_without_serving_does_not_import_the_server() -> None:
    import sys

    code = (
        "import sys; from plugpy.cli.commands import run; run(['--version']);"
        "print('asyncio' in sys.modules, 'uvloop' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert result.stdout.decode().splitlines()[-1] == "False False"
