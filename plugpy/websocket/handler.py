"""WebSocketHandler: a WebSocket connection as callbacks with explicit state (WebSock, Cowboy's
websocket handlers).

    class Echo(WebSocketHandler):
        def handle_in(self, message, state):
            return Push(message)

    @get("/echo")
    def echo(conn):
        return conn.upgrade_adapter("websocket", Upgrade(Echo()))
"""

from dataclasses import dataclass, field
from typing import Any

from plugpy.websocket.options import DEFAULTS, WebSocketOptions
from plugpy.websocket.peer import Message


class WebSocketHandler:
    """Callbacks of a WebSocket connection; subclasses override what they need.

    One instance may serve any number of connections: what differs is the state, which each callback
    gets last and gives back. They run in the process of the request, one at a time; `self()` is
    that process. Each may be plain or async; while an async one is awaited, messages wait.

    They return None (the state stays), Ok(state), Push(frames, state) or Stop(code, text). What
    they raise is logged, the client is told 1011, and `terminate` gets ("error", exception).
    """

    def init(self, state: Any) -> Any:
        """The connection is open. state: that of the Upgrade."""

    def handle_in(self, message: Message, state: Any) -> Any:
        """A message came: str for text, bytes for binary."""

    def handle_control(self, opcode: str, data: bytes, state: Any) -> Any:
        """A "ping" came, which is answered already, or a "pong" that the server's own pings have
        not asked for."""

    def handle_info(self, message: Any, state: Any) -> Any:
        """Another process sent a message: `send(process, message)`, a timer, a DOWN."""

    def terminate(self, reason: Any, state: Any) -> Any:
        """The connection is over; clean up. What it returns is ignored.

        reason: ("remote", code, text), the client closed it, 1006 where it just vanished;
        "normal" after Stop; "shutdown", the server stops; "timeout"; ("error", exception), a
        callback crashed; ("error", code, text), the client sent what can't be understood.
        """


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The options of `conn.upgrade_adapter("websocket", ...)`.

    handler: an instance, or a class that is called without arguments. state: what `init` gets.
    """

    handler: WebSocketHandler | type[WebSocketHandler]
    state: Any = None
    options: WebSocketOptions = field(default=DEFAULTS)
