"""What an idle WebSocket connection holds of a server's memory, beside uvicorn in the same run.

    python -m bench.websocket_idle [--connections 1000 --connections 10000] [--case plugpy:asgi]

The servers are those of bench/websocket.py. To each come as many clients as asked for, once
without and once with an offer of permessage-deflate. Each shakes hands, later sends one text of
256 bytes that comes back (compressed where that was agreed on), and is silent from then on. Shown
is what each has added to the resident set size by its handshake, and together with its message; 1
KB is 1,000 bytes. What the kernel keeps for a socket is not in it.

It needs `ulimit -n` of 200 more than the connections.
"""

from __future__ import annotations

import argparse
import os
import socket
import struct
import sys
import zlib
from importlib.metadata import version
from pathlib import Path

from bench.clients import raise_descriptor_limit
from bench.processes import cores
from bench.websocket import CASES, HANDSHAKE, MASK, Server, frame, installed

SERVERS = tuple(case for case in CASES if case.startswith(("plugpy", "uvicorn")))
OFFER = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
TEXT = b'{"user":"someone","text":"a message as people send them, neither long nor short"}'
TEXT += b" " * (256 - len(TEXT))
SETTLED = 20
"""Connections that a server has before it is measured: what it makes only once is no connection's.
They stay, so that their memory can't be used again."""


class Client:
    """A connection whose handshake is done. compressed: whether permessage-deflate was agreed."""

    def __init__(self, port: int, *, deflate: bool) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        head = HANDSHAKE[:-2] + OFFER + b"\r\n" if deflate else HANDSHAKE
        self.socket.sendall(head)
        self._unread = b""
        while b"\r\n\r\n" not in self._unread:
            self._more()
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        assert b" 101 " in head, head
        self.compressed = b"permessage-deflate" in head
        assert self.compressed or not deflate, "permessage-deflate was refused"

    def _more(self) -> None:
        data = self.socket.recv(65_536)
        assert data, f"closed after {self._unread!r}"
        self._unread += data

    def echo(self) -> None:
        """A message there and back."""
        self.socket.sendall(compressed_frame() if self.compressed else frame(TEXT))
        while len(self._unread) < 4:
            self._more()
        first, size = self._unread[:2]
        assert first & 0x0F == 1, self._unread
        assert bool(first & 0x40) == self.compressed, "not compressed as agreed"
        length = size if size < 126 else struct.unpack("!H", self._unread[2:4])[0] + 2
        while len(self._unread) < length + 2:
            self._more()
        self._unread = b""


def compressed_frame() -> bytes:
    """TEXT as a client's compressed frame."""
    deflate = zlib.compressobj(wbits=-12)
    data = (deflate.compress(TEXT) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert len(data) < 126
    head = struct.pack("!BB", 0xC1, 0x80 | len(data))
    return head + MASK + bytes(byte ^ MASK[i % 4] for i, byte in enumerate(data))


def resident(pid: int) -> int:
    """Bytes of the resident set of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure(case: str, counts: list[int], *, deflate: bool) -> dict[int, tuple[float, float]]:
    """By the number of connections: KB of each after its handshake, and after its message."""
    server = Server(case, cores()[0], 1, 64)
    clients: list[Client] = []
    found: dict[int, tuple[float, float]] = {}

    def come(count: int) -> None:
        clients.extend(Client(server.port, deflate=deflate) for _ in range(count))

    def size() -> int:
        return resident(server.process.pid)

    try:
        come(SETTLED)
        for client in clients:
            client.echo()
        before = size()
        for count in counts:
            already = len(clients)
            start, more = size(), count + SETTLED - already
            come(more)
            silent = (size() - start) / more
            for client in clients[already:]:
                client.echo()
            found[count] = silent / 1000, (size() - before) / count / 1000
    finally:
        for client in clients:
            client.socket.close()
        server.stop()
    return found


def main() -> None:
    """Measure all cases and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--connections", type=int, action="append", metavar="N")
    parser.add_argument("--case", action="append", choices=SERVERS)
    given = parser.parse_args()
    counts = sorted(set(given.connections or [1_000, 10_000]))
    raise_descriptor_limit(counts[-1] + 200)
    cases = [case for case in given.case or SERVERS if installed(case)]
    os.sched_setaffinity(0, {cores()[1]})
    libraries = [name for name in ("uvicorn", "websockets", "wsproto") if installed(name)]
    versions = [f"{name} {version(name)}" for name in libraries]
    print(f"CPython {sys.version.split()[0]}, {', '.join(versions)}: KB a connection\n")
    columns = "handshake | and a message | deflate: handshake | and a message"
    print(f"| server | connections | {columns} |\n|---|---|---|---|---|---|")
    for case in cases:
        plain = measure(case, counts, deflate=False)
        packed = measure(case, counts, deflate=True)
        for count in counts:
            figures = " | ".join(f"{one:.1f}" for one in (*plain[count], *packed[count]))
            print(f"| {case} | {count:,} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
