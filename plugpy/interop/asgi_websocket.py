"""A WebSocket connection of an ASGI application (ASGI specification, WebSocket scope 2.5).

    connecting --websocket.accept--> open --websocket.close--> closed
        |--websocket.close: 403-------------------------------^
        +--websocket.http.response.start, .body: an answer----^

The coroutine here is what serves the request. A client that leaves does not cancel the application,
which learns of it by `websocket.disconnect` and by OSError from `send`.
"""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from plugpy.conn import Conn, NotSentError
from plugpy.interop.asgi_headers import decode_headers
from plugpy.interop.asgi_types import Message
from plugpy.interop.errors import AsgiError
from plugpy.websocket.errors import WebSocketClosed
from plugpy.websocket.handshake import check_request, offered_subprotocols
from plugpy.websocket.options import WebSocketOptions

if TYPE_CHECKING:
    from plugpy.interop.asgi_response import AsgiOptions
    from plugpy.websocket.socket import WebSocket

OPTIONS: Final = WebSocketOptions(check_origin=False, handler_timeout=0)
"""Whose pages may connect, ASGI applications decide by themselves; nor do they expect to be
cancelled."""

EXTENSIONS: Final[dict[str, dict[str, Any]]] = {"websocket.http.response": {}}

CONNECTING, OPEN, ANSWERING, CLOSED = range(4)


async def serve_websocket(conn: Conn, options: "AsgiOptions", scope: dict[str, Any]) -> Conn:
    """Call the application for a WebSocket connection. Raises UpgradeError, AsgiError, and what the
    application raises."""
    check_request(conn)
    del scope["method"]
    scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
    scope["subprotocols"] = offered_subprotocols(conn.head)
    tls = {name: value for name, value in scope["extensions"].items() if name == "tls"}
    scope["extensions"] = {**EXTENSIONS, **tls}
    session = AsgiWebSocket(conn)
    task = asyncio.current_task()
    assert task is not None
    # The end of the application waits for it, also when its client has left.
    options.running.add(task)
    try:
        await options.app(scope, session.receive, session.send)
    finally:
        options.running.discard(task)
    return await session.returned()


class AsgiWebSocket:
    """`receive` and `send` of one connection."""

    __slots__ = ("_begun", "_connected", "_over", "_stage", "_ws", "conn")

    def __init__(self, conn: Conn) -> None:
        self.conn = conn
        self._stage = CONNECTING
        self._connected = False
        self._ws: WebSocket | None = None
        # Status and headers of an answer that is no WebSocket connection.
        self._begun: tuple[int, list[tuple[str, str]]] | None = None
        self._over: asyncio.Event | None = None

    async def receive(self) -> Message:
        """The next event: websocket.connect, .receive, at last .disconnect."""
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        ws = self._ws
        if ws is None:
            if self._stage != CLOSED:
                # Nothing comes before it is accepted; who waits for it waits for the decision.
                if self._over is None:
                    self._over = asyncio.Event()
                await self._over.wait()
                return await self.receive()
            return {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        try:
            message = await ws.receive()
        except WebSocketClosed as closed:
            self._stage = CLOSED
            return {"type": "websocket.disconnect", "code": closed.code, "reason": closed.reason}
        if isinstance(message, str):
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    async def send(self, message: Message) -> None:
        """Take one event. Raises WebSocketClosed, an OSError, once the client is gone; AsgiError
        for what does not come in its turn."""
        kind = message["type"]
        ws = self._ws
        if ws is not None and self._stage != CLOSED:
            if kind == "websocket.send":
                text = message.get("text")
                await ws.send(message["bytes"] if text is None else text)
                return
            if kind == "websocket.close":
                self._stage = CLOSED
                await ws.close(message.get("code", 1000), message.get("reason") or "")
                return
        elif self._stage == CONNECTING:
            if kind == "websocket.accept":
                self._accept(message)
                return
            if kind == "websocket.close":
                self._decide(CLOSED)
                self.conn.send_resp(403, "")
                return
            if kind == "websocket.http.response.start":
                self._decide(ANSWERING)
                headers = decode_headers(message.get("headers", ()))
                self._begun = message["status"], list(headers)
                return
        elif self._stage == ANSWERING and kind == "websocket.http.response.body":
            await self._answer(message)
            return
        if ws is not None and ws.close_code is not None:
            raise WebSocketClosed(ws.close_code, ws.close_reason)
        raise AsgiError(
            f"the ASGI application sent {kind!r} {_WHEN[self._stage]}; "
            f"expected {_EXPECTED[self._stage]}"
        )

    async def returned(self) -> Conn:
        """The application has returned. Raises NotSentError, AsgiError."""
        if self._stage == CONNECTING:
            raise NotSentError(
                "the ASGI application returned without accepting or refusing the WebSocket "
                f"connection of {self.conn.request_path}"
            )
        if self._stage == ANSWERING:
            raise AsgiError(
                "the ASGI application returned before its answer was complete: "
                "websocket.http.response.body did not come"
            )
        if self._ws is not None and self._ws.open:
            await self._ws.close()
        return self.conn

    def _decide(self, stage: int) -> None:
        self._stage = stage
        if self._over is not None:
            self._over.set()

    def _accept(self, message: Message) -> None:
        from plugpy.websocket.socket import WebSocket

        conn = self.conn
        options = OPTIONS
        subprotocol = message.get("subprotocol")
        if subprotocol:
            if subprotocol not in offered_subprotocols(conn.head):
                raise AsgiError(
                    f"the ASGI application chose the subprotocol {subprotocol!r}, which the client "
                    "has not offered"
                )
            options = replace(options, subprotocols=(subprotocol,))
        for name, value in decode_headers(message.get("headers", ())):
            if name == "sec-websocket-protocol":
                raise AsgiError("give the subprotocol as `subprotocol`, not as a header")
            conn.resp_headers.append((name, value))
        ws = WebSocket(conn, options)
        ws.accept()
        self._ws = ws
        self._decide(OPEN)

    async def _answer(self, message: Message) -> None:
        """A piece of an answer that refuses the connection (extension websocket.http.response)."""
        conn = self.conn
        body = message.get("body", b"")
        more = message.get("more_body", False)
        if self._begun is not None:
            (status, headers), self._begun = self._begun, None
            conn.resp_headers = headers
            if not more:
                self._stage = CLOSED
                conn.send_resp(status, body)
                return
            conn.send_chunked(status)
        if body:
            await conn.chunk(body)
        if not more:
            self._stage = CLOSED


_WHEN = (
    "before the connection was accepted",
    "while it is open",
    "while it is being refused",
    "after it was closed",
)
_EXPECTED = (
    "websocket.accept, websocket.close or websocket.http.response.start",
    "websocket.send or websocket.close",
    "websocket.http.response.body",
    "nothing more",
)
