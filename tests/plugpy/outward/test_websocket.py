"""WebSocket handlers of plugpy on an ASGI server: on uvicorn, and message by message."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import websockets

from .application import App
from .test_asgi import run


def scope(path: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"x")],
        "subprotocols": [],
        **fields,
    }


CONNECT = {"type": "websocket.connect"}
GONE = {"type": "websocket.disconnect", "code": 1001, "reason": ""}


async def test_callbacks() -> None:
    events = [CONNECT, {"type": "websocket.receive", "text": "a"}, GONE]
    sent = await run(App, scope("/echo"), events)
    assert [message["type"] for message in sent] == ["websocket.accept", *["websocket.send"] * 2]
    assert [message["text"] for message in sent[1:]] == ["ready", "a"]


async def test_stop_closes() -> None:
    sent = await run(App, scope("/echo"), [CONNECT, {"type": "websocket.receive", "text": "stop"}])
    assert sent[-1] == {"type": "websocket.close", "code": 4000, "reason": "bye"}


async def test_a_coroutine_with_a_subprotocol() -> None:
    events = [CONNECT, {"type": "websocket.receive", "bytes": b"\xff"}]
    sent: list[Any] = []
    answered = asyncio.Event()

    async def receive() -> Any:
        if events:
            return events.pop(0)
        await answered.wait()
        return GONE

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) == 3:
            answered.set()

    async with asyncio.timeout(10):
        await App(scope("/talk", subprotocols=["other", "chat"]), receive, send)
    assert sent[0]["subprotocol"] == "chat"
    assert [sent[1].get("text"), sent[2].get("bytes")] == ["chat", b"\xff"]


@pytest.mark.parametrize("path", ["/", "/elsewhere", "/crash"])
async def test_an_answer_that_is_no_upgrade_refuses(path: str) -> None:
    sent = await run(App, scope(path), [CONNECT])
    assert sent == [{"type": "websocket.close", "code": 1008}]
    extended = scope(path, extensions={"websocket.http.response": {}})
    sent = await run(App, extended, [CONNECT])
    assert sent[0]["type"] == "websocket.http.response.start"
    assert sent[0]["status"] == {"/": 200, "/elsewhere": 404, "/crash": 500}[path]


async def test_a_foreign_origin_is_refused() -> None:
    headers = [(b"host", b"x"), (b"origin", b"https://evil.example")]
    sent = await run(App, scope("/echo", headers=headers), [CONNECT])
    assert sent == [{"type": "websocket.close", "code": 1008}]


@contextlib.asynccontextmanager
async def uvicorn_server() -> AsyncIterator[int]:
    """App on uvicorn, in this loop."""
    uvicorn = pytest.importorskip("uvicorn")
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(App, ws="websockets-sansio", log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext
    serving = asyncio.ensure_future(server.serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
        listener.close()


@pytest.mark.parametrize("path", ["/echo", "/talk"])
async def test_on_uvicorn(path: str) -> None:
    async with uvicorn_server() as port, websockets.connect(f"ws://127.0.0.1:{port}{path}") as ws:
        async with asyncio.timeout(20):
            assert await ws.recv() in ("ready", "none")
            for message in ("text", b"bytes", "x" * 100_000):
                await ws.send(message)
                assert await ws.recv() == message
