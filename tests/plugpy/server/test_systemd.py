"""systemd: notify and watchdog against a fake notify socket, and socket activation."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from plugpy.server.systemd import Notifier

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd")

APP = """
import asyncio, os, time

async def plug(conn):
    if conn.query_string == "block":
        time.sleep(2)
    elif conn.query_string:
        await asyncio.sleep(float(conn.query_string))
    return conn.send_resp(200, str(os.getpid()))
"""


class FakeSystemd:
    """A notify socket; `address` is what NOTIFY_SOCKET says."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind("\0" + address[1:] if address[0] == "@" else address)
        self._sock.settimeout(20)

    def next(self) -> dict[str, str]:
        """The fields of the next datagram."""
        lines = self._sock.recv(65536).decode().split("\n")
        return dict(line.split("=", 1) for line in lines)

    def wait_for(self, name: str) -> dict[str, str]:
        """The next datagram that has this field."""
        while name not in (fields := self.next()):
            pass
        return fields

    def waiting(self) -> int:
        """Take all that has come; how many datagrams that were."""
        count = 0
        self._sock.setblocking(False)
        with suppress(BlockingIOError):
            while self._sock.recv(65536):
                count += 1
        self._sock.settimeout(20)
        return count

    def wait_for_silence(self, seconds: float) -> None:
        """Return when nothing has come for so long."""
        self._sock.settimeout(seconds)
        with suppress(TimeoutError):
            while self._sock.recv(65536):
                pass
        self._sock.settimeout(20)

    def close(self) -> None:
        self._sock.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: Any, tmp_path: Path) -> Iterator[FakeSystemd]:
    path = str(tmp_path / "notify")
    fake = FakeSystemd(path if request.param == "path" else f"@plugpy-{os.getpid()}-{path[-20:]}")
    yield fake
    fake.close()


@pytest.fixture
def path(tmp_path: Path) -> Iterator[FakeSystemd]:
    fake = FakeSystemd(str(tmp_path / "notify"))
    yield fake
    fake.close()


class Service:
    """`plugpy serve` as systemd starts it."""

    def __init__(self, folder: Path, *arguments: str, env: dict[str, str], **more: Any) -> None:
        (folder / "app.py").write_text(APP)
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PLUGPY_")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, "serve", "app:plug", "--no-access-log", *arguments],
            cwd=folder,
            env={**clean, **env},
            stderr=subprocess.PIPE,
            **more,
        )

    def end(self) -> int:
        code = self.process.wait(20)
        assert self.process.stderr is not None
        self.stderr = self.process.stderr.read().decode()
        self.process.stderr.close()
        return code


# As systemd does: the pids are those of the process that is started.
START = """
import os, runpy, sys
for name in ("WATCHDOG_PID", "LISTEN_PID"):
    if os.environ.get(name) == "self":
        os.environ[name] = str(os.getpid())
sys.argv[0] = "plugpy"
runpy.run_module("plugpy", run_name="__main__")
"""


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Any]:
    services: list[Service] = []

    def start(*arguments: str, env: dict[str, str], **more: Any) -> Service:
        services.append(Service(tmp_path, *arguments, env=env, **more))
        return services[-1]

    yield start
    for service in services:
        if service.process.returncode is None:
            service.process.kill()
            service.end()


def ask(address: Any, query: str = "") -> bytes:
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(f"GET /?{query} HTTP/1.0\r\nhost: a\r\n\r\n".encode())
        answer = b""
        while part := client.recv(65536):
            answer += part
    return answer


def address_in(status: str) -> tuple[str, int]:
    found = re.search(r"http://([\d.]+):(\d+)", status)
    assert found is not None, status
    return found[1], int(found[2])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_life_of_a_service_is_told(systemd: FakeSystemd, serve: Any, workers: str) -> None:
    env = {"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "200000", "WATCHDOG_PID": "self"}
    service = serve("--port", "0", "--workers", workers, env=env)
    ready = systemd.wait_for("READY")
    assert ready["READY"] == "1"
    assert ready["MAINPID"] == str(service.process.pid)
    address = address_in(ready["STATUS"])
    assert systemd.wait_for("WATCHDOG") == {"WATCHDOG": "1"}
    if workers == "2":
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        service.process.send_signal(signal.SIGHUP)
        reloading = systemd.wait_for("RELOADING")
        assert before <= int(reloading["MONOTONIC_USEC"])
        assert systemd.wait_for("READY")["STATUS"].startswith("2 workers")
    with socket.create_connection(address) as client:
        client.sendall(b"GET /?1.2 HTTP/1.1\r\nhost: a\r\n\r\n")
        while b"200" not in ask(address):
            pass
        service.process.send_signal(signal.SIGTERM)
        first, second = systemd.wait_for("STOPPING"), systemd.wait_for("STOPPING")
        for fields in (first, second):
            assert int(fields["EXTEND_TIMEOUT_USEC"]) >= 5_000_000
            assert "connection" in fields["STATUS"]
        assert client.recv(15) == b"HTTP/1.1 200 OK"
    assert service.end() == 0


WATCHED = {"WATCHDOG_USEC": "200000"}


def test_a_loop_that_is_stuck_sends_no_sign_of_life(path: FakeSystemd, serve: Any) -> None:
    service = serve("--port", "0", env={"NOTIFY_SOCKET": path.address, **WATCHED})
    address = address_in(path.wait_for("READY")["STATUS"])
    path.wait_for("WATCHDOG")
    path.waiting()
    # Blocked for two seconds: a thread would have sent twenty of them.
    assert b"200 OK" in ask(address, "block")
    assert path.waiting() < 15
    path.wait_for("WATCHDOG")
    service.process.send_signal(signal.SIGTERM)
    assert service.end() == 0


def test_a_master_sends_signs_of_life_while_the_loop_of_a_worker_turns(
    path: FakeSystemd, serve: Any
) -> None:
    env = {"NOTIFY_SOCKET": path.address, **WATCHED}
    service = serve("--port", "0", "--workers", "2", env=env)
    path.wait_for("READY")
    pid = service.process.pid
    first, second = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    try:
        os.kill(int(first), signal.SIGSTOP)
        path.waiting()
        path.wait_for("WATCHDOG")  # one is enough
        os.kill(int(second), signal.SIGSTOP)
        path.wait_for_silence(1.5)
    finally:
        for child in (first, second):
            os.kill(int(child), signal.SIGCONT)
    path.wait_for("WATCHDOG")
    service.process.send_signal(signal.SIGTERM)
    assert service.end() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sockets_of_a_socket_unit_are_served(serve: Any, workers: str) -> None:
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    # systemd passes them as 3 and 4; so does a shell, where Python's own child could not.
    numbers = [sock.fileno() for sock in listening]
    shell = 'exec 3<&{} 4<&{}; exec "$@"'.format(*numbers)
    service = None
    try:
        env = {"LISTEN_FDS": "2", "LISTEN_PID": "self", "LISTEN_FDNAMES": "http:admin"}
        service = serve_by(serve, shell, numbers, "--fd", "systemd", "--workers", workers, env=env)
        for sock in listening:
            # They listen already: who connects waits, and is served when the service is up.
            assert b"200 OK" in ask(sock.getsockname())
        service.process.send_signal(signal.SIGTERM)
        assert service.end() == 0
        # systemd holds them still: the next connection waits for the next start.
        with socket.create_connection(listening[0].getsockname()):
            pass
    finally:
        for sock in listening:
            sock.close()


def serve_by(serve: Any, shell: str, numbers: list[int], *arguments: str, env: Any) -> Any:
    """`serve` through a shell that puts the descriptors in their places."""
    original = subprocess.Popen

    def popen(command: list[str], **options: Any) -> Any:
        return original(["bash", "-c", shell, "-", *command], pass_fds=numbers, **options)

    subprocess.Popen = popen  # type: ignore[assignment,misc]
    try:
        return serve(*arguments, env=env)
    finally:
        subprocess.Popen = original  # type: ignore[misc]


def test_sockets_that_were_meant_for_another_process_are_not_taken(serve: Any) -> None:
    service = serve("--fd", "systemd", env={"LISTEN_FDS": "1", "LISTEN_PID": "1"})
    assert service.end() == 3
    assert "systemd passed no sockets" in service.stderr


@pytest.mark.parametrize(
    ("environment", "on", "watchdog"),
    [
        ({}, False, None),
        ({"NOTIFY_SOCKET": ""}, False, None),
        ({"NOTIFY_SOCKET": "vsock:2:1234"}, False, None),
        ({"NOTIFY_SOCKET": "/run/x"}, True, None),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "3000000"}, True, 3.0),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, True, None),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "0"}, True, None),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "nonsense"}, True, None),
        ({"WATCHDOG_USEC": "3000000"}, False, None),
    ],
)
def test_what_the_environment_says(
    environment: dict[str, str], on: bool, watchdog: float | None
) -> None:
    notifier = Notifier.from_environment(environment)
    assert (notifier.on, notifier.watchdog) == (on, watchdog)


def test_nobody_who_listens_is_no_error() -> None:
    assert Notifier("/nowhere/at/all").notify(READY=1) is False
    assert Notifier("@nobody-is-here").notify(READY=1) is False
    assert Notifier().notify(READY=1) is False


def test_a_status_stays_on_its_line(tmp_path: Path) -> None:
    fake = FakeSystemd(str(tmp_path / "notify"))
    Notifier(fake.address).status("one\nREADY=1")
    assert fake.next() == {"STATUS": "one READY=1"}
    fake.close()
