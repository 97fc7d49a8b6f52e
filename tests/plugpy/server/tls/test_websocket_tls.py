"""WebSocket over TLS, where no half of a connection can be closed alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import websockets

from plugpy.server import Server
from plugpy.websocket import Push, Upgrade, WebSocketHandler


class Echo(WebSocketHandler):
    def handle_in(self, message: Any, state: Any) -> Any:
        return Push(message)


def callbacks(conn: Any) -> Any:
    return conn.upgrade_adapter("websocket", Upgrade(Echo()))


async def coroutine(conn: Any) -> Any:
    async with conn.websocket() as ws:
        async for message in ws:
            await ws.send(message)
    return conn


@pytest.mark.parametrize("app", [callbacks, coroutine])
async def test_messages_and_a_quick_close(
    tls: dict[str, Any], client_context: Any, app: Any
) -> None:
    async with Server(app, linger_timeout="60s", **tls) as server:
        url = f"wss://localhost:{server.port}/"
        async with asyncio.timeout(20):
            ws = await websockets.connect(url, ssl=client_context())
            for message in ("text", b"bytes", "x" * 300_000):
                await ws.send(message)
                assert await ws.recv() == message
            await ws.close(4000, "bye")
            await ws.wait_closed()
            # The server has closed: it does not linger for what can't come.
            assert ws.close_code == 4000


@pytest.mark.parametrize("app", [callbacks, coroutine])
async def test_a_fault_is_told(tls: dict[str, Any], client_context: Any, app: Any) -> None:
    async with Server(app, linger_timeout="1s", **tls) as server:
        url = f"wss://localhost:{server.port}/"
        async with asyncio.timeout(20):
            ws = await websockets.connect(url, ssl=client_context())
            ws.transport.write(b"\x80\x80abcd")
            with pytest.raises(websockets.ConnectionClosedError) as raised:
                await ws.recv()
            assert raised.value.rcvd.code == 1002


async def test_the_server_stops(tls: dict[str, Any], client_context: Any) -> None:
    server = Server(callbacks, **tls)
    async with server:
        ws = await websockets.connect(f"wss://localhost:{server.port}/", ssl=client_context())
    async with asyncio.timeout(20):
        await ws.wait_closed()
    assert ws.close_code == 1001
