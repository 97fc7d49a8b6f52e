"""Telemetry: an event at the start of each request, and one before its response leaves
(Plug.Telemetry)."""

import re
import time
from typing import Any

from plugpy.conn import Conn
from plugpy.telemetry import execute


class Telemetry:
    """Sends `PREFIX.start` when a request comes here, and `PREFIX.stop` before its response leaves.

    Options:
      event_prefix   names with dots: "my_app.request"
      metadata       more to send beside the conn, a dict

    start has the measurement system_time (seconds since 1970), stop has duration (seconds); the
    metadata is `conn` and what the option says. Where a plug crashes and nobody answers, no stop is
    sent. Listen by `plugpy.telemetry.attach`. Place it before what is to be measured. Raises
    ValueError for a prefix that is none.

    >>> from plugpy.telemetry import attach, detach
    >>> from plugpy.testing import conn
    >>> attach("show", "app.stop", lambda event, numbers, about: print(event, about["conn"].status))
    >>> sent = Telemetry(event_prefix="app")(conn("GET", "/")).send_resp(200, "")
    app.stop 200
    >>> detach("show")
    True
    """

    __slots__ = ("_metadata", "_start", "_stop")

    def __init__(self, *, event_prefix: str, metadata: dict[str, Any] | None = None) -> None:
        given: object = event_prefix
        if not isinstance(given, str) or not re.fullmatch(r"\w+(\.\w+)*", given):
            raise ValueError(
                f"event_prefix is names with dots, 'app.request', got {event_prefix!r}"
            )
        self._start = f"{event_prefix}.start"
        self._stop = f"{event_prefix}.stop"
        self._metadata = metadata or {}

    def __call__(self, conn: Conn) -> Conn:
        started = time.perf_counter()
        execute(self._start, {"system_time": time.time()}, {**self._metadata, "conn": conn})

        def stop(conn: Conn) -> Conn:
            duration = time.perf_counter() - started
            execute(self._stop, {"duration": duration}, {**self._metadata, "conn": conn})
            return conn

        return conn.register_before_send(stop)
