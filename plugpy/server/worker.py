"""A worker: `python -m plugpy.server.worker DESCRIPTOR`, started by the master.

DESCRIPTOR is its end of the channel (plugpy.server.channel), where its settings and listening
sockets come from. It ends when the master asks it to (SIGTERM), or drains by itself when the
master is gone.
"""

import asyncio
import contextlib
import faulthandler
import os
import signal
import socket
import sys
from typing import Final

from plugpy.server.channel import (
    Channel,
    ChannelClosedError,
    Message,
    receive_message,
    send_message,
)
from plugpy.server.errors import EXIT_FAILURE, EXIT_START, ServerError
from plugpy.server.settings import Settings

BEAT_INTERVAL: Final = 1.0
"""Seconds at most between two signs of life, sent by the event loop itself: a stuck loop sends
none. There are four of them in the worker timeout."""


def main(descriptor: int) -> int:
    """Serve until told to stop; returns the exit code."""
    # Ctrl-C goes to the whole foreground group of the terminal: the master decides, not we.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sock = socket.socket(fileno=descriptor)
    # Nothing that the application starts may hold the channel open.
    sock.set_inheritable(False)
    try:
        message, descriptors = receive_message(sock)
    except ChannelClosedError:
        return EXIT_FAILURE
    settings = Settings.load(message["settings"])
    sockets = [socket.socket(fileno=number) for number in descriptors]
    try:
        return _serve(sock, settings, sockets)
    except ServerError as error:
        _report_failure(sock, str(error), error.exit_code)
        return error.exit_code
    except Exception as error:
        from plugpy.server.tracebacks import format_user_traceback

        _report_failure(sock, format_user_traceback(error), EXIT_START)
        return EXIT_START


def _report_failure(sock: socket.socket, text: str, code: int) -> None:
    with contextlib.suppress(OSError):
        sock.setblocking(True)
        send_message(sock, {"failed": text, "exit_code": code})


def _serve(sock: socket.socket, settings: Settings, sockets: list[socket.socket]) -> int:
    from plugpy.server.logs import configure_logging
    from plugpy.server.server import Server
    from plugpy.server.serving import load_from, run_server
    from plugpy.server.worker_process import STACK_SIGNAL

    configure_logging(settings["log_format"], settings["log_level"])
    # In C, so it answers also when no Python code gets to run.
    faulthandler.register(STACK_SIGNAL, all_threads=True)
    server = Server.from_settings(load_from(settings), settings, sockets)
    channel: Channel | None = None
    tasks: set[asyncio.Future[None]] = set()

    def on_message(message: Message, descriptors: list[int]) -> None:
        if "adopt" in message:
            adopted = [socket.socket(fileno=number) for number in descriptors]
            task = asyncio.ensure_future(server.adopt(adopted))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    def on_close() -> None:
        # The master is gone: nobody would replace us, and a new master must find the port free.
        os.kill(os.getpid(), signal.SIGTERM)

    def started(loop: asyncio.AbstractEventLoop) -> None:
        nonlocal channel
        channel = Channel(sock, loop, on_message, on_close)

        interval = min(BEAT_INTERVAL, settings["worker_timeout"] / 4 or BEAT_INTERVAL)

        def beat() -> None:
            assert channel is not None
            channel.send({"beat": server.connections})
            loop.call_later(interval, beat)

        beat()

    def ready() -> None:
        assert channel is not None
        channel.send({"ready": True})

    def progress(count: int) -> None:
        assert channel is not None
        channel.send({"draining": count})

    return run_server(
        server, ready, started=started, progress=progress, stop_signals=(signal.SIGTERM,)
    )


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
