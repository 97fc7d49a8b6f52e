"""A WebSocketConnection without sockets and without an event loop, for property tests."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from plugpy.websocket.codec import Codec
from plugpy.websocket.connection import WebSocketConnection
from plugpy.websocket.handshake import Accepted
from plugpy.websocket.options import DEFAULTS


class Wire:
    """messages: what the receiver was told. sent: what was written. over: how it ended."""

    def __init__(self, codec: Codec) -> None:
        self.messages: list[Any] = []
        self.sent = b""
        self.over: tuple[str, int] | None = None
        self._line: list[Callable[[], object]] = []
        runtime = SimpleNamespace(
            now=0.0, stand_in_line=self._line.append, loop=SimpleNamespace(time=lambda: 0.0)
        )
        upgraded_from: Any = SimpleNamespace(
            runtime=runtime, transport=self, upgrade_ended=lambda linger: None
        )
        conn: Any = SimpleNamespace(request_path="/")
        accepted = Accepted(DEFAULTS, None, (), ())
        self.connection = WebSocketConnection(upgraded_from, conn, accepted, self)
        self.connection._codec = codec

    def run(self) -> None:
        """Do what stands in line."""
        while self._line:
            self._line.pop(0)()

    # the transport

    def write(self, data: bytes) -> None:
        self.sent += data

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading

    # the receiver

    behind = False

    def opened(self, peer: Any) -> None:
        pass

    def message(self, message: Any) -> None:
        self.messages.append(message)

    def control(self, opcode: str, data: bytes) -> None:
        pass

    def info(self, message: Any) -> bool:
        return False

    def resumed(self) -> None:
        pass

    def closed(self, why: str, code: int, reason: str) -> None:
        self.over = why, code

    def cancel(self) -> bool:
        return False
