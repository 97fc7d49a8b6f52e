"""What a new connection costs: acceptors beside the event loop's own `create_server`.

    python bench/accept.py [--rounds 5] [--connections 20000] [--loop uvloop] [--case acceptors:100]

A client opens a connection, sends one request, reads the answer to its end, and opens the next; so
do `--concurrency` of them at a time. The server runs on one core, the client on another. Counted is
the CPU of the server process (user and system, by /proc/PID/schedstat) for each connection.
Cases are measured in turn, round by round, and the best round of each is shown: whatever else runs
on the machine only ever adds. `median` tells how noisy it was.

All cases run protocols that do the same with the same bytes:

    create_server         asyncio.Protocol, the least there is
    create_server:process acceptors.Connection by create_server: the same class as below
    acceptors:N           acceptors.Connection by a listener with N acceptors
"""

from __future__ import annotations

import argparse
import asyncio
import os
import select
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import acceptors

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\nHello Plug!"
CASES = ("create_server", "create_server:process", "acceptors:2", "acceptors:100")
LOOPS = ("asyncio", "uvloop")
WARM_UP = 500


class Answer(asyncio.Protocol):
    """Answers once and closes."""

    __slots__ = ("transport",)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(ANSWER)
        self.transport.close()


class AnswerConnection(acceptors.Connection):
    """The same as a process."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(ANSWER)
        transport.close()


async def serve(case: str) -> None:
    """Be the server of a case: print the port, serve until stdin ends."""
    loop = asyncio.get_running_loop()
    name, _, detail = case.partition(":")
    options = {"num_acceptors": int(detail) if name == "acceptors" else 1}
    await acceptors.start_listener("bench", options, AnswerConnection)
    port = acceptors.get_port("bench")
    if name == "create_server":
        factory: Any = Answer
        if detail == "process":
            connections = acceptors.listener.find("bench").connections
            factory = connections.start_protocol
        server = await loop.create_server(factory, "127.0.0.1", 0, backlog=1024)
        port = server.sockets[0].getsockname()[1]
    print(port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    await acceptors.stop_listener("bench")


def load(port: int, connections: int, concurrency: int) -> None:
    """Be the client: `connections` of them one after another, `concurrency` at a time."""
    poll = select.epoll()
    open_now: dict[int, socket.socket] = {}
    started = 0

    def start() -> None:
        nonlocal started
        started += 1
        one = socket.socket()
        one.connect(("127.0.0.1", port))
        one.send(REQUEST)
        open_now[one.fileno()] = one
        poll.register(one, select.EPOLLIN)

    while started < min(concurrency, connections):
        start()
    while open_now:
        for descriptor, _ in poll.poll():
            one = open_now[descriptor]
            if not one.recv(4096):
                del open_now[descriptor]
                one.close()
                if started < connections:
                    start()


def cpu(pid: int) -> int:
    """Nanoseconds that a process, all its threads, has run."""
    return sum(
        int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")
    )


class Server:
    """A server process of one case on one loop, pinned to the first core."""

    def __init__(self, loop: str, case: str) -> None:
        command = [sys.executable, __file__, "--serve", case, "--loop", loop]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        os.sched_setaffinity(self.process.pid, {0})
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        load(self.port, WARM_UP, 16)

    def round(self, connections: int, concurrency: int) -> float:
        """Microseconds of CPU for each connection."""
        before = cpu(self.process.pid)
        load(self.port, connections, concurrency)
        time.sleep(0.05)  # the last ones are closed
        return (cpu(self.process.pid) - before) / connections / 1000

    def stop(self) -> None:
        """End the process."""
        self.process.communicate("")


def main() -> None:
    """Measure all cases and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=10_000, help="for each round and case")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--loop", choices=LOOPS, action="append")
    parser.add_argument("--case", action="append")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    loops = given.loop or LOOPS
    if given.serve:
        if loops == ["uvloop"]:
            import uvloop

            uvloop.run(serve(given.serve))
        else:
            asyncio.run(serve(given.serve))
        return
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    for loop in loops:
        servers = {case: Server(loop, case) for case in given.case or CASES}
        figures: dict[str, list[float]] = {case: [] for case in servers}
        for _ in range(given.rounds):
            for case, server in servers.items():
                figures[case].append(server.round(given.connections, given.concurrency))
        for server in servers.values():
            server.stop()
        base = min(figures[next(iter(figures))])
        print(f"\n{loop} on CPython {sys.version.split()[0]}, us of server CPU a connection")
        for case, values in figures.items():
            ratio, median = min(values) / base, statistics.median(values)
            print(f"  {case:24} {min(values):6.2f}  median {median:6.2f}  ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
