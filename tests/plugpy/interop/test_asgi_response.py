"""What an ASGI application sends, and what arrives (ASGI specification, HTTP 2.4)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import h11
import pytest

from plugpy.conn import Conn
from plugpy.interop import asgi_plug


def start(status: int = 200, *headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def body(data: bytes = b"", more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def answering(*messages: dict[str, Any]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


TEXT = (b"content-type", b"text/plain")


class TestWhole:
    async def test_head_and_body_leave_in_one_write(self, serve):
        server = await serve(answering(start(200, TEXT, (b"content-length", b"5")), body(b"Hello")))
        client = await server.connect()
        for number in range(1, 4):  # the third is known by heart
            response = await client.get()
            assert (response.status, response.body) == (200, b"Hello")
            assert response.get(b"content-type") == b"text/plain"
            assert response.get(b"content-length") == b"5"
            assert response.get(b"date") is not None
            assert response.get(b"connection") is None
            assert len(server.writes) == number
        assert len(server.connections) == 1

    async def test_without_content_length_it_is_counted(self, serve):
        server = await serve(answering(start(), body(b"Hello")))
        response = await (await server.connect()).get()
        assert response.get(b"content-length") == b"5"
        assert response.get(b"transfer-encoding") is None

    async def test_defaults_of_the_messages(self, serve):
        server = await serve(
            answering(
                {"type": "http.response.start", "status": 201}, {"type": "http.response.body"}
            )
        )
        response = await (await server.connect()).get()
        assert (response.status, response.body) == (201, b"")
        assert response.get(b"content-length") == b"0"

    async def test_only_the_headers_of_the_application(self, serve):
        server = await serve(answering(start(200, TEXT), body(b"x")))
        response = await (await server.connect()).get()
        assert sorted(name for name, _ in response.headers) == [
            b"content-length",
            b"content-type",
            b"date",
        ]

    async def test_header_names_in_any_case_pairs_as_lists_repeated_cookies(self, serve):
        headers = [[b"X-Thing", b"caf\xe9"], [b"Set-Cookie", b"a=1"], (b"set-cookie", b"b=2")]
        server = await serve(
            answering({"type": "http.response.start", "status": 200, "headers": headers}, body())
        )
        response = await (await server.connect()).get()
        assert response.get(b"x-thing") == b"caf\xe9"
        assert [v for n, v in response.headers if n == b"set-cookie"] == [b"a=1", b"b=2"]

    @pytest.mark.parametrize("status", [204, 304])
    async def test_statuses_without_a_body(self, serve, status):
        server = await serve(answering(start(status), body()))
        client = await server.connect()
        response = await client.get()
        assert (response.status, response.body) == (status, b"")
        assert response.get(b"content-length") is None  # RFC 9110 section 8.6
        assert (await client.get()).status == status

    async def test_a_status_that_nobody_knows(self, serve):
        client = await (await serve(answering(start(520, TEXT), body(b"odd")))).connect()
        for _ in range(2):
            response = await client.get()
            assert (response.status, response.body) == (520, b"odd")

    async def test_205_has_no_body(self, serve):
        client = await (await serve(answering(start(205), body(b"odd")))).connect()
        for _ in range(2):
            response = await client.get()
            assert (response.body, response.get(b"content-length")) == (b"", b"0")

    async def test_head_has_the_length_and_no_body(self, serve):
        server = await serve(answering(start(200, (b"content-length", b"5")), body(b"Hello")))
        client = await server.connect()
        response = await client.get(method="HEAD")
        assert (response.body, response.get(b"content-length")) == (b"", b"5")
        assert (await client.get()).body == b"Hello"

    async def test_connection_close_is_kept(self, serve):
        server = await serve(answering(start(200, (b"connection", b"close")), body(b"x")))
        client = await server.connect()
        response = await client.get()
        assert response.get(b"connection") == b"close"
        assert await client.read_to_end() == b""

    async def test_http_1_0(self, serve):
        server = await serve(answering(start(), body(b"a", True), body(b"b")))
        client = await server.connect()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        data = await client.read_to_end()
        assert data.endswith(b"\r\n\r\nab")
        assert b"transfer-encoding" not in data

    async def test_pipelined_requests_are_answered_in_order(self, serve):
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(scope["raw_path"]))

        server = await serve(app)
        client = await server.connect()
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(50)))
        assert [(await client.response()).body for _ in range(50)] == [
            b"/%d" % n for n in range(50)
        ]


class TestStream:
    async def test_is_chunked(self, serve):
        server = await serve(
            answering(start(), body(b"a", True), body(b"", True), body(b"b", True), body(b""))
        )
        client = await server.connect()
        for _ in range(2):
            response = await client.get()
            assert response.body == b"ab"
            assert response.get(b"transfer-encoding") == b"chunked"

    async def test_with_a_content_length_it_is_not(self, serve):
        server = await serve(
            answering(start(200, (b"content-length", b"2")), body(b"a", True), body(b"b"))
        )
        client = await server.connect()
        response = await client.get()
        assert response.body == b"ab"
        assert response.get(b"transfer-encoding") is None
        assert (await client.get()).body == b"ab"

    async def test_transfer_encoding_of_the_application_is_left_to_the_server(self, serve):
        server = await serve(
            answering(start(200, (b"transfer-encoding", b"chunked")), body(b"a", True), body(b"b"))
        )
        assert (await (await server.connect()).get()).body == b"ab"

    async def test_the_head_does_not_wait_for_the_first_piece(self, serve):
        go = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start(200, (b"content-type", b"text/event-stream")))
            await go.wait()
            await send(body(b"data: 1\n\n"))

        server = await serve(app)
        client = await server.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.unread = await client.receive()
        assert client.unread.startswith(b"HTTP/1.1 200 OK\r\n")
        go.set()
        assert (await client.response()).body == b"data: 1\n\n"

    async def test_send_waits_for_a_slow_client(self, serve):
        sent = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            for number in range(200):
                await send(body(bytes(100_000), True))
                sent.append(number)
            await send(body())

        server = await serve(app)
        client = await server.connect()
        client.writer.transport.pause_reading()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await server.until(lambda: bool(server.connections and server.connections[0]._write_paused))
        assert len(sent) < 190
        client.writer.transport.resume_reading()
        _, _, data = (await client.read_to_end()).partition(b"\r\n\r\n")
        assert len(data) == 200 * (len(b"186a0\r\n\r\n") + 100_000) + len(b"0\r\n\r\n")
        assert len(sent) == 200

    async def test_head_of_a_stream(self, serve):
        server = await serve(answering(start(), body(b"a", True), body(b"b")))
        client = await server.connect()
        assert (await client.get(method="HEAD")).body == b""
        assert (await client.get()).body == b"ab"


class TestExtensions:
    async def test_pathsend(self, serve, tmp_path: Path):
        for size in (10, 300_000):
            path = tmp_path / f"{size}"
            path.write_bytes(b"x" * size)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert "http.response.pathsend" in scope["extensions"]
            await send(start(200, TEXT))
            path = str(tmp_path) + scope["path"]
            await send({"type": "http.response.pathsend", "path": path})

        server = await serve(app)
        client = await server.connect()
        for size in (10, 300_000, 10):
            response = await client.get(f"/{size}")
            assert response.body == b"x" * size
            assert response.get(b"content-length") == b"%d" % size

    async def test_pathsend_after_the_head_has_left(self, serve, tmp_path: Path):
        """Between the two messages the application has waited, so that this was a stream."""
        (tmp_path / "file").write_bytes(b"x" * 200_000)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await send({"type": "http.response.pathsend", "path": str(tmp_path / "file")})

        client = await (await serve(app)).connect()
        for _ in range(2):
            response = await client.get()
            assert response.body == b"x" * 200_000
            assert response.get(b"transfer-encoding") == b"chunked"

    async def test_pathsend_with_trailers(self, serve, tmp_path: Path):
        (tmp_path / "file").write_bytes(b"abc")
        server = await serve(
            answering(
                start(trailers=True),
                {"type": "http.response.pathsend", "path": str(tmp_path / "file")},
                {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]},
            )
        )
        response = await (await server.connect()).get("/", "TE: trailers")
        assert (response.body, response.trailers) == (b"abc", [(b"x-sum", b"1")])

    @pytest.mark.parametrize("buffered", [True, False])
    @pytest.mark.parametrize("whole", [True, False])
    @pytest.mark.parametrize(
        ("offset", "count", "position", "expected"),
        [
            (None, None, 0, slice(0, None)),
            (None, 5, 3, slice(3, 8)),
            (None, None, 100_000, slice(100_000, None)),
            (10, 90_000, 7, slice(10, 90_010)),
            (199_990, 50, 0, slice(199_990, None)),
            (500_000, None, 0, slice(0, 0)),
        ],
    )
    async def test_zerocopysend(
        self, serve, tmp_path: Path, buffered, whole, offset, count, position, expected
    ):
        data = b"0123456789" * 20_000
        (tmp_path / "file").write_bytes(data)
        left: list[int] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert "http.response.zerocopysend" in scope["extensions"]
            message = {"type": "http.response.zerocopysend", "offset": offset, "count": count}
            with open(tmp_path / "file", "rb", buffering=-1 if buffered else 0) as file:
                file.seek(position)
                await send(start())
                if not whole:
                    await send(body(b"<", True))
                    await send({**message, "file": file.fileno(), "more_body": True})
                    await send(body(b">"))
                else:
                    await send({**message, "file": file})
                    left.append(file.tell())

        client = await (await serve(app)).connect()
        for _ in range(2):
            response = await client.get()
            assert response.body == (data[expected] if whole else b"<" + data[expected] + b">")
        if whole:
            end = position if offset is not None else position + len(data[expected])
            assert left == [end, end]

    @pytest.mark.parametrize("late", [False, True])
    async def test_early_hints(self, serve, late):
        hint = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b>"]}
        # The specification wants them after the start.
        server = await serve(
            answering(start(), hint, body(b"x")) if late else answering(hint, start(), body(b"x"))
        )
        response = await (await server.connect()).get()
        links = [(b"link", b"</a.css>; rel=preload"), (b"link", b"</b>")]
        assert response.informs == [(103, links)]
        assert response.body == b"x"

    async def test_early_hints_that_are_late_are_ignored(self, serve, errors):
        hint = {"type": "http.response.early_hint", "links": [b"</b>"]}
        server = await serve(answering(start(), body(b"x", True), hint, body(b"y")))
        response = await (await server.connect()).get()
        assert (response.informs, response.body) == ([], b"xy")
        assert errors() == []

    async def test_trailers(self, serve):
        server = await serve(
            answering(
                start(200, (b"trailer", b"x-sum"), trailers=True),
                body(b"ab"),
                {
                    "type": "http.response.trailers",
                    "headers": [(b"x-sum", b"1")],
                    "more_trailers": True,
                },
                {"type": "http.response.trailers", "headers": [(b"x-more", b"2")]},
            )
        )
        client = await server.connect()
        for _ in range(2):
            response = await client.get("/", "TE: gzip, Trailers")
            assert response.body == b"ab"
            assert response.trailers == [(b"x-sum", b"1"), (b"x-more", b"2")]
            # The extension wants them sent to those alone that say so.
            response = await client.get()
            assert (response.body, response.trailers) == (b"ab", [])

    @pytest.mark.parametrize("name", [b"content-length", b"set-cookie", b"transfer-encoding"])
    async def test_what_is_no_trailer(self, serve, errors, name):
        trailers = {"type": "http.response.trailers", "headers": [(name, b"1")]}
        server = await serve(answering(start(trailers=True), body(b"ab"), trailers))
        client = await server.connect()
        with pytest.raises(h11.RemoteProtocolError):
            await client.get("/", "TE: trailers")
        assert "can't be a trailer" in errors()[0]


class TestErrors:
    async def test_raising_before_the_start_is_a_500(self, serve, errors):
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise ValueError("a secret")

        server = await serve(app)
        client = await server.connect()
        response = await client.get()
        assert response.status == 500
        assert b"secret" not in response.body
        assert any("a secret" in line for line in errors())
        assert (await client.get()).status == 500

    async def test_raising_between_start_and_body_is_a_500(self, serve, errors):
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start(200, (b"content-length", b"5")))
            raise ValueError("oh")

        server = await serve(app)
        assert (await (await server.connect()).get()).status == 500
        assert errors()

    async def test_raising_in_the_middle_closes_the_connection(self, serve, errors):
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"a", True))
            raise ValueError("oh")

        server = await serve(app)
        with pytest.raises(h11.RemoteProtocolError):
            await (await server.connect()).get()
        assert any("oh" in line for line in errors())

    async def test_returning_without_a_response_is_a_500(self, serve, errors):
        server = await serve(answering())
        assert (await (await server.connect()).get()).status == 500
        assert any("never sent http.response.start" in line for line in errors())

    async def test_returning_before_the_end_closes_the_connection(self, serve, errors):
        server = await serve(answering(start(), body(b"a", True)))
        with pytest.raises(h11.RemoteProtocolError):
            await (await server.connect()).get()
        assert any("was complete" in line for line in errors())

    async def test_raising_after_the_response_is_logged_alone(self, serve, errors):
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"ok"))
            raise ValueError("too late")

        server = await serve(app)
        client = await server.connect()
        assert (await client.get()).body == b"ok"
        assert (await client.get()).body == b"ok"
        await server.until(lambda: len(errors()) == 2)
        assert all("after its response" in line and "too late" in line for line in errors())

    @pytest.mark.parametrize("pieces", [(b"Hello!",), (b"Hell",), (b"",)])
    async def test_a_whole_body_of_another_length_is_a_500(self, serve, errors, pieces):
        server = await serve(answering(start(200, (b"content-length", b"5")), *map(body, pieces)))
        assert (await (await server.connect()).get()).status == 500
        assert any("content-length" in line for line in errors())

    async def test_a_content_length_that_is_none_is_a_500(self, serve, errors):
        server = await serve(answering(start(200, (b"content-length", b"x")), body(b"Hello")))
        assert (await (await server.connect()).get()).status == 500
        assert any("'x' is not a number" in line for line in errors())

    @pytest.mark.parametrize("second", [b"lo!", b"l"])
    async def test_a_stream_of_another_length_closes_the_connection(self, serve, errors, second):
        server = await serve(
            answering(start(200, (b"content-length", b"5")), body(b"Hel", True), body(second))
        )
        with pytest.raises(h11.RemoteProtocolError):
            await (await server.connect()).get()
        assert any("content-length" in line for line in errors())

    @pytest.mark.parametrize(
        ("messages", "words"),
        [
            ([body(b"x")], "before the response began; expected http.response.start"),
            ([start(), start()], "after http.response.start; expected http.response.body"),
            ([{"type": "websocket.accept"}], "'websocket.accept' before the response began"),
            ([start(99)], "a status of 200 to 999, got 99"),
            ([start("200")], "a status of 200 to 999, got '200'"),
            ([start(200, ("name", "value"))], "a pair of bytes, got str and str"),
            ([start(200, (b"x", b"a\r\nb: c"))], "'x'"),
            ([start(200, (b"bad name", b"a"))], "bad name"),
        ],
    )
    async def test_wrong_messages_are_told_to_the_application(self, serve, errors, messages, words):
        server = await serve(answering(*messages))
        assert (await (await server.connect()).get()).status == 500
        assert any(words in line for line in errors()), errors()

    async def test_what_is_sent_after_the_end_is_ignored(self, serve, errors, caplog):
        """As the specification wants it; the log tells."""
        server = await serve(answering(start(), body(b"ok"), body(b"more")))
        client = await server.connect()
        for _ in range(2):
            assert (await client.get()).body == b"ok"
        await server.until(lambda: caplog.text.count("after the response was complete") == 2)
        assert "sent 'http.response.body' after" in caplog.text
        assert errors() == []

    async def test_a_cancelled_application_is_a_500(self, serve, errors):
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise asyncio.CancelledError

        server = await serve(app)
        assert (await (await server.connect()).get()).status == 500

    async def test_time_is_up(self, serve):
        begun, ended = [], []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            begun.append(True)
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        server = await serve(app, request_timeout=5)
        client = await server.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await server.until(lambda: bool(begun))
        server.advance(6)
        assert (await client.response()).status == 503
        assert ended == [True]


class TestBackground:
    async def test_work_after_the_response_does_not_hold_the_connection(self, serve):
        go = asyncio.Event()
        done = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(scope["raw_path"]))
            if scope["path"] == "/1":
                await go.wait()
            done.append(scope["path"])

        plug = asgi_plug(app)
        server = await serve(None, plug=plug)
        client = await server.connect()
        assert (await client.get("/1")).body == b"/1"
        assert (await client.get("/2")).body == b"/2"
        assert done == ["/2"]
        assert len(plug.lifespan.background) == 1
        go.set()
        await plug.lifespan.shutdown()
        assert done == ["/2", "/1"]
        assert not plug.lifespan.background


class TestAmongPlugs:
    async def test_headers_of_plugs_before_stay(self, serve):
        inner = asgi_plug(answering(start(200, (b"x-app", b"1"), (b"x-both", b"app")), body(b"x")))

        def plug(conn: Conn) -> Any:
            conn.put_resp_header("x-plug", "1").put_resp_header("x-both", "plug")
            return inner(conn)

        response = await (await (await serve(None, plug=plug)).connect()).get()
        assert response.get(b"x-plug") == b"1"
        assert response.get(b"x-app") == b"1"
        assert response.get(b"x-both") == b"app"
        assert response.get(b"cache-control") is None

    @pytest.mark.parametrize("stream", [False, True])
    async def test_before_send_runs(self, serve, stream):
        messages = [body(b"a", True), body(b"b")] if stream else [body(b"ab")]
        inner = asgi_plug(answering(start(201, TEXT), *messages))
        seen = []

        def plug(conn: Conn) -> Any:
            def callback(conn: Conn) -> Conn:
                seen.append((conn.status, conn.get_resp_header("content-type")))
                return conn.put_resp_header("x-late", "1")

            return inner(conn.register_before_send(callback))

        client = await (await serve(None, plug=plug)).connect()
        for _ in range(2):  # headers known by heart are not changed by it
            response = await client.get()
            assert (response.status, response.body) == (201, b"ab")
            assert response.get(b"x-late") == b"1"
        assert seen == [(201, ["text/plain"])] * 2

    async def test_the_access_log_sees_the_response(self, serve):
        lines = []

        def log(conn: Conn, size: int, started: float) -> None:
            lines.append((conn.status, size, conn.get_resp_header("content-type")))

        server = await serve(answering(start(201, TEXT), body(b"Hello")), access_log=log)
        client = await server.connect()
        for _ in range(3):
            await client.get()
        assert lines == [(201, 5, ["text/plain"])] * 3
