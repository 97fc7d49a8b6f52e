"""`plugpy serve --workers`: a master and its workers, whole processes, real signals."""

import os
import re
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from plugpy.server.cpus import available_cpus

SERVE = ("serve", "app:plug", "--port", "0")


def pids(get: Any, address: tuple[str, int], count: int) -> set[str]:
    """Ask until `count` different processes have answered; how long is bounded by the test."""
    found: set[str] = set()
    while len(found) < count:
        found.add(get(address)[1])
    return found


def children(pid: int) -> set[str]:
    """Process ids of the children."""
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")


IMPORTED = """
import os
open(f"imported-{os.getpid()}", "w").close()
from app import plug
"""


@pytest.fixture(scope="module")
def master(commands: Any) -> Any:
    """A master of two workers that the next tests use in turn; each leaves two workers."""
    (commands.folder / "who.py").write_text(IMPORTED)
    master = commands.start("serve", "who:plug", "--port", "0", "--workers", "auto")
    master.address = master.url()
    master.count = int(re.findall(r"\((\d+) workers?, pid", master.lines[0])[0])
    for _ in range(2 - master.count):
        master.signal(signal.SIGTTIN)
    return master


def test_auto_is_a_worker_for_each_cpu(master: Any) -> None:
    assert master.count == available_cpus()


def test_the_workers_serve_and_the_master_never_imports_the_application(
    master: Any, get: Any, commands: Any
) -> None:
    serving = pids(get, master.address, max(2, master.count))
    assert serving == children(master.pid)
    importers = {p.name.removeprefix("imported-") for p in commands.folder.glob("imported-*")}
    assert importers == serving


def test_a_killed_worker_is_replaced(master: Any, get: Any) -> None:
    before = children(master.pid)
    killed = pids(get, master.address, 1).pop()
    os.kill(int(killed), signal.SIGKILL)
    master.wait_for(rf"os pid {killed}.* was ended by SIGKILL")
    after = pids(get, master.address, len(before))
    assert before - after == {killed}


def test_sighup_rolls_without_refusing_a_connection(master: Any, get: Any) -> None:
    before = children(master.pid)
    with socket.create_connection(master.address) as client:
        client.sendall(b"GET /?0.3 HTTP/1.1\r\nhost: a\r\n\r\n")
        master.signal(signal.SIGHUP)
        while pids(get, master.address, 1) <= before:
            pass  # every one of them is answered
        for number in range(len(before)):
            master.wait_for(f"worker {number + 1} .*serves now")
        assert client.recv(15) == b"HTTP/1.1 200 OK"
    while not (after := pids(get, master.address, len(before))).isdisjoint(before):
        pass
    assert len(after) == len(before)


def test_a_new_worker_that_can_not_start_leaves_the_old_ones_serving(
    master: Any, get: Any, commands: Any
) -> None:
    before = pids(get, master.address, 2)
    (commands.folder / "who.py").write_text("raise RuntimeError('no database')\n")
    master.signal(signal.SIGHUP)
    master.wait_for("worker 1 could not start: importing who raised")
    master.wait_for("RuntimeError: no database")
    master.wait_for("the workers of before keep serving")
    assert pids(get, master.address, len(before)) == before
    (commands.folder / "who.py").write_text(IMPORTED)


def test_ttin_and_ttou_change_the_number_and_lose_no_connection(master: Any, get: Any) -> None:
    before = pids(get, master.address, max(2, master.count))
    count = len(before)
    master.signal(signal.SIGTTIN)
    master.wait_for(f"SIGTTIN: now {count + 1} workers")
    assert before < pids(get, master.address, count + 1)
    # The queue of a worker that goes is taken over: every connection is still answered.
    for left in range(count, 0, -1):
        master.signal(signal.SIGTTOU)
        master.wait_for(f"SIGTTOU: now {left} worker")
    while len(children(master.pid)) > 1:
        assert get(master.address)[0] == 200
    assert {get(master.address)[1] for _ in range(20)} == children(master.pid)
    master.signal(signal.SIGTTOU)
    master.wait_for("the last worker stays")


def test_sigterm_ends_all_and_frees_the_port(master: Any, is_free: Any) -> None:
    master.signal(signal.SIGTERM)
    assert master.end() == 0
    assert is_free(master.address)
    # The one of the roll that failed.
    assert master.stderr.count("Traceback") == 1


def test_workers_share_a_unix_socket_and_one_that_is_asked_to_end_is_replaced(
    start: Any, app_dir: Path
) -> None:
    master = start("serve", "app:plug", "--uds", "app.sock", "--workers", "2")
    master.wait_for("on unix:app.sock ")
    path = app_dir / "app.sock"

    def ask() -> str:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.0\r\nhost: a\r\n\r\n")
            answer = b""
            while part := client.recv(65536):
                answer += part
        return answer.partition(b"\r\n\r\n")[2].decode()

    first = ask()
    assert first in children(master.pid)
    os.kill(int(first), signal.SIGTERM)
    master.wait_for(rf"os pid {first}.* was asked to end by somebody else and is replaced")
    assert ask() in children(master.pid)
    master.signal(signal.SIGTERM)
    assert master.end() == 0
    assert not path.exists()


def test_what_is_in_flight_is_answered_by_every_worker(start: Any, get: Any) -> None:
    master = start(*SERVE, "--workers", "2")
    address = master.url()
    pids(get, address, 2)
    clients = [socket.create_connection(address) for _ in range(6)]
    for client in clients:
        client.sendall(b"GET /?0.5 HTTP/1.1\r\nhost: a\r\n\r\n")
    master.signal(signal.SIGTERM)
    answers = []
    for client in clients:
        answer = b""
        while part := client.recv(65536):
            answer += part
        answers.append(answer[:15])
        client.close()
    assert answers == [b"HTTP/1.1 200 OK"] * 6
    assert master.end() == 0


def test_ctrl_c_reaches_the_whole_group_and_drains(start: Any, get: Any) -> None:
    master = start(*SERVE, "--workers", "2", start_new_session=True)
    address = master.url()
    with socket.create_connection(address) as client:
        client.sendall(b"GET /?0.3 HTTP/1.1\r\nhost: a\r\n\r\n")
        pids(get, address, 2)
        os.killpg(master.pid, signal.SIGINT)
        assert client.recv(15) == b"HTTP/1.1 200 OK"
    assert master.end() == 0


def test_a_second_signal_stops_at_once(start: Any, get: Any, is_free: Any) -> None:
    master = start(*SERVE, "--workers", "2")
    address = master.url()
    with socket.create_connection(address) as client:
        client.sendall(b"GET /?1000 HTTP/1.1\r\nhost: a\r\n\r\n")
        pids(get, address, 2)
        master.signal(signal.SIGTERM)
        master.wait_for("draining 2 workers")
        master.signal(signal.SIGTERM)
        assert master.end() == 1
    assert is_free(address)


def test_an_application_that_can_not_start_is_code_3_and_said_once(
    start: Any, app_dir: Path
) -> None:
    (app_dir / "app.py").write_text("raise RuntimeError('no database')\n")
    master = start(*SERVE, "--workers", "2")
    assert master.end() == 3
    assert master.stderr.count("could not start: importing app raised") == 1
    assert "RuntimeError: no database" in master.stderr
    assert "plugpy/" not in master.stderr


def test_a_worker_that_keeps_dying_makes_the_master_give_up(start: Any, app_dir: Path) -> None:
    (app_dir / "dying.py").write_text("import asyncio, os\ndef plug(conn):\n    os._exit(7)\n")
    master = start("serve", "dying:plug", "--port", "0", "--workers", "2", "--max-restarts", "1")
    address = master.url()
    for _ in range(3):
        with socket.create_connection(address) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            master.wait_for("exited with code 7")
    assert master.end() == 1
    assert "more than 2 restarts of workers in 60s" in master.stderr


def test_workers_end_when_the_master_is_killed(start: Any, get: Any, is_free: Any) -> None:
    master = start(*SERVE, "--workers", "2")
    address = master.url()
    workers = pids(get, address, 2)
    # A pidfd becomes readable when its process ends, whoever its parent is.
    import select

    descriptors = [os.pidfd_open(int(pid)) for pid in workers]
    master.signal(signal.SIGKILL)
    master.end()
    for descriptor in descriptors:
        select.select([descriptor], [], [])
        os.close(descriptor)
    assert is_free(address)


def test_a_stuck_worker_shows_its_stack_and_is_replaced(
    start: Any, get: Any, app_dir: Path
) -> None:
    (app_dir / "stuck.py").write_text(
        "import os, time\n"
        "def plug(conn):\n"
        "    if conn.request_path == '/stuck':\n"
        "        time.sleep(1000)\n"
        "    return conn.send_resp(200, str(os.getpid()))\n"
    )
    master = start(
        "serve", "stuck:plug", "--port", "0", "--workers", "2", "--worker-timeout", "500ms"
    )
    address = master.url()
    with socket.create_connection(address) as client:
        client.sendall(b"GET /stuck HTTP/1.1\r\nhost: a\r\n\r\n")
        master.wait_for("is stuck: its event loop has not turned for .* it is killed. Its stacks:")
        master.wait_for(r'stuck.py", line 4 in plug')
    pids(get, address, 2)
