"""The future that a connection waits for while an application of another kind answers."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any

from plugpy.conn import ClientDisconnected, Conn


class ResponseFuture(asyncio.Future[Conn]):
    """The future of `conn`, done when its response is, which may be before the application is.

    on_end: called when it is done, before the connection goes on; None for nothing.
    """

    __slots__ = ("_callback", "conn", "on_end", "owner")

    def __init__(self, conn: Conn, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.conn = conn
        # The connection as a process, None without one. PERF: conn.owner would compute the field.
        self.owner: Any = getattr(conn.adapter, "owner", None)
        self._callback: Callable[[Any], object] | None = None
        self.on_end: Callable[[], object] | None = None

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

    def finish(self, error: Exception | None) -> None:
        """The response is complete, or `error` is why it will never be."""
        if self.done():
            return
        if error is None:
            self.set_result(self.conn)
        else:
            self.set_exception(error)
        on_end = self.on_end
        if on_end is not None:
            self.on_end = None
            on_end()
        callback = self._callback
        if callback is not None:
            self._callback = None
            callback(self)

    def cancel(self, msg: Any | None = None) -> bool:
        """The connection gives the request up: time is up, or the client is gone."""
        if self.done():
            return False
        super().cancel(msg)
        on_end = self.on_end
        if on_end is not None:
            self.on_end = None
            on_end()
        callback = self._callback
        if callback is not None:
            self._callback = None
            self.get_loop().call_soon(callback, self)
        return True

    @property
    def over(self) -> bool:
        """Whether the response is complete, or will never be."""
        return self.done() or self.gone

    @property
    def gone(self) -> bool:
        """Whether nobody takes an answer any more."""
        owner = self.owner
        return owner is not None and not owner.alive

    def left(self) -> ClientDisconnected:
        """The error of an application that sends to a client which is gone."""
        return ClientDisconnected("the client went away before the response was complete")
