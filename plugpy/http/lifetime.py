"""The life of an HTTP/1 connection: how its requests end, and how it ends itself.

All deadlines are looked at once a second by the clock of the listener (plugpy.http.runtime); a
connection only keeps when its state has changed last.
"""

import logging
from asyncio import Future, Task
from collections.abc import Callable
from contextvars import Context
from typing import Any

from acceptors import Connections
from acceptors.otp import KILLED, NORMAL, SHUTDOWN, Process, Reason
from acceptors.otp.kill import close_task
from plugpy.conn import ClientDisconnected, Conn, RequestTimeoutError
from plugpy.conn.draining import tell_draining
from plugpy.conn.fields import ConnFields
from plugpy.conn.response import to_bytes
from plugpy.conn.state import SENT, UPGRADED
from plugpy.http.blocks import date_field
from plugpy.http.errors import VERDICTS, HttpError
from plugpy.http.failure import refusal
from plugpy.http.options import HttpOptions
from plugpy.http.output import Http1Output
from plugpy.http.request_process import (
    RequestProcess,
    process_of,
    request_ended,
    requests,
)
from plugpy.http.runtime import TICK
from plugpy.http.traffic import has_left, traffic, unread

logger = logging.getLogger("plugpy.http")

DRAIN_GRACE = 0.5
"""Seconds that a connection must have been idle before a drain closes it.

A request that its client sends while we close is lost, and the busier the connection was, the
likelier is that: one that was used just now gets another request within this time, and its answer
says that it was the last. One that was idle for longer is closed at once.
"""

SILENCE = 2.0
"""Seconds that a new connection may be silent before it counts as idle: its request may be on its
way."""


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
        "_time_up",
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
        # The verdict that a Task which was cancelled for its time is answered with.
        self._time_up = ""
        # When the state changed last, by the clock of the runtime (seconds, to the tick).
        self.since = self.runtime.now
        # For the access log: arrival of the request, and bytes of body that were sent in pieces.
        self.started = 0.0

    @classmethod
    def refusal(cls, options: HttpOptions) -> bytes:
        """What a client is told that comes when the listener is full: 503 with Retry-After."""
        return refusal(HttpError("overloaded"), date_field() + b"retry-after: 1\r\n")

    @classmethod
    def plain_text_refusal(cls, options: HttpOptions) -> bytes:
        """What a client is told that speaks HTTP to a listener with TLS: 400."""
        return refusal(HttpError("plain_on_tls_port"), date_field())

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.runtime.wake()
        self.since = self.runtime.now

    # -- the end of a request

    def at_end(self, conn: ConnFields, callback: Callable[[], object]) -> bool:
        """Call `callback` when the request of `conn` is over; False where it is already.

        A process of the request is made for it, so others pay nothing.
        """
        serving = self.conn
        process = process_of(serving) if serving is not None and serving is conn else None
        if not isinstance(process, RequestProcess):
            return False
        process.at_end(callback)
        return True

    def _end(self, conn: Conn) -> None:
        """The request is over: its response has left, or never will."""
        self.conn = None
        if requests:
            request_ended(conn)
        time_up = self._time_up
        if time_up:
            self._time_up = ""
        self.since = self.runtime.now
        if self.runtime.options.observed and conn.state is not UPGRADED:
            self._log(conn)
        body = self._body
        if body is not None:
            body.discard()
            if body.ended:
                self._body = None
        if self._last or not conn.head.keep_alive:
            # Lingering where the client may send more: the rest of a body, or a further request
            # since it is our wish that this was the last.
            # Whose time is up is not waited for either.
            self._close(
                linger=time_up != "stopping"
                and (self._body is not None or self._deaf or conn.head.keep_alive),
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
        # The frames that it came through hold what was read, and one of them may hold it.
        error.__traceback__ = None
        self.runtime.log_refusal("", error.reason)
        self._write(refusal(error, self.runtime.date))
        self._close(linger=True)

    def _close(self, *, linger: bool = False) -> None:
        """Close once everything queued has left.

        linger: the client may still be sending; closing now could reset the connection before it
        has read the answer (RFC 9112 section 9.6). So only our half is closed, and what arrives is
        thrown away until the client closes, or `linger_timeout`. TLS knows no half-closed
        connections: there it stays open that long.
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
        self.since = self.runtime.now
        if linger and self.runtime.options.linger_timeout:
            if self._read_paused and self not in self.runtime.held:
                self._read_paused = False
                transport.resume_reading()
            if transport.can_write_eof():
                transport.write_eof()
        else:
            transport.close()

    def drain(self) -> None:
        """Finish the request that is being served, tell the client that it was the last, close.

        An idle connection is closed once it was idle for `DRAIN_GRACE`; a request that comes before
        that is answered.
        """
        conn = self.conn
        if self.upgraded is not None:
            self._last = True
            self.upgraded.drain()
            return
        if conn is not None:
            tell_draining(conn)
            conn = self.conn
        if conn is not None and conn.sent and not self._last and conn.state is not UPGRADED:
            # Its head has left and promised a connection that stays: the next request may be on
            # its way. The order is looked at again, and that one will be told, or none has come.
            self.runtime.loop.call_later(DRAIN_GRACE, self._drain_on)
            return
        self._last = True
        if self.idle:
            loop = self.runtime.loop
            if loop.time() - self.since >= DRAIN_GRACE + TICK:  # `since` is right to the tick
                self._close_idle()
            else:
                loop.call_later(DRAIN_GRACE, self._close_idle)

    def _drain_on(self) -> None:
        if self.transport is not None and not self._closing:
            self.drain()

    @property
    def idle(self) -> bool:
        """Whether nothing is served, skipped or half there."""
        return self.conn is None and not self._buffer and self._body is None

    def _close_idle(self) -> None:
        if not self.idle or self._closing:
            return
        if unread(self.transport):
            # A request has arrived that the event loop has not read yet: it will be the last one.
            self.runtime.loop.call_later(DRAIN_GRACE, self._close_idle)
        else:
            self._close()

    def idle_since(self) -> float | None:
        """When the last request came, of a connection that may be closed to make room."""
        if self.transport is None:
            return super().idle_since()
        if not self.idle or self._closing or self._last:
            return None
        if not self.requests and self.runtime.now - self.since < SILENCE:
            return None
        return self.since

    def shed(self) -> bool:
        """Close, to make room for a new connection, unless there is something to do."""
        transport = self.transport
        if transport is None:
            return super().shed()
        if self.idle_since() is None or transport.get_write_buffer_size() or unread(transport):
            return False
        self._close()
        return True

    def cancel(self, reason: Reason = SHUTDOWN) -> bool:
        """The server's time to finish is over: an async handler is cancelled, and its client gets
        503. Returns whether there was one."""
        task = self._task
        upgraded = self.upgraded
        if upgraded is not None and upgraded.cancel():
            return True
        if self.conn is None or task is None:
            return False
        self._last = True
        self._time_up = "stopping"
        task.cancel("the server is stopping")
        return True

    def _killed(self) -> None:
        """No time is left, not even to clean up: the Task of the request is closed under it."""
        conn, task = self.conn, self._task
        self.conn = self._task = None
        super()._killed()
        if conn is not None:
            if task is not None:
                self._close_task(conn, task, self.context())
            request_ended(conn, KILLED)

    def _close_task(self, conn: Conn, task: "Future[Any]", context: Context) -> bool:
        """Close the Task of a request under it; False where it goes on all the same."""
        task.remove_done_callback(self._returned)
        task.add_done_callback(_ignore)
        closed = isinstance(task, Task) and close_task(task, context)
        if not closed:
            task.cancel("killed")
            logger.warning("%s %s goes on although killed", conn.method, conn.request_path)
        return closed

    def _child_exited(self, child: Process, reason: Reason) -> None:
        # Whatever a request ends of, the connection lives on.
        super()._child_exited(child, NORMAL if isinstance(child, RequestProcess) else reason)

    def _returned(self, task: "Future[Any]") -> None:
        """The Task of the request is over. The serving half overrides it."""
        raise NotImplementedError

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._buffer = b""
        if self.conn is not None:
            _ = self.conn.remote_ip  # for the log: once the transport is gone nobody can tell
        super().connection_lost(exc)
        self.runtime.requests_over += self.requests
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
        if conn is not None and self.upgraded is None:
            if self._task is not None:
                self._cancel(conn, "the client went away")
            elif self._sender is None:
                self._end(conn)

    # -- after an upgrade

    @property
    def upgraded(self) -> Any:
        """The protocol that this connection was handed over to, None while it is HTTP."""
        conn = self.conn
        if conn is None or conn.state is not UPGRADED or type(self._upgrade) is tuple:
            return None
        return self._upgrade

    def upgrade_ended(self, *, linger: bool) -> None:
        """The other protocol is over. The coroutine that serves it, if there is one, has
        `handler_timeout` to notice; then it is cancelled, unless its route opts out."""
        conn = self.conn
        self._last = True
        self._close(linger=linger)
        if conn is None:
            return
        if self._task is None:
            self._end(conn)
        elif seconds := self._upgrade.options.handler_timeout:
            timer = self.runtime.loop.call_later(seconds, self._give_up, conn, self._task)
            # Else each connection would stay in memory for as long.
            self._task.add_done_callback(lambda _: timer.cancel())

    def _give_up(self, conn: Conn, task: "Future[Any]") -> None:
        if self._task is task:
            self._cancel(conn, "the client went away")

    def note_slow(self, slow: bool) -> None:
        """The peer takes nothing, or has caught up: for `write_timeout`."""
        self._write_paused = slow

    def abort_transport(self) -> None:
        """End the connection at once, where it is not over."""
        if self.transport is not None:
            self.transport.abort()

    # -- deadlines

    def check_deadlines(self, now: float) -> bool:
        """Called once a second: end what has taken too long. Times are in seconds.

        Returns whether something was ended, which makes work for the next turns of the event loop.
        """
        transport = self.transport
        if transport is None:
            return False
        options = self.runtime.options
        late = False
        if self._write_paused or self._closing or self._sender is not None:
            late = self._check_stall(now, transport)
        elapsed = now - self.since
        conn = self.conn
        if conn is not None:
            return self._check_request(conn, now) or late
        if self._closing:
            if elapsed > options.linger_timeout and not transport.get_write_buffer_size():
                late = True
                if transport.is_closing():
                    transport.abort()
                else:
                    self.since = now
                    transport.close()
        elif self._buffer or not self.requests:
            if elapsed > options.header_timeout:
                late = True
                if self._buffer:
                    self._refuse(HttpError("head_timeout"))
                else:
                    self._close()
        elif self._body is not None:
            if elapsed > options.body_grace:
                late = True
                self._close(linger=True)
        elif elapsed > options.keepalive_timeout:
            late = True
            self._close()
        return late

    def _check_request(self, conn: Conn, now: float) -> bool:
        elapsed = now - self.since
        if conn.state is UPGRADED:
            return self.upgraded is not None and bool(self.upgraded.check_deadlines(now))
        if self._read_paused and not self._write_paused and has_left(self.transport):
            # Nobody reads, so nobody would see it.
            self.transport.abort()  # type: ignore[union-attr]
            return True
        options = self.runtime.options
        late = False
        body = self._body
        if body is not None and body.waiter is not None:
            body.waited += TICK
            over = body.waited - options.body_grace
            if over > 0 and body.received < over * options.body_min_rate:
                late = True
                self._last = True
                body.fail(RequestTimeoutError(VERDICTS["body_timeout"][1]))
        limit = getattr(conn.route, "timeout", None) or options.request_timeout
        if limit and elapsed > limit and not self._time_up:
            late = True
            self._time_up = "request_timeout"
            if self._task is not None and not conn.sent:
                self._task.cancel("the request took too long")
            elif conn.sent:
                self._abort(conn)
        return late

    def _check_stall(self, now: float, transport: Any) -> bool:
        queued = transport.get_write_buffer_size()
        stalled = self._stalled
        if not queued and self._sender is None:
            self._stalled = None
            return False
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
            return True
        return False

    # -- looking

    @property
    def activity(self) -> str:
        """What the connection does: idle, reading, handling, writing or closing."""
        if self._closing:
            return "closing"
        if self.upgraded is not None:
            return str(self.upgraded.activity)
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
            "protocol": "http/1.1" if self.upgraded is None else "websocket",
            "peer": f"{peer.address}:{peer.port}" if peer.address else "unix",
            "activity": self.activity,
            "request": None if conn is None else f"{conn.method} {conn.request_path}",
            "requests": self.requests,
            **traffic(self.transport),
        }


def _ignore(task: "Future[Any]") -> None:
    """Take the outcome of a Task that was killed: there is nobody to tell."""
    if not task.cancelled():
        task.exception()
