"""The WebSocket connection of an ASGI server, for plugs that upgrade to one.

The server in front speaks the protocol: it answers pings, bounds sizes and inflates. What
WebSocketOptions say about that is not used here; `check_origin`, `subprotocols` and `max_backlog`
are.
"""

import asyncio
from typing import Any, Final

from plugpy.conn import Conn
from plugpy.conn.fields import ConnFields
from plugpy.conn.state import UPGRADED
from plugpy.interop.asgi_types import Receive, Scope, Send
from plugpy.interop.response_fields import response_fields
from plugpy.interop.to_asgi_adapter import AsgiOutput
from plugpy.interop.to_asgi_lifespan import Outlet
from plugpy.websocket import codes
from plugpy.websocket.handshake import Accepted
from plugpy.websocket.peer import Message, Receiver
from plugpy.websocket.upgrade import UPGRADES

SLOW: Final = 16
"""Messages that wait to be sent from which the client counts as slow."""

_NEGOTIATED: Final = ("sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions")


class WebSocketAdapter(AsgiOutput):
    """The adapter of a handshake, and of the connection that it becomes.

    open: whether messages can be sent.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, outlet: Outlet) -> None:
        super().__init__(scope, receive, send, outlet)
        self.open = False
        self._upgrade: tuple[Accepted, Receiver] | None = None
        self._receiver: Receiver | None = None
        self._reader: asyncio.Future[None] | None = None
        self._flow = asyncio.Event()
        self._flow.set()
        self._was_slow = False

    # the handshake -------------------------------------------------------------------------------

    def websocket(self, conn: ConnFields, options: Any, settings: dict[str, Any]) -> Any:
        """What `conn.websocket()` returns."""
        return UPGRADES["websocket"].socket(conn, options, settings)

    def upgrade(self, conn: Any, protocol: str, options: Any) -> bool:
        """Take note of an upgrade; it happens when the plugs have returned."""
        if protocol != "websocket":
            return False
        self._upgrade = UPGRADES["websocket"].prepare(conn, options)
        return True

    def start_websocket(self, conn: Any, accepted: Accepted, receiver: Receiver) -> None:
        """Accept the connection now."""
        conn._start_upgrade()
        self._start(conn, accepted, receiver)

    def _start(self, conn: Any, accepted: Accepted, receiver: Receiver) -> None:
        headers = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in conn.resp_headers
            if name not in _NEGOTIATED
        ]
        self._receiver = receiver
        self.open = True
        self.begin_async()
        self.put(
            {"type": "websocket.accept", "subprotocol": accepted.subprotocol, "headers": headers}
        )
        receiver.opened(AsgiPeer(self, conn, accepted.subprotocol))
        self._reader = asyncio.ensure_future(self._read())

    def send_resp(self, conn: ConnFields, body: bytes, kind: str = "") -> None:
        """Answer the handshake otherwise: by the extension websocket.http.response, else the server
        says 403."""
        if "websocket.http.response" not in self._extensions:
            self.put({"type": "websocket.close", "code": codes.POLICY_VIOLATION})
            return
        fields, allowed = response_fields(conn, len(body), kind)
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        status = conn.status or 200
        self.put({"type": "websocket.http.response.start", "status": status, "headers": headers})
        self.put({"type": "websocket.http.response.body", "body": body if allowed else b""})

    def send_file(self, conn: ConnFields, path: str, offset: int, length: int) -> None:
        """A small file, as a whole."""
        with open(path, "rb") as file:
            file.seek(offset)
            self.send_resp(conn, file.read(length))

    def send_chunked(self, conn: ConnFields) -> None:
        """Streams are no answer to a handshake."""
        raise ValueError("answer a WebSocket handshake with a whole response, not in chunks")

    async def chunk(self, conn: ConnFields, data: bytes) -> None:
        """See `send_chunked`."""
        raise ValueError("answer a WebSocket handshake with a whole response, not in chunks")

    async def read_req_body(
        self, conn: ConnFields, limit: int | None, read_timeout: float | None
    ) -> bytes:
        """A handshake has no body."""
        return b""

    def inform(self, conn: ConnFields, status: int, headers: Any) -> bool:
        """Not before a handshake."""
        return False

    async def finish(self, conn: Any) -> None:
        """After the plugs: the connection is served until it ends."""
        if conn.state is UPGRADED and self._receiver is None and self._upgrade is not None:
            accepted, receiver = self._upgrade
            self._start(conn, accepted, receiver)
        if self.broken is not None and self.open:
            self._end("error", codes.INTERNAL_ERROR, "")
        if self._reader is not None:
            await asyncio.wait([self._reader])
        try:
            await self.flush()
        except OSError:
            return

    # the connection ------------------------------------------------------------------------------

    async def _read(self) -> None:
        while self.open:
            event = await self.receive()
            if event["type"] == "websocket.disconnect":
                self._over("remote", event.get("code") or 1005, event.get("reason") or "")
                return
            await self._flow.wait()
            receiver = self._receiver
            if receiver is not None and self.open:
                text = event.get("text")
                receiver.message(event.get("bytes") or b"" if text is None else text)

    def _over(self, why: str, code: int, reason: str) -> None:
        self.open = False
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.closed(why, code, reason)

    def _end(self, why: str, code: int, reason: str) -> None:
        if not self.open:
            return
        self.put({"type": "websocket.close", "code": code, "reason": reason})
        self._over(why, code, reason)
        if self._reader is not None:
            self._reader.cancel()

    async def flush_queue(self) -> None:
        """Send what waits, and tell the receiver when the client has caught up."""
        self._was_slow = self._was_slow or self.slow
        await super().flush_queue()
        if self._was_slow:
            self._was_slow = False
            if self._receiver is not None:
                self._receiver.resumed()

    @property
    def slow(self) -> bool:
        """Whether much waits to be sent."""
        return len(self._queue) > SLOW

    def hold(self, held: bool) -> None:
        """Stop reading, or go on."""
        if held:
            self._flow.clear()
        else:
            self._flow.set()

    def send_message(self, message: Message) -> None:
        """Queue a message."""
        key = "text" if isinstance(message, str) else "bytes"
        self.put({"type": "websocket.send", key: message})
        self._was_slow = self._was_slow or self.slow

    def close(self, code: int, reason: str) -> None:
        """Close the connection, as the application wants."""
        self._end("normal", code, reason)


class AsgiPeer:
    """The client, for who sends to it (plugpy.websocket.peer.Peer)."""

    latency = None

    def __init__(self, adapter: WebSocketAdapter, conn: Conn, subprotocol: str | None) -> None:
        self.conn = conn
        self.subprotocol = subprotocol
        self._adapter = adapter

    @property
    def open(self) -> bool:
        """Whether messages can still be sent."""
        return self._adapter.open

    @property
    def slow(self) -> bool:
        """Whether much waits to be sent."""
        return self._adapter.slow

    def send(self, message: Message) -> None:
        """Send a message. Silence where the connection is closing."""
        if self.open:
            self._adapter.send_message(message)

    def ping(self, data: bytes = b"") -> None:
        """ASGI has no pings. Raises ValueError."""
        raise ValueError("an ASGI server sends pings by itself; plugs can't")

    def pong(self, data: bytes = b"") -> None:
        """ASGI has no pongs. Raises ValueError."""
        raise ValueError("an ASGI server answers pings by itself; plugs can't")

    def close(self, code: int = codes.NORMAL, reason: str = "") -> None:
        """Close the connection. Raises ValueError for a code that may not be sent."""
        self._adapter.close(code, codes.check_close(code, reason))

    def hold(self, held: bool) -> None:
        """Stop reading, or go on."""
        self._adapter.hold(held)

    def caught_up(self) -> None:
        """All messages were taken; when the connection ends is the other server's business."""
