"""TransportOptions: all that a listener is told, validated before anything starts.

docs/reference/acceptors.md has the same table for readers, with what a change of each does to a
running listener.
"""

from __future__ import annotations

import dataclasses
import math
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from acceptors.errors import OptionError

if TYPE_CHECKING:
    from ssl import SSLContext

Shutdown = float | Literal["infinity", "brutal_kill"]
Policy = Literal["wait", "refuse", "close"]
Limit = Literal["hard", "soft"]

POLICIES: Final = ("wait", "refuse", "close")
LIMITS: Final = ("hard", "soft")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Somebody to call when a listener has many connections (Ranch option `alarms`).

    threshold   connections at which it goes off
    callback    called as callback(ref, name, connections) in a later turn of the event loop
    cooldown    5.0 seconds until it looks again: it goes off again while the number is still there
    off         called like `callback`, once, when the number has fallen below; None: nobody
    """

    threshold: int
    callback: Callable[[Any, str, int], object]
    cooldown: float = 5.0
    off: Callable[[Any, str, int], object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportOptions:
    """Options of a listener (Ranch's transport_opts). Times in seconds.

    Where to listen, one of:
      host, port          "127.0.0.1" and 0 (any free port). "::" is every IPv4 and IPv6 address
                          (dual stack), "0.0.0.0" every IPv4 one
      uds, uds_mode       path of a unix socket and its mode bits, 0o660; unlinked when it stops
      fd                  an open descriptor of a socket; it is duplicated, yours stays open
      sockets             sockets that are bound already; duplicated too
      systemd             True: the sockets that systemd passed (LISTEN_FDS)

    num_acceptors           100 acceptors: connections that can be in acceptance at a time
    num_listen_sockets      1; more share the port by SO_REUSEPORT
    max_connections         16,384 connections served at a time, or "infinity"
    max_connections_limit   "hard": never more than that; "soft": what each acceptor has accepted
                            is served, so up to num_acceptors more (Ranch)
    max_connections_policy  at the limit, "wait" in the backlog; "refuse" by the protocol's
                            refusal, for HTTP a 503 with Retry-After; or "close"
    handshake_timeout       5.0 for the TLS handshake
    shutdown                5.0 for connections to finish when it stops, "infinity" or "brutal_kill"
    alarms                  name -> Alarm
    ssl                     SSLContext of a TLS listener; None: plain TCP
    post_listen_callback    called with the list of sockets when they listen, before the first
                            accept; what it raises fails the start

    backlog                 1,024 connections that the kernel queues
    nodelay                 True: TCP_NODELAY
    reuseport               False: SO_REUSEPORT also for one socket
    keepalive               False: SO_KEEPALIVE on connections
    defer_accept            0 seconds that the kernel waits for data before it hands a connection
                            over (Linux TCP_DEFER_ACCEPT)
    fastopen                0: length of the queue of TCP_FASTOPEN
    """

    host: str = "127.0.0.1"
    port: int = 0
    uds: str | None = None
    uds_mode: int = 0o660
    fd: int | None = None
    sockets: Sequence[socket.socket] = ()
    systemd: bool = False

    num_acceptors: int = 100
    num_listen_sockets: int = 1
    max_connections: int | Literal["infinity"] = 16_384
    max_connections_limit: Limit = "hard"
    max_connections_policy: Policy = "wait"
    handshake_timeout: float = 5.0
    shutdown: Shutdown = 5.0
    alarms: Mapping[str, Alarm] = dataclasses.field(default_factory=dict)
    ssl: SSLContext | None = None
    post_listen_callback: Callable[[list[socket.socket]], object] | None = None

    backlog: int = 1024
    nodelay: bool = True
    reuseport: bool = False
    keepalive: bool = False
    defer_accept: int = 0
    fastopen: int = 0

    def __post_init__(self) -> None:
        for name, (check, expected) in CHECKS.items():
            value = getattr(self, name)
            try:
                good = check(value)
            except (TypeError, AttributeError):
                good = False  # not even of a type that can be asked
            if not good:
                raise OptionError(name, f"expected {expected}, got {value!r}")
        if self.num_listen_sockets > self.num_acceptors:
            raise OptionError(
                "num_listen_sockets",
                f"{self.num_listen_sockets} sockets need as many acceptors, "
                f"num_acceptors is {self.num_acceptors}",
            )
        places = [
            name
            for name in ("uds", "fd", "sockets", "systemd")
            if getattr(self, name) not in (None, (), [], False)
        ]
        if len(places) > 1:
            raise OptionError(places[1], f"can't be combined with {places[0]}")
        if places and self.num_listen_sockets > 1:
            raise OptionError("num_listen_sockets", f"can't be combined with {places[0]}")


Check = tuple[Callable[[Any], bool], str]


def _whole(low: int, high: int | None = None) -> Check:
    def check(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            return False
        return high is None or value <= high

    limit = (
        f"a whole number from {low} to {high}"
        if high is not None
        else (f"a whole number, {low} or more")
    )
    return check, limit


def _is_seconds(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value >= 0
    )


_FLAG: Check = (lambda value: isinstance(value, bool), "True or False")

CHECKS: Final[dict[str, Check]] = {
    "host": (lambda value: isinstance(value, str), "an address or a name"),
    "port": _whole(0, 65_535),
    "uds": (lambda value: value is None or (isinstance(value, str) and bool(value)), "a path"),
    "uds_mode": _whole(0, 0o777),
    "fd": (lambda value: value is None or _whole(0)[0](value), "the number of a descriptor"),
    "sockets": (
        lambda value: all(isinstance(item, socket.socket) for item in value),
        "a list of sockets",
    ),
    "systemd": _FLAG,
    "num_acceptors": _whole(1),
    "num_listen_sockets": _whole(1),
    "max_connections": (
        lambda value: value == "infinity" or _whole(1)[0](value),
        'a whole number, 1 or more, or "infinity"',
    ),
    "max_connections_limit": (lambda value: value in LIMITS, " or ".join(map(repr, LIMITS))),
    "max_connections_policy": (lambda value: value in POLICIES, " or ".join(map(repr, POLICIES))),
    "handshake_timeout": (lambda value: _is_seconds(value) and value > 0, "seconds above 0"),
    "shutdown": (
        lambda value: value in ("infinity", "brutal_kill") or _is_seconds(value),
        'seconds, "infinity" or "brutal_kill"',
    ),
    "alarms": (
        lambda value: all(
            isinstance(alarm, Alarm) and alarm.threshold > 0 and alarm.cooldown >= 0
            for alarm in value.values()
        ),
        "a dict of Alarm with a threshold above 0",
    ),
    # By its shape: the module ssl takes 10 ms to import, which plain TCP need not pay.
    "ssl": (lambda value: value is None or hasattr(value, "wrap_bio"), "an SSLContext"),
    "post_listen_callback": (lambda value: value is None or callable(value), "a function"),
    "backlog": _whole(1, 65_535),
    "nodelay": _FLAG,
    "reuseport": _FLAG,
    "keepalive": _FLAG,
    "defer_accept": _whole(0),
    "fastopen": _whole(0),
}
"""Option -> (whether a value is good, what is expected)."""

AT_ONCE: Final = frozenset(
    {
        "alarms",
        "handshake_timeout",
        "max_connections",
        "max_connections_limit",
        "max_connections_policy",
        "num_acceptors",
        "shutdown",
        "ssl",
    }
)
"""Options of a running listener that a change reaches at once; the others after suspend and
resume."""


def transport_options(options: TransportOptions | Mapping[str, Any] | None) -> TransportOptions:
    """Options in any shape as TransportOptions. Raises OptionError, which names the option."""
    if options is None:
        return TransportOptions()
    if isinstance(options, TransportOptions):
        return options
    names = {field.name for field in dataclasses.fields(TransportOptions)}
    for name in options:
        if name not in names:
            import difflib  # costs 3 ms of every start, and is needed by few

            close = difflib.get_close_matches(str(name), names, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise OptionError(str(name), f"there is no such option{hint}")
    return TransportOptions(**options)
