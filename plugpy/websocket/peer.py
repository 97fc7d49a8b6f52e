"""Peer and Receiver: the two sides that a WebSocket connection stands between.

A server gives the application's side a Peer to send by, and tells a Receiver what comes. Both know
nothing of sockets: the HTTP/1 connection is one such server, an ASGI server may be another.
"""

from typing import Any, Protocol

from plugpy.conn import Conn

Message = str | bytes
"""A whole message: str for text, bytes for binary."""


class Peer(Protocol):
    """The client, for who sends to it.

    conn: the request that it was. subprotocol: what was agreed on, None for none. open: whether
    messages can still be sent. slow: whether what was sent waits for the client; who goes on
    sending makes it wait in memory. latency: seconds of the last ping there and back, None before.
    """

    conn: Conn
    subprotocol: str | None

    @property
    def open(self) -> bool: ...

    @property
    def slow(self) -> bool: ...

    @property
    def latency(self) -> float | None: ...

    def send(self, message: Message) -> None:
        """Send a message. Silence where the connection is closing."""

    def ping(self, data: bytes = b"") -> None:
        """Send a ping of at most 125 bytes; the answer comes to `Receiver.control`."""

    def pong(self, data: bytes = b"") -> None:
        """Send a pong nobody asked for; pings are answered without."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake. Nothing where it has begun."""

    def hold(self, held: bool) -> None:
        """Stop telling what comes, and soon reading it; or go on."""

    def caught_up(self) -> None:
        """All messages were taken, and the next one is asked for."""


class Receiver(Protocol):
    """The application's side, as the server sees it. No method raises.

    behind: whether it was told messages that the application has not taken yet. A close frame and a
    fault that come after them wait for `Peer.caught_up`, a second at most.
    """

    @property
    def behind(self) -> bool: ...

    def opened(self, peer: Peer) -> None:
        """The handshake is done. Called once, before anything else."""

    def message(self, message: Message) -> None:
        """The client has sent a message."""

    def control(self, opcode: str, data: bytes) -> None:
        """A "ping", which was answered, or a "pong" came."""

    def info(self, message: Any) -> None:
        """Another process has sent a message."""

    def resumed(self) -> None:
        """The client, who was slow, has caught up."""

    def closed(self, why: str, code: int, reason: str) -> None:
        """It is over: called once, and nothing after it.

        why: "remote", the client closed it or is gone; "normal", we did; "shutdown", the server
        stops; "timeout"; "error", what the client sent could not be understood. code, reason: of
        the client's close frame, else of ours; 1006 where there was none.
        """

    def cancel(self) -> bool:
        """The server's time to finish is over. Returns whether something was cancelled."""
