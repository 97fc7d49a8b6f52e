"""ControlThread: reads requests and writes answers while the event loop does what it likes.

Each client has a thread of its own, so that one who waits for a change, or does not read, holds up
nobody. What the master asks is answered by a thread for each request, for the same reason.
"""

import contextlib
import os
import selectors
import socket
import threading
from collections.abc import Callable
from typing import Any, Final

from plugpy.server.control.errors import ControlError
from plugpy.server.control.lines import LONGEST_REQUEST, Peer, decode, encode

CLIENTS: Final = 32
"""Connections at a time; further ones are closed."""

IDLE: Final = 300.0
"""Seconds without a request until a client is disconnected."""

Answer = Callable[[Any, Any, str], dict[str, Any]]
"""Called with command, arguments and who asks."""


class ControlThread:
    """Serves a listening socket, or one that is connected already (to the master), until `stop`.

    All of its threads are daemons and sleep while nobody asks.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        listening: socket.socket | None = None,
        connected: socket.socket | None = None,
    ) -> None:
        self._answer = answer
        self._listening = listening
        self._connected = connected
        self._clients: set[socket.socket] = set()
        self._wake, self._woken = socket.socketpair()

    def start(self) -> None:
        """Start to answer."""
        if self._listening is not None:
            self._thread = self._spawn(self._accept_all)
        if self._connected is not None:
            self._connected.setblocking(True)
            self._spawn(self._serve_master, self._connected)

    def stop(self) -> None:
        """End the threads and close what is open; the listening socket is the caller's."""
        self._wake.send(b"x")
        if self._listening is not None:
            self._thread.join(timeout=5.0)
        for sock in list(self._clients):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # its thread wakes up, and closes it
        self._wake.close()
        self._woken.close()

    def _spawn(self, target: Callable[..., None], *args: Any) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, name="plugpy-control", daemon=True)
        thread.start()
        return thread

    def _accept_all(self) -> None:
        assert self._listening is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            selector.register(self._listening, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._woken:
                        return
                    self._accept()

    def _accept(self) -> None:
        assert self._listening is not None
        try:
            sock, _ = self._listening.accept()
        except OSError:
            return
        try:
            peer = Peer(sock)
        except OSError:
            sock.close()
            return
        if not peer.may_ask(os.getuid()) or len(self._clients) >= CLIENTS:
            sock.close()
            return
        sock.settimeout(IDLE)
        self._clients.add(sock)
        self._spawn(self._serve_client, sock, f"uid {peer.uid} (pid {peer.pid})")

    def _serve_client(self, sock: socket.socket, who: str) -> None:
        with sock, contextlib.suppress(OSError), sock.makefile("rb") as file:
            while line := _next_line(file):
                sock.sendall(self._respond(line, who))
        self._clients.discard(sock)

    def _serve_master(self, sock: socket.socket) -> None:
        # The master has checked who asks, and says so in each request.
        sending = threading.Lock()

        def serve(line: bytes) -> None:
            answer = self._respond(line, "the master")
            with contextlib.suppress(OSError), sending:
                sock.sendall(answer)

        with sock, contextlib.suppress(OSError), sock.makefile("rb") as file:
            while line := _next_line(file):
                self._spawn(serve, line)

    def _respond(self, line: bytes, who: str) -> bytes:
        number: Any = None
        try:
            number, command, arguments = decode(line)
            if self._connected is not None and isinstance(arguments, dict):
                who = arguments.pop("_who", who)
            answer = self._answer(command, arguments, who)
        except ControlError as error:
            answer = error.as_answer()
        return encode({"id": number, **answer})


def _next_line(file: Any) -> bytes:
    """The next line; b"" at the end, and for one that is too long."""
    line: bytes = file.readline(LONGEST_REQUEST)
    return line if line.endswith(b"\n") else b""
