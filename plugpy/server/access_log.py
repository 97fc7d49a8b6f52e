"""The access log: one line for each answered request, as text or JSON, written in batches.

PERF: the connection calls `record` once for each response; it appends a tuple and nothing else
(0.6 us; its line costs 2 to 3 us later, in text). Lines are made when the batch is full or its
timer fires, and leave in few writes.

The log never blocks the event loop: before each write the descriptor is asked whether it takes
more (a pipe that polls writable takes PIPE_BUF bytes without blocking, POSIX write). Lines for a
reader that is too slow are kept up to `PENDING_LIMIT` bytes, further ones are dropped and counted.
"""

import asyncio
import errno
import json
import logging
import os
import select
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from plugpy.server.text import escape_controls, mask_query, wants_color

BATCH: Final = 512
"""Records that are gathered before they are written without waiting for the timer."""

FLUSH_INTERVAL: Final = 0.25
"""Seconds that a record waits at most."""

PENDING_LIMIT: Final = 1_000_000
"""Bytes of finished lines that are kept for a slow reader."""

CLOSE_TIMEOUT: Final = 1.0
"""Seconds that `close` waits for a slow reader."""

# POSIX: a pipe that polls writable has room for this many bytes.
_CHUNK: Final = getattr(select, "PIPE_BUF", 512)

_logger = logging.getLogger("plugpy.access")

Record = tuple[Any, int | None, int, float, float, Any, str, Any]
"""head, status or None, bytes sent, started, finished, route, peer, response headers or None"""

Format = Callable[[list[Record], float], str]
"""records, what to add to their times to get seconds since the epoch -> lines"""


class AccessLog:
    """Writes to `descriptor` (standard output). Its `record` is `HttpOptions.access_log`.

    `log_format` is "text" or "json". `loop` is where its timer runs; None: it is written only when
    a batch is full and by `close`. Times are those of `clock`, in seconds.
    """

    def __init__(
        self,
        log_format: str = "text",
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        descriptor: int = 1,
        color: bool | None = None,
        clock: Callable[[], float] = time.perf_counter,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.dropped = 0
        self._loop = loop
        self._descriptor = descriptor
        self._clock = clock
        self._wall_clock = wall_clock
        self._records: list[Record] = []
        self._pending = b""
        self._timer: asyncio.TimerHandle | None = None
        self._broken = False
        if log_format == "json":
            self._format: Format = _json_format()
        else:
            self._format = _text_format(wants_color(descriptor) if color is None else color)

    def record(self, conn: Any, bytes_sent: int, started: float) -> None:
        """Take note of a finished response. `started` is a time of the log's clock."""
        records = self._records
        # The Conn itself is not kept: it holds bodies. The head is shared and small.
        records.append(
            (
                conn.head,
                conn.status,
                bytes_sent,
                started,
                self._clock(),
                conn.route,
                conn.remote_ip,
                conn._resp_headers,
            )
        )
        if self._timer is None:
            self._start_timer()
        elif len(records) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what was recorded, as far as the reader takes it now."""
        records, self._records = self._records, []
        if records and not self._broken:
            # Clocks may be set: the distance between them is taken for each batch anew.
            offset = self._wall_clock() - self._clock()
            lines = self._format(records, offset)
            if not self._pending or len(self._pending) + len(lines) <= PENDING_LIMIT:
                self._pending += lines.encode("utf-8", "backslashreplace")
            else:
                self.dropped += len(records)
        if self._pending:
            self._write(0.0)

    def close(self) -> None:
        """Write the rest; a slow reader is waited for up to CLOSE_TIMEOUT."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()
        if self._pending:
            self._write(CLOSE_TIMEOUT)

    def _start_timer(self) -> None:
        if self._loop is not None:
            self._timer = self._loop.call_later(FLUSH_INTERVAL, self._on_timer)
        elif len(self._records) >= BATCH:
            self.flush()

    def _on_timer(self) -> None:
        self._timer = None
        self.flush()
        if self._pending and self._loop is not None:
            self._timer = self._loop.call_later(FLUSH_INTERVAL, self._on_timer)

    def _write(self, timeout: float) -> None:
        """Write from `_pending` while the descriptor takes it, waiting up to `timeout` seconds."""
        deadline = self._clock() + timeout
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        view = memoryview(self._pending)
        done = 0
        try:
            while done < len(view):
                wait = max(0.0, deadline - self._clock())
                if not poll.poll(wait * 1000):
                    break
                done += os.write(self._descriptor, view[done : done + _CHUNK])
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EINTR):
                self._broken = True
                done = len(view)
                _logger.warning("the access log ends here: its output is gone (%s)", error)
        self._pending = bytes(view[done:])
        if self.dropped and not self._pending and not self._broken:
            dropped, self.dropped = self.dropped, 0
            _logger.warning("%d lines of the access log were dropped: its reader is slow", dropped)


def _time_text() -> Callable[[float], str]:
    """Seconds since the epoch -> "2026-11-23T12:00:01.123Z"; the second's text is kept."""
    last, text = -1, ""

    def format_time(moment: float) -> str:
        nonlocal last, text
        second = int(moment)
        if second != last:
            last, text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{text}.{int((moment - second) * 1000):03d}Z"

    return format_time


def _request_id(headers: Iterable[tuple[str, str]] | None) -> str:
    if headers:
        for name, value in headers:
            if name == "x-request-id":
                return value
    return ""


def _target(head: Any) -> str:
    path: str = head.path
    if head.query:
        path = f"{path}?{mask_query(head.query)}"
    return path if path.isascii() and path.isprintable() else escape_controls(path)


def _route_text(route: Any) -> str:
    return "" if route is None else str(getattr(route, "pattern", route))


_COLORS = {"1": "\x1b[36m", "2": "\x1b[32m", "3": "\x1b[36m", "4": "\x1b[33m", "5": "\x1b[31m"}


def _text_format(color: bool) -> Format:
    time_text = _time_text()

    def format_records(records: list[Record], offset: float) -> str:
        # PERF: clients repeat themselves and their heads are known by heart (plugpy.http.head), so
        # most heads of a batch are one object, which is looked through once.
        requests: dict[Any, str] = {}
        lines = []
        for head, status, size, started, finished, route, peer, headers in records:
            request = requests.get(head)
            if request is None:
                request = requests[head] = f"{escape_controls(head.method)} {_target(head)}"
            # A connection that was cut before the answer began has no status.
            code = "-" if status is None else str(status)
            if color:
                code = f"{_COLORS.get(code[:1], '')}{code}\x1b[0m"
            line = (
                f"{time_text(finished + offset)} {peer or '-'} {request} {code} {size}B "
                f"{(finished - started) * 1000:.2f}ms"
            )
            if route is not None:
                line += f" route={escape_controls(_route_text(route))}"
            if headers is not None and (request_id := _request_id(headers)):
                line += f" request_id={escape_controls(request_id)}"
            lines.append(line)
        lines.append("")
        return "\n".join(lines)

    return format_records


def _json_format() -> Format:
    time_text = _time_text()
    dumps = _json_dumps()

    def format_records(records: list[Record], offset: float) -> str:
        return "".join(
            [
                dumps(
                    {
                        "time": time_text(finished + offset),
                        "level": "info",
                        "logger": "plugpy.access",
                        "peer": peer,
                        "method": head.method,
                        "path": head.path,
                        "query": mask_query(head.query),
                        "status": status,
                        "bytes": size,
                        "duration_ms": round((finished - started) * 1000, 3),
                        "route": _route_text(route) or None,
                        "request_id": _request_id(headers) or None,
                    }
                )
                for head, status, size, started, finished, route, peer, headers in records
            ]
        )

    return format_records


def _json_dumps() -> Callable[[dict[str, Any]], str]:
    """One object as a line of ASCII or UTF-8; orjson where it is installed (5 times as fast)."""
    if "orjson" in sys.modules or _installed("orjson"):
        import orjson

        def dumps(value: dict[str, Any]) -> str:
            try:
                return orjson.dumps(value).decode() + "\n"
            except orjson.JSONEncodeError:  # a lone surrogate
                return json.dumps(value) + "\n"

        return dumps
    return lambda value: json.dumps(value) + "\n"


def _installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None
