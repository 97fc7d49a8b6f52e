"""EventStream: server-sent events, an answer that goes on (HTML Standard, section 9.2)."""

import asyncio
import math
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from plugpy.conn.draining import on_drain
from plugpy.conn.errors import ClientDisconnected
from plugpy.conn.event_text import comment_text, event_text

if TYPE_CHECKING:
    from plugpy.conn.response import ResponseSide, StatusLike

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment is sent: proxies cut what is silent for 30 or 60 s, and
a client that has vanished is only noticed when something is sent to it."""

HEADERS: Final = (
    ("content-type", "text/event-stream"),
    ("cache-control", "no-store"),
    # nginx would gather events until its buffer is full.
    ("x-accel-buffering", "no"),
)


class EventStream:
    """The events of one client: what `conn.event_stream()` gives.

    last_event_id   the id of the last event that the client has seen before it came back, or None
    """

    __slots__ = (
        "_beat",
        "_cancelling",
        "_conn",
        "_ended",
        "_entered",
        "_gone",
        "_heartbeat",
        "_loop",
        "_over",
        "_retry",
        "_sent",
        "_status",
        "_task",
        "_timer",
    )

    def __init__(
        self,
        conn: "ResponseSide",
        *,
        status: "StatusLike" = 200,
        heartbeat: float | None = HEARTBEAT,
        retry: int | None = None,
    ) -> None:
        if heartbeat is not None and not 0 < heartbeat < math.inf:
            raise ValueError(f"heartbeat is a number of seconds above 0 or None, got {heartbeat!r}")
        self._conn = conn
        self._status = status
        self._heartbeat = heartbeat
        self._retry = None if retry is None else event_text(retry=retry)
        self._entered = False
        self._ended = False
        # Whether nothing was to be sent from the beginning: HEAD, or a server that stops.
        self._over = False
        self._gone: ClientDisconnected | None = None
        self._sent = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._beat: asyncio.Task[None] | None = None

    @property
    def last_event_id(self) -> str | None:
        """As `conn.last_event_id`."""
        return last_event_id(self._conn)

    async def send(
        self,
        data: Any = None,
        *,
        event: str | None = None,
        id: str | None = None,  # noqa: A002 - the name of the field
        retry: int | None = None,
    ) -> None:
        """Send one event; waits while the client is slow.

        data: text of any number of lines, or what becomes JSON; None: no event happens, the client
        takes note of id and retry. event: its name, "message" where it is None. id: comes back as
        `last_event_id`. retry: milliseconds that the client waits before it comes back.
        Raises ClientDisconnected, ValueError for line breaks in a name or an id and outside of
        `async with`, TypeError for bytes.
        """
        await self._write(event_text(data, event=event, id=id, retry=retry))

    async def comment(self, text: str = "") -> None:
        """Send a comment, which clients ignore. Errors as `send`."""
        await self._write(comment_text(text))

    async def _write(self, text: str) -> None:
        if not self._entered:
            raise ValueError("events are sent inside of `async with conn.event_stream() as events`")
        if self._over:
            await asyncio.sleep(0)
        self._sent = self._loop.time()
        await self._conn.chunk(text)

    # its time ---

    async def __aenter__(self) -> Self:
        if self._entered or self._ended:
            raise ValueError("an event stream can be entered once")
        conn = self._conn
        for name, value in HEADERS:
            conn.put_resp_header(name, value)
        task = asyncio.current_task()
        if task is None:
            raise ValueError("an event stream needs a Task")
        self._task = task
        self._cancelling = task.cancelling()
        self._loop = asyncio.get_running_loop()
        conn.send_chunked(self._status)
        self._entered = True
        if not on_drain(conn, self._end) or conn.head.method == "HEAD":
            self._over = True
            self._loop.call_soon(self._end)  # now would cancel what follows, where nothing awaits
        elif self._heartbeat is not None:
            self._sent = self._loop.time()
            self._timer = self._loop.call_later(self._heartbeat, self._check_silence)
        if self._retry is not None:
            await self._write(self._retry)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._entered = False
        on_drain(self._conn, None)
        if self._timer is not None:
            self._timer.cancel()
        if self._beat is not None:
            self._beat.cancel()
        if not self._ended:
            self._ended = True
            return False
        # As asyncio.timeout: a Task that somebody else has cancelled too stays cancelled.
        mine = self._task.uncancel() <= self._cancelling
        if kind is not asyncio.CancelledError or not mine:
            return False
        if self._gone is not None:
            raise self._gone from None
        return True

    def _end(self) -> None:
        """End the block of the `async with` at its `await`."""
        if self._entered and not self._ended:
            self._ended = True
            self._task.cancel("the event stream ends")

    # heartbeats: a timer for each client, and a Task only while a comment leaves ---

    def _check_silence(self) -> None:
        assert self._heartbeat is not None
        silence = self._loop.time() - self._sent
        wait = self._heartbeat - silence
        if wait <= 0:
            wait = self._heartbeat
            if self._beat is None:  # else the last one waits for a slow client
                self._beat = self._loop.create_task(self._send_beat())
        self._timer = self._loop.call_later(wait, self._check_silence)

    async def _send_beat(self) -> None:
        try:
            await self.comment()
        except ClientDisconnected as error:
            self._gone = error
            self._end()
        finally:
            self._beat = None


def last_event_id(conn: Any) -> str | None:
    """The header last-event-id, which browsers send in UTF-8; None where there is none."""
    values = conn.head.get("last-event-id")
    if not values or not values[0]:
        return None
    return str(values[0].encode("latin-1", "replace").decode("utf-8", "replace"))
