"""One request to a WSGI application: the half of it in the event loop.

    reads ahead -> in a thread (plugpy.interop.wsgi_call) --whole, or file--> done
                                          +-- begins --> streams --> done

A thread can't be stopped: when time is up or the client has left, the request is over for the
connection at once, and the application learns of it when it next reads or sends.
"""

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Final

from plugpy.conn import ClientDisconnected, Conn
from plugpy.conn.state import SENT, UNSET
from plugpy.interop.asgi_headers import put_headers
from plugpy.interop.disconnects import is_disconnect
from plugpy.interop.response_future import ResponseFuture
from plugpy.interop.thread_pool import ThreadPool
from plugpy.interop.wsgi_call import WsgiCall
from plugpy.interop.wsgi_environ import make_environ
from plugpy.interop.wsgi_files import FileRange
from plugpy.interop.wsgi_headers import Start, StartMemo
from plugpy.interop.wsgi_input import WsgiInput
from plugpy.interop.wsgi_outlet import Outlet

JOIN_LIMIT: Final = 65_536
"""Bytes of body up to which head and body are copied together for one write."""

logger = logging.getLogger("plugpy.interop")

READ_AHEAD: Final = 65_536
"""Bytes of request body that are waited for before a thread is taken: a client that sends slowly
holds a thread only where it sends more."""


@dataclass(slots=True)
class WsgiOptions:
    """What the requests of one application share. root_path: where a proxy has mounted it.
    max_body: bytes of request body, None: as the route or the server says. shared: variables of
    every environ."""

    app: Callable[..., Any]
    pool: ThreadPool
    root_path: str
    max_body: int | None
    shared: dict[str, Any]
    memo: StartMemo = field(default_factory=StartMemo)


class WsgiResponse(ResponseFuture):
    """The future of `conn`; see the module. All methods but `read` are called in the loop."""

    __slots__ = ("_begun", "_outlet", "_task", "loop", "options")

    def __init__(self, conn: Conn, loop: asyncio.AbstractEventLoop, options: WsgiOptions) -> None:
        super().__init__(conn, loop)
        self.loop = loop
        self.options = options
        self._begun = False
        self._outlet: Outlet | None = None
        # What reads ahead, later what sends a stream.
        self._task: asyncio.Task[None] | None = None

    def begin(self, context: Context) -> None:
        """Run the application in a thread, in `context`, once enough of the body is there."""
        conn = self.conn
        head = conn.head
        if conn._body is not None:  # a plug has read it
            self._submit(context, conn._body, ended=True)
        elif (
            conn.method in ("GET", "HEAD")
            and not head.get("content-length")
            and not head.get("transfer-encoding")
        ):
            self._submit(context, b"", ended=True)
        elif head.get("expect"):
            # The body is asked for when the application reads (PEP 3333, "HTTP 1.1
            # Expect/Continue"): it may answer without.
            self._submit(context, b"", ended=False)
        else:
            self._task = self.loop.create_task(self._read_ahead(context))

    async def _read_ahead(self, context: Context) -> None:
        pieces: list[bytes] = []
        size = 0
        ended = False
        lengths = self.conn.head.get("content-length")
        length = int(lengths[0]) if lengths else -1
        try:
            while size < READ_AHEAD and not ended:
                piece = await self.read()
                pieces.append(piece)
                size += len(piece)
                ended = not piece or size == length
        except Exception as error:
            self.finish(error)
            return
        self._task = None
        self._submit(context, b"".join(pieces), ended=ended)

    def _submit(self, context: Context, body: bytes, *, ended: bool) -> None:
        try:
            environ = make_environ(self.conn, self.options.root_path, self.options.shared)
        except Exception as error:  # the head of the request is broken: a port in its host
            self.finish(error)
            return
        if ended and body:
            # RFC 3875 section 4.1.2: the length after transfer-codings were removed. So a chunked
            # body can be read by applications that look at the length.
            environ["CONTENT_LENGTH"] = str(len(body))
        environ["wsgi.input"] = WsgiInput(self, body, ended)
        self.options.pool.submit(
            _Job(context, WsgiCall(self, self.options.app, environ, self.conn.method))
        )

    async def read(self) -> bytes:
        """The next piece of the request body, b"" at its end. Raises BODY_ERRORS, OSError."""
        if self.over:
            raise ClientDisconnected("the request is over: its body can't be read any more")
        return await self.conn.adapter.read_req_body(self.conn, self.options.max_body, None)

    # what the application sends ---

    def send_whole(self, start: Start, body: bytes) -> None:
        """Send the whole response in one write."""
        conn = self.conn
        if (
            start.block is not None
            and len(body) <= JOIN_LIMIT
            and start.length in (None, len(body))
            and conn._resp_headers is None
            and conn._before_send is None
            and conn.state is UNSET
        ):
            # PERF: a head known by heart.
            send_block = getattr(conn.adapter, "send_block", None)
            if send_block is not None and not self.over:
                conn.status = start.status
                if send_block(conn, start.block, body):
                    conn._resp_headers = start.pairs
                    conn.resp_body = body
                    conn.state = SENT
                    self._begun = True
                    self.finish(None)
                    return
        if self._put(start):
            try:
                self.conn.send_resp(start.status, body)
            except Exception as error:
                self.finish(error)
            else:
                self.finish(None)

    def send_file(self, start: Start, file: FileRange) -> None:
        """Send a file; the connection goes on with it by itself."""
        if self._put(start):
            try:
                self.conn.send_file(start.status, *file)
            except Exception as error:
                self.finish(error)
            else:
                self.finish(None)

    def begin_stream(self, start: Start, outlet: Outlet) -> None:
        """Send the head, and what comes through `outlet` as it comes."""
        if not self._put(start):
            outlet.close()
            return
        try:
            self.conn.send_chunked(start.status)
        except Exception as error:
            outlet.close()
            self.finish(error)
            return
        self._outlet = outlet
        self._task = self.loop.create_task(self._send_stream(outlet))

    async def _send_stream(self, outlet: Outlet) -> None:
        chunk = self.conn.chunk
        try:
            while (data := await outlet.take()) is not None:
                await chunk(data)
        except Exception as error:
            outlet.close()
            self.finish(error)
        else:
            self._outlet = None
            self.finish(None)

    def _put(self, start: Start) -> bool:
        """Put the head; False where nobody takes an answer any more."""
        # Answered by somebody else: the connection, when the time was up.
        if self.over or self.conn.state is not UNSET:
            return False
        self._begun = True
        put_headers(self.conn, start.pairs)
        return True

    # how it ends ---

    def fail(self, error: Exception) -> None:
        """The application raised."""
        if self.done():
            if not is_disconnect(error):
                logger.error(
                    "%s %s: the WSGI application raised after its response",
                    self.conn.method,
                    self.conn.request_path,
                    exc_info=error,
                )
        else:
            self._drop()
            self.finish(error)

    def refuse(self, error: Exception) -> None:
        """Answer a fault of the request body, unless the response has begun."""
        if not self._begun:
            self.finish(error)

    def cancel(self, msg: Any | None = None) -> bool:
        """The connection gives the request up; the thread is told when it sends or reads."""
        if self.done():
            return False
        self._drop()
        return super().cancel(msg)

    def _drop(self) -> None:
        """Nobody takes what still comes."""
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            outlet.close()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()


class _Job:
    """A call in its context, for the pool."""

    __slots__ = ("call", "context")

    def __init__(self, context: Context, call: WsgiCall) -> None:
        self.context = context
        self.call = call

    def __call__(self) -> None:
        self.context.run(self.call.run)
