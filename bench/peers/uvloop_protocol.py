"""The least that Python on uvloop can cost: a Protocol with one fixed answer for each head.

Run as a script with the port. It understands as little of HTTP as limit.c does.
"""

import asyncio
import sys
from typing import Any

import uvloop

ANSWER = (
    b"HTTP/1.1 200 OK\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"cache-control: max-age=0, private, must-revalidate\r\n"
    b"date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    b"content-length: 11\r\n"
    b"\r\n"
    b"Hello Plug!"
)


class FixedAnswer(asyncio.Protocol):
    """Answers every blank line."""

    __slots__ = ("transport",)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(ANSWER * data.count(b"\r\n\r\n"))


async def main(port: int) -> None:
    """Serve on 127.0.0.1 until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(FixedAnswer, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
