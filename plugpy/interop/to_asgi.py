"""A plug as an ASGI 3 application: for uvicorn, hypercorn, granian, and `httpx.ASGITransport`.

Routers, pipelines and applications are such applications themselves (plugpy.interop.outward); this
is what answers then, and what makes one of any other plug.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable
from typing import Any, Final

from plugpy.conn import ClientDisconnected, Conn, NotSentError, PlugError, RequestHead
from plugpy.conn.state import CHUNKED, SET, UNSET, UPGRADED
from plugpy.http.failure import answer_failure
from plugpy.interop.asgi_types import Message, Receive, Scope, Send
from plugpy.interop.to_asgi_adapter import AsgiAdapter, AsgiOutput
from plugpy.interop.to_asgi_lifespan import Outlet

logger = logging.getLogger("plugpy.interop")

MAX_BODY: Final = 8_000_000
"""Bytes of request body, unless the route or `max_body` says otherwise; more: 413."""


class ToAsgi:
    """An ASGI 3 application of a plug, a Router class or instance, or a plugpy.Application.

    max_body: bytes of request body, 8,000,000. secret_key_base: what cookies are signed with, None
    for what the server's environment says (PLUGPY_SECRET_KEY_BASE). debug: error answers tell what
    went wrong.

    What the server in front judges is left to it: framing, limits of heads, timeouts. A client that
    leaves cancels the handler, as plugpy's own server does, unless its route opts out.
    """

    def __init__(
        self,
        application: Any,
        *,
        max_body: int = MAX_BODY,
        secret_key_base: str | None = None,
        debug: bool = False,
    ) -> None:
        self.outlet = Outlet(application, secret_key_base)
        self.max_body = max_body
        self.debug = debug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection of the ASGI server."""
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            from plugpy.interop.to_asgi_websocket import WebSocketAdapter

            adapter = WebSocketAdapter(scope, receive, send, self.outlet)
            await self._websocket(Conn(adapter, websocket_head(scope)), adapter)
        elif kind == "lifespan":
            await self.outlet.lifespan(receive, send)
        else:
            raise ValueError(f"plugpy does not know ASGI scopes of type {kind!r}")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        adapter = AsgiAdapter(scope, receive, send, self.outlet, self.max_body)
        conn = Conn(adapter, request_head(scope))
        enter_root(conn, scope.get("root_path", ""))
        await self._run(conn, adapter)
        with contextlib.suppress(ClientDisconnected):
            await adapter.finish(conn)

    async def _websocket(self, conn: Conn, adapter: Any) -> None:
        enter_root(conn, adapter.scope.get("root_path", ""))
        event = await adapter.receive()
        if event["type"] != "websocket.connect":
            return
        await self._run(conn, adapter)
        await adapter.finish(conn)

    async def _run(self, conn: Conn, adapter: AsgiOutput) -> None:
        """Run the plugs, and answer what they raise."""
        try:
            result = self.outlet.plug(conn)
            if result is not conn and isinstance(result, Awaitable):
                result = await self._await(conn, adapter, result)
            if result is not conn:
                raise PlugError(
                    f"the plug returned {result!r} instead of the Conn that it was called with "
                    "(did you forget `return conn`?)"
                )
            self._settle(conn, adapter)
        except ClientDisconnected:
            adapter.give_up()
        except Exception as error:
            if not answer_failure(conn, error, debug=self.debug) and conn.state in (
                CHUNKED,
                UPGRADED,
            ):
                adapter.broken = error
        if adapter.broken is None and conn.state is CHUNKED:
            adapter.end_chunks(conn)

    async def _await(self, conn: Conn, adapter: AsgiOutput, result: Awaitable[Any]) -> Any:
        """The async part of the plugs, cancelled when the client leaves."""
        adapter.begin_async()
        task = asyncio.ensure_future(result)
        watch = adapter.watch(conn, task)
        try:
            return await task
        except asyncio.CancelledError:
            if adapter.gone and not _is_cancelling():
                raise ClientDisconnected("the client went away") from None
            task.cancel()
            raise
        finally:
            if watch is not None:
                watch.cancel()

    def _settle(self, conn: Conn, adapter: AsgiOutput) -> None:
        state = conn.state
        if state is SET:
            conn.send_resp()
        elif state is UNSET:
            raise NotSentError(
                f"a response was neither set nor sent for {conn.method} {conn.request_path}: "
                "every plug returned, and none called send_resp"
            )


def _is_cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def to_asgi(application: Any, **options: Any) -> ToAsgi:
    """`application` as an ASGI 3 application; options: those of ToAsgi.

    A Router, Pipeline or Application need not be wrapped: they answer an ASGI server themselves.
    Raises TypeError for what is no plug.
    """
    return ToAsgi(application, **options)


def request_head(scope: Scope) -> RequestHead:
    """The head of a request from its scope."""
    raw = scope.get("raw_path")
    if raw is None:
        from urllib.parse import quote

        path = quote(scope["path"], safe="/~!$&'()*+,;=:@%")
    else:
        path = raw.partition(b"?")[0].decode("latin-1")
    headers = [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
    ]
    return RequestHead.from_headers(
        scope.get("method", "GET"),
        path or "/",
        scope.get("query_string", b"").decode("latin-1"),
        headers,
        version=scope.get("http_version", "1.1"),
    )


def websocket_head(scope: Scope) -> RequestHead:
    """The head of a handshake as HTTP/1.1 has it, whatever the server in front speaks: it has
    checked it, and negotiates the compression."""
    head = request_head({**scope, "http_version": "1.1"})
    own = {
        "upgrade": "websocket",
        "connection": "upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "sec-websocket-protocol": ", ".join(scope.get("subprotocols", ())),
    }
    headers = [
        (name, value)
        for name, value in head.headers
        if name not in own and name != "sec-websocket-extensions"
    ]
    headers += [(name, value) for name, value in own.items() if value]
    return RequestHead.from_headers("GET", head.path, head.query, headers)


def enter_root(conn: Conn, root_path: str) -> None:
    """Move what the server was mounted at to script_name, as `forward` does."""
    if not root_path.strip("/"):
        return
    count = len([segment for segment in root_path.split("/") if segment])
    segments = conn.path_info
    if [_plain(one) for one in segments[:count]] == root_path.strip("/").split("/"):
        conn.script_name = segments[:count]
        conn.path_info = segments[count:]


def _plain(segment: str) -> str:
    from urllib.parse import unquote

    return unquote(segment)


__all__ = ["MAX_BODY", "Message", "ToAsgi", "to_asgi"]
