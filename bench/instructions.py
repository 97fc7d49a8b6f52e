"""Instructions for each request, counted by valgrind: python bench/instructions.py [CASE ...]

Time is noisy where other programs run; the number of instructions is not (within 0.1 %). So this
is how a change to the hot path is judged while it is made: run it before and after. No system
calls are in it, since the transport is a fake one: requests are fed to a connection as the event
loop would do it.

The figure is the difference of two runs of a different number of requests, divided by their
difference, so that neither start nor warm-up count. `connection` is one more connection without a
request.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
FEW: Final = 2_000
MANY: Final = 6_000

GET: Final = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:4000\r\n\r\n"
USER: Final = b"GET /users/42 HTTP/1.1\r\nHost: 127.0.0.1:4000\r\n\r\n"
POST: Final = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
COOKIE: Final = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nCookie: a=1; b=2\r\n\r\n"

CASES: Final[dict[str, tuple[str, bytes]]] = {
    "hello": ("HelloRouter", GET),
    "users": ("HelloRouter", USER),
    "plugged": ("PluggedRouter", GET),
    "async": ("AsyncRouter", GET),
    "pipelined": ("HelloRouter", GET * 16),
    "cookie": ("HelloRouter", COOKIE),
    "post": ("HelloRouter", POST),
    "asgi": ("bare_asgi", GET),
    "asgi-post": ("bare_asgi", POST),
    "connection": ("HelloRouter", b""),
}
"""Name -> what of bench.apps.hello makes the application, bytes that arrive at once."""


class Sink:
    """A transport that takes everything."""

    def __init__(self) -> None:
        self.written = 0

    def write(self, data: bytes) -> None:
        """Count the bytes."""
        self.written += len(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Nothing is known."""
        return default

    def is_closing(self) -> bool:
        """Never."""
        return False

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0

    def pause_reading(self) -> None:
        """Nobody is read from."""

    def resume_reading(self) -> None:
        """Nobody is read from."""


async def drive(name: str, number: int) -> None:
    """Serve `number` requests of a case."""
    import acceptors
    from bench.apps import hello
    from plugpy.http import Http1Connection, HttpOptions
    from plugpy.pipeline import compiled

    router, data = CASES[name]
    options = HttpOptions(application=compiled(getattr(hello, router)()))
    listener = await acceptors.start_listener("bench", {"port": 0}, Http1Connection, options)
    start: Callable[[], Any] = listener.connections.start_protocol
    if name == "connection":
        for _ in range(number):
            connection = start()
            connection.connection_made(Sink())
            connection.connection_lost(None)
    else:
        connection = start()
        sink = Sink()
        connection.connection_made(sink)
        for _ in range(number):
            before = sink.written
            connection.data_received(data)
            # An Event would be counted along.
            while sink.written == before or connection.conn is not None:  # noqa: ASYNC110
                await asyncio.sleep(0)
        connection.connection_lost(None)
    await acceptors.stop_listener("bench")


def count(name: str, number: int) -> int:
    """Instructions of a process that serves `number` requests."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command += [sys.executable, __file__, "--drive", name, str(number)]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return int(found[1])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Instructions for each request, counted by valgrind.",
        epilog=f"Cases: {', '.join(CASES)}.",
    )
    parser.add_argument("case", nargs="*", choices=[[], *CASES], metavar="CASE")
    parser.add_argument("--drive", nargs=2, metavar=("CASE", "NUMBER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drive:
        asyncio.run(drive(given.drive[0], int(given.drive[1])))
        return
    for name in given.case or CASES:
        number = (count(name, MANY) - count(name, FEW)) / (MANY - FEW)
        print(f"{name:<12} {number:>10,.0f} instructions", flush=True)


if __name__ == "__main__":
    main()
