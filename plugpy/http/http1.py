"""The HTTP/1 connection: one process, one socket, one request at a time (RFC 9112).

    idle --head--> serving --response and body ended--> idle
                      |                                   |
                      +-- last response --> closing <-----+-- drain, timeout

Three fields hold the state. `conn` is the request that is being served, None between requests.
`_buffer` holds bytes that wait: a head that is not complete, or pipelined requests; None when
nothing waits, so that `conn is None and _buffer is None` is "idle", the only thing that the hot
path asks. `_body` is the body of the request, while it is served or what is left of it is skipped.

A plug that is not async runs inside `data_received`, and its response leaves in one write. The
first awaitable of a pipeline makes the rest of that request a Task.

This file reads and serves; plugpy.http.output writes, plugpy.http.lifetime ends what has to end.
"""

import logging
from asyncio import Future
from collections.abc import Awaitable
from contextvars import Context
from time import perf_counter
from typing import Any

from plugpy.conn import (
    ClientDisconnected,
    Conn,
    NotSentError,
    PlugError,
    RequestHead,
)
from plugpy.conn.state import CHUNKED, FILE, SENT, SET, UNSET, UPGRADED, State
from plugpy.http.body import RequestBody, decoder_for
from plugpy.http.eager import start_task
from plugpy.http.errors import HttpError
from plugpy.http.failure import answer_failure
from plugpy.http.head import (
    MEMO_LARGEST,
    build_head,
    check_size,
    diagnose,
    find_fault,
    without_empty_lines,
)
from plugpy.http.lifetime import Http1Lifetime
from plugpy.http.options import HttpOptions
from plugpy.http.response_head import response_head

logger = logging.getLogger("plugpy.http")

new = object.__new__

# Not UNSET itself: type checkers would take the state for a constant.
INITIAL: State = UNSET

CORK = 64
"""Pipelined responses that are gathered for one write."""

CARRIAGE_RETURN = 13


class Http1Connection(Http1Lifetime):
    """An HTTP/1.0 or 1.1 connection: process, asyncio protocol and Conn adapter in one object.

    connections: the supervisor; options: HttpOptions. See acceptors.Connection for the rest.
    """

    __slots__ = ()

    # -- bytes in

    def data_received(
        self, data: bytes, head: RequestHead | None = None, body: RequestBody | None = None
    ) -> None:
        """Bytes from the client; or, called by `_read`, a request that was found in them."""
        if head is None:
            if self.conn is not None or self._buffer is not None:
                self._take_in(data)
                return
            # PERF: a look-up hashes all bytes; for 10 KB of body that takes longer than a request.
            if len(data) <= MEMO_LARGEST:
                head = self.runtime.memo.get(data)
            if head is None:
                self._read(data)
                return
        runtime = self.runtime
        options = runtime.options
        # PERF: Conn(self, head) written out: calling the class costs twice as much.
        conn = self.conn = new(Conn)
        conn.adapter = self
        conn.head = head
        conn.method = head.method
        conn.route_path = conn.request_path = head.path
        conn.status = None
        conn.halted = False
        conn.state = INITIAL
        conn._resp_headers = None
        conn._before_send = None
        self._body = body
        self.since = runtime.now
        self.requests += 1
        if options.observed:
            self._observe(options)
        try:
            # In a copy of the context: a variable that a plug sets is gone with the request.
            context = runtime.context.copy()
            result = context.run(options.application, conn)
        except Exception as error:
            self._failed(conn, error)
            return
        if result is not conn:
            self._begin(conn, result, context)
        elif conn.state is SENT and head.plain and not self._last:
            # PERF: the common end of a request, without a further call.
            self.conn = None
            if options.observed:
                self._log(conn)
        else:
            self._settle(conn)

    def _take_in(self, data: bytes) -> None:
        """Bytes that arrive while a request is served or skipped, or is half there."""
        if self._closing or self._deaf:
            return
        body = self._body
        if body is not None and not body.ended:
            data = self._feed(body, data)
            if not data:
                self.update_reading()
                return
        if self._buffer:
            data = self._buffer + data
        if self.conn is not None:
            # Pipelined (RFC 9112 section 9.3.2): it waits its turn, and a client that goes on
            # sending is held back.
            self._buffer = data
            self.update_reading()
        else:
            kept = len(self._buffer or b"")
            self._buffer = None
            self._read(data, kept)

    def _feed(self, body: RequestBody, data: bytes) -> bytes:
        """Give bytes to the body; returns what follows it."""
        try:
            rest = body.feed(data)
        except HttpError as error:
            if self.conn is None:
                self._close(linger=True)
            else:
                self._deaf = True
                self._last = True
                body.fail(error)
            return b""
        if self.conn is None:  # nobody will read it: the request was answered before
            body.discard()
            if body.ended:
                self._body = None
                self._buffer = None
                self.since = self.runtime.now
                if self._last:
                    self._close(linger=True)
            elif body.received > self.runtime.options.max_skip_body:
                self._close(linger=True)
        return rest

    def _read(self, data: bytes, kept: int = 0) -> None:
        """Serve what `data` holds: complete requests one after the other; the rest waits.

        kept: bytes at its beginning that were kept before, as part of a head.
        """
        size = len(data)
        position = 0
        try:
            while position < size:
                end = data.find(b"\r\n\r\n", position) + 4
                if end < 4:
                    if position:
                        self._keep_partial(data[position:], 0)
                    else:
                        self._keep_partial(data, kept)
                    position = size
                    break
                if end == size and position == 0:
                    piece = data
                else:
                    piece = data[position:end]
                    if self._out is None:
                        self._out = []
                position = end
                # What `data_received` has looked up need not be looked up again.
                head = None if piece is data and not kept else self.runtime.memo.get(piece)
                body = None
                if head is None:
                    if piece[0] == CARRIAGE_RETURN:
                        # RFC 9112 section 2.2: empty lines before a request line are ignored.
                        piece = without_empty_lines(piece)
                        if not piece:
                            continue
                    head, body = self._parse(piece)
                    if body is not None:
                        if position < size:
                            position = size - len(body.feed(data[position:]))
                        if not body.ended:
                            head.plain = False
                self.data_received(piece, head, body)
                if (
                    self.conn is not None
                    or self._body is not None
                    or self._closing
                    or self._write_paused
                ):
                    break
                out = self._out
                if out and len(out) >= CORK:
                    self._flush(out)
        except HttpError as error:
            self._refuse(error)
            return
        finally:
            out = self._out
            if out is not None:
                self._out = None
                if out:
                    self._flush(out)
        if position < size and not self._closing:
            self._buffer = data[position:]
            self.update_reading()

    def _parse(self, data: bytes) -> tuple[RequestHead, RequestBody | None]:
        """Head and body of a request, from the bytes of its complete head. Raises HttpError."""
        runtime = self.runtime
        options = runtime.options
        if len(data) > options.small_head:
            if len(data) > options.max_head:
                raise HttpError("head_too_long")
            check_size(data, options.max_request_line, options.max_header_line, options.max_headers)
        try:
            complete = runtime.parser.accept(data)
            head = build_head(data.decode("latin-1"))
            decoder = None if complete else decoder_for(head, options.max_trailers)
            if decoder is None and not complete:
                raise HttpError("parser")
        except HttpError:
            raise diagnose(data) from None
        if decoder is None:
            runtime.memo.learn(data, head)
            return head, None
        head.plain = False
        # Its value was judged by `build_head`. HTTP/1.0 knows no expectations.
        expects_continue = "\r\nexpect:" in head.lower and head.version == "1.1"
        return head, RequestBody(decoder, expects_continue)

    def _keep_partial(self, data: bytes, kept: int) -> None:
        """Keep the beginning of a head, unless it can't become a good one. Raises HttpError.

        kept: bytes of it that were kept before.
        """
        options = self.runtime.options
        data = without_empty_lines(data)
        if not data:
            return
        if not kept:
            self.since = self.runtime.now
        if len(data) > options.max_request_line and b"\r\n" not in data:
            raise HttpError("target_too_long")
        if len(data) > options.max_head:
            raise HttpError("head_too_long")
        # PERF: a long head is judged when it begins, now and then, and when it is complete.
        if len(data) > options.small_head and len(data) // 4096 != kept // 4096:
            check_size(data, options.max_request_line, options.max_header_line, options.max_headers)
        if not kept or len(data) <= options.small_head:
            fault = find_fault(data)
            if fault is not None:
                raise fault
        self._buffer = data

    def update_reading(self) -> None:
        """Hold the client back while more waits than `read_buffer`, or while it does not take what
        was sent."""
        transport = self.transport
        if transport is None:
            return
        limit = self.runtime.options.read_buffer
        body = self._body
        pause = (
            self._write_paused
            or (self._buffer is not None and len(self._buffer) > limit)
            or (body is not None and body.held > limit)
        )
        if pause != self._read_paused:
            self._read_paused = pause
            if pause:
                transport.pause_reading()
            else:
                transport.resume_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._continue()

    def eof_received(self) -> bool | None:
        """The client has closed its half, or all of it: there is no telling, and who waits for an
        answer keeps both halves open (Go's net/http decides the same). None: the transport closes,
        after what is queued has left."""
        return None

    # -- serving

    def _observe(self, options: HttpOptions) -> None:
        """What a request costs more where it is logged, or where their number is limited."""
        if options.access_log is not None:
            self.started = perf_counter()
            self.body_bytes = 0
        if self.requests == options.max_keepalive:
            self._last = True

    def _begin(self, conn: Conn, result: Any, context: Context) -> None:
        """The application is async, or returned something odd.

        context: the one that its first part ran in. The Task gets a copy, in which `self()` is this
        process.
        """
        if isinstance(result, Awaitable):
            if isinstance(result, Future):
                task = result  # a response that somebody else works at (the ASGI bridge)
            else:
                task = start_task(result, self.runtime.loop, context.run(self.context))
            if task.done():
                self._returned(task)
            else:
                self._task = task
                task.add_done_callback(self._returned)
            return
        application = self.runtime.options.application
        name = getattr(application, "__qualname__", None) or type(application).__qualname__
        self._failed(
            conn,
            PlugError(
                f"expected {name} to return the Conn that it was called with, got {result!r} "
                "(did you forget `return conn`?)"
            ),
        )

    def _returned(self, task: "Future[Any]") -> None:
        """The async part of the application is over."""
        self._task = None
        conn = self.conn
        error = None if task.cancelled() else task.exception()
        if conn is None:
            return
        if task.cancelled():
            self._cancelled(conn)
        elif error is None:
            result = task.result()
            if result is conn:
                self._settle(conn)
            else:
                self._begin(conn, result, self.runtime.context)
        elif isinstance(error, Exception):
            self._failed(conn, error)
        else:
            self._abort(conn)
            raise error
        if self.conn is None:
            self._continue()

    def _cancelled(self, conn: Conn) -> None:
        """The Task was cancelled: by us, since the client left or time is up, or by the user."""
        if self.transport is None:
            self._end(conn)
        else:
            self._failed(
                conn,
                HttpError("request_timeout")
                if self._timed_out
                else PlugError("the Task of the request was cancelled, or raised CancelledError"),
            )

    def _settle(self, conn: Conn) -> None:
        """The application has returned: complete the response (Plug.Cowboy's maybe_send)."""
        state = conn.state
        try:
            if state is SET:
                conn.send_resp()
            elif state is UNSET:
                raise NotSentError(
                    f"a response was neither set nor sent for {conn.method} {conn.request_path}: "
                    "every plug returned, and none called send_resp"
                )
            elif state is CHUNKED:
                self._end_chunks(conn)
            elif state is FILE and self._sender is not None:
                return  # `_file_sent` ends the request
            elif state is UPGRADED and self._upgrade is not None:
                self._switch(conn, *self._upgrade)
                return
        except Exception as error:
            self._failed(conn, error)
            return
        self._end(conn)

    def _file_sent(self, task: "Future[None]") -> None:
        self._sender = None
        conn = self.conn
        error = None if task.cancelled() else task.exception()
        if conn is None:
            return
        if error is not None or task.cancelled():
            if error is not None and not isinstance(error, ClientDisconnected):
                logger.error("%s: the file could not be sent", conn.request_path, exc_info=error)
            self._abort(conn)
        elif self._task is None:
            self._end(conn)
            self._continue()

    def _switch(self, conn: Conn, protocol: str, options: Any) -> None:
        """Hand the connection over to another protocol (RFC 9110 section 7.8)."""
        head = response_head(conn, None, self.runtime.date, close=False)
        self._write(head.data[:-2] + f"connection: upgrade\r\nupgrade: {protocol}\r\n\r\n".encode())
        if self._out:
            self._flush(self._out)
        self.runtime.options.upgrades[protocol](self, conn, options)

    def _failed(self, conn: Conn, error: Exception) -> None:
        """The application raised."""
        if isinstance(error, ClientDisconnected):
            self._abort(conn)
        elif answer_failure(conn, error, debug=self.runtime.options.debug):
            self._end(conn)
        elif conn.state is SENT:
            self._end(conn)  # the crash came after a whole response: nobody was harmed
        elif conn.state is FILE and self._sender is not None:
            pass  # the file goes on, `_file_sent` ends the request
        else:
            # Part of a response has left: the only honest end is a broken one.
            self._abort(conn)

    def _continue(self) -> None:
        """Go on with the requests that waited."""
        buffer = self._buffer
        if (
            buffer
            and self.conn is None
            and self._body is None
            and not self._closing
            and not self._write_paused
            and self._out is None
        ):
            self._buffer = None
            self._read(buffer, len(buffer))
            self.update_reading()
