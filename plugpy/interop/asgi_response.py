"""One request to an ASGI application: its `receive` and `send`, on the adapter of a Conn.

    waiting --http.response.start--> begun --body, more--> streaming --last body--> complete
                                       +----- only body (one write) -----------------^

The object is also the future that the connection waits for. It is done with the *response*, not
with the application: what the application does afterwards (background tasks) does not hold the
connection, and a client that leaves does not cancel the application, which learns of it by
`http.disconnect` and by OSError from `send`.
"""

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from plugpy.conn import ClientDisconnected, Conn, NotSentError
from plugpy.conn.state import SENT, UNSENT_STATES, UNSET
from plugpy.interop.asgi_headers import AsgiHead, HeadMemo, decode_headers, put_headers
from plugpy.interop.asgi_request import AsgiRequest
from plugpy.interop.asgi_types import AsgiApplication, Message
from plugpy.interop.errors import AsgiError

logger = logging.getLogger("plugpy.interop")

WAITING, BEGUN, STREAMING, COMPLETE, REFUSED = range(5)

JOIN_LIMIT = 65_536
"""Bytes of body up to which head and body are copied together for one write."""


@dataclass(slots=True)
class AsgiOptions:
    """What the requests of one application share. max_body: bytes of request body, None: as the
    route or the server says. running: Tasks whose application has not returned."""

    app: AsgiApplication
    max_body: int | None
    running: set[asyncio.Future[Any]]
    memo: HeadMemo = field(default_factory=HeadMemo)


class AsgiResponse(asyncio.Future[Conn]):
    """The future of `conn`, done when its response is; see the module."""

    __slots__ = (
        "_callback",
        "_flush",
        "_head",
        "_request",
        "_stage",
        "_task",
        "_trailers",
        "conn",
        "options",
        "owner",
    )

    def __init__(self, conn: Conn, loop: asyncio.AbstractEventLoop, options: AsgiOptions) -> None:
        super().__init__(loop=loop)
        self.conn = conn
        # The connection as a process, None without one. PERF: conn.owner would compute the field.
        self.owner: Any = getattr(conn.adapter, "owner", None)
        self.options = options
        self._stage = WAITING
        self._task: asyncio.Future[Any] | None = None
        self._callback: Callable[[Any], object] | None = None
        self._flush: asyncio.Handle | None = None
        self._request: AsgiRequest | None = None
        self._trailers: list[tuple[str, str]] | None = None

    # the future ---

    def add_done_callback(
        self, fn: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """As that of a future, but the callback of the connection runs at once when the response
        is complete.

        PERF: a turn of the loop later the client has often sent its next request, which then takes
        the slow way of a pipelined one. (A Task that awaits gives a context.)
        """
        if context is None and self._callback is None and not self.done():
            self._callback = fn
        else:
            super().add_done_callback(fn, context=context)

    def _finish(self, error: Exception | None) -> None:
        if self.done():
            return
        if error is None:
            self.set_result(self.conn)
        else:
            self.set_exception(error)
        if self._request is not None:
            self._request.wake()
        callback = self._callback
        if callback is not None:
            self._callback = None
            callback(self)

    def cancel(self, msg: Any | None = None) -> bool:
        """The connection gives the request up: because time is up, which cancels the application,
        or because the client is gone, which does not."""
        if self.done():
            return False
        if self._task is not None and not self._gone:
            self._task.cancel(msg)
            # `run` would do it, but a Task that has not begun never runs.
            self.options.running.discard(self._task)
        super().cancel(msg)
        if self._request is not None:
            self._request.wake()
        callback = self._callback
        if callback is not None:
            self._callback = None
            self.get_loop().call_soon(callback, self)
        return True

    @property
    def over(self) -> bool:
        """Whether the response is complete, or will never be."""
        return self.done() or self._gone

    @property
    def _gone(self) -> bool:
        """Whether nobody takes an answer any more."""
        owner = self.owner
        return owner is not None and not owner.alive

    def refuse(self, error: Exception) -> None:
        """Answer a fault of the request body, unless the response has begun."""
        if self._stage == WAITING:
            self._stage = REFUSED
            self._finish(error)

    # the application ---

    async def run(self, scope: dict[str, Any]) -> None:
        """Call the application; what it raises becomes the answer."""
        options = self.options
        try:
            await options.app(scope, self.receive, self.send)
        except Exception as error:
            if self.done():
                self._log_late(error)
            else:
                self._finish(self._left() if self._gone else error)
        except asyncio.CancelledError:
            if not self.done():
                self._finish(AsgiError("the ASGI application was cancelled"))
                self.exception()  # perhaps nobody waits any more: asyncio need not warn
            raise
        else:
            if self._stage != COMPLETE and not self.done():
                self._finish(self._incomplete())
        finally:
            if self._flush is not None:
                self._cancel_flush()
            if self._task is not None:
                options.running.discard(self._task)

    def started(self, task: "asyncio.Future[Any]") -> None:
        """`task` runs the application."""
        if not task.done():
            self._task = task
            # The loop itself holds Tasks by weak references only, and the end of the application
            # waits for them.
            self.options.running.add(task)

    def _log_late(self, error: Exception) -> None:
        if not isinstance(error, ClientDisconnected):
            conn = self.conn
            logger.error(
                "%s %s: the ASGI application raised after its response",
                conn.method,
                conn.request_path,
                exc_info=error,
            )

    def _incomplete(self) -> Exception:
        conn = self.conn
        if self._gone:
            return self._left()
        if self._stage == WAITING:
            return NotSentError(
                f"the ASGI application returned without a response to {conn.method} "
                f"{conn.request_path}: it never sent http.response.start"
            )
        return AsgiError(
            f"the ASGI application returned before its response to {conn.method} "
            f"{conn.request_path} was complete: {_EXPECTED[self._stage]} did not come"
        )

    def _left(self) -> ClientDisconnected:
        return ClientDisconnected("the client went away before the response was complete")

    async def receive(self) -> Message:
        """The next event of the request (ASGI `receive`)."""
        request = self._request
        if request is None:
            request = self._request = AsgiRequest(self)
        return await request.receive()

    # send ---

    async def send(self, message: Message) -> None:
        """Take one event of the response (ASGI `send`). Raises ClientDisconnected, an OSError, once
        nobody takes it; AsgiError for what does not come in its turn."""
        kind = message["type"]
        conn = self.conn
        stage = self._stage
        owner = self.owner
        if (owner is not None and not owner.alive) or (
            # Answered by somebody else: the connection, when the time was up.
            conn.state is not UNSET and stage < STREAMING and conn.state not in UNSENT_STATES
        ):
            raise self._left()
        if kind == "http.response.start" and stage == WAITING:
            head = self._head = self.options.memo.of(message["status"], message.get("headers", ()))
            if message.get("trailers"):
                self._trailers = []
            self._stage = BEGUN
            if head.length is None:
                # A stream, as far as one can tell: its head must not wait for the first piece
                # (EventSource reports "open" when the head arrives).
                self._flush = self.get_loop().call_soon(self._flush_head)
        elif kind == "http.response.body" and (stage == BEGUN or stage == STREAMING):  # noqa: SIM109
            if self._flush is not None:
                self._cancel_flush()
            body = message.get("body", b"")
            last = self._trailers is None and not message.get("more_body")
            if stage == BEGUN:
                if last:
                    self._send_whole(body)
                    return
                self._begin_stream()
            if body:
                await conn.chunk(body)
            if last:
                self._complete()
        else:
            self._send_other(kind, message)

    def _send_whole(self, body: bytes) -> None:
        """The whole response in one write."""
        conn = self.conn
        head = self._head
        if conn._resp_headers is None and conn._before_send is None:
            # PERF: a head known by heart.
            if head.block is not None and type(body) is bytes and head.length in (None, len(body)):
                send_block = getattr(conn.adapter, "send_block", None)
                if send_block is not None and len(body) <= JOIN_LIMIT:
                    conn.status = head.status
                    if send_block(conn, head.block, body):
                        conn._resp_headers = head.pairs
                        conn.resp_body = body
                        conn.state = SENT
                        self._complete()
                        return
            conn._resp_headers = head.pairs
        else:
            put_headers(conn, head.pairs)
        conn.send_resp(head.status, body)
        self._complete()

    def _begin_stream(self) -> None:
        self._stage = STREAMING
        put_headers(self.conn, self._head.pairs)
        self.conn.send_chunked(self._head.status)

    def _flush_head(self) -> None:
        self._flush = None
        if self._stage == BEGUN and not self.over and not self.conn.sent:
            self._begin_stream()

    def _cancel_flush(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None

    def _send_other(self, kind: str, message: Message) -> None:
        conn = self.conn
        stage = self._stage
        if kind == "http.response.pathsend" and stage == BEGUN:
            self._cancel_flush()
            put_headers(conn, self._head.pairs)
            conn.send_file(self._head.status, message["path"])
            self._complete()
        elif kind == "http.response.early_hint" and stage == WAITING:
            conn.inform(103, [("link", link.decode("latin-1")) for link in message["links"]])
        elif kind == "http.response.trailers" and stage == STREAMING and self._trailers is not None:
            self._trailers += decode_headers(message.get("headers", ()))
            if not message.get("more_trailers"):
                conn.put_private("resp_trailers", self._trailers)
                self._complete()
        elif stage == REFUSED:
            raise ClientDisconnected("the request was refused: its body could not be read")
        else:
            raise AsgiError(
                f"the ASGI application sent {kind!r} {_WHEN[stage]}; expected {_EXPECTED[stage]}"
            )

    def _complete(self) -> None:
        self._stage = COMPLETE
        self._finish(None)

    _head: AsgiHead


_WHEN = (
    "before the response began",
    "after http.response.start",
    "while the body is sent",
    "after the response was complete",
)
_EXPECTED = (
    "http.response.start",
    "http.response.body or http.response.pathsend",
    "the last http.response.body (and http.response.trailers where they were announced)",
    "nothing more",
)
