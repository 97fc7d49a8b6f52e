"""Options of a WebSocket connection: limits, timeouts, what the handshake accepts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from plugpy.conn import Conn

MIB = 1_048_576

OriginCheck = bool | Sequence[str] | Callable[[Conn, str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketOptions:
    """Sizes in bytes, times in seconds.

    check_origin      True: a browser's page must come from the host that it connects to. A list of
                      origins that may: "https://example.com", "https://*.example.com" (its
                      subdomains), "//example.com" (any scheme and port); or a function
                      (conn, origin) -> bool. False: any page may (Phoenix: check_origin).
                      Requests without Origin, which no browser sends, pass
    subprotocols      (), what this server speaks, the most wanted first
    compress          True: permessage-deflate where the client offers it (RFC 7692)
    compress_from     128, messages of fewer bytes are sent as they are
    max_frame_size    16 MiB; longer: close code 1009
    max_message_size  16 MiB, of all frames of a message, and after inflation; longer: 1009
    max_backlog       1,000 messages that wait for the application, from the client or from other
                      processes. From then on nothing is read; a process that sends more ends the
                      connection with 1013
    ping_interval     20, 0 for none: the server's pings, which measure the latency and keep the
                      connection alive through proxies
    timeout           60 without anything from the client: 1001 (Cowboy: idle_timeout)
    close_timeout     5 for the client to answer a close frame
    handler_timeout   5 for a coroutine to end once its connection has; then it is cancelled. 0 for
                      any time

    Raises ValueError for what makes no sense.
    """

    check_origin: OriginCheck = True
    subprotocols: Sequence[str] = ()
    compress: bool = True
    compress_from: int = 128
    max_frame_size: int = 16 * MIB
    max_message_size: int = 16 * MIB
    max_backlog: int = 1_000
    ping_interval: float = 20.0
    timeout: float = 60.0
    close_timeout: float = 5.0
    handler_timeout: float = 5.0

    def __post_init__(self) -> None:
        if isinstance(self.subprotocols, str) or isinstance(self.check_origin, str):
            raise ValueError("subprotocols and check_origin are lists of str, not one str")
        for name in ("max_frame_size", "max_message_size", "max_backlog", "close_timeout"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)!r}")
        for name in ("compress_from", "ping_interval", "timeout", "handler_timeout"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} can't be negative, got {getattr(self, name)!r}")


DEFAULTS = WebSocketOptions()
