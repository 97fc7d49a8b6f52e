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
from asyncio import CancelledError, Future
from collections.abc import Awaitable
from contextvars import Context, copy_context
from functools import partial
from time import perf_counter
from typing import Any

from acceptors.otp import KILLED, Exit, callers
from plugpy.conn import (
    ClientDisconnected,
    Conn,
    NotSentError,
    PlugError,
    RequestHead,
)
from plugpy.conn.fields import ConnFields
from plugpy.conn.state import CHUNKED, FILE, SENT, SET, UNSET, UPGRADED, State
from plugpy.http.body import RequestBody
from plugpy.http.eager import start_task
from plugpy.http.errors import HttpError
from plugpy.http.failure import answer_failure
from plugpy.http.faults import find_fault, without_empty_lines
from plugpy.http.head import MEMO_LARGEST
from plugpy.http.lifetime import Http1Lifetime
from plugpy.http.options import HttpOptions
from plugpy.http.request import read_request
from plugpy.http.request_process import (
    RequestExitError,
    as_failure,
    request_failed,
    request_upgraded,
    requests,
    signal_of,
)
from plugpy.http.response_head import response_head
from plugpy.http.runtime import LARGE_READ

logger = logging.getLogger("plugpy.http")

new = object.__new__

# Not UNSET itself: type checkers would take the state for a constant.
INITIAL: State = UNSET

TURN = 64
"""Pipelined requests that are served in one turn of the event loop, and answered in one write. One
read may bring 14,000 of them: served at once they would take 40 ms."""

CARRIAGE_RETURN = 13

WAITED = -1

SHORT = 1024
"""Bytes of a half-sent head that is judged anew with everything that arrives."""

PIECES = 8
"""Small pieces that a head, or a body, may come in; then its sender is read from now and then. Each
costs about as much as a request."""

SMALL_PIECE = 256
"""Bytes of a read below which it is a small piece."""


class Http1Connection(Http1Lifetime):
    """An HTTP/1.0 or 1.1 connection: process, asyncio protocol and Conn adapter in one object.

    connections: the supervisor; options: HttpOptions. See acceptors.Connection for the rest.
    """

    # How many requests there were, and how many empty lines and small pieces since; not set before
    # the first of these.
    __slots__ = ("_oddities",)

    _oddities: tuple[int, int, int]

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
        except (Exception, Exit, CancelledError) as error:
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
        size = len(data)
        if self._closing or self._deaf:
            if size > LARGE_READ:
                # What is thrown away was copied by the kernel all the same.
                self.runtime.hold_back(self)
            return
        body = self._body
        if body is not None and not body.ended:
            if size > LARGE_READ:
                self.runtime.hold_back(self)
            elif 0 < size < SMALL_PIECE:
                self._note_small_piece()
            if data and (body.waiting or size > LARGE_READ):
                if not body.waiting:
                    self.runtime.stand_in_line(partial(self._decode_on, body))
                body.waiting += data
                self.update_reading()
                return
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
            if body.waiting:
                self.runtime.stand_in_line(partial(self._decode_on, body))
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

    def _decode_on(self, body: RequestBody) -> None:
        """Go on with a body of many tiny chunks."""
        if self._body is body and body.waiting:
            self._take_in(b"")
            self.update_reading()

    def _read(self, data: bytes, kept: int = 0) -> None:
        """Serve what `data` holds: complete requests one after the other; the rest waits.

        kept: bytes at its beginning that were kept before, as part of a head; WAITED where all of
        them waited, and nobody has looked at them.
        """
        size = len(data)
        if size > self.runtime.large_read and not kept:
            self._wait_in_line(data)
            return
        position = turn = 0
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
                if size > LARGE_READ and position == 0 and kept != WAITED:
                    self._wait_in_line(data)
                    return
                if end == size and position == 0:
                    piece = data
                else:
                    piece = data[position:end]
                    if self._out is None:
                        self._out = []
                        turn = self.requests + TURN
                position = end
                # What `data_received` has looked up need not be looked up again.
                head = None if piece is data and not kept else self.runtime.memo.get(piece)
                body = None
                if head is None:
                    if piece[0] == CARRIAGE_RETURN:
                        piece = self._without_empty_lines(piece)
                        if not piece:
                            continue
                    head, body = read_request(piece, self.runtime)
                    if body is not None:
                        if position < size:
                            position = size - len(body.feed(data[position:]))
                            if body.waiting:
                                self.runtime.stand_in_line(partial(self._decode_on, body))
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
                if self._out is not None and (self.requests >= turn or position > LARGE_READ):
                    # The other connections have their turn, and so has what they wait for.
                    self.runtime.stand_in_line(self._continue)
                    break
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
            if self.upgraded is not None:
                self.upgraded.data_received(data[position:])
                return
            self._buffer = data[position:]
            self.update_reading()

    def _wait_in_line(self, data: bytes) -> None:
        """Work on `data` when its turn comes; until then nothing more is read."""
        self._buffer = data
        self.update_reading()
        self.runtime.stand_in_line(self._continue)

    def _keep_partial(self, data: bytes, kept: int) -> None:
        """Keep the beginning of a head, unless it can't become a good one. Raises HttpError.

        kept: bytes of it that were kept before, or WAITED.
        """
        data = self._without_empty_lines(data)
        if not data:
            return
        options = self.runtime.options
        size = len(data)
        if kept <= 0:
            self.since = self.runtime.now
        elif size - kept < SMALL_PIECE:
            self._note_small_piece()
        # PERF: a long head is judged when it begins, now and then, and when it is complete. Later
        # bytes change no verdict.
        if (
            kept <= 0
            or size <= SHORT
            or (size <= LARGE_READ and size.bit_length() != kept.bit_length())
            or size > options.max_head
        ):
            fault = find_fault(data, options)
            if fault is not None:
                raise fault
        self._buffer = data

    def _without_empty_lines(self, data: bytes) -> bytes:
        """RFC 9112 section 2.2: empty lines before a request line are ignored, but not for ever."""
        rest = without_empty_lines(data)
        if len(rest) < len(data):
            lines, pieces = self._seen()
            lines += (len(data) - len(rest)) // 2
            self._oddities = self.requests, lines, pieces
            if lines > self.runtime.options.max_empty_lines:
                raise HttpError("empty_lines")
        return rest

    def _note_small_piece(self) -> None:
        """A bit of a head or of a body has come. Who sends many of them is read from now and then,
        so that the next ones come together."""
        lines, pieces = self._seen()
        self._oddities = self.requests, lines, pieces + 1
        if pieces >= PIECES:
            self.runtime.hold_back(self, rest=True)

    def _seen(self) -> tuple[int, int]:
        """Empty lines and small pieces since the last request."""
        at, lines, pieces = getattr(self, "_oddities", (0, 0, 0))
        return (lines, pieces) if at == self.requests else (0, 0)

    def update_reading(self) -> None:
        """Hold the client back while more waits than `read_buffer`, while it does not take what
        was sent, and where others are read from first (Runtime.hold_back)."""
        transport = self.transport
        if transport is None:
            return
        limit = self.runtime.options.read_buffer
        body = self._body
        pause = (
            self._write_paused
            or self in self.runtime.held
            or (self._buffer is not None and len(self._buffer) > limit)
            or (body is not None and body.held + len(body.waiting) > limit)
        )
        if pause != self._read_paused and not transport.is_closing():
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
                task = start_task(result, self.runtime.loop, context.run(_context_for, conn))
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
        elif isinstance(error, KeyboardInterrupt | SystemExit):
            self._abort(conn)
            raise error
        else:
            self._failed(conn, error)
        if self.conn is None:
            self._continue()

    def _cancelled(self, conn: Conn) -> None:
        """The Task was cancelled: by us, since the client left or time is up, or by the user."""
        if self.transport is None or (self.upgraded is not None and self.upgraded.closed):
            self._end(conn)
        else:
            self._failed(
                conn,
                HttpError(self._time_up)
                if self._time_up
                else signal_of(conn)
                or PlugError("the Task of the request was cancelled, or raised CancelledError"),
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
            elif state is UPGRADED:
                if type(self._upgrade) is tuple:
                    self._switch(conn, *self._upgrade)
                    return
                if not self._upgrade.closed:
                    return  # `upgrade_ended` ends the request
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

    def start_websocket(self, conn: ConnFields, accepted: Any, receiver: Any) -> None:
        """Send the 101 now, and hand the connection over; the Task of the request goes on.

        Raises BadRequestError where a body follows, ClientDisconnected.
        """
        if self.conn is not conn or self.transport is None:
            raise ClientDisconnected("the client went away")
        self._refuse_body()
        conn.merge_resp_headers(accepted.resp_headers)
        self._upgrade = ()
        conn._start_upgrade()
        self._switch(self.conn, "websocket", accepted, receiver)

    def _switch(self, conn: Conn, protocol: str, agreed: Any, receiver: Any) -> None:
        """Hand the connection over to another protocol (RFC 9110 section 7.8)."""
        transport = self.transport
        if transport is None:
            self._end(conn)
            return
        head = response_head(conn, None, self.runtime.date, close=False)
        self._write(head.data[:-2] + f"connection: upgrade\r\nupgrade: {protocol}\r\n\r\n".encode())
        if self._out:
            self._flush(self._out)
        if self.runtime.options.observed:
            self._log(conn)
        buffer, self._buffer = self._buffer, None
        if self._read_paused:
            self._read_paused = False
            transport.resume_reading()
        upgraded = self.runtime.options.upgrades[protocol].switch(self, conn, agreed, receiver)
        self._upgrade = upgraded
        upgraded.start(transport)
        if requests:
            request_upgraded(conn, receiver.info)
        if buffer:
            upgraded.data_received(buffer)
        if self._last:
            upgraded.drain()  # it was told to while the plugs ran

    def _failed(self, conn: Conn, error: BaseException) -> None:
        """The application raised."""
        if not isinstance(error, Exception):
            error = as_failure(conn, error)
        if requests:
            request_failed(conn, error)
        if self.upgraded is not None:
            if not isinstance(error, ClientDisconnected):
                answer_failure(conn, error, debug=False)
            self.upgraded.fail()
            if self.upgraded.closed:
                self._end(conn)
        elif isinstance(error, ClientDisconnected):
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

    def end_request(self, conn: Conn) -> None:
        """The process of the request got an exit signal: the code that serves it is cancelled, and
        the client gets an answer, unless it has one already."""
        if self._task is not None:
            self._task.cancel("exit signal")
        elif self.upgraded is not None:
            self.upgraded.fail()
        else:
            self._abort(conn)

    def kill_request(self, conn: Conn, context: Context) -> "Future[Any] | None":
        """The process of the request was killed: its Task is closed in `context`, and the client
        gets an answer. Returns the Task where it can't be closed."""
        task, self._task = self._task, None
        left = task is not None and not self._close_task(conn, task, context)
        self._failed(conn, RequestExitError(KILLED))
        if self.conn is None:
            self._continue()
        return task if left else None

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
            self._read(buffer, WAITED)
            self.update_reading()


def _context_for(conn: Conn) -> Context:
    """A copy of the calling context in which code runs for the request: its `self()` is the
    request's process."""
    context = copy_context()
    context.run(callers.acting_for.set, conn)
    return context


# Where plugs and callbacks of a Conn run without a Task: what they run for is the variable `conn`.
for _function in (
    Http1Connection.data_received,
    Http1Connection._settle,
    Http1Connection._failed,
):
    callers.register_frame(_function, "conn")
