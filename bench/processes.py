"""Servers as child processes: started on one core, measured by /proc, stopped by their pid."""

import http.client
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.environments import BUILD, ROOT

TICK = os.sysconf("SC_CLK_TCK")
START_TIMEOUT = 20.0
STOP_TIMEOUT = 5.0


class ServerFailedError(Exception):
    """A server did not start, or did not answer as it should."""


def cores() -> tuple[int, int]:
    """The core of the servers and the core of the client; the same one when there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[1 % len(allowed)]


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Children that are started in here run on `core` from their first instruction on."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, ())
    return found


def trusting() -> ssl.SSLContext:
    """For a client that takes any certificate, as wrk does, and speaks HTTP/1.1 only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


class ServerProcess:
    """A server that runs. `command` holds {port} where its port belongs."""

    def __init__(
        self,
        name: str,
        command: list[str],
        variables: Mapping[str, str],
        *,
        quiet: bool = False,
        tls: bool = False,
    ) -> None:
        self.name = name
        self.tls = trusting() if tls else None
        self.port = free_port()
        BUILD.mkdir(exist_ok=True)
        self.log = BUILD / f"{name.replace(' ', '-').replace('/', '-')}.log"
        filled = [part.replace("{port}", str(self.port)) for part in command]
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("PLUGPY_")
        }
        environment |= variables
        with pinned(cores()[0]), open(os.devnull if quiet else self.log, "wb") as output:
            self.started = time.monotonic()
            self.process = subprocess.Popen(
                filled,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of the process that was started; its children belong to it."""
        return self.process.pid

    def wait_ready(self) -> float:
        """Seconds from the start to the first answer, whatever it says."""
        while True:
            try:
                self.ask("GET", "/")
                return time.monotonic() - self.started
            except (OSError, http.client.HTTPException):
                pass
            if self.process.poll() is not None:
                raise ServerFailedError(f"{self.name} exited: {self.last_words()}")
            if time.monotonic() - self.started > START_TIMEOUT:
                raise ServerFailedError(
                    f"{self.name} gave no answer in {START_TIMEOUT:.0f} s: {self.last_words()}"
                )
            time.sleep(0.001)

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """One request on a connection of its own; the body of the answer."""
        connection = (
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            if self.tls is None
            else http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=self.tls)
        )
        try:
            connection.request(method, path, body)
            return connection.getresponse().read()
        finally:
            connection.close()

    def last_words(self) -> str:
        """The last line that it wrote; the rest is in bench/.build/."""
        try:
            lines = self.log.read_bytes()[-2000:].decode(errors="replace").split("\n")
        except OSError:
            lines = []
        said = [line.strip() for line in lines if line.strip()]
        return said[-1].replace(str(ROOT), ".")[-300:] if said else "(no output)"

    def cpu(self) -> float:
        """Seconds of CPU, user and system, that the whole tree has spent so far."""
        ticks = 0
        for pid in tree(self.pid):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            # utime, stime, and those of children that have ended: fields 14 to 17 of proc(5)
            ticks += sum(int(field) for field in fields[11:15])
        return ticks / TICK

    def memory(self) -> int:
        """Bytes of memory of the whole tree: its proportional set size."""
        size = 0
        for pid in tree(self.pid):
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
            size += int(line.split()[1]) * 1024
        return size

    def descriptors(self) -> int:
        """Open descriptors of the whole tree."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in tree(self.pid))

    def stop(self) -> None:
        """End it: politely, then not; no other process is touched."""
        pids = tree(self.pid)
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.process.wait()
