"""What a WebSocket message costs: an echo, beside uvicorn, picows and socketify in the same run.

    python bench/websocket.py [--size 64] [--rounds 5] [--messages 50000] [--case plugpy:callbacks]

`--connections` clients send one message each, wait for it to come back, and send the next. The
server runs on one core, the clients on another. Counted is the CPU of the server process (user and
system, by /proc/PID/schedstat) for each message there and back. Cases are measured in turn, round
by round; the best round of each is shown, since whatever else runs on the machine only adds, and
`median` tells how noisy it was. No client offers compression. Servers that are not installed are
left out: pip install uvicorn wsproto picows socketify.

    plugpy:callbacks   a WebSocketHandler whose handle_in returns Push(message)
    plugpy:coroutine   async with conn.websocket() as ws, async for message in ws
    plugpy:asgi        the ASGI application that uvicorn serves, on plugpy
    uvicorn:...        the same on uvicorn, with each of its back ends
    picows             a listener that sends the frame back (Cython)
    socketify          uWebSockets (C++), ws.send(message)

All run on uvloop (socketify on its own loop) and echo text.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import importlib.util
import os
import select
import socket
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CASES = (
    "plugpy:callbacks",
    "plugpy:coroutine",
    "plugpy:asgi",
    "uvicorn:websockets-sansio",
    "uvicorn:websockets",
    "uvicorn:wsproto",
    "picows",
    "socketify",
)
NEEDS = {"uvicorn:wsproto": ("uvicorn", "wsproto")}
WARM_UP = 2_000
MASK = b"\x12\x34\x56\x78"
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


# servers ------------------------------------------------------------------------------------------


async def application(scope: Any, receive: Any, send: Any) -> None:
    """The echo of an ASGI application."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


async def serve_plugpy(style: str, port: int) -> None:
    """The three ways of plugpy."""
    from plugpy.server import Server
    from plugpy.websocket import Push, Upgrade, WebSocketHandler, WebSocketOptions

    class Echo(WebSocketHandler):
        def handle_in(self, message: Any, state: Any) -> Any:
            return Push(message)

    # Nobody pings here: the clients count bytes.
    options = WebSocketOptions(ping_interval=0, timeout=0)
    upgrade = Upgrade(Echo(), options=options)

    async def coroutine(conn: Any) -> Any:
        async with conn.websocket(options) as ws:
            async for message in ws:
                await ws.send(message)
        return conn

    applications: dict[str, Any] = {
        "callbacks": lambda conn: conn.upgrade_adapter("websocket", upgrade),
        "coroutine": coroutine,
        "asgi": application,
    }
    if style == "asgi":
        from plugpy.interop import asgi_websocket

        asgi_websocket.OPTIONS = dataclasses.replace(options, check_origin=False)  # type: ignore[misc]
    async with Server(applications[style], port=port, access_log=False, log_level="warning"):
        await asyncio.Event().wait()


async def serve_picows(port: int) -> None:
    """picows: the loop's own protocol, in Cython."""
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

    class Echo(WSListener):  # type: ignore[misc]
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.TEXT:
                transport.send(frame.msg_type, frame.get_payload_as_ascii_text().encode())

    server = await ws_create_server(lambda request: Echo(), "127.0.0.1", port)
    await server.serve_forever()


def serve(case: str, port: int) -> None:
    """Be the server of a case."""
    name, _, detail = case.partition(":")
    if name == "uvicorn":
        import uvicorn

        uvicorn.run(
            application,
            port=port,
            ws=detail,
            ws_ping_interval=None,
            loop="uvloop",
            lifespan="off",
            access_log=False,
            log_level="error",
        )
    elif name == "socketify":
        from socketify import App

        app = App()
        echo = {"message": lambda ws, message, opcode: ws.send(message, opcode)}
        app.ws("/", {**echo, "idle_timeout": 0})
        app.listen({"port": port, "host": "127.0.0.1"}, lambda config: None)
        app.run()
    else:
        import uvloop

        uvloop.run(serve_picows(port) if name == "picows" else serve_plugpy(detail, port))


# client -------------------------------------------------------------------------------------------


def frame(payload: bytes) -> bytes:
    """A client's text frame."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x81, 0x80 | size)
    else:
        head = struct.pack("!BBH", 0x81, 0x80 | 126, size)
    return head + MASK + bytes(byte ^ MASK[i % 4] for i, byte in enumerate(payload))


def connect(port: int, count: int) -> list[socket.socket]:
    """Connections whose handshake is done."""
    sockets = []
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.sendall(HANDSHAKE)
        head = b""
        while b"\r\n\r\n" not in head:
            head += one.recv(4096)
        assert b" 101 " in head, head
        sockets.append(one)
    return sockets


def echo(sockets: list[socket.socket], size: int, messages: int) -> None:
    """Have `messages` of `size` bytes come back, one at a time on each connection."""
    data = frame(b"x" * size)
    wanted = size + (2 if size < 126 else 4)
    poll = select.epoll()
    by_number = {one.fileno(): one for one in sockets}
    missing = dict.fromkeys(by_number, wanted)
    started = 0
    for one in sockets:
        assert not select.select([one], [], [], 0)[0], "nobody was asked, and something came"
        poll.register(one, select.EPOLLIN)
        one.send(data)
        started += 1
    finished = 0
    while finished < messages:
        for number, _ in poll.poll():
            one = by_number[number]
            missing[number] -= len(one.recv(65_536))
            if not missing[number]:
                finished += 1
                missing[number] = wanted
                if started < messages:
                    started += 1
                    one.send(data)


# measuring ----------------------------------------------------------------------------------------


def cpu(pid: int) -> int:
    """Nanoseconds that a process, all its threads, has run."""
    return sum(
        int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")
    )


class Server:
    """A server process of one case, pinned to a core of its own, and its clients."""

    def __init__(self, case: str, core: int, connections: int, size: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.size = size
        command = [sys.executable, "-Wignore", __file__, "--serve", case, "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        os.sched_setaffinity(self.process.pid, {core})
        self.sockets: list[socket.socket] = []
        try:
            self._connect(connections)
            echo(self.sockets, size, WARM_UP)
        except BaseException:
            self.stop()
            raise

    def _connect(self, connections: int) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                self.sockets = connect(self.port, connections)
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def round(self, messages: int) -> float:
        """Microseconds of CPU for each message."""
        before = cpu(self.process.pid)
        echo(self.sockets, self.size, messages)
        return (cpu(self.process.pid) - before) / messages / 1000

    def stop(self) -> None:
        """End the process."""
        for one in self.sockets:
            one.close()
        self.process.kill()
        self.process.wait()


def installed(case: str) -> bool:
    """Whether all that a case needs is here."""
    return all(importlib.util.find_spec(one) for one in NEEDS.get(case, (case.partition(":")[0],)))


def main() -> None:
    """Measure all cases and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=50_000, help="for each round and case")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--size", type=int, default=64, help="bytes of text in a message")
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.port)
        return
    if not 1 <= given.size < 65_536:
        parser.error("--size is from 1 to 65,535")
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    wanted = given.case or CASES
    cases = [case for case in wanted if installed(case)]
    if left := [case for case in wanted if case not in cases]:
        print(f"not installed: {', '.join(left)}")
    servers: dict[str, Server] = {}
    figures: dict[str, list[float]] = {case: [] for case in cases}
    try:
        for case in cases:
            servers[case] = Server(case, cores[0], given.connections, given.size)
        for _ in range(given.rounds):
            for case, server in servers.items():
                figures[case].append(server.round(given.messages))
    finally:
        for server in servers.values():
            server.stop()
    base = min(figures[cases[0]])
    print(
        f"\nCPython {sys.version.split()[0]}, {given.connections} connections, {given.size} bytes: "
        "us of server CPU a message there and back"
    )
    for case, values in figures.items():
        median = statistics.median(values)
        print(f"  {case:26} {min(values):6.2f}  median {median:6.2f}  x{min(values) / base:.2f}")


if __name__ == "__main__":
    main()
