"""Request bodies: every way to read them, Expect, backpressure, what happens to unread ones."""

from __future__ import annotations

import asyncio
import json

import pytest

from plugpy.conn import BodyPart, Conn

POST = b"POST / HTTP/1.1\r\nhost: x\r\n"
NEXT = b"GET /next HTTP/1.1\r\nhost: x\r\n\r\n"


def post(body: bytes, *fields: bytes) -> bytes:
    lines = b"".join(field + b"\r\n" for field in fields)
    return POST + lines + b"content-length: %d\r\n\r\n" % len(body) + body


def chunked(*pieces: bytes, fields: bytes = b"") -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return POST + fields + b"transfer-encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


async def echo(conn: Conn) -> Conn:
    return conn.send_resp(200, await conn.body())


@pytest.mark.parametrize("raw", [post(b"hello"), chunked(b"he", b"llo"), chunked(b"hello")])
async def test_the_body(serve, parser, raw):
    server = await serve(echo, http=parser)
    client = await server.connect()
    for _ in range(3):
        assert (await client.request(raw)).body == b"hello"
    for at in range(0, len(raw), 3):  # however it arrives
        await client.send(raw[at : at + 3])
        await server.until(lambda: server.connection.transport.get_write_buffer_size() == 0)
    assert (await client.response("POST")).body == b"hello"
    await client.send(raw + raw + NEXT)
    for body in (b"hello", b"hello", b""):
        assert (await client.response()).body == body


async def test_no_body(serve):
    async def application(conn: Conn) -> Conn:
        assert await conn.body() == b""
        assert await conn.body() == b""
        assert [part async for part in conn.iter_body()] == []
        assert await conn.read_body() == BodyPart(b"", more=False)
        return conn.send_resp(200, "none")

    server = await serve(application)
    client = await server.connect()
    assert (await client.get()).body == b"none"
    assert (await client.request(post(b""))).body == b"none"


async def test_the_body_is_cached(serve):
    async def application(conn: Conn) -> Conn:
        once, again = await conn.body(), await conn.body()
        return conn.send_resp(
            200, once + again + b"".join([part async for part in conn.iter_body()])
        )

    server = await serve(application)
    client = await server.connect()
    assert (await client.request(post(b"abc"))).body == b"abcabcabc"


async def test_iter_body_gives_pieces_as_they_arrive(serve):
    seen = asyncio.Queue()

    async def application(conn: Conn) -> Conn:
        async for piece in conn.iter_body():
            seen.put_nowait(piece)
        return conn.send_resp(200, "")

    server = await serve(application)
    client = await server.connect()
    await client.send(POST + b"content-length: 6\r\n\r\n")
    for piece in (b"ab", b"cd", b"ef"):
        await client.send(piece)
        assert await seen.get() == piece
    assert (await client.response("POST")).status == 200


async def test_read_body_gives_parts_of_about_a_length(serve):
    sizes = []

    async def application(conn: Conn) -> Conn:
        more = True
        while more:
            data, more = await conn.read_body(length=1000)
            sizes.append(len(data))
        return conn.send_resp(200, "")

    server = await serve(application)
    client = await server.connect()
    body = b"x" * 300_000
    flood = asyncio.ensure_future(client.send(post(body)))
    assert (await client.response("POST")).status == 200
    await flood
    assert sum(sizes) == len(body)
    assert len(sizes) > 1


@pytest.mark.parametrize(
    ("body", "status"),
    [(b'{"a": [1]}', 200), (b"{", 400), (b"\xff", 400), (b"[" * 100_000, 400), (b"", 400)],
)
async def test_json_bodies(serve, body, status):
    async def application(conn: Conn) -> Conn:
        return conn.json(await conn.body_json())

    server = await serve(application)
    client = await server.connect()
    response = await client.request(post(body))
    assert response.status == status
    if status == 200:
        assert json.loads(response.body) == {"a": [1]}


async def test_trailers_of_a_request(serve):
    async def application(conn: Conn) -> Conn:
        body = await conn.body()
        return conn.json([body.decode(), conn.trailers])

    server = await serve(application)
    client = await server.connect()
    await client.send(
        POST + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
        b"X-Sum:  1 \r\nContent-Length: 5\r\n\r\n"
    )
    assert json.loads((await client.response("POST")).body) == ["a", [["x-sum", "1"]]]


# Expect: 100-continue -------------------------------------------------------------------------


async def test_continue_is_sent_when_the_body_is_read(serve, parser):
    read = asyncio.Event()

    async def application(conn: Conn) -> Conn:
        await read.wait()
        return conn.send_resp(200, await conn.body())

    server = await serve(application, http=parser)
    client = await server.connect()
    await client.send(POST + b"expect: 100-continue\r\ncontent-length: 5\r\n\r\n")
    await server.until(lambda: server.connection.conn is not None)
    reading = asyncio.ensure_future(client.receive())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not reading.done()
    read.set()
    assert await reading == b"HTTP/1.1 100 Continue\r\n\r\n"
    await client.send(b"hello")
    assert (await client.response("POST")).body == b"hello"
    assert (await client.request(post(b"next"))).body == b"next"


async def test_continue_is_not_sent_once_the_body_is_there(serve):
    server = await serve(echo)
    client = await server.connect()
    response = await client.request(post(b"hello", b"expect: 100-continue"))
    assert response.informs == []
    assert response.body == b"hello"


async def test_continue_is_not_sent_to_http_1_0(serve):
    server = await serve(echo)
    client = await server.connect()
    await client.send(b"POST / HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
    await server.until(lambda: server.connection.conn is not None)
    await client.send(b"hello")
    response = await client.response("POST")
    assert (response.informs, response.body) == ([], b"hello")


async def test_a_refused_expectation_ends_the_connection(serve):
    # The client waits for a 100 that never comes, or sends the body all the same: nobody can tell.
    server = await serve(lambda conn: conn.send_resp(403, "no"))
    client = await server.connect()
    await client.send(POST + b"expect: 100-continue\r\ncontent-length: 5\r\n\r\n")
    response = await client.response("POST")
    assert (response.status, response.closes, response.informs) == (403, True, [])
    assert await client.closed()


# backpressure ---------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_client_is_held_back(serve, framing):
    gate = asyncio.Event()
    total = 4_000_000

    async def application(conn: Conn) -> Conn:
        await gate.wait()
        size = 0
        async for piece in conn.iter_body():
            size += len(piece)
        return conn.send_resp(200, str(size))

    server = await serve(application)
    client = await server.connect()
    pieces = [b"x" * 1000] * (total // 1000)
    raw = post(b"".join(pieces)) if framing == "length" else chunked(*pieces)
    flood = asyncio.ensure_future(client.send(raw))
    await server.until(lambda: server.connection._body is not None)
    await server.until(lambda: server.connection._read_paused)
    # At most the buffer and one read of the transport, 256 KiB on both loops.
    held = server.connection._body.held
    assert server.options.read_buffer < held <= server.options.read_buffer + 262_144
    for _ in range(50):
        await asyncio.sleep(0)
    assert server.connection._body.held == held
    gate.set()
    assert (await client.response("POST")).body == str(total).encode()
    await flood
    assert (await client.request(NEXT)).body == b"0"


async def test_a_pipelining_client_is_held_back(serve):
    gate = asyncio.Event()

    async def application(conn: Conn) -> Conn:
        await gate.wait()
        return conn.send_resp(200, "x")

    server = await serve(application, max_keepalive=20_000)
    client = await server.connect()
    flood = asyncio.ensure_future(client.send_some(NEXT * 200_000))
    await server.until(lambda: server.connection._task is not None)
    await server.until(lambda: server.connection._read_paused)
    waiting = len(server.connection._buffer)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(server.connection._buffer) == waiting <= server.options.read_buffer + 262_144
    assert not flood.done()
    gate.set()
    for _ in range(100):
        assert (await client.response()).status == 200
    client.close()
    flood.cancel()
    await asyncio.gather(flood, return_exceptions=True)


# unread bodies --------------------------------------------------------------------------------


def deaf(conn: Conn) -> Conn:
    return conn.send_resp(200, conn.request_path)


@pytest.mark.parametrize(
    "raw", [post(b"x" * 1000), chunked(b"x" * 1000, b"y"), post(b"x" * 300_000)]
)
async def test_an_unread_body_is_skipped(serve, raw):
    server = await serve(deaf)
    client = await server.connect()
    for _ in range(2):
        await client.send(raw[:100])
        response = await client.response("POST")
        assert (response.status, response.closes) == (200, False)
        assert server.connection.snapshot()["activity"] != "idle"
        await client.send(raw[100:] + NEXT)
        assert (await client.response()).body == b"/next"
    await client.send(raw + NEXT)
    assert [(await client.response()).body for _ in range(2)] == [b"/", b"/next"]


async def test_a_long_unread_body_ends_the_connection(serve):
    server = await serve(deaf, max_skip_body=1000)
    client = await server.connect()
    await client.send(POST + b"content-length: 1001\r\n\r\n")
    response = await client.response("POST")
    assert response.closes
    # Lingering: what the client goes on sending does not reset the connection.
    await client.send(b"x" * 1001)
    assert await client.closed()


async def test_an_endless_unread_body_ends_the_connection(serve):
    server = await serve(deaf, max_skip_body=1000)
    client = await server.connect()
    await client.send(POST + b"transfer-encoding: chunked\r\n\r\n")
    assert not (await client.response("POST")).closes
    flood = asyncio.ensure_future(client.send_some(b"100\r\n" + b"x" * 256 + b"\r\n"))
    await flood
    for _ in range(4):
        await client.send_some(b"100\r\n" + b"x" * 256 + b"\r\n")
    assert await client.closed()


async def test_a_broken_unread_body_ends_the_connection(serve):
    server = await serve(deaf)
    client = await server.connect()
    await client.send(POST + b"transfer-encoding: chunked\r\n\r\n")
    assert (await client.response("POST")).status == 200
    await client.send(b"nonsense\r\n" + NEXT)
    assert await client.closed()
    assert server.connection.requests == 1


async def test_a_body_that_breaks_while_it_is_read(serve, parser):
    server = await serve(echo, http=parser)
    client = await server.connect()
    await client.send(POST + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
    await server.until(lambda: server.connection._body is not None)
    await client.send(b"nonsense\r\n" + NEXT)
    response = await client.response("POST")
    assert (response.status, response.closes) == (400, True)
    assert b"chunk" in response.body
    assert await client.closed()
    assert server.connection.requests == 1


async def test_nothing_is_read_beyond_a_fault(serve):
    gate = asyncio.Event()
    parts: list[bytes] = []

    async def application(conn: Conn) -> Conn:
        await gate.wait()
        async for part in conn.iter_body():
            parts.append(part)  # noqa: PERF401 - those before the fault are kept
        return conn.send_resp(200, "")

    server = await serve(application)
    client = await server.connect()
    await client.send(POST + b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n")
    await server.until(lambda: server.connection._body is not None)
    await client.send(b"nonsense\r\n")
    await server.until(lambda: server.connection._body.failure is not None)
    await client.send(b"3\r\nllo\r\n0\r\n\r\n" + NEXT)
    for _ in range(50):
        await asyncio.sleep(0)
    gate.set()
    assert (await client.response("POST")).status == 400
    assert parts == [b"he"]
    assert await client.closed()
