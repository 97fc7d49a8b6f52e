"""WebSocket connections of ASGI applications (ASGI specification, WebSocket scope)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plugpy.interop import asgi_plug
from plugpy.interop.errors import AsgiError

from .conftest import BINARY, TEXT, close_frame, frame, request


class App:
    """An ASGI application that runs `body(scope, receive, send)`, and notes what came of it."""

    def __init__(self, body: Any) -> None:
        self.body = body
        self.scope: Any = None
        self.over = asyncio.Event()
        self.outcome: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        self.scope = scope
        try:
            self.outcome = await self.body(receive, send)
        except BaseException as error:
            self.outcome = error
            raise
        finally:
            self.over.set()

    async def end(self) -> Any:
        async with asyncio.timeout(10):
            await self.over.wait()
        return self.outcome


async def start(serve: Any, body: Any, **options: Any) -> tuple[App, Any]:
    app = App(body)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return app, await serve(asgi_plug(application, lifespan="off"), **options)


async def accept(receive: Any, send: Any, **fields: Any) -> None:
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept", **fields})


async def echo(receive: Any, send: Any) -> Any:
    await accept(receive, send)
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})
    return event


async def test_echo(serve: Any) -> None:
    app, server = await start(serve, echo)
    client = await server.connect()
    await client.send(frame(TEXT, "€".encode()) + frame(BINARY, b"\xff"))
    assert [await client.frame(), await client.frame()] == [
        (TEXT, "€".encode(), True, 0),
        (BINARY, b"\xff", True, 0),
    ]
    await client.send(close_frame(4000, "bye"))
    assert await client.closed() == (4000, "")
    assert await app.end() == {"type": "websocket.disconnect", "code": 4000, "reason": "bye"}


async def test_the_scope(serve: Any) -> None:
    app, server = await start(serve, echo)
    await server.connect("/a%20b?x=1", "sec-websocket-protocol: one, two", "x-mine: yes")
    scope = app.scope
    assert "method" not in scope
    assert scope["scheme"] == "ws"
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b", b"/a%20b", b"x=1")
    assert scope["subprotocols"] == ["one", "two"]
    assert (b"x-mine", b"yes") in scope["headers"]
    assert scope["extensions"] == {"websocket.http.response": {}}
    assert scope["client"][0] == "127.0.0.1"
    assert scope["http_version"] == "1.1"


async def test_subprotocol_and_headers_of_the_application(serve: Any) -> None:
    async def body(receive: Any, send: Any) -> None:
        await accept(receive, send, subprotocol="two", headers=[(b"x-mine", b"yes")])

    _, server = await start(serve, body)
    client = await server.dial()
    await client.send(request("/", "sec-websocket-protocol: one, two"))
    status, headers = await client.head()
    assert (status, headers["sec-websocket-protocol"], headers["x-mine"]) == (101, "two", "yes")
    assert (await client.frame()).close == (1000, "")


async def test_closed_by_the_application(serve: Any) -> None:
    async def body(receive: Any, send: Any) -> Any:
        await accept(receive, send)
        await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
        with pytest.raises(AsgiError, match="after it was closed"):
            await send({"type": "websocket.send", "text": "late"})
        return await receive()

    app, server = await start(serve, body)
    client = await server.connect()
    assert (await client.frame()).close == (4001, "enough")
    await client.send(close_frame(4001))
    assert (await app.end())["type"] == "websocket.disconnect"


async def test_refused_with_403(serve: Any) -> None:
    async def body(receive: Any, send: Any) -> Any:
        await receive()
        await send({"type": "websocket.close"})
        return await receive()

    app, server = await start(serve, body)
    client = await server.dial()
    await client.send(request())
    assert (await client.head())[0] == 403
    assert (await app.end())["type"] == "websocket.disconnect"


@pytest.mark.parametrize("pieces", [[b"go away"], [b"go ", b"away"]])
async def test_refused_with_an_answer(serve: Any, pieces: list[bytes]) -> None:
    async def body(receive: Any, send: Any) -> None:
        await receive()
        headers = [(b"x-why", b"because"), (b"content-length", b"7")]
        await send({"type": "websocket.http.response.start", "status": 418, "headers": headers})
        for number, piece in enumerate(pieces, 1):
            more = number < len(pieces)
            await send({"type": "websocket.http.response.body", "body": piece, "more_body": more})

    _, server = await start(serve, body)
    client = await server.dial()
    await client.send(request())
    status, headers = await client.head()
    assert (status, headers["x-why"]) == (418, "because")
    assert await client.read(7) == b"go away"


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], "without accepting or refusing"),
        ([{"type": "websocket.send", "text": "x"}], "before the connection was accepted"),
        ([{"type": "websocket.accept", "subprotocol": "x"}], "has not offered"),
        (
            [{"type": "websocket.accept", "headers": [(b"sec-websocket-protocol", b"x")]}],
            "not as a header",
        ),
        ([{"type": "websocket.http.response.start", "status": 400}], "before its answer was"),
    ],
)
async def test_mistakes_before_it_is_open(
    serve: Any, messages: Any, complaint: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    _, server = await start(serve, body)
    client = await server.dial()
    await client.send(request())
    assert (await client.head())[0] == 500
    assert complaint in caplog.text


async def test_a_crash_while_it_is_open(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def body(receive: Any, send: Any) -> None:
        await accept(receive, send)
        raise RuntimeError("my secret")

    _, server = await start(serve, body)
    client = await server.connect()
    assert (await client.frame()).close == (1011, "")
    assert len([record for record in caplog.records if "crashed" in record.getMessage()]) == 1


async def test_a_client_that_vanishes(serve: Any) -> None:
    async def body(receive: Any, send: Any) -> Any:
        await accept(receive, send)
        event = await receive()
        with pytest.raises(OSError, match="1006"):
            await send({"type": "websocket.send", "text": "x"})
        return event, await receive()

    app, server = await start(serve, body)
    (await server.connect()).close()
    gone = {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    assert await app.end() == (gone, gone)


async def test_what_is_no_upgrade_is_http(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": scope["type"].encode()})

    server = await serve(asgi_plug(app, lifespan="off"))
    for raw in (
        request("/", "connection: keep-alive"),
        request("/", "upgrade: h2c"),
        request().replace(b"GET", b"POST"),
    ):
        client = await server.dial()
        await client.send(raw)
        assert (await client.head())[0] == 200


async def test_a_malformed_handshake_does_not_reach_the_application(serve: Any) -> None:
    app, server = await start(serve, echo)
    client = await server.dial()
    await client.send(request("/", "sec-websocket-key: short"))
    assert (await client.head())[0] == 400
    assert app.scope is None


async def test_the_server_stops(serve: Any) -> None:
    app, server = await start(serve, echo)
    client = await server.connect()
    server.connection.drain()
    assert (await client.frame()).close == (1001, "the server is stopping")
    await client.send(close_frame(1001))
    assert (await app.end())["code"] == 1001
