"""What an ASGI application is told of a request (ASGI specification, HTTP 2.4)."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from plugpy.conn import Conn
from plugpy.interop import asgi_plug
from plugpy.testing import call
from plugpy.testing import conn as make_conn


async def answer(send: Any, data: bytes = b"ok") -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": data})


class Recording:
    """An application that keeps its scopes."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        await answer(send)


class TestScope:
    async def test_every_key(self, serve):
        app = Recording()
        server = await serve(app)
        client = await server.connect()
        await client.get("/a%2Fb/%C3%A9?x=%20&y", "X-Thing: Caf\xe9", "x-thing: 2", "Accept: */*")
        (scope,) = app.scopes
        assert scope == {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/a/b/é",
            "raw_path": b"/a%2Fb/%C3%A9",
            "query_string": b"x=%20&y",
            "root_path": "",
            "headers": [
                (b"host", b"example.com"),
                (b"x-thing", b"Caf\xe9"),
                (b"x-thing", b"2"),
                (b"accept", b"*/*"),
            ],
            "client": client.writer.get_extra_info("sockname"),
            "server": client.writer.get_extra_info("peername"),
            "state": {},
            "extensions": {
                "http.response.pathsend": {},
                "http.response.zerocopysend": {},
                "http.response.early_hint": {},
                "http.response.trailers": {},
            },
        }

    async def test_what_one_request_changes_the_next_does_not_see(self, serve):
        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append((dict(scope), list(scope["headers"])))
            scope["headers"].append((b"x", b"y"))
            scope["extensions"].clear()
            scope["asgi"]["version"] = "9"
            scope["state"]["a"] = 1
            scope["path"] = "/changed"
            await answer(send)

        seen: list[Any] = []
        server = await serve(app)
        client = await server.connect()
        for _ in range(4):
            await client.get()
        for scope, headers in seen:
            assert headers == [(b"host", b"example.com")]
            assert scope["path"] == "/"
        await client.get("/")
        assert seen[-1][0]["asgi"] is not seen[0][0]["asgi"]

    async def test_heads_with_credentials_are_right_too(self, serve):
        app = Recording()
        client = await (await serve(app)).connect()
        for value in ("1", "1", "2"):
            await client.get("/", f"Cookie: id={value}")
        cookies = [dict(scope["headers"])[b"cookie"] for scope in app.scopes]
        assert cookies == [b"id=1", b"id=1", b"id=2"]

    async def test_two_clients_are_told_apart(self, serve):
        app = Recording()
        server = await serve(app)
        ports = []
        for _ in range(2):
            client = await server.connect()
            for _ in range(3):
                await client.get()
            ports += [client.writer.get_extra_info("sockname")] * 3
        assert [scope["client"] for scope in app.scopes] == ports

    @pytest.mark.parametrize("query", ["", "?"])
    async def test_no_query(self, serve, query):
        app = Recording()
        await (await (await serve(app)).connect()).get("/" + query)
        assert app.scopes[0]["query_string"] == b""

    async def test_invalid_utf_8_in_the_path(self, serve):
        app = Recording()
        await (await (await serve(app)).connect()).get("/%ff")
        assert (app.scopes[0]["path"], app.scopes[0]["raw_path"]) == ("/\ufffd", b"/%ff")

    async def test_root_path_of_a_proxy(self, serve):
        app = Recording()
        server = await serve(None, plug=asgi_plug(app, root_path="/api"))
        await (await server.connect()).get("/users")
        assert (app.scopes[0]["root_path"], app.scopes[0]["path"]) == ("/api", "/api/users")

    async def test_what_plugs_changed(self, serve):
        app = Recording()
        inner = asgi_plug(app)

        def plug(conn: Conn) -> Any:
            conn.remote_ip = "203.0.113.9"
            conn.scheme = "https"
            conn.method = "PUT"
            conn.query_string = "b=2"
            conn.script_name = ["admin", "a%20b"]
            conn.put_req_header("x-new", "1")
            return inner(conn)

        server = await serve(None, plug=plug)
        client = await server.connect()
        for _ in range(3):
            await client.get("/admin/a%20b/x?b=1")
        for scope in app.scopes:
            assert scope["client"] == ("203.0.113.9", client.writer.get_extra_info("sockname")[1])
            assert scope["scheme"] == "https"
            assert scope["method"] == "PUT"
            assert scope["query_string"] == b"b=2"
            assert (scope["root_path"], scope["path"]) == ("/admin/a b", "/admin/a b/x")
            assert (b"x-new", b"1") in scope["headers"]

    async def test_a_path_that_a_plug_has_chosen(self, serve):
        app = Recording()
        inner = asgi_plug(app)

        def plug(conn: Conn) -> Any:
            conn.path_info = ["about us"]
            return inner(conn)

        await (await (await serve(None, plug=plug)).connect()).get("/en/about%20us/")
        assert (app.scopes[0]["path"], app.scopes[0]["raw_path"]) == (
            "/about us",
            b"/en/about%20us/",
        )

    async def test_the_host_of_an_absolute_target_wins(self, serve):
        app = Recording()
        client = await (await serve(app)).connect()
        await client.get("http://target.example:81/x", "X-A: 1")
        assert app.scopes[0]["headers"] == [(b"host", b"target.example:81"), (b"x-a", b"1")]

    @pytest.mark.parametrize(
        ("host", "port", "sent"),
        [
            ("www.example.org", 80, b"www.example.org"),
            ("www.example.org", 81, b"www.example.org:81"),
            ("example.com", 80, b"example.com"),
        ],
    )
    async def test_the_host_that_a_plug_has_put(self, serve, host, port, sent):
        app = Recording()
        inner = asgi_plug(app)

        def plug(conn: Conn) -> Any:
            conn.host, conn.port = host, port
            return inner(conn)

        client = await (await serve(None, plug=plug)).connect()
        for _ in range(2):
            await client.get()
        assert [scope["headers"] for scope in app.scopes] == [[(b"host", sent)]] * 2

    async def test_connections_are_forgotten(self, serve):
        app = Recording()
        plug = asgi_plug(app)
        server = await serve(None, plug=plug)
        client = await server.connect()
        await client.get()
        (connections,) = [
            cell.cell_contents._connections
            for cell in plug.__closure__
            if hasattr(cell.cell_contents, "_connections")
        ]
        assert len(connections) == 1
        client.reset()
        await server.until(lambda: not connections)


class TestReceive:
    async def test_without_a_body(self, serve):
        async def app(scope: Any, receive: Any, send: Any) -> None:
            got.append(await receive())
            await answer(send)
            got.append(await receive())

        got: list[Any] = []
        server = await serve(app)
        await (await server.connect()).get()
        await server.until(lambda: len(got) == 2)
        assert got == [
            {"type": "http.request", "body": b"", "more_body": False},
            {"type": "http.disconnect"},
        ]

    async def test_a_short_body_is_one_message(self, serve):
        got: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            got.append(await receive())
            await answer(send, got[-1]["body"])

        client = await (await serve(app)).connect()
        for _ in range(2):
            assert (await client.post(b"name=x")).body == b"name=x"
        assert got == [{"type": "http.request", "body": b"name=x", "more_body": False}] * 2

    @pytest.mark.parametrize("chunked", [False, True])
    async def test_a_long_body_in_pieces_with_backpressure(self, serve, chunked):
        size = 3_000_000

        async def app(scope: Any, receive: Any, send: Any) -> None:
            total = 0
            while True:
                message = await receive()
                total += len(message["body"])
                if not message["more_body"]:
                    break
            await answer(send, b"%d" % total)

        client = await (await serve(app)).connect()
        if chunked:
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(30):
                client.send(b"%x\r\n%b\r\n" % (size // 30, bytes(size // 30)))
            client.send(b"0\r\n\r\n")
            response = await client.response("POST")
        else:
            response = await client.post(bytes(size))
        assert response.body == b"%d" % size
        assert (await client.post(b"")).body == b"0"

    async def test_a_body_byte_by_byte(self, serve):
        async def app(scope: Any, receive: Any, send: Any) -> None:
            data, more = b"", True
            while more:
                message = await receive()
                data, more = data + message["body"], message["more_body"]
                taken.append(len(data))
            await answer(send, data)

        taken: list[int] = []
        server = await serve(app)
        client = await server.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        for number, byte in enumerate(b"Hello", 1):
            client.send(bytes([byte]))
            await server.until(lambda number=number: bool(taken) and taken[-1] == number)
        assert (await client.response("POST")).body == b"Hello"

    async def test_100_continue_comes_when_the_body_is_asked_for(self, serve):
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, (await receive())["body"])

        client = await (await serve(app)).connect()
        client.send(
            b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        assert await client.receive() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hi")
        assert (await client.response("POST")).body == b"hi"

    @pytest.mark.parametrize("catches", [False, True])
    async def test_too_large_a_body_is_a_413_whatever_the_application_does(self, serve, catches):
        got: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            got.append(await receive())
            if not catches:
                raise RuntimeError("disconnected?")
            await answer(send)

        server = await serve(None, plug=asgi_plug(app, max_body=10))
        assert (await (await server.connect()).post(bytes(11))).status == 413
        assert got == [{"type": "http.disconnect"}]
        assert (await (await server.connect()).post(b"")).status in (200, 500)

    async def test_a_broken_chunked_body_is_a_400(self, serve):
        async def app(scope: Any, receive: Any, send: Any) -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            await answer(send)

        client = await (await serve(app)).connect()
        client.send(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n"
        )
        assert (await client.response("POST")).status == 400

    async def test_what_a_plug_has_read_is_given_again(self, serve):
        got: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            got.append(await receive())
            await answer(send)

        inner = asgi_plug(app)

        async def plug(conn: Conn) -> Any:
            assert await conn.body() == b"abc"
            return await inner(conn)

        await (await (await serve(None, plug=plug)).connect()).post(b"abc")
        assert got == [{"type": "http.request", "body": b"abc", "more_body": False}]


class TestDisconnect:
    @pytest.mark.parametrize("opted_out", [False, True])
    async def test_who_waits_in_receive_is_told(self, serve, opted_out):
        """Also on a route whose handlers are not cancelled when the client leaves."""
        got: list[Any] = []

        class Route:
            cancel_on_disconnect = not opted_out

        def plug(conn: Conn) -> Any:
            conn.route = Route()
            return inner(conn)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            waiting.set()
            got.append(await receive())
            try:
                await answer(send)
            except OSError as error:
                got.append(error)

        waiting = asyncio.Event()
        inner = asgi_plug(app)
        server = await serve(None, plug=plug)
        client = await server.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await waiting.wait()
        client.reset()
        await server.until(lambda: len(got) == 2)
        assert got[0] == {"type": "http.disconnect"}

    async def test_who_waits_for_the_body_is_told(self, serve):
        got: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            got.append(await receive())
            got.append(await receive())

        server = await serve(app)
        client = await server.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nHe")
        await server.until(lambda: len(got) == 1)
        client.reset()
        await server.until(lambda: len(got) == 2)
        assert got == [
            {"type": "http.request", "body": b"He", "more_body": True},
            {"type": "http.disconnect"},
        ]

    async def test_the_application_is_not_cancelled_and_send_raises(self, serve, errors):
        """ASGI HTTP 2.4: send raises OSError once the client is gone."""
        ended: list[Any] = []
        go = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            begun.set()
            await go.wait()
            for message in (
                {"type": "http.response.start", "status": 200},
                {"type": "http.response.body", "body": b"x"},
            ):
                try:
                    await send(message)
                except OSError:
                    ended.append("OSError")
            ended.append("end")

        begun = asyncio.Event()
        server = await serve(app)
        client = await server.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await begun.wait()
        client.reset()
        await server.until(lambda: server.connections[0].transport is None)
        go.set()
        await server.until(lambda: "end" in ended)
        assert ended == ["OSError", "OSError", "end"]
        assert errors() == []

    async def test_in_the_middle_of_a_stream(self, serve, errors):
        ended: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200})
            try:
                while True:
                    message = {"type": "http.response.body", "body": b"tick", "more_body": True}
                    await send(message)
                    await asyncio.sleep(0)
            except OSError as error:
                ended.append(error)
                raise

        server = await serve(app)
        client = await server.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await client.receive()
        client.reset()
        await server.until(lambda: bool(ended))
        assert errors() == []

    async def test_a_cancelled_receive_leaves_nothing_behind(self, serve):
        """What Starlette does: it listens for the disconnect beside the response."""

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            listening = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            listening.cancel()
            await answer(send)

        server = await serve(app)
        client = await server.connect()
        for _ in range(3):
            assert (await client.get()).body == b"ok"
        # One watcher is the scope's own, which lives as long as the connection.
        await server.until(lambda: len(server.connections[0].monitors) == 1)


class TestContext:
    async def test_context_variables_end_with_the_request(self, serve):
        variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen = variable.get()
            variable.set(seen + 1)
            await answer(send, b"%d" % seen)

        client = await (await serve(app)).connect()
        assert [(await client.get()).body for _ in range(3)] == [b"0"] * 3

    async def test_task_tools_work(self, serve):
        async def app(scope: Any, receive: Any, send: Any) -> None:
            async with asyncio.timeout(10), asyncio.TaskGroup() as group:
                group.create_task(answer(send))

        client = await (await serve(app)).connect()
        assert (await client.get()).body == b"ok"


async def test_without_a_server() -> None:
    """On the test adapter, which has neither process nor socket."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, (await receive())["body"] + scope["raw_path"])

    conn = make_conn("POST", "/x?y=1", body=b"a")
    answered = asgi_plug(app)(conn)
    if not isinstance(answered, Conn):  # since 3.12 it is the conn at once
        answered = await answered
    assert answered is conn
    assert (conn.status, conn.adapter.sent_body) == (200, b"a/x")


def test_without_an_event_loop() -> None:
    """By the test kit, which runs one where the plug needs it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, (await receive())["body"])

    conn = call(asgi_plug(app), make_conn("POST", "/", body=b"a"))
    assert conn.adapter.sent_body == b"a"
