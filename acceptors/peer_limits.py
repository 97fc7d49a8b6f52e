"""Limits on what one address may take of a listener, and on how fast it accepts.

An address is an IPv4 address, or the first 64 bits of an IPv6 address: that is what one subscriber
is given, so single IPv6 addresses would limit nobody. Peers of unix sockets have none and are not
limited. Behind a proxy all clients have the proxy's address, unless it tells theirs by the PROXY
protocol: then the connection asks `admit` once it knows.
"""

from __future__ import annotations

import logging
import math
import socket
from typing import Any, Final

from acceptors.connection import Connection
from acceptors.options import TransportOptions
from acceptors.otp import current_clock

logger = logging.getLogger("acceptors")

LOG_INTERVAL: Final = 5.0
"""Seconds between two log lines about addresses that were turned away."""

FEWEST: Final = 1024
"""Addresses whose rate is remembered before those are forgotten that have been quiet."""

_MAPPED: Final = bytes(10) + b"\xff\xff"


def key_of(host: str) -> bytes | str:
    """What an address counts as: IPv4 addresses, mapped into IPv6 or not, and IPv6 networks /64."""
    if ":" not in host:
        return host
    try:
        packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except OSError:
        return host
    if packed[:12] == _MAPPED:
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return packed[:8]


class Bucket:
    """A token bucket: `rate` a second, as many at once as a second gives, at least one."""

    __slots__ = ("_stamp", "_tokens")

    def __init__(self, rate: float, now: float) -> None:
        self._tokens = max(rate, 1.0)
        self._stamp = now

    def fill(self, rate: float, now: float) -> float:
        """How many tokens there are now."""
        tokens = min(max(rate, 1.0), self._tokens + (now - self._stamp) * rate)
        self._tokens, self._stamp = tokens, now
        return tokens

    def take(self, rate: float, now: float) -> bool:
        """Take one, if there is one."""
        if self.fill(rate, now) < 1.0:
            return False
        self._tokens -= 1.0
        return True


class PeerLimits:
    """The limits of one listener: `max_connections_per_ip`, `accept_rate_per_ip`, `accept_rate`."""

    __slots__ = (
        "_accepts",
        "_buckets",
        "_counts",
        "_forget_at",
        "_logged",
        "_most",
        "_per_peer",
        "_rate",
        "_ref",
        "_turned_away",
        "deferred",
    )

    def __init__(self, ref: Any) -> None:
        self._ref = ref
        self._counts: dict[bytes | str, int] = {}
        self._buckets: dict[bytes | str, Bucket] = {}
        self._forget_at = FEWEST
        self._logged = -math.inf
        self._turned_away = 0
        self._most = math.inf
        self._rate = 0.0
        self._per_peer = 0.0
        self._accepts: Bucket | None = None
        # Whether the address of the socket is a proxy's, and `admit` is called later.
        self.deferred = False

    def change(self, options: TransportOptions) -> bool:
        """Take over the options; returns whether one of them limits anything."""
        most = options.max_connections_per_ip
        self._most = math.inf if most == "infinity" else most
        self._per_peer = options.accept_rate_per_ip
        if self._rate != options.accept_rate:
            self._rate = options.accept_rate
            self._accepts = Bucket(self._rate, current_clock().now()) if self._rate else None
        self.deferred = bool(getattr(options, "proxy_protocol", False))
        return limits_anything(options)

    def pause(self) -> float:
        """Seconds until the next connection may be accepted, 0 for now."""
        bucket = self._accepts
        if bucket is None:
            return 0.0
        return max(0.0, 1.0 - bucket.fill(self._rate, current_clock().now())) / self._rate

    def accepted(self) -> None:
        """A connection was accepted: it counts for the rate."""
        if self._accepts is not None:
            self._accepts.take(self._rate, current_clock().now())

    def turns_away(self, address: Any) -> bool:
        """Whether a new connection from `address`, as accept(2) gives it, is one too many."""
        if self.deferred or not isinstance(address, tuple):
            return False
        return self._too_many(key_of(address[0]), address[0])

    def hold(self, connection: Connection, address: Any) -> None:
        """Count an accepted connection until it ends."""
        if not self.deferred and isinstance(address, tuple):
            self._hold(connection, key_of(address[0]))

    def admit(self, connection: Connection, host: str) -> bool:
        """Judge and count a connection whose address a proxy has told; False: it must end."""
        key = key_of(host)
        if self._too_many(key, host):
            return False
        self._hold(connection, key)
        return True

    def _hold(self, connection: Connection, key: bytes | str) -> None:
        self._counts[key] = self._counts.get(key, 0) + 1
        connection.watch(lambda reason: self._left(key))

    def _left(self, key: bytes | str) -> None:
        left = self._counts[key] - 1
        if left:
            self._counts[key] = left
        else:
            del self._counts[key]

    def _too_many(self, key: bytes | str, host: str) -> bool:
        now = current_clock().now()
        if self._counts.get(key, 0) >= self._most:
            self._say(host, f"{self._most} connections", now)
            return True
        rate = self._per_peer
        if not rate:
            return False
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._forget_at:
                self._forget(rate, now)
            bucket = self._buckets[key] = Bucket(rate, now)
        if bucket.take(rate, now):
            return False
        self._say(host, f"{rate:g} connections a second", now)
        return True

    def _forget(self, rate: float, now: float) -> None:
        """Forget addresses that might connect as often as new ones do."""
        full = max(rate, 1.0)
        self._buckets = {
            key: bucket for key, bucket in self._buckets.items() if bucket.fill(rate, now) < full
        }
        self._forget_at = max(FEWEST, 2 * len(self._buckets))

    def _say(self, host: str, limit: str, now: float) -> None:
        self._turned_away += 1
        if now - self._logged < LOG_INTERVAL:
            return
        logger.warning(
            "listener %r: %s has more than %s, a further one is turned away%s",
            self._ref,
            host,
            limit,
            f" ({self._turned_away} were, of all addresses, since this was last said)"
            if self._turned_away > 1
            else "",
        )
        self._logged = now
        self._turned_away = 0


def limits_anything(options: TransportOptions) -> bool:
    """Whether there is a limit on addresses or on the rate of accepting."""
    return bool(
        options.max_connections_per_ip != "infinity"
        or options.accept_rate
        or options.accept_rate_per_ip
    )
