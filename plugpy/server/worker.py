"""A worker: `python -m plugpy.server.worker CHANNEL STACKS`, started by the master.

Both are descriptors. CHANNEL is its end of the channel (plugpy.server.channel), where its settings
and listening sockets come from; STACKS a file that the stacks of its threads are written to when
the master asks for them. It ends when the master asks it to, or drains by itself when the master
is gone.
"""

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from plugpy.server.channel import (
    Channel,
    ChannelClosedError,
    Message,
    receive_message,
    send_message,
)
from plugpy.server.errors import EXIT_FAILURE, EXIT_START, ServerError
from plugpy.server.master_record import MasterRecord
from plugpy.server.recycling import Limits, resident_size
from plugpy.server.settings import Settings
from plugpy.server.worker_process import STACK_SIGNAL

if TYPE_CHECKING:
    from plugpy.server.server import Server

BEAT_INTERVAL: Final = 1.0
"""Seconds at most between two signs of life, sent by the event loop itself: a stuck loop sends
none. There are four of them in the worker timeout."""

MASTER_GRACE: Final = 5.0
"""Seconds over the worker timeout until a worker whose loop is stuck ends itself."""


def _on_control(server: "Server", message: Message, descriptors: list[int]) -> None:
    from plugpy.server.control.single import answer_master

    answer_master(server, message["control"], descriptors[0])


HANDLERS: Final[dict[str, Callable[[Any, Message, list[int]], None]]] = {"control": _on_control}
"""What is done with lines from the master that are not known here, by their first key: it is called
with the Server, the line and the descriptors that came along."""


def main(descriptor: int, stacks: int) -> int:
    """Serve until told to stop; returns the exit code."""
    # Ctrl-C goes to the whole foreground group of the terminal: the master decides, not we.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sock = socket.socket(fileno=descriptor)
    # Nothing that the application starts may hold the channel open.
    sock.set_inheritable(False)
    os.set_inheritable(stacks, False)
    # In C, so it answers also when no Python code gets to run.
    faulthandler.register(STACK_SIGNAL, file=stacks, all_threads=True)
    try:
        message, descriptors = receive_message(sock)
    except ChannelClosedError:
        return EXIT_FAILURE
    settings = Settings.load(message["settings"])
    sockets = [socket.socket(fileno=number) for number in descriptors]
    try:
        sizes = message["settings"]["sizes"]
        return _serve(sock, settings, sockets, sizes, stacks, message["start"])
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


def _serve(
    sock: socket.socket,
    settings: Settings,
    sockets: list[socket.socket],
    sizes: list[int],
    stacks: int,
    start: int,
) -> int:
    from plugpy.server.logs import configure_logging
    from plugpy.server.server import Server
    from plugpy.server.serving import load_from, run_server

    configure_logging(settings["log_format"], settings["log_level"])
    server = Server.from_settings(load_from(settings), settings, sockets, sizes)
    serving = _Serving(server, sock, stacks, start)
    return run_server(
        server,
        serving.ready,
        started=serving.started,
        progress=serving.progress,
        stop_signals=(signal.SIGTERM,),
    )


class _Serving:
    """The worker's side of the channel while it serves."""

    def __init__(self, server: "Server", sock: socket.socket, stacks: int, start: int) -> None:
        self._server = server
        self._sock = sock
        self._stacks = stacks
        self._start = start
        self._limits: Limits | None = None
        self._draining = False
        self._tasks: set[asyncio.Future[None]] = set()

    def started(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop runs, the application starts: signs of life from here on."""
        self._loop = loop
        self._channel = Channel(self._sock, loop, self._on_message, self._on_close)
        self._master = MasterRecord()
        settings = self._server.settings
        limit = settings["worker_timeout"]
        self._interval = min(BEAT_INTERVAL, limit / 4 or BEAT_INTERVAL)
        self._patience = 0.0
        self._beat()

    def ready(self) -> None:
        """It accepts connections."""
        settings = self._server.settings
        self._channel.send({"ready": True})
        limit = settings["worker_timeout"]
        self._patience = limit + MASTER_GRACE if limit else 0.0
        if settings["max_requests"] or settings["max_rss"]:
            self._limits = Limits(settings, self._start, resident_size())
            if complaint := self._limits.complaint():
                logging.getLogger("plugpy.worker").warning("%s", complaint)

    def progress(self, count: int) -> None:
        """It drains, `count` connections are left."""
        self._draining = True
        self._channel.send({"draining": count})

    def _beat(self) -> None:
        server, limits = self._server, self._limits
        message: Message = {"beat": server.connections}
        if limits is not None:
            requests = server.requests if limits.max_requests else 0
            resident = resident_size() if limits.max_rss else None
            message.update(requests=requests, rss=resident)
            over = limits.reached(requests, resident)
            if over is not None and not self._draining:
                message["over"] = over
        self._channel.send(message)
        if self._patience:
            # The master ends a loop that is stuck. When it is gone too, this does, from a thread in
            # C: else the process would hold the port for ever.
            faulthandler.dump_traceback_later(self._patience, exit=True, file=self._stacks)
        self._loop.call_later(self._interval, self._beat)

    def _on_message(self, message: Message, descriptors: list[int]) -> None:
        if "adopt" in message:
            adopted = [socket.socket(fileno=number) for number in descriptors]
            task = asyncio.ensure_future(self._server.adopt(adopted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif "drain" in message:
            if message.get("restarting"):
                for listener in self._server.listeners:
                    listener.http_options.restarting = True
            self._drain()
        elif (handler := HANDLERS.get(next(iter(message), ""))) is not None:
            handler(self._server, message, descriptors)
        else:
            for descriptor in descriptors:
                os.close(descriptor)

    def _on_close(self) -> None:
        # Nobody would replace us now, and a new master must find the port free.
        self._master.lost()
        self._drain()

    def _drain(self) -> None:
        # Once: a second signal means at once, and it may be that one came from elsewhere.
        if not self._draining:
            self._draining = True
            os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
