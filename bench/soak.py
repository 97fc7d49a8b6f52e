"""A stampede: random processes of a server are killed ten times a second under load.

    python bench/soak.py [--requests 1000000] [--loop uvloop] [--calm] [--seed 1]

Asserted, with the exit code 1 where it does not hold:
    every request is answered, rightly, but those whose own connection was killed
    what is killed is replaced: the server goes on, on the same socket
    nothing grows: descriptors, Tasks and processes are those of the beginning, and memory after all
    requests is at most `--growth` megabytes above what it was after a tenth of them

The server runs in this process, so that its processes can be reached; the clients run in a child.
Killed are connections, acceptors and, now and then, the supervisor of all connections. The clients
use what a server meets: kept-alive connections, `connection: close`, bodies, async handlers,
streams, and some reset their connection in the middle of an answer. tests/plugpy/server/
test_stampede.py runs the same for some seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import random
import select
import socket
import sys
import time
from pathlib import Path
from typing import Any, Final

from acceptors import AcceptorPool, Connections, otp
from plugpy.conn import Conn
from plugpy.router import Router, get, post
from plugpy.server import Server
from plugpy.server.loops import loop_factory

PERIOD: Final = 0.1
"""Seconds between two kills."""

CLIENTS: Final = 32

PATIENCE: Final = 20.0
"""Seconds after which a request that has no answer has failed."""

SUPERVISOR: Final = 0.02
ACCEPTOR: Final = 0.1
"""Parts of the kills that hit the supervisor of the connections, and an acceptor."""


class StampedeRouter(Router):
    """Says the number that it was sent, in several ways."""

    @get("/sync/:number")
    def sync(self, conn: Conn, number: str) -> Conn:
        """At once."""
        return conn.send_resp(200, number)

    @get("/async/:number")
    async def later(self, conn: Conn, number: str) -> Conn:
        """A turn of the loop later."""
        await asyncio.sleep(0)
        return conn.send_resp(200, number)

    @get("/slow/:number")
    async def slow(self, conn: Conn, number: str) -> Conn:
        """Some milliseconds later, so that kills hit requests."""
        await asyncio.sleep(0.02)
        return conn.send_resp(200, number)

    @post("/body")
    async def body(self, conn: Conn) -> Conn:
        """The end of the body."""
        return conn.send_resp(200, (await conn.body()).lstrip(b"."))

    @get("/stream/:number")
    async def stream(self, conn: Conn, number: str) -> Conn:
        """In pieces."""
        conn.put_resp_header("content-length", str(len(number))).send_chunked(200)
        for digit in number:
            await conn.chunk(digit)
        return conn


# the clients --------------------------------------------------------------------------------------


def request_of(number: int) -> bytes:
    """The request of a number, of a kind that follows from it."""
    kind = number % 20
    if kind == 0:
        body = b"." * (number % 5000) + b"%d" % number
        return b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    way = {1: b"stream", 2: b"async", 3: b"async"}.get(kind, b"sync")
    if number % 500 == 5:
        way = b"slow"
    close = b"connection: close\r\n" if kind == 4 else b""
    return b"GET /%b/%d HTTP/1.1\r\nhost: x\r\n%b\r\n" % (way, number, close)


class Client:
    """One connection after the other, one request at a time."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.sock: socket.socket | None = None
        self.number = 0
        self.answer = b""
        self.since = 0.0

    def ask(self) -> None:
        """Send the next request."""
        load = self.load
        self.number = load.next_number()
        self.answer, self.since = b"", time.monotonic()
        try:
            if self.sock is None:
                self.sock = socket.create_connection(("127.0.0.1", load.port), timeout=PATIENCE)
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                load.clients[self.sock.fileno()] = self
                load.poll.register(self.sock, select.EPOLLIN)
            self.sock.sendall(request_of(self.number))
        except ConnectionRefusedError:
            load.count("refused")
            self.drop()
        except OSError:
            self.broken()
            return
        if self.number % 1000 == 7:  # a client that leaves without a word
            load.count("left")
            with contextlib.suppress(OSError, AttributeError):
                linger = b"\1\0\0\0\0\0\0\0"
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)  # type: ignore[union-attr]
            self.drop()
            load.again(self)

    def broken(self) -> None:
        """The connection ended before the answer did."""
        self.load.count("broken")
        self.drop()
        self.load.again(self)

    def drop(self) -> None:
        """Close."""
        sock, self.sock = self.sock, None
        if sock is not None:
            del self.load.clients[sock.fileno()]
            with contextlib.suppress(FileNotFoundError):
                self.load.poll.unregister(sock)
            sock.close()

    def readable(self) -> None:
        """Bytes, or the end."""
        assert self.sock is not None
        try:
            data = self.sock.recv(65_536)
        except OSError:
            data = b""
        if not data:
            self.broken()
            return
        self.answer += data
        head, found, body = self.answer.partition(b"\r\n\r\n")
        wanted = b"%d" % self.number
        if not found or (len(body) < len(wanted) and b" 200 " in head[:20]):
            return
        if body == wanted and head.startswith(b"HTTP/1.1 200 "):
            self.load.count("answered")
        else:
            self.load.count("wrong")
            self.load.wrong.append(repr(self.answer[:200]))
            self.drop()
        if b"\r\nconnection: close" in head:
            self.drop()
        self.load.again(self)


class Load:
    """All clients, until as many requests have been asked."""

    def __init__(self, port: int, requests: int) -> None:
        self.port = port
        self.requests = requests
        self.poll = select.epoll()
        self.clients: dict[int, Client] = {}
        self.numbers = 0
        self.counts = dict.fromkeys(("answered", "broken", "wrong", "refused", "left", "late"), 0)
        self.wrong: list[str] = []
        self.waiting: list[Client] = []

    def next_number(self) -> int:
        """The number of the next request."""
        self.numbers += 1
        return self.numbers

    def count(self, what: str) -> None:
        """Something has happened."""
        self.counts[what] += 1

    def again(self, client: Client) -> None:
        """A client is free."""
        self.waiting.append(client)

    def run(self) -> None:
        """Ask and wait; says after each tenth where it is."""
        self.waiting = [Client(self) for _ in range(CLIENTS)]
        told = 0
        while self.clients or self.waiting:
            waiting, self.waiting = self.waiting, []
            for client in waiting:
                if self.numbers < self.requests:
                    client.ask()
                else:
                    client.drop()
            events = self.poll.poll(1.0) if not self.waiting else self.poll.poll(0)
            for descriptor, _ in events:
                client_of = self.clients.get(descriptor)
                if client_of is not None:
                    client_of.readable()
            if not events:
                late = [c for c in self.clients.values() if time.monotonic() > c.since + PATIENCE]
                for client in late:
                    self.count("late")
                    client.drop()
                    self.again(client)
            if self.numbers * 10 // self.requests > told:
                told = self.numbers * 10 // self.requests
                print(json.dumps({"tenth": told}), flush=True)
        print(json.dumps({**self.counts, "examples": self.wrong[:3]}), flush=True)


# the server ---------------------------------------------------------------------------------------


def resident() -> float:
    """Resident megabytes of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def descriptors() -> int:
    """Open sockets of this process: what it has for its child is not the server's."""
    number = 0
    for one in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            number += os.readlink(f"/proc/self/fd/{one}").startswith("socket:")
    return number


class Killer:
    """Kills something every PERIOD. killed: how many connections, by themselves or with their
    supervisor."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server = server
        self.random = random.Random(seed)
        self.killed = 0
        self.others = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(PERIOD)
            self.kill()

    def kill(self) -> None:
        """Kill one process."""
        living = list(otp.processes(self.server.supervisor))
        supervisors = [one for one in living if isinstance(one, Connections)]
        pools = [one for one in living if isinstance(one, AcceptorPool)]
        dice = self.random.random()
        connections = [one for parent in supervisors for one in parent.children.values()]
        if dice < SUPERVISOR and supervisors:
            self.killed += len(connections)
            self.others += 1
            otp.exit(supervisors[0], "kill")
        elif dice < SUPERVISOR + ACCEPTOR and pools:
            self.others += 1
            otp.exit(self.random.choice(list(pools[0].children.values())), "kill")
        elif connections:
            self.killed += 1
            otp.exit(self.random.choice(connections), "kill")


async def stampede(requests: int, *, calm: bool, seed: int, growth: float) -> list[str]:
    """Run it; returns what did not hold."""
    loop = asyncio.get_running_loop()
    faults: list[str] = []
    async with Server(StampedeRouter, port=0, access_log=False, shutdown_timeout=5) as server:
        tasks, processes = len(asyncio.all_tasks()), len(list(otp.processes()))
        opened = descriptors()
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            "--load",
            str(server.port),
            "--requests",
            str(requests),
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdout is not None
        killer = Killer(server, seed)
        killing = None if calm else loop.create_task(killer.run())
        memory, counts = 0.0, {}
        started = time.monotonic()
        async for line in child.stdout:
            counts = json.loads(line)
            if counts.get("tenth") == 1:
                memory = resident()
        took = time.monotonic() - started
        await child.wait()
        if killing is not None:
            killing.cancel()
            await asyncio.wait([killing])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while (  # noqa: ASYNC110
                    server.connections
                    or descriptors() > opened
                    or len(asyncio.all_tasks()) > tasks
                    or len(list(otp.processes())) > processes
                ):
                    await asyncio.sleep(0.05)
        after = resident()
        facts: dict[str, Any] = {
            **counts,
            "killed": killer.killed,
            "others killed": killer.others,
            "seconds": round(took, 1),
            "descriptors": f"{opened} -> {descriptors()}",
            "tasks": f"{tasks} -> {len(asyncio.all_tasks())}",
            "processes": f"{processes} -> {len(list(otp.processes()))}",
            "megabytes": f"{memory:.1f} -> {after:.1f}",
        }
        print(json.dumps(facts, indent=2))
        if counts["answered"] + counts["broken"] + counts["left"] != requests:
            faults.append("not every request has an end")
        if counts["broken"] > killer.killed:
            faults.append("more connections broke than were killed")
        faults += [
            f"{what}: {counts[what]}" for what in ("wrong", "refused", "late") if counts[what]
        ]
        if descriptors() > opened:
            faults.append("descriptors were left open")
        if len(asyncio.all_tasks()) > tasks or otp.zombies():
            faults.append("Tasks were left")
        if len(list(otp.processes())) != processes:
            faults.append("the tree is not what it was")
        if after > memory + growth:
            faults.append("memory has grown")
    return faults


def main() -> None:
    """Run a stampede, or be its clients."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--loop", default="uvloop", choices=("uvloop", "asyncio"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--growth", type=float, default=8.0, help="megabytes")
    parser.add_argument("--calm", action="store_true", help="kill nothing")
    parser.add_argument("--load", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load:
        Load(given.load, given.requests).run()
        return
    logging.disable(logging.CRITICAL)  # each kill would be told
    with asyncio.Runner(loop_factory=loop_factory(given.loop)) as runner:
        faults = runner.run(
            stampede(given.requests, calm=given.calm, seed=given.seed, growth=given.growth)
        )
    for fault in faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
