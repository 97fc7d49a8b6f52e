"""An echo server made of acceptors alone, without HTTP.

    python examples/echo.py --port 5555
    nc 127.0.0.1 5555

`--port 0` takes a free port; the line that it prints says which. It ends by Ctrl-C or SIGTERM:
accepting stops first, then the connections close.
"""

import argparse
import asyncio
import signal
from typing import Any

import acceptors


class Echo(acceptors.Connection):
    """Sends back what it gets. Reads no faster than its peer does."""

    __slots__ = ()
    transport: Any

    def data_received(self, data: bytes) -> None:
        """What has arrived goes back."""
        self.transport.write(data)

    def pause_writing(self) -> None:
        """The peer does not read: it gets to wait as well, or what it sends would pile up here."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self.transport.resume_reading()


async def serve(options: dict[str, Any]) -> None:
    """Run until a signal comes."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await acceptors.start_listener("echo", options, Echo)
    print(f"echo on {options['host']}:{acceptors.get_port('echo')}", flush=True)
    await stop.wait()
    await acceptors.stop_listener("echo")


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="An echo server.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555, help="0 takes a free one")
    parser.add_argument("--acceptors", type=int, default=10, dest="num_acceptors")
    parser.add_argument("--max-connections", type=int, default=1000)
    asyncio.run(serve(vars(parser.parse_args())))


if __name__ == "__main__":
    main()
