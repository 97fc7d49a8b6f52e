"""The fault matrix: what happens to requests when workers and master fail, roll, shrink and stop.

Clients that keep their connections and clients that open one for each request ask all the time;
what fails is counted. A request fails when its answer does not come whole. A connection that the
server closed between two requests was idle, and its next request goes over a new one (RFC 9112
section 9.3.1); everything else counts.
"""

import os
import re
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")

APP = """
import asyncio, os, re, signal, threading, time

def send_pid(conn):
    return conn.send_resp(200, str(os.getpid()))

LEAK = []

async def matrix(conn):
    match conn.request_path:
        case "/sleep":
            await asyncio.sleep(float(conn.query_string))
        case "/leak":
            LEAK.append(b"x" * 20_000_000)
        case "/monitor":
            from acceptors.otp import monitor, receive, spawn, whereis
            async def watch():
                monitor(whereis("plugpy.master"))
                open("watching", "w").close()
                down = await receive()
                with open("down", "w") as file:
                    file.write(f"{down[0]} {down[4]}")
            spawn(watch)
    return send_pid(conn)

def hang(conn):
    match conn.request_path:
        case "/python":
            while True:
                pass
        case "/lock":
            lock = threading.Lock()
            lock.acquire()
            lock.acquire()
        case "/regex":
            re.match("(a+)+$", "a" * 60 + "b")
    return send_pid(conn)
"""


class AnswerError(Exception):
    """The answer did not come whole; `begun`: some of it did."""

    def __init__(self, begun: bool) -> None:
        self.begun = begun


class Client(threading.Thread):
    """Asks all the time until `stop`.

    failures: of connections that were new, or whose answer had begun; cut: of kept ones that ended
    before the answer began; both as the pids of the workers that the connections were with, None
    where that is not known. refused: connections that were not taken any more, the last thing that
    a client sees of a server that stops.
    """

    def __init__(self, address: tuple[str, int], keep: bool) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.keep = keep
        self.answered = 0
        self.failures: list[str | None] = []
        self.cut: list[str | None] = []
        self.refused = 0
        self.pid: str | None = None
        self.first = threading.Event()
        self._ended = threading.Event()

    def run(self) -> None:
        sock: socket.socket | None = None
        while not self._ended.is_set():
            new = sock is None
            try:
                if sock is None:
                    self.pid = None
                    sock = socket.create_connection(self.address, timeout=20)
                elif select.select([sock], [], [], 0)[0]:
                    # The end of the connection came while it was idle: nothing was sent, no harm.
                    sock.close()
                    sock = None
                    continue
                last = self.ask(sock)
                self.answered += 1
                self.first.set()
            except ConnectionRefusedError:
                self.refused += 1
                return
            except (OSError, AnswerError) as error:
                begun = isinstance(error, AnswerError) and error.begun
                if new or begun or self.pid is None:
                    self.failures.append(self.pid)
                else:
                    # Perhaps closed as idle while the request was on its way, perhaps not.
                    self.cut.append(self.pid)
                last = True
            if (last or not self.keep) and sock is not None:
                sock.close()
                sock = None
        if sock is not None:
            sock.close()

    def ask(self, sock: socket.socket) -> bool:
        """One request; whether it was the last of its connection."""
        close = b"" if self.keep else b"connection: close\r\n"
        sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n" + close + b"\r\n")
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.read(sock, data)
        head, _, body = data.partition(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head)
        assert found is not None, head
        while len(body) < int(found[1]):
            body += self.read(sock, data)
        assert head.startswith(b"HTTP/1.1 200 "), head
        self.pid = body.decode()
        return b"connection: close" in head

    @staticmethod
    def read(sock: socket.socket, before: bytes) -> bytes:
        try:
            part = sock.recv(65536)
        except OSError:
            part = b""
        if not part:
            raise AnswerError(bool(before))
        return part

    def stop(self) -> None:
        self._ended.set()


class Load:
    """All clients together."""

    def __init__(self, clients: list[Client]) -> None:
        self.clients = clients

    def sum(self, what: Callable[[Client], int]) -> int:
        return sum(what(client) for client in self.clients)

    @property
    def failures(self) -> list[str | None]:
        """Of connections that were new, or had begun to be answered."""
        return [pid for client in self.clients for pid in client.failures]

    @property
    def cut(self) -> list[str | None]:
        """Of connections that had been answered on, and ended before the next answer began."""
        return [pid for client in self.clients for pid in client.cut]

    def answered(self) -> int:
        return self.sum(lambda client: client.answered)

    def go_on(self, count: int = 200) -> None:
        """Wait until so many more were answered."""
        goal = self.answered() + count
        while self.answered() < goal:
            assert any(client.is_alive() for client in self.clients)
            self.clients[0].join(0.005)


@contextmanager
def load(address: tuple[str, int], keeping: int = 4, opening: int = 2) -> Iterator[Load]:
    """Ask while the body runs; every client has had an answer before it begins."""
    clients = [Client(address, keep=number < keeping) for number in range(keeping + opening)]
    for client in clients:
        client.start()
    for client in clients:
        assert client.first.wait(20)
    try:
        yield Load(clients)
    finally:
        for client in clients:
            client.stop()
        for client in clients:
            client.join(30)


def children(pid: int) -> set[str]:
    """Process ids of the children."""
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def wait_gone(pids: set[str]) -> None:
    """Wait until these processes have ended."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(int(pid))
        except ProcessLookupError:
            continue
        select.select([descriptor], [], [], 30)
        os.close(descriptor)


def ask(address: tuple[str, int], target: str = "/") -> str:
    """The body of one answer."""
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(f"GET {target} HTTP/1.0\r\nhost: a\r\n\r\n".encode())
        data = b""
        while part := client.recv(65536):
            data += part
    assert data.startswith(b"HTTP/1.1 200 "), data
    return data.partition(b"\r\n\r\n")[2].decode()


@pytest.fixture
def serve(start: Any, app_dir: Path) -> Any:
    """Start `plugpy serve` of the application above."""
    (app_dir / "matrix.py").write_text(APP)

    def serve(*arguments: str, app: str = "matrix:matrix") -> Any:
        running = start("serve", app, "--port", "0", "--no-access-log", *arguments)
        running.address = running.url()
        return running

    return serve


def test_rolling_and_resizing_fail_no_request(serve: Any) -> None:
    master = serve("--workers", "2")
    with load(master.address) as clients:
        before = children(master.pid)
        master.signal(signal.SIGHUP)
        for number in (1, 2):
            master.wait_for(f"worker {number} .*serves now")
        wait_gone(before)
        clients.go_on()
        assert children(master.pid).isdisjoint(before)
        assert (clients.failures, clients.cut) == ([], []), master.stderr
        for count in (3, 4):
            master.signal(signal.SIGTTIN)
            master.wait_for(f"SIGTTIN: now {count} workers")
        many: set[str] = set()
        while len(many) < 4:
            many.add(ask(master.address))
        for count in (3, 2, 1):
            master.signal(signal.SIGTTOU)
            master.wait_for(f"SIGTTOU: now {count} worker")
        while len(left := children(master.pid)) > 1:
            clients.go_on(10)
        wait_gone(many - left)
        clients.go_on()
        assert (clients.failures, clients.cut) == ([], []), master.stderr
    master.signal(signal.SIGTERM)
    assert master.end() == 0


def test_recycling_fails_no_request(serve: Any) -> None:
    options = ("--max-requests", "100", "--max-requests-jitter", "100", "--worker-timeout", "400ms")
    master = serve("--workers", "2", *options)
    with load(master.address) as clients:
        for _ in range(4):
            master.wait_for(r"is replaced: \d+ requests served, the limit is 1\d\d")
            master.wait_for("serves now")
        clients.go_on()
        assert (clients.failures, clients.cut) == ([], []), master.stderr
    master.signal(signal.SIGTERM)
    assert master.end() == 0


def test_one_worker_that_leaks_is_replaced_by_a_fresh_one(serve: Any) -> None:
    # One worker, and yet a master, since a process can't replace itself.
    master = serve("--max-rss", "200MB", "--worker-timeout", "400ms")
    (first,) = children(master.pid)
    with load(master.address, 1, 1) as clients:
        for _ in range(10):
            ask(master.address, "/leak")
        master.wait_for(r"is replaced: \d+\.\d MB resident, the limit is 200.0 MB")
        master.wait_for("serves now")
        wait_gone({first})
        clients.go_on(20)
        assert (clients.failures, clients.cut) == ([], []), master.stderr
    assert ask(master.address) in children(master.pid)


def test_a_limit_that_every_worker_is_over_from_its_start_is_said_and_ignored(serve: Any) -> None:
    master = serve("--max-rss", "1MB", "--worker-timeout", "400ms")
    before = children(master.pid)
    with load(master.address, 1, 0) as clients:
        clients.go_on()
    assert children(master.pid) == before
    master.signal(signal.SIGTERM)
    assert master.end() == 0
    assert re.search("max-rss is 1MB, and the application takes .* is ignored", master.stderr)
    assert "is replaced" not in master.stderr


def test_draining_answers_what_is_in_flight(serve: Any, is_free: Any) -> None:
    master = serve("--workers", "2")
    with load(master.address) as clients:
        slow = [socket.create_connection(master.address) for _ in range(8)]
        for client in slow:
            client.sendall(b"GET /sleep?0.5 HTTP/1.1\r\nhost: a\r\n\r\n")
        clients.go_on()
        master.signal(signal.SIGTERM)
        for client in slow:
            assert client.recv(15) == b"HTTP/1.1 200 OK"
            client.close()
        assert master.end() == 0
        for client in clients.clients:
            client.join(30)
        # Connections that come in the moment in which the sockets close are reset: TCP has no way
        # to hand them on. None that a worker had taken is lost.
        assert clients.cut == []
        assert all(pid is None for pid in clients.failures)
        assert len(clients.failures) <= len(clients.clients)
        assert clients.sum(lambda client: client.refused) + len(clients.failures) > 0
    assert is_free(master.address)


def test_a_killed_worker_loses_what_was_in_flight_on_it_and_nothing_else(serve: Any) -> None:
    master = serve("--workers", "2")
    with load(master.address, keeping=8, opening=0) as clients:
        killed = clients.clients[0].pid
        assert killed is not None
        concerned = [client for client in clients.clients if client.pid == killed]
        os.kill(int(killed), signal.SIGKILL)
        master.wait_for(rf"os pid {killed}.* was ended by SIGKILL")
        clients.go_on()
        lost = clients.failures + clients.cut
        assert set(lost) <= {killed, None}
        assert len(lost) <= len(concerned)
        others = [client for client in clients.clients if client not in concerned]
        assert not any(client.failures or client.cut for client in others)
    while len(children(master.pid)) < 2:
        ask(master.address)


def test_connections_in_the_queue_of_a_killed_worker_are_served_by_its_successor(
    serve: Any,
) -> None:
    master = serve("--workers", "2")
    stopped = children(master.pid)
    for pid in stopped:
        os.kill(int(pid), signal.SIGSTOP)
    # Nobody accepts: all of them wait in the queues of the kernel.
    clients = [socket.create_connection(master.address, timeout=20) for _ in range(40)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.0\r\nhost: a\r\n\r\n")
    for pid in stopped:
        os.kill(int(pid), signal.SIGKILL)
    served = set()
    for client in clients:
        data = b""
        while part := client.recv(65536):
            data += part
        assert data.startswith(b"HTTP/1.1 200 ")
        served.add(data.partition(b"\r\n\r\n")[2].decode())
        client.close()
    assert served <= children(master.pid)


def test_connections_in_the_queue_of_a_removed_worker_are_served_by_another(serve: Any) -> None:
    master = serve("--workers", "2")
    pids = children(master.pid)
    for pid in pids:
        os.kill(int(pid), signal.SIGSTOP)
    clients = [socket.create_connection(master.address, timeout=20) for _ in range(40)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.0\r\nhost: a\r\n\r\n")
    master.signal(signal.SIGTTOU)
    master.wait_for("SIGTTOU: now 1 worker")
    for pid in pids:
        os.kill(int(pid), signal.SIGCONT)
    for client in clients:
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        client.close()
    while len(children(master.pid)) > 1:
        ask(master.address)


def test_connections_are_spread_evenly(serve: Any) -> None:
    master = serve("--workers", "4")
    served: dict[str, int] = {}
    for _ in range(400):
        pid = ask(master.address)
        served[pid] = served.get(pid, 0) + 1
    # Binomial with n = 400 and p = 1/4: mean 100, standard deviation 8.7. Out of six of them on
    # either side falls one run of 10^8.
    assert len(served) == 4
    assert all(100 - 52 < count < 100 + 52 for count in served.values()), served


def test_when_the_master_is_killed_its_workers_drain_and_the_port_is_free_at_once(
    serve: Any, start: Any, is_free: Any, app_dir: Path
) -> None:
    master = serve("--workers", "2")
    host, port = master.address
    ask(master.address, "/monitor")
    while not (app_dir / "watching").exists():
        ask(master.address)
    workers = children(master.pid)
    with socket.create_connection(master.address) as client:
        client.sendall(b"GET /sleep?1 HTTP/1.1\r\nhost: a\r\n\r\n")
        while ask(master.address) not in workers:
            pass
        master.signal(signal.SIGKILL)
        master.end()
        while not is_free(master.address):
            pass
        # The old workers still answer while the new master has the port.
        second = start("serve", "matrix:matrix", "--port", str(port), "--workers", "2")
        second.url()
        assert ask((host, port)) in children(second.pid)
        assert client.recv(15) == b"HTTP/1.1 200 OK"
    wait_gone(workers)
    # M10: a process that had a monitor on the master, in a worker.
    assert (app_dir / "down").read_text() == "DOWN noconnection"
    second.signal(signal.SIGTERM)
    assert second.end() == 0


def test_a_loop_that_is_stuck_anywhere_shows_the_handler_and_is_replaced(serve: Any) -> None:
    options = ("--worker-timeout", "400ms", "--log-level", "debug")
    master = serve("--workers", "2", *options, app="matrix:hang")
    for target, line in (("python", "pass|while True"), ("lock", "acquire"), ("regex", "match")):
        with socket.create_connection(master.address) as client:
            client.sendall(f"GET /{target} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            found = master.wait_for(r"os pid (\d+).* is stuck: .* it is killed. Its stacks:")
            number = int(master.wait_for(r'matrix.py", line (\d+) in hang')[1])
            assert re.search(line, APP.splitlines()[number - 1]), target
            wait_gone({found[1]})
        # Before it has said so, worker-start-timeout is what counts.
        master.wait_for(r"plugpy.master: worker . \(os pid \d+, ready\)")
    ask(master.address)


def test_a_worker_that_does_not_end_is_killed_in_time(serve: Any) -> None:
    master = serve("--workers", "2", "--shutdown-timeout", "100ms")
    first, second = children(master.pid)
    os.kill(int(first), signal.SIGSTOP)  # it will not see the order to end
    master.signal(signal.SIGTERM)
    master.wait_for("shutdown_error of child 'worker .': killed")
    assert master.end() == 0
    wait_gone({first, second})


def test_a_worker_that_somebody_ends_has_its_successor_before_it_has_drained(serve: Any) -> None:
    master = serve("--workers", "1", "--max-requests", "1000000")
    (first,) = children(master.pid)
    with socket.create_connection(master.address) as client:
        client.sendall(b"GET /sleep?2 HTTP/1.1\r\nhost: a\r\n\r\n")
        assert ask(master.address) == first
        os.kill(int(first), signal.SIGTERM)
        master.wait_for("was asked to end by somebody else and is replaced")
        # What comes until the first has stopped accepting is the first's still.
        second = next(pid for _ in range(10_000) if (pid := ask(master.address)) != first)
        assert {first, second} <= set(children(master.pid))
        assert client.recv(15) == b"HTTP/1.1 200 OK"
    master.signal(signal.SIGTERM)
    assert master.end() == 0


def test_a_signal_to_the_whole_group_drains_as_one_to_the_master_does(
    start: Any, serve: Any
) -> None:
    # systemd's KillMode=control-group: SIGTERM to every process of the service.
    master = serve("--workers", "2")
    clients = [socket.create_connection(master.address) for _ in range(6)]
    for client in clients:
        client.sendall(b"GET /sleep?0.5 HTTP/1.1\r\nhost: a\r\n\r\n")
    for _ in range(20):
        ask(master.address)
    workers = children(master.pid)
    master.signal(signal.SIGTERM)
    for pid in workers:
        os.kill(int(pid), signal.SIGTERM)
    for client in clients:
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        client.close()
    assert master.end() == 0


def test_a_worker_that_can_not_start_later_leaves_the_others_serving(
    serve: Any, app_dir: Path
) -> None:
    master = serve("--workers", "2", "--max-restarts", "1")
    first, second = children(master.pid)
    (app_dir / "matrix.py").write_text("raise RuntimeError('no database')\n")
    os.kill(int(first), signal.SIGKILL)
    # More often than the intensity allows: to give up would end the one that serves.
    for _ in range(5):
        master.wait_for("worker . could not start: importing matrix raised")
        assert ask_willing(master.address, second)
    (app_dir / "matrix.py").write_text(APP)
    while len(children(master.pid) - {second}) < 1 or not answers_other(master.address, second):
        pass
    master.signal(signal.SIGTERM)
    assert master.end() == 0


def ask_willing(address: tuple[str, int], pid: str) -> bool:
    """Ask until the worker `pid` answers: connections of the other one wait for its successor."""
    for _ in range(200):
        with socket.create_connection(address) as client:
            client.settimeout(0.2)
            client.sendall(b"GET / HTTP/1.0\r\nhost: a\r\n\r\n")
            try:
                if client.recv(65536).endswith(pid.encode()):
                    return True
            except TimeoutError:
                continue
    return False


def answers_other(address: tuple[str, int], pid: str) -> bool:
    """Whether somebody else than `pid` answers."""
    with socket.create_connection(address) as client:
        client.settimeout(0.5)
        client.sendall(b"GET / HTTP/1.0\r\nhost: a\r\n\r\n")
        try:
            return not client.recv(65536).endswith(pid.encode())
        except TimeoutError:
            return False
