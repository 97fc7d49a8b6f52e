"""Logger: two lines for each request (Plug.Logger)."""

import logging
import time
from collections.abc import Callable
from typing import ClassVar

from plugpy.conn import Conn
from plugpy.conn.state import SET_CHUNKED
from plugpy.pipeline.compiler import log_level

logger = logging.getLogger("plugpy.plugs.logger")


class Logger:
    """Logs `GET /path` when a request comes here, and `Sent 200 in 572us` before its response.

    Options:
      log   level, "info"; or a function conn -> level, or None for no lines

    The query is left out, since it may hold secrets. The server has an access log of its own, one
    line for each response (`--access-log`): this plug is for seeing when a request came in, or for
    some requests only. Raises ValueError for a level that is none.

    >>> from plugpy.testing import conn
    >>> Logger(log="debug")(conn("GET", "/")).halted
    False
    """

    __slots__ = ("_level", "_level_of")
    better_after: ClassVar = {"RequestId": "its first line has no request id then"}
    better_before: ClassVar = dict.fromkeys(
        ("BasicAuth", "CSRFProtection", "HostAllowlist", "RateLimit", "Signature", "SignedURL"),
        "what that refuses is not logged",
    )

    def __init__(self, *, log: str | Callable[[Conn], str | None] = "info") -> None:
        self._level_of = log if callable(log) else None
        self._level = None if callable(log) else log_level(log)

    def __call__(self, conn: Conn) -> Conn:
        level = self._level if self._level_of is None else log_level(self._level_of(conn))
        if level is None or not logger.isEnabledFor(level):
            return conn
        logger.log(level, "%s %s", conn.method, conn.request_path)
        started = time.perf_counter()

        def sent(conn: Conn) -> Conn:
            verb = "Chunked" if conn.state is SET_CHUNKED else "Sent"
            duration = format_duration(time.perf_counter() - started)
            logger.log(level, "%s %s in %s", verb, conn.status, duration)
            return conn

        return conn.register_before_send(sent)


def format_duration(seconds: float) -> str:
    """`572us` up to a millisecond, `12ms` above.

    >>> format_duration(0.000572), format_duration(0.0124)
    ('572us', '12ms')
    """
    microseconds = int(seconds * 1_000_000)
    return f"{microseconds}us" if microseconds <= 1000 else f"{microseconds // 1000}ms"
