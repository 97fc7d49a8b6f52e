"""The adapter that holds an answer back until its session is written."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from plugpy.conn.fields import ConnFields


class HoldingAdapter:
    """The adapter of one Conn behind a Session whose store is asynchronous.

    Without a write everything passes. With one, what would leave at once waits for `release`, and
    the pieces of a stream wait in `chunk`.
    """

    __slots__ = ("_adapter", "_held", "_task", "_work", "failed", "over")

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter
        self._held: Callable[[], None] | None = None
        self._work: Awaitable[None] | None = None
        self._task: asyncio.Task[None] | None = None
        # Whether the plugs have returned: nobody waits for a write any more.
        self.over = False
        # Whether the write went wrong before anything has left.
        self.failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    def write(self, work: Awaitable[None]) -> None:
        """What is sent from now on waits for `work`. It may be called by any thread."""
        self._work = work

    @property
    def is_busy(self) -> bool:
        """Whether something is written, or held back."""
        return self._work is not None

    async def release(self) -> None:
        """Wait for the write, then let out what was held. Raises what the write has raised; what
        was held is forgotten then."""
        task = self._started()
        if task is None:
            return
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            self.let_out()
            raise
        except Exception:
            self.failed = self._held is not None
            self._held = self._work = None
            raise
        self.let_out()

    def let_out(self) -> None:
        """Send what was held, now. The write goes on by itself."""
        task = self._started()
        if task is not None:
            task.add_done_callback(_look)
        held, self._held, self._work = self._held, None, None
        if held is not None:
            held()

    def _started(self) -> "asyncio.Task[None] | None":
        if self._work is None:
            return None
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(_do(self._work))
        return self._task

    def _pass(self, send: Callable[[], None]) -> None:
        if self._started() is None:
            send()
        else:
            self._held = send

    # the adapter ---

    def send_resp(self, conn: ConnFields, body: bytes, kind: str = "") -> None:
        self._pass(lambda: self._adapter.send_resp(conn, body, kind))

    def send_block(self, conn: ConnFields, block: bytes, body: bytes) -> bool:
        """No: whoever calls it has not run the callbacks of the Conn (plugpy.http.output)."""
        return False

    def send_file(self, conn: ConnFields, path: str, offset: int, length: int) -> None:
        self._pass(lambda: self._adapter.send_file(conn, path, offset, length))

    def send_chunked(self, conn: ConnFields) -> None:
        self._pass(lambda: self._adapter.send_chunked(conn))

    async def chunk(self, conn: ConnFields, data: bytes) -> None:
        if self._work is not None:
            await self.release()
        await self._adapter.chunk(conn, data)

    def start_websocket(self, conn: ConnFields, accepted: Any, receiver: Any) -> None:
        self._adapter.start_websocket(conn, accepted, receiver)
        self._started()


async def _do(work: Awaitable[None]) -> None:
    await work


def _look(task: "asyncio.Task[None]") -> None:
    """Nobody waits for it any more."""
    if not task.cancelled():
        task.exception()
