"""RateLimit: so many requests in so much time from each client (RFC 6585 section 4)."""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import ClassVar, Final

from plugpy.conn import Conn

MAX_KEYS: Final = 100_000
"""Clients that are counted at the same time."""


class RateLimit:
    """Answers 429 with retry-after to who asks too often, and halts.

    Options:
      limit      requests in a window, all at once if one likes
      window     seconds, 60
      key        function conn -> what is counted together; None: not this request. The default is
                 `conn.remote_ip`, of IPv6 the first 64 bits: the network of one customer
      name       of this limit in the headers, "default"
      max_keys   clients counted at the same time, 100,000; who asked longest ago makes room
      clock      function that gives seconds, time.monotonic

    A client that has used up its requests gets them back one by one, limit in each window: there
    is no moment at which everybody may start again (the generic cell rate algorithm). Counted in
    this process: with several workers each counts for itself. Behind a proxy put RewriteOn before
    it, else all clients are one. Each answer says what is left in ratelimit and ratelimit-policy.
    Raises ValueError for a limit or window that is not above 0.

    >>> from plugpy.testing import conn
    >>> guard = RateLimit(limit=1)
    >>> [guard(conn("GET", "/")).status for _ in range(2)]
    [None, 429]
    """

    __slots__ = (
        "_clock",
        "_due",
        "_interval",
        "_key",
        "_limit",
        "_max_keys",
        "_name",
        "_policy",
        "_window",
    )
    better_before: ClassVar = {"Parsers": "bodies of requests that it refuses are read first"}
    runs_after = ("RewriteOn",)

    def __init__(
        self,
        *,
        limit: int,
        window: float = 60.0,
        key: Callable[[Conn], object] | None = None,
        name: str = "default",
        max_keys: int = MAX_KEYS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if limit < 1 or window <= 0 or max_keys < 1:
            raise ValueError(
                f"limit, window and max_keys are above 0, got {limit}, {window}, {max_keys}"
            )
        if not name.isidentifier():
            raise ValueError(f"name is letters, digits and '_', got {name!r}")
        self._limit = limit
        self._window = window
        self._interval = window / limit
        self._key = key or network_of
        self._name = name
        self._policy = f'"{name}";q={limit};w={math.ceil(window)}'
        self._max_keys = max_keys
        self._clock = clock
        # Key -> when it will have got all its requests back; those that asked longest ago first.
        self._due: OrderedDict[object, float] = OrderedDict()

    def __call__(self, conn: Conn) -> Conn:
        key = self._key(conn)
        if key is None:
            return conn
        now = self._clock()
        due = max(self._due.get(key, now), now) + self._interval
        over = due - now - self._window
        conn.put_resp_header("ratelimit-policy", self._policy)
        # What is left of rounding must not cost a request.
        if over > self._interval * 1e-6:
            wait = math.ceil(over)
            conn.put_resp_header("ratelimit", f'"{self._name}";r=0;t={wait}')
            conn.put_resp_header("retry-after", str(wait))
            return conn.send_resp(429, "429 Too Many Requests\n").halt()
        self._due[key] = due
        self._due.move_to_end(key)
        if len(self._due) > self._max_keys:
            self._due.popitem(last=False)
        left = int((self._window - (due - now)) / self._interval + 1e-6)
        return conn.put_resp_header(
            "ratelimit", f'"{self._name}";r={left};t={math.ceil(due - now)}'
        )


def network_of(conn: Conn) -> str:
    """The address of the client, of IPv6 its /64: who has one address there has all of them."""
    address = conn.remote_ip
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
