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
import os
from asyncio import Future
from dataclasses import dataclass, field
from typing import Any

from plugpy.conn import ClientDisconnected, Conn, NotSentError
from plugpy.conn.state import SENT, UNSENT_STATES, UNSET
from plugpy.conn.trailers import check_trailer_name
from plugpy.interop.asgi_headers import AsgiHead, HeadMemo, decode_headers, put_headers
from plugpy.interop.asgi_request import AsgiRequest
from plugpy.interop.asgi_types import AsgiApplication, Message
from plugpy.interop.disconnects import is_disconnect
from plugpy.interop.errors import AsgiError
from plugpy.interop.response_future import ResponseFuture
from plugpy.interop.wsgi_files import file_range, move_to, position_of

logger = logging.getLogger("plugpy.interop")

WAITING, BEGUN, STREAMING, COMPLETE, REFUSED = range(5)

BLOCK = 65_536
"""Bytes of a file that are read at once, where sendfile(2) can't."""

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


class AsgiResponse(ResponseFuture):
    """The future of `conn`, done when its response is; see the module."""

    __slots__ = (
        "_body",
        "_flush",
        "_head",
        "_request",
        "_stage",
        "_task",
        "_trailers",
        "options",
    )

    def __init__(self, conn: Conn, loop: asyncio.AbstractEventLoop, options: AsgiOptions) -> None:
        # PERF: ResponseFuture.__init__ written out, a call less.
        Future.__init__(self, loop=loop)
        self.conn = conn
        self.owner = getattr(conn.adapter, "owner", None)
        self._callback = self.on_end = None
        self.options = options
        self._stage = WAITING
        self._task: asyncio.Future[Any] | None = None
        self._flush: asyncio.Handle | None = None
        self._request: AsgiRequest | None = None
        self._trailers: list[tuple[str, str]] | None = None
        # The request body, where a plug has read it.
        self._body: bytes | None = None

    # the future ---

    def cancel(self, msg: Any | None = None) -> bool:
        """The connection gives the request up: because time is up, which cancels the application,
        or because the client is gone, which does not."""
        if self.done():
            return False
        if self._task is not None and not self.gone:
            self._task.cancel(msg)
            # `run` would do it, but a Task that has not begun never runs.
            self.options.running.discard(self._task)
        return super().cancel(msg)

    def refuse(self, error: Exception) -> None:
        """Answer a fault of the request body, unless the response has begun."""
        if self._stage == WAITING:
            self._stage = REFUSED
            self.finish(error)

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
                self.finish(self.left() if self.gone else error)
        except asyncio.CancelledError:
            if not self.done():
                self.finish(AsgiError("the ASGI application was cancelled"))
                self.exception()  # perhaps nobody waits any more: asyncio need not warn
            raise
        else:
            if self._stage != COMPLETE and not self.done():
                self.finish(self._incomplete())
        finally:
            if self._flush is not None:
                self._cancel_flush()
            if self._task is not None:
                options.running.discard(self._task)

    def take_body(self) -> None:
        """Plugs have run before: what they have read of the body is given to the application."""
        self._body = self.conn._body

    def started(self, task: "asyncio.Future[Any]") -> None:
        """`task` runs the application."""
        if not task.done():
            self._task = task
            # The loop itself holds Tasks by weak references only, and the end of the application
            # waits for them.
            self.options.running.add(task)

    def _log_late(self, error: Exception) -> None:
        if not is_disconnect(error):
            conn = self.conn
            logger.error(
                "%s %s: the ASGI application raised after its response",
                conn.method,
                conn.request_path,
                exc_info=error,
            )

    def _incomplete(self) -> Exception:
        conn = self.conn
        if self.gone:
            return self.left()
        if self._stage == WAITING:
            return NotSentError(
                f"the ASGI application returned without a response to {conn.method} "
                f"{conn.request_path}: it never sent http.response.start"
            )
        return AsgiError(
            f"the ASGI application returned before its response to {conn.method} "
            f"{conn.request_path} was complete: {_EXPECTED[self._stage]} did not come"
        )

    async def receive(self) -> Message:
        """The next event of the request (ASGI `receive`)."""
        request = self._request
        if request is None:
            if self.over:
                return {"type": "http.disconnect"}
            request = self._request = AsgiRequest(self, self._body)
            self.on_end = self._end_request
        return await request.receive()

    def _end_request(self) -> None:
        # PERF: each holds the other; when the response is over the collector need not part them.
        request, self._request = self._request, None
        if request is not None:
            request.wake()

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
            raise self.left()
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
            await self._send_other(kind, message)

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

    async def _send_other(self, kind: str, message: Message) -> None:
        conn = self.conn
        stage = self._stage
        if kind == "http.response.pathsend" and stage in (BEGUN, STREAMING):
            await self._send_path(message["path"])
        elif kind == "http.response.zerocopysend" and stage in (BEGUN, STREAMING):
            await self._send_descriptor(message)
        elif kind == "http.response.early_hint" and stage < COMPLETE:
            # The specification wants them after http.response.start; what counts is that the head
            # has not left.
            if not conn.sent:
                conn.inform(103, [("link", link.decode("latin-1")) for link in message["links"]])
        elif kind == "http.response.trailers" and stage == STREAMING and self._trailers is not None:
            trailers = decode_headers(message.get("headers", ()))
            for name, _ in trailers:
                check_trailer_name(name)
            self._trailers += trailers
            if not message.get("more_trailers"):
                if any("trailers" in value.lower() for value in conn.head.get("te")):
                    conn.put_private("resp_trailers", self._trailers)
                self._complete()
        elif stage == COMPLETE and kind.startswith("http.response."):
            logger.warning(
                "%s %s: the ASGI application sent %r after the response was complete: ignored",
                conn.method,
                conn.request_path,
                kind,
            )
        elif stage == REFUSED:
            raise ClientDisconnected("the request was refused: its body could not be read")
        else:
            raise AsgiError(
                f"the ASGI application sent {kind!r} {_WHEN[stage]}; expected {_EXPECTED[stage]}"
            )

    async def _send_path(self, path: str) -> None:
        """A file as the whole body, by sendfile(2) unless its head has left as that of a stream."""
        last = self._trailers is None
        if self._stage == BEGUN:
            self._cancel_flush()
            if last:
                put_headers(self.conn, self._head.pairs)
                self.conn.send_file(self._head.status, path)
                self._complete()
                return
            self._begin_stream()
        with open(path, "rb", buffering=0) as file:  # noqa: ASYNC230 - as sendfile(2) does it
            await self._send_read(file.fileno(), 0, None)
        if last:
            self._complete()

    async def _send_descriptor(self, message: Message) -> None:
        """A part of an open file: by sendfile(2) where it is the whole body, else block by block.

        The application closes the file, so only what is read now can be read from it.
        """
        file = message["file"]
        offset, count = message.get("offset"), message.get("count")
        last = self._trailers is None and not message.get("more_body")
        start = offset if offset is not None else position_of(file)
        if self._stage == BEGUN:
            self._cancel_flush()
            found = file_range(file) if last else None
            if found is not None:
                size = found.offset + found.length
                rest = max(0, size - start)
                length = rest if count is None else min(count, rest)
                put_headers(self.conn, self._head.pairs)
                self.conn.send_file(self._head.status, found.path, min(start, size), length)
                if offset is None:
                    file.seek(start + length)
                self._complete()
                return
            self._begin_stream()
        descriptor = file if isinstance(file, int) else file.fileno()
        end = await self._send_read(descriptor, start, count)
        if offset is None:
            move_to(file, end)
        if last:
            self._complete()

    async def _send_read(self, descriptor: int, offset: int, count: int | None) -> int:
        """Send `count` bytes of a file, None: all that are left; returns where it ends."""
        end = None if count is None else offset + count
        while end is None or offset < end:
            size = BLOCK if end is None else min(BLOCK, end - offset)
            data = os.pread(descriptor, size, offset)
            if not data:
                break
            await self.conn.chunk(data)
            offset += len(data)
        return offset

    def _complete(self) -> None:
        self._stage = COMPLETE
        self.finish(None)

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
