"""The channel between the master and a worker: JSON lines over a pair of unix sockets.

Lines may carry open descriptors (SCM_RIGHTS): that is how listening sockets get from the master,
which owns them, to the workers. When one side dies the other sees the end of the channel.

| from | line | meaning |
|---|---|---|
| master | `{"settings": ..., "slot": n, "start": n}` | the first line, with the listening sockets |
| master | `{"adopt": true}` | accept from these sockets as well |
| master | `{"drain": true}` | finish what is in flight and end; `restarting`: others serve on |
| worker | `{"ready": true}` | it accepts connections |
| worker | `{"failed": text, "exit_code": n}` | it could not start, and why |
| worker | `{"beat": n, ...}` | its event loop turns, `n` connections are open |
| worker | `"requests": n, "rss": n, "over": text` | with `beat`: its count, its bytes, its limit |
| worker | `{"draining": n}` | it drains, `n` connections are left |
"""

import asyncio
import json
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

_READ: Final = 65_536
_DESCRIPTORS: Final = 250
"""Linux passes at most 253 descriptors in a message."""

Message = dict[str, Any]


class ChannelClosedError(Exception):
    """The other side is gone."""


def send_message(sock: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send one line over a blocking socket, with `descriptors`. Raises OSError."""
    data = json.dumps(message).encode() + b"\n"
    if descriptors:
        sent = socket.send_fds(sock, [data], list(descriptors))
        data = data[sent:]
    if data:
        sock.sendall(data)


def receive_message(sock: socket.socket) -> tuple[Message, list[int]]:
    """The next line from a blocking socket and the descriptors that came with it.

    Raises ChannelClosedError when the other side is gone before the end of the line.
    """
    data, descriptors = b"", list[int]()
    while not data.endswith(b"\n"):
        part, found, _, _ = socket.recv_fds(sock, _READ, _DESCRIPTORS)
        if not part:
            raise ChannelClosedError
        data += part
        descriptors += found
    message: Message = json.loads(data)
    return message, descriptors


class Channel:
    """One end of a channel in an event loop.

    `on_message(message, descriptors)` is called for each line, `on_close()` once at the end.
    """

    __slots__ = ("_data", "_descriptors", "_loop", "_on_close", "_on_message", "_sock")

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        on_message: Callable[[Message, list[int]], None],
        on_close: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._sock: socket.socket | None = sock
        self._loop = loop
        self._on_message = on_message
        self._on_close = on_close
        self._data = b""
        self._descriptors: list[int] = []
        loop.add_reader(sock.fileno(), self._read)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> bool:
        """Send one line now. False when the other side is gone or does not read.

        A line is far smaller than the buffer of the socket, so it fits whole unless the other
        side has read nothing for hundreds of lines.
        """
        if self._sock is None:
            return False
        data = json.dumps(message).encode() + b"\n"
        try:
            if descriptors:
                return socket.send_fds(self._sock, [data], list(descriptors)) == len(data)
            return self._sock.send(data) == len(data)
        except OSError:
            return False

    def close(self) -> None:
        """Close this end; `on_close` is not called."""
        if self._sock is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def read_rest(self) -> None:
        """Take in now what has arrived, without waiting for the event loop."""
        while self._sock is not None and self._read():
            pass

    def _read(self) -> bool:
        """Read once; False when there is nothing, or the end was reached."""
        if self._sock is None:
            return False
        try:
            part, found, _, _ = socket.recv_fds(self._sock, _READ, _DESCRIPTORS)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            part, found = b"", []
        if not part:
            self.close()
            self._on_close()
            return False
        self._descriptors += found
        *lines, self._data = (self._data + part).split(b"\n")
        for line in lines:
            descriptors, self._descriptors = self._descriptors, []
            self._on_message(json.loads(line), descriptors)
        return True
