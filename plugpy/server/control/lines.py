"""The protocol: JSON lines.

{"id": 1, "command": "connections", "arguments": {"limit": 5}}
{"id": 1, "ok": {...}}
{"id": 1, "error": {"code": "usage", "message": "..."}}
"""

import json
import socket
import struct
from typing import Any, Final

from plugpy.server.control.errors import ControlError

LONGEST_REQUEST: Final = 65_536
"""Bytes of a line that is asked for; who sends more is cut off."""

LONGEST_ANSWER: Final = 64_000_000
"""Bytes of an answer: 10,000 connections with all that is known of them are 4 MB."""

_CREDENTIALS: Final = struct.Struct("3i")


def encode(message: dict[str, Any]) -> bytes:
    """One line. What JSON does not know is shown as text."""
    return json.dumps(message, default=str).encode() + b"\n"


def decode(line: bytes) -> tuple[Any, Any, Any]:
    """Id, command and arguments of a request. Raises ControlError (usage)."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise ControlError("usage", "a request is one line of JSON") from None
    if not isinstance(message, dict):
        raise ControlError("usage", "a request is an object with id, command and arguments")
    return message.get("id"), message.get("command"), message.get("arguments")


class Peer:
    """Who is on the other end of a unix socket: uid and pid as the kernel tells."""

    __slots__ = ("pid", "uid")

    def __init__(self, sock: socket.socket) -> None:
        if hasattr(socket, "SO_PEERCRED"):
            data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            self.pid, self.uid, _ = _CREDENTIALS.unpack(data)
        else:
            # macOS and BSD: the mode of the socket and its folder keep others out.
            import os

            self.pid, self.uid = 0, os.getuid()

    def may_ask(self, own: int) -> bool:
        """Whether it is root, or the user `own` that the server runs as."""
        return self.uid in (0, own)
