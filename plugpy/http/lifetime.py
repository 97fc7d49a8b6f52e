"""The life of an HTTP/1 connection: how its requests end, and how it ends itself.

All deadlines are looked at once a second by the clock of the listener (plugpy.http.runtime); a
connection only keeps when its state has changed last.
"""

import logging
from asyncio import Future
from typing import Any

from acceptors import Connections
from plugpy.conn import ClientDisconnected, Conn, RequestTimeoutError
from plugpy.conn.response import to_bytes
from plugpy.conn.state import SENT, UPGRADED
from plugpy.http.blocks import date_field
from plugpy.http.errors import VERDICTS, HttpError
from plugpy.http.failure import refusal
from plugpy.http.options import HttpOptions
from plugpy.http.output import Http1Output
from plugpy.http.runtime import TICK
from plugpy.http.traffic import traffic

logger = logging.getLogger("plugpy.http")

DRAIN_GRACE = 0.1
"""Seconds that an idle connection stays open once it is to be closed: more than a round trip within
a data centre."""


class Http1Lifetime(Http1Output):
    """What a connection knows of its own time.

    since     when its state changed last, by the clock of the runtime (seconds, to the tick)
    started   time.perf_counter() of the request's arrival, where requests are logged
    activity  "idle", "reading", "handling", "writing" or "closing"
    """

    __slots__ = (
        "_buffer",
        "_closing",
        "_deaf",
        "_read_paused",
        "_stalled",
        "_task",
        "_timed_out",
        "since",
        "started",
    )

    def __init__(self, connections: Connections, options: HttpOptions) -> None:
        super().__init__(connections, options)
        self._buffer: bytes | None = None
        self._task: Future[Any] | None = None
        self._closing = False
        # Whether what still arrives is thrown away: after a fault in the framing of a body.
        self._deaf = False
        self._read_paused = False
        # While something is queued for the peer: how much it had taken by then, and since when.
        self._stalled: tuple[int, float] | None = None
        self._timed_out = False
        # When the state changed last, by the clock of the runtime (seconds, to the tick).
        self.since = self.runtime.now
        # For the access log: arrival of the request, and bytes of body that were sent in pieces.
        self.started = 0.0

    @classmethod
    def refusal(cls, options: HttpOptions) -> bytes:
        """What a client is told that comes when the listener is full: 503 with Retry-After."""
        return refusal(HttpError("overloaded"), date_field() + b"retry-after: 1\r\n")

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.runtime.wake()
        self.since = self.runtime.now

    # -- the end of a request

    def _end(self, conn: Conn) -> None:
        """The request is over: its response has left, or never will."""
        self.conn = None
        self._timed_out = False
        self.since = self.runtime.now
        if self.runtime.options.observed:
            self._log(conn)
        body = self._body
        if body is not None:
            body.discard()
            if body.ended:
                self._body = None
        if self._last or not conn.head.keep_alive:
            # Lingering where the client may send more: the rest of a body, or a further request
            # since it is our wish that this was the last.
            self._close(
                linger=self._body is not None or self._deaf or conn.head.keep_alive,
            )
        elif self._body is not None and self._buffer is None:
            # What is left of the body is skipped as it arrives: not idle.
            self._buffer = b""
        if self._read_paused:
            self.update_reading()

    def _abort(self, conn: Conn) -> None:
        """End the request by ending the connection, so that the client sees a broken response."""
        self._last = True
        self._closing = True
        self._buffer = b""
        self._end(conn)
        self._cancel(conn, "the connection was aborted")
        if self._out:
            self._flush(self._out)
        if self.transport is not None:
            self.transport.abort()

    def _cancel(self, conn: Conn, reason: str) -> None:
        """Cancel what works for a client that is gone, unless its route opts out."""
        if self._task is not None and getattr(conn.route, "cancel_on_disconnect", True):
            self._task.cancel(reason)

    def _log(self, conn: Conn) -> None:
        log = self.runtime.options.access_log
        if log is not None:
            sent = self.body_bytes
            if conn.state is SENT and conn.head.method != "HEAD":
                sent = len(to_bytes(conn.resp_body))
            log(conn, sent, self.started)

    # -- the end of the connection

    def _refuse(self, error: HttpError) -> None:
        """Answer what could not be read, and end the connection (RFC 9112 section 9.6)."""
        if self.transport is None or self._closing:
            return
        logger.info("refused a request: %s", error.reason)
        self._write(refusal(error, self.runtime.date))
        self._close(linger=True)

    def _close(self, *, linger: bool = False) -> None:
        """Close once everything queued has left.

        linger: the client may still be sending; closing now could reset the connection before it
        has read the answer (RFC 9112 section 9.6). So only our half is closed, and what arrives is
        thrown away until the client closes, or `linger_timeout`.
        """
        if self._closing:
            return
        self._closing = True
        self._buffer = b""
        self._body = None
        transport = self.transport
        if transport is None:
            return
        out = self._out
        if out:
            self._flush(out)
        if linger and self.runtime.options.linger_timeout and transport.can_write_eof():
            self.since = self.runtime.now
            if self._read_paused:
                self._read_paused = False
                transport.resume_reading()
            transport.write_eof()
        else:
            transport.close()

    def drain(self) -> None:
        """Finish the request that is being served, tell the client that it was the last, close.

        An idle connection gets a moment: a request may be on its way, and is answered.
        """
        self._last = True
        if self.idle:
            self.runtime.loop.call_later(DRAIN_GRACE, self._close_idle)

    @property
    def idle(self) -> bool:
        """Whether nothing is served, skipped or half there."""
        return self.conn is None and not self._buffer and self._body is None

    def _close_idle(self) -> None:
        if self.idle:
            self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._buffer = b""
        super().connection_lost(exc)
        self.transport = None
        gone = ClientDisconnected("the client went away")
        if self._body is not None:
            self._body.fail(gone)
        waiter = self._write_waiter
        if waiter is not None and not waiter.done():
            waiter.set_exception(gone)
            waiter.exception()  # perhaps nobody waits any more: asyncio need not warn
        if self._sender is not None:
            self._sender.cancel()
        conn = self.conn
        if conn is not None:
            if self._task is not None:
                self._cancel(conn, "the client went away")
            elif self._sender is None:
                self._end(conn)

    # -- deadlines

    def check_deadlines(self, now: float) -> None:
        """Called once a second: end what has taken too long. Times are in seconds."""
        transport = self.transport
        if transport is None:
            return
        options = self.runtime.options
        if self._write_paused or self._closing or self._sender is not None:
            self._check_stall(now, transport)
        elapsed = now - self.since
        conn = self.conn
        if conn is not None:
            self._check_request(conn, elapsed)
        elif self._closing:
            if elapsed > options.linger_timeout and not transport.get_write_buffer_size():
                transport.abort()
        elif self._buffer or not self.requests:
            if elapsed > options.header_timeout:
                if self._buffer:
                    self._refuse(HttpError("head_timeout"))
                else:
                    self._close()
        elif self._body is not None:
            if elapsed > options.body_grace:
                self._close(linger=True)
        elif elapsed > options.keepalive_timeout:
            self._close()

    def _check_request(self, conn: Conn, elapsed: float) -> None:
        if conn.state is UPGRADED:
            return
        options = self.runtime.options
        body = self._body
        if body is not None and body.waiter is not None:
            body.waited += TICK
            late = body.waited - options.body_grace
            if late > 0 and body.received < late * options.body_min_rate:
                self._last = True
                body.fail(RequestTimeoutError(VERDICTS["body_timeout"][1]))
        limit = getattr(conn.route, "timeout", None) or options.request_timeout
        if limit and elapsed > limit and not self._timed_out:
            self._timed_out = True
            if self._task is not None and not conn.sent:
                self._task.cancel("the request took too long")
            elif conn.sent:
                self._abort(conn)

    def _check_stall(self, now: float, transport: Any) -> None:
        queued = transport.get_write_buffer_size()
        stalled = self._stalled
        if not queued and self._sender is None:
            self._stalled = None
            return
        # What is queued alone does not tell: a plug may add what the peer takes.
        taken = traffic(transport)["bytes_out"]
        if taken is None:
            taken = self.body_bytes - queued
        if stalled is None or taken != stalled[0]:
            self._stalled = (taken, now)
        elif now - stalled[1] > self.runtime.options.write_timeout:
            if self.conn is not None:
                self._last = True
            if self.transport is not None:
                self.transport.abort()

    # -- looking

    @property
    def activity(self) -> str:
        """What the connection does: idle, reading, handling, writing or closing."""
        if self._closing:
            return "closing"
        if self.conn is not None:
            return "writing" if self.conn.sent else "handling"
        return "reading" if self._buffer is not None or not self.requests else "idle"

    def snapshot(self) -> dict[str, Any]:
        """Plain facts for info, procs and the observer; the query is left out, it may hold
        secrets."""
        conn = self.conn
        peer = self.get_peer_data()
        return {
            **super().snapshot(),
            "protocol": "http/1.1",
            "peer": f"{peer.address}:{peer.port}" if peer.address else "unix",
            "activity": self.activity,
            "request": None if conn is None else f"{conn.method} {conn.request_path}",
            "requests": self.requests,
            **traffic(self.transport),
        }
