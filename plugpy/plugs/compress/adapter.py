"""The adapter that stands between a Conn and its own: what passes is compressed.

Being behind everything that the Conn does before a response leaves, it sees the final headers and
body, wherever in the pipeline the other plugs are.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from plugpy.conn.accept import vary_by
from plugpy.conn.errors import ClientDisconnected
from plugpy.conn.fields import ConnFields
from plugpy.conn.response import to_bytes
from plugpy.conn.state import CHUNKED, SET
from plugpy.plugs.compress.choice import knows_weak, weakened
from plugpy.plugs.compress.encoders import Encoder, encode_whole, encoder

if TYPE_CHECKING:
    from plugpy.plugs.compress.compress import Compress

_OF_PLAIN_BODY = frozenset({"accept-ranges", "content-length"})


BROKEN: Final = "a piece was cancelled while it was compressed: the rest can't be decoded"


class CompressingAdapter:
    """The adapter of one Conn below Compress.

    While the plugs run, bodies that are large wait here for `finish`, which compresses them in a
    thread; afterwards nothing waits.
    """

    __slots__ = ("_adapter", "_encoder", "_lock", "_plug", "_ready", "_running", "_waiting")

    def __init__(self, adapter: Any, plug: "Compress") -> None:
        self._adapter = adapter
        self._plug = plug
        self._encoder: Encoder | None = None
        self._lock: asyncio.Lock | None = None
        self._running = True
        # A response that was sent by the plugs, and has not left: body, kind, coding.
        self._waiting: tuple[bytes, str, str] | None = None
        # A body that was compressed before it was sent: body, coding, result.
        self._ready: tuple[bytes, str, bytes] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    # the adapter ---

    def send_resp(self, conn: ConnFields, body: bytes, kind: str = "") -> None:
        """Compress a whole response, or leave it alone."""
        coding = self._coding(conn, len(body), kind)
        if coding is None:
            self._adapter.send_resp(conn, body, kind)
        elif self._running and len(body) > self._plug.thread_size:
            self._waiting = (body, kind, coding)
        else:
            ready = self._ready
            if ready is not None and ready[:2] == (body, coding):
                data = ready[2]
            else:
                data = encode_whole(coding, self._plug.levels[coding], body)
            self._send(conn, data, kind, coding)

    def send_block(self, conn: ConnFields, block: bytes, body: bytes) -> bool:
        """No: the head is not final (plugpy.http.output)."""
        return False

    def send_chunked(self, conn: ConnFields) -> None:
        """Send the head of a stream, and compress what follows."""
        coding = self._coding(conn, None, "")
        if coding is not None:
            _put_coding(conn, coding)
            if conn.head.method != "HEAD":
                self._encoder = encoder(coding, self._plug.levels[coding])
                self._lock = asyncio.Lock()
        self._adapter.send_chunked(conn)

    async def chunk(self, conn: ConnFields, data: bytes) -> None:
        """Send a piece so that the client can read all of it now."""
        if self._lock is None:
            await self._adapter.chunk(conn, data)
            return
        async with self._lock:
            stream = self._encoder
            if stream is None:
                raise ClientDisconnected(BROKEN)
            if len(data) <= self._plug.thread_size:
                piece = stream.encode(data)
            else:
                self._encoder = None  # its thread goes on when this is cancelled
                piece = await asyncio.to_thread(stream.encode, data)
                self._encoder = stream
            await self._adapter.chunk(conn, piece)

    # the end of the plugs ---

    def is_over(self, conn: ConnFields) -> bool:
        """Whether nothing is left to do now that the plugs have returned."""
        self._running = False
        return (
            self._waiting is None
            and (self._lock is None or conn.state is not CHUNKED)
            and not (conn.state is SET and self._is_large(conn.resp_body))
        )

    async def finish(self, conn: ConnFields) -> None:
        """Do what is left: compress what is large, end a stream."""
        if self._waiting is not None:
            body, kind, coding = self._waiting
            try:
                data = await asyncio.to_thread(
                    encode_whole, coding, self._plug.levels[coding], body
                )
            except BaseException:
                self.give_up(conn)
                raise
            self._waiting = None
            self._send(conn, data, kind, coding)
            conn.resp_body = data
        elif self._lock is not None and conn.state is CHUNKED:
            if self._encoder is None:
                raise ClientDisconnected(BROKEN)
            await self._adapter.chunk(conn, self._encoder.finish())
        elif conn.state is SET:
            # It is sent by who called the plugs.
            body = to_bytes(conn.resp_body)
            found = self._coding(conn, len(body), "text" if type(conn.resp_body) is str else "")
            if found is not None:
                level = self._plug.levels[found]
                self._ready = (
                    body,
                    found,
                    await asyncio.to_thread(encode_whole, found, level, body),
                )

    def give_up(self, conn: ConnFields) -> None:
        """The plugs have failed: what they have sent leaves as it is, not never."""
        self._running = False
        if self._waiting is not None:
            body, kind, _ = self._waiting
            self._waiting = None
            self._adapter.send_resp(conn, body, kind)

    # inside ---

    def _is_large(self, body: object) -> bool:
        return isinstance(body, str | bytes) and len(body) > self._plug.thread_size

    def _coding(self, conn: ConnFields, size: int | None, kind: str) -> str | None:
        """The coding for a response; says that it depends on the client."""
        if conn.status == 304:
            # What it is about may have been compressed: its cache must still find it.
            vary_by(conn, "accept-encoding")
            conn.resp_headers = [
                (name, weakened(value) if name == "etag" and knows_weak(conn, value) else value)
                for name, value in conn.resp_headers
            ]
            return None
        plug = self._plug
        if not plug.is_eligible(conn, size, kind):
            return None
        vary_by(conn, "accept-encoding")
        return plug.choose(conn)

    def _send(self, conn: ConnFields, data: bytes, kind: str, coding: str) -> None:
        _put_coding(conn, coding)
        self._adapter.send_resp(conn, data, kind)


def _put_coding(conn: ConnFields, coding: str) -> None:
    # Not by put_resp_header: where the body was compressed in a thread the Conn counts as sent.
    headers = [
        (name, weakened(value) if name == "etag" else value)
        for name, value in conn.resp_headers
        if name not in _OF_PLAIN_BODY
    ]
    conn.resp_headers = [*headers, ("content-encoding", coding)]
