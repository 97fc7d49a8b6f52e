"""A large WebSocket message in small parts: CPU of the server for each byte, which must not grow.

    python -m bench.websocket_bulk [--megabytes 1 --megabytes 16] [--case fragments]

One connection to plugpy on uvloop, no compression. Shown are milliseconds of the server's CPU, and
nanoseconds a byte for the largest size; when the work is linear, each column is as many times the
first as it has megabytes more.

    fragments    one text message from the client, in frames of 1 KB
    trickle      one text message in one frame, written 1 KB at a time
    messages     1 KB messages, one after the other
    answers      the server sends messages of 1 KB by `await ws.send()`
    pushed       the same by one Push of a list
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from bench.processes import cores, free_port
from bench.websocket import HANDSHAKE, MASK, cpu

CASES = ("fragments", "trickle", "messages", "answers", "pushed")
PIECE = b"x" * 1_024
MASKED = bytes(byte ^ MASK[i % 4] for i, byte in enumerate(PIECE))
TEXT, CONTINUATION, FINAL = 0x01, 0x00, 0x80
WHOLE = FINAL | TEXT
LIMIT = 1 << 30


async def serve(port: int) -> None:
    """A server that says "done" after each message, and sends as many pieces as a number asks."""
    from plugpy.server import Server
    from plugpy.websocket import Push, Upgrade, WebSocketHandler, WebSocketOptions

    options = WebSocketOptions(
        ping_interval=0, timeout=0, max_frame_size=LIMIT, max_message_size=LIMIT
    )

    class Pusher(WebSocketHandler):
        def handle_in(self, message: Any, state: Any) -> Any:
            return Push([*[PIECE] * int(message), "done"])

    upgrade = Upgrade(Pusher(), options=options)

    async def application(conn: Any) -> Any:
        if conn.request_path == "/pushed":
            return conn.upgrade_adapter("websocket", upgrade)
        async with conn.websocket(options) as ws:
            async for message in ws:
                if conn.request_path == "/answers":
                    for _ in range(int(message)):
                        await ws.send(PIECE)
                if conn.request_path != "/messages" or message == "end":
                    await ws.send("done")
        return conn

    async with Server(application, port=port, access_log=False, log_level="warning"):
        await asyncio.Event().wait()


def head(first: int, size: int) -> bytes:
    """The head of a client's frame."""
    if size < 126:
        return struct.pack("!BB", first, 0x80 | size) + MASK
    if size < 65_536:
        return struct.pack("!BBH", first, 0x80 | 126, size) + MASK
    return struct.pack("!BBQ", first, 0x80 | 127, size) + MASK


def short(text: bytes) -> bytes:
    """A whole message of a few bytes."""
    return head(WHOLE, len(text)) + bytes(byte ^ MASK[i % 4] for i, byte in enumerate(text))


def writes(case: str, count: int) -> Iterator[bytes]:
    """What the client writes, piece by piece."""
    if case == "fragments":
        yield head(TEXT, len(PIECE)) + MASKED
        for number in range(1, count):
            first = CONTINUATION | (FINAL if number == count - 1 else 0)
            yield head(first, len(PIECE)) + MASKED
    elif case == "trickle":
        yield head(WHOLE, count * len(PIECE))
        for _ in range(count):
            yield MASKED
    elif case == "messages":
        for _ in range(count):
            yield head(WHOLE, len(PIECE)) + MASKED
        yield short(b"end")
    else:
        yield short(b"%d" % count)


def exchange(port: int, path: str, data: Iterable[bytes]) -> None:
    """Write, each with a system call of its own, until the server has said that it is done."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.sendall(HANDSHAKE.replace(b"GET / ", b"GET /%b " % path.encode()))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += one.recv(4_096)
        assert b" 101 " in answer, answer
        for part in data:
            one.sendall(part)
        tail = b""
        while not tail.endswith(b"done"):
            got = one.recv(262_144)
            assert got, "closed before it was done"
            tail = (tail + got)[-4:]


def main() -> None:
    """Measure all cases and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--megabytes", type=int, action="append", metavar="N")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        import uvloop

        uvloop.run(serve(given.serve))
        return
    sizes = sorted(set(given.megabytes or [1, 4, 16]))
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.websocket_bulk", "--serve", str(port)],
        stdout=subprocess.DEVNULL,
    )
    os.sched_setaffinity(process.pid, {cores()[0]})
    os.sched_setaffinity(0, {cores()[1]})
    try:
        wait_ready(process, port)
        titles = " | ".join(f"{size} MB, ms" for size in sizes)
        print(f"| CPython {sys.version.split()[0]} | {titles} | ns a byte |")
        print("|---|" + "---|" * (len(sizes) + 1))
        for case in given.case or CASES:
            row = [
                min(measure(process.pid, port, case, size) for _ in range(given.rounds))
                for size in sizes
            ]
            shown = " | ".join(f"{taken / 1e6:.1f}" for taken in row)
            print(f"| {case} | {shown} | {row[-1] / (sizes[-1] << 20):.1f} |", flush=True)
    finally:
        process.kill()
        process.wait()


def measure(pid: int, port: int, case: str, megabytes: int) -> int:
    """Nanoseconds of CPU for one exchange."""
    before = cpu(pid)
    exchange(port, case, writes(case, megabytes * 1_048_576 // len(PIECE)))
    return cpu(pid) - before


def wait_ready(process: subprocess.Popen[bytes], port: int) -> None:
    """Warm up, as soon as the server listens."""
    deadline = time.monotonic() + 20
    while True:
        try:
            for case in CASES:
                exchange(port, case, writes(case, 64))
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    main()
