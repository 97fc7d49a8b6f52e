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
from acceptors.networks import LOOPBACK, Networks

if TYPE_CHECKING:
    from ssl import SSLContext

    from acceptors.tls import Certificates

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
                          (dual stack), "0.0.0.0" every IPv4 one, a name all of its own
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
    max_connections_per_ip  "infinity": connections of one IPv4 address or IPv6 /64 at a time; more
                            are refused where the policy is "refuse", else closed
    accept_rate             0, any: connections accepted a second; the others wait in the backlog
    accept_rate_per_ip      0, any: new connections a second of one address; more are turned away
    handshake_timeout       5.0 for all that comes before the protocol's bytes: PROXY header and TLS
                            handshake together
    shutdown                5.0 for connections to finish when it stops, "infinity" or "brutal_kill"
    alarms                  name -> Alarm
    ssl                     acceptors.tls.Certificates or an SSLContext; None: no TLS
    proxy_protocol          None; "required": a trusted proxy says first, by the PROXY protocol,
                            whose connection it passes on, and others are closed; "optional": it may
    proxy_networks          loopback: networks of trusted proxies, in CIDR notation
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
    max_connections_per_ip: int | Literal["infinity"] = "infinity"
    accept_rate: float = 0.0
    accept_rate_per_ip: float = 0.0
    handshake_timeout: float = 5.0
    shutdown: Shutdown = 5.0
    alarms: Mapping[str, Alarm] = dataclasses.field(default_factory=dict)
    ssl: SSLContext | Certificates | None = None
    proxy_protocol: Literal["optional", "required"] | None = None
    proxy_networks: Sequence[str] = LOOPBACK
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


def _is_tls(value: Any) -> bool:
    # By its shape: the module ssl takes 10 ms to import, which plain TCP need not pay.
    return hasattr(value, "wrap_bio") or hasattr(value, "context_for")


def _are_networks(value: Any) -> bool:
    try:
        Networks(value)
    except ValueError:
        return False
    return True


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
    "max_connections_per_ip": (
        lambda value: value == "infinity" or _whole(1)[0](value),
        'a whole number, 1 or more, or "infinity"',
    ),
    "accept_rate": (lambda value: _is_seconds(value), "a number a second, 0 for any"),
    "accept_rate_per_ip": (lambda value: _is_seconds(value), "a number a second, 0 for any"),
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
    "ssl": (lambda value: value is None or _is_tls(value), "an SSLContext, or Certificates"),
    "proxy_protocol": (lambda value: value in (None, "optional", "required"), "optional, required"),
    "proxy_networks": (_are_networks, "a list of networks such as 10.0.0.0/8"),
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
        "accept_rate",
        "accept_rate_per_ip",
        "alarms",
        "handshake_timeout",
        "max_connections",
        "max_connections_limit",
        "max_connections_per_ip",
        "max_connections_policy",
        "num_acceptors",
        "proxy_networks",
        "proxy_protocol",
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
