"""plugpy's own HTTP protocol behind the event loop's `create_server`; run as a script with the
port.

A listener starts too, on a port that nobody uses: its connection supervisor is the parent that
the protocol needs. Accepting is the loop's alone.
"""

import asyncio
import sys
from typing import Any

import uvloop

import acceptors
from acceptors.listener import find
from bench.apps.hello import HelloRouter
from plugpy.http import Http1Connection, HttpOptions
from plugpy.pipeline import compiled


async def main(port: int) -> None:
    """Serve on 127.0.0.1 until killed."""
    options = HttpOptions(application=compiled(HelloRouter()))
    await acceptors.start_listener("bench", {"num_acceptors": 1}, Http1Connection, options)
    protocol: Any = find("bench").connections.start_protocol
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
