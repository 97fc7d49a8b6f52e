"""Every limit and timeout, attacked: the status, the end of the connection, others that live on.

Time does not pass here unless a test says so: `server.advance(seconds)` is one tick of the clock
that comes that much later.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugpy.conn import Conn, RequestTimeoutError
from plugpy.http import VERDICTS, Http1Connection
from plugpy.http.runtime import TICK

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: x\r\n"


def hello(conn: Conn) -> Conn:
    return conn.send_resp(200, "hello")


async def echo(conn: Conn) -> Conn:
    return conn.send_resp(200, await conn.body())


def waiting(connection: Http1Connection, data: bytes) -> bool:
    return connection._buffer == data


def received(connection: Http1Connection, size: int) -> bool:
    return connection._body is not None and connection._body.received == size


def head(line: int = 0, fields: tuple[bytes, ...] = ()) -> bytes:
    """A head whose request line has at least `line` bytes."""
    target = b"/" + b"a" * max(0, line - len(b"GET / HTTP/1.1"))
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"GET " + target + b" HTTP/1.1\r\nhost: x\r\n" + lines + b"\r\n"


# sizes of heads -----------------------------------------------------------------------------------

LIMITS = {"max_request_line": 100, "max_header_line": 120, "max_headers": 10, "max_head": 1000}

SIZES = [
    ("max_request_line", head(100), head(101), "target_too_long"),
    (
        "max_header_line",
        head(0, (b"a: " + b"b" * 117,)),
        head(0, (b"a: " + b"b" * 118,)),
        "header_too_long",
    ),
    ("max_headers", head(0, (b"a: b",) * 9), head(0, (b"a: b",) * 10), "too_many_headers"),
    (
        "max_head",
        head(0, (b"a: " + b"b" * 103,) * 8 + (b"c: " + b"d" * 104,)),
        head(0, (b"a: " + b"b" * 103,) * 8 + (b"c: " + b"d" * 105,)),
        "head_too_long",
    ),
]


@pytest.mark.parametrize(("limit", "fits", "breaks", "verdict"), SIZES, ids=[s[0] for s in SIZES])
async def test_sizes_of_heads(serve, parser, limit, fits, breaks, verdict):
    if limit == "max_head":
        assert len(fits) == 1000
    server = await serve(hello, http=parser, **LIMITS)
    other = await server.connect()
    for parts in ([fits], [fits[at : at + 1] for at in range(len(fits))]):
        client = await server.connect()
        for part in parts:
            await client.send(part)
        assert (await client.response()).status == 200
    for parts in ([breaks], [breaks[at : at + 7] for at in range(0, len(breaks), 7)]):
        client = await server.connect()
        for part in parts:
            await client.send_some(part)
        response = await client.response()
        assert (response.status, response.closes) == (VERDICTS[verdict][0], True)
        assert VERDICTS[verdict][1].encode() in response.body
        assert await client.closed()
    assert (await other.get()).status == 200


@pytest.mark.parametrize(
    ("flood", "status"),
    [
        (b"GET /" + b"a" * 100_000, 414),
        (b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"b" * 100_000, 431),
        (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 20_000, 431),
        (b"x" * 100_000, 501),
        (b"\0" * 100_000, 400),
        (b"GET" + b" " * 100_000, 400),
        (b"\r\n" * 50_000, 400),
    ],
)
async def test_endless_heads_are_cut_off(serve, flood, status):
    server = await serve(hello)
    client = await server.connect()
    await client.send_some(flood)
    response = await client.response()
    assert response.status == status
    assert len(server.connection._buffer or b"") <= server.options.max_head


CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
BODY_LIMITS = {
    "max_empty_lines": 3,
    "max_chunk_line": 20,
    "max_chunk_extensions": 60,
    "max_trailers": 30,
    "max_body": 40,
}


def chunk(line: bytes) -> bytes:
    return line + b"\r\n" + b"x" * int(line.partition(b";")[0], 16) + b"\r\n"


BODY_SIZES = [
    ("max_empty_lines", b"\r\n" * 3 + GET, b"\r\n" * 4 + GET, "empty_lines"),
    (
        "max_chunk_line",
        CHUNKED + chunk(b"1;" + b"a" * 18) + b"0\r\n\r\n",
        CHUNKED + chunk(b"1;" + b"a" * 19) + b"0\r\n\r\n",
        "bad_chunk",
    ),
    (
        "max_chunk_extensions",
        CHUNKED + chunk(b"1;" + b"a" * 18) * 3 + b"0\r\n\r\n",
        CHUNKED + chunk(b"1;" + b"a" * 18) * 2 + chunk(b"1;" + b"a" * 15) * 2 + b"0\r\n\r\n",
        "bad_chunk",
    ),
    (
        "max_trailers",
        CHUNKED + b"0\r\na: 345678901\r\na: 34567890123\r\n\r\n",
        CHUNKED + b"0\r\na: 345678901\r\na: 345678901234\r\n\r\n",
        "trailers_too_long",
    ),
    (
        "max_body",
        POST + b"content-length: 40\r\n\r\n" + b"x" * 40,
        POST + b"content-length: 41\r\n\r\n" + b"x" * 41,
        "body_too_large",
    ),
    (
        "max_body",
        CHUNKED + chunk(b"14") * 2 + b"0\r\n\r\n",
        CHUNKED + chunk(b"14") * 2 + chunk(b"1") + b"0\r\n\r\n",
        "body_too_large",
    ),
]


@pytest.mark.parametrize(("limit", "fits", "breaks", "verdict"), BODY_SIZES)
async def test_sizes_of_what_is_not_head(serve, parser, limit, fits, breaks, verdict):
    server = await serve(echo, http=parser, **BODY_LIMITS)
    for raw, status in ((fits, 200), (breaks, VERDICTS[verdict][0])):
        for step in (len(raw), 1):
            client = await server.connect()
            for at in range(0, len(raw), step):
                await client.send_some(raw[at : at + step])
            response = await client.response("POST" if b"POST" in raw else "GET")
            assert (response.status, raw) == (status, raw)
            if status != 200 and verdict != "body_too_large":
                assert VERDICTS[verdict][1].encode() in response.body
                assert response.closes
                assert await client.closed()


async def test_the_size_of_a_chunk_is_enough_to_refuse_it(serve, parser):
    server = await serve(echo, http=parser, max_body=100)
    client = await server.connect()
    response = await client.request(CHUNKED + b"7fffffffffffffff\r\nhello")
    assert response.status == 413
    assert response.closes


async def test_a_method_that_is_too_long_is_refused_as_soon_as_that_shows(serve, parser):
    server = await serve(hello, http=parser)
    client = await server.connect()
    await client.send(b"A" * 12)
    assert (await client.response()).status == 501


# time of heads --------------------------------------------------------------------------------


async def test_the_head_timeout_is_in_total(serve):
    # Slowloris: one byte in every few seconds keeps no connection.
    server = await serve(hello, header_timeout=10)
    other = await server.connect()
    client = await server.connect()
    first = server.connection
    for size in range(1, 6):
        await client.send(GET[size - 1 : size])
        await server.until(partial(waiting, first, GET[:size]))
        server.advance(2)
        assert (await other.get()).status == 200
    server.advance(1)
    response = await client.response()
    assert (response.status, response.closes) == (408, True)
    assert await client.closed()


async def test_empty_lines_keep_no_connection(serve):
    server = await serve(hello, header_timeout=10)
    client = await server.connect()
    for _ in range(12):
        await client.send(b"\r\n")
        server.advance(1)
    assert await client.closed()


async def test_a_silent_client_is_closed_in_silence(serve):
    server = await serve(hello, header_timeout=10)
    client = await server.connect()
    server.advance(10)
    server.advance(0.5)
    assert await client.closed()


async def test_the_head_timeout_of_a_later_request(serve):
    server = await serve(hello, header_timeout=10, keepalive_timeout=75)
    client = await server.connect()
    await client.get()
    server.advance(50)  # idle: not yet its time
    await client.send(b"GET")
    await server.until(lambda: server.connection._buffer == b"GET")
    server.advance(10)
    server.advance(1)
    assert (await client.response()).status == 408


async def test_idle_connections_are_closed(serve):
    server = await serve(hello, keepalive_timeout=75)
    client = await server.connect()
    await client.get()
    server.advance(74)
    assert (await client.get()).status == 200  # it counts from the last request
    server.advance(75)
    assert server.connection.activity == "idle"
    server.advance(1)
    assert await client.closed()


# bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "framing", [b"content-length: 1001\r\n", b"transfer-encoding: chunked\r\n"]
)
async def test_max_body(serve, parser, framing):
    server = await serve(echo, http=parser, max_body=1000)
    client = await server.connect()
    body = b"x" * 1000
    fits = b"content-length: 1000\r\n\r\n" + body
    if b"chunked" in framing:
        fits = framing + b"\r\n" + b"100\r\n" + b"x" * 256 + b"\r\n"
        fits += b"2e8\r\n" + b"x" * 744 + b"\r\n0\r\n\r\n"
    assert (await client.request(POST + fits)).body == body
    rest = b"x" * 1001 if b"length" in framing else b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n"
    await client.send(POST + framing + b"\r\n" + rest)
    response = await client.response("POST")
    assert response.status == 413
    assert b"larger than allowed" in response.body


async def test_max_body_is_said_before_the_body_is_sent(serve):
    server = await serve(echo, max_body=1000)
    client = await server.connect()
    await client.send(POST + b"expect: 100-continue\r\ncontent-length: 1001\r\n\r\n")
    response = await client.response("POST")
    assert (response.status, response.closes, response.informs) == (413, True, [])


async def test_a_route_may_allow_more(serve):
    async def application(conn: Conn) -> Conn:
        conn.route = SimpleNamespace(max_body=2000)
        return conn.send_resp(200, await conn.body())

    server = await serve(application, max_body=1000)
    client = await server.connect()
    for size, status in ((2000, 200), (2001, 413)):
        raw = POST + b"content-length: %d\r\n\r\n" % size + b"x" * size
        assert (await client.request(raw)).status == status


async def test_an_endless_chunked_body_is_cut_off(serve):
    server = await serve(echo, max_body=100_000, max_skip_body=100_000)
    other = await server.connect()
    client = await server.connect()
    await client.send(POST + b"transfer-encoding: chunked\r\n\r\n")
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"

    async def flood() -> None:
        try:
            while True:
                await client.send(chunk)
        except ConnectionError:
            pass

    flooding = asyncio.ensure_future(flood())
    # The answer is read by a client that is still sending: lingering close.
    response = await client.response("POST")
    assert (response.status, response.closes) == (413, True)
    assert (await other.get()).status == 200
    server.advance(server.options.linger_timeout + 1)
    await server.until(lambda: server.connections[1].transport is None)
    await flooding


async def test_trailers_are_limited(serve, parser):
    server = await serve(echo, http=parser, max_trailers=100)
    client = await server.connect()
    await client.send(POST + b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 20)
    assert (await client.response("POST")).status == 431


async def test_a_slow_body_is_cut_off(serve):
    server = await serve(echo, body_grace=5, body_min_rate=500)
    client = await server.connect()
    await client.send(POST + b"content-length: 100000\r\n\r\n")
    await server.until(lambda: server.connection._body is not None)
    for second in range(1, 20):
        await client.send(b"x" * 100)  # 100 bytes a second
        await server.until(partial(received, server.connection, second * 100))
        await server.until(lambda: server.connection._body.waiter is not None)
        server.advance(TICK)
        if server.connection._body.failure is not None:
            break
    assert second == 7  # 5 s of grace, and after 2 more 1000 bytes are due
    response = await client.response("POST")
    assert (response.status, response.closes) == (408, True)


async def test_a_quick_enough_body_is_not(serve):
    server = await serve(echo, body_grace=5, body_min_rate=500)
    client = await server.connect()
    await client.send(POST + b"content-length: 18000\r\n\r\n")
    await server.until(lambda: server.connection._body is not None)
    for second in range(1, 31):
        await client.send(b"x" * 600)
        await server.until(partial(received, server.connection, second * 600))
        await asyncio.sleep(0)
        server.advance(TICK)
    assert len((await client.response("POST")).body) == 18_000


async def test_a_slow_handler_is_not_a_slow_client(serve):
    gate = asyncio.Event()

    async def application(conn: Conn) -> Conn:
        await gate.wait()
        return conn.send_resp(200, await conn.body())

    server = await serve(application, body_grace=5)
    client = await server.connect()
    await client.send(POST + b"content-length: 5\r\n\r\n")
    await server.until(lambda: server.connection.conn is not None)
    for _ in range(30):
        server.advance(TICK)
    gate.set()
    await client.send(b"hello")
    assert (await client.response("POST")).body == b"hello"


async def test_read_timeout_of_read_body(serve):
    raised = []

    async def application(conn: Conn) -> Conn:
        try:
            await conn.read_body(read_timeout=0.001)
        except RequestTimeoutError as error:
            raised.append(error)
            raise
        return conn

    server = await serve(application)
    client = await server.connect()
    await client.send(POST + b"content-length: 5\r\n\r\n")
    response = await client.response("POST")
    assert (response.status, response.closes) == (408, True)
    assert raised


async def test_an_unread_body_that_never_comes_is_not_waited_for(serve):
    server = await serve(hello, body_grace=5)
    client = await server.connect()
    await client.send(POST + b"content-length: 5\r\n\r\n")
    assert (await client.response("POST")).status == 200
    server.advance(6)
    assert await client.closed()


# whole requests -------------------------------------------------------------------------------


@pytest.mark.parametrize("by_route", [False, True])
async def test_request_timeout(serve, by_route):
    cancelled = []

    async def application(conn: Conn) -> Conn:
        if by_route:
            conn.route = SimpleNamespace(timeout=30)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(conn)
            raise
        return conn

    server = await serve(application, request_timeout=0 if by_route else 30)
    client = await server.connect()
    await client.send(GET)
    await server.until(lambda: server.connection._task is not None)
    await asyncio.sleep(0)
    server.advance(30)
    assert server.connection._task is not None
    server.advance(1)
    response = await client.response()
    assert (response.status, len(cancelled)) == (503, 1)
    assert b"took too long" in response.body


async def test_request_timeout_amid_a_response(serve):
    ended = asyncio.Event()

    async def application(conn: Conn) -> Conn:
        conn.send_chunked(200)
        await conn.chunk("part")
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return conn

    server = await serve(application, request_timeout=30)
    client = await server.connect()
    await client.send(GET)
    await client.read_until(b"part\r\n")
    server.advance(31)
    assert b"0\r\n\r\n" not in await client.read_to_end()
    await ended.wait()


# writing --------------------------------------------------------------------------------------


async def stall(serve, application, **settings):
    server = await serve(application, write_timeout=30, **settings)
    client = await server.connect(receive_buffer=4096)
    await client.send(GET)
    return server, client


async def test_a_peer_that_takes_nothing_is_reset(serve):
    async def application(conn: Conn) -> Conn:
        conn.send_chunked(200)
        while True:
            await conn.chunk(b"x" * 65_536)

    server, _ = await stall(serve, application)
    await server.until(lambda: server.connection._write_waiter is not None)
    server.advance(0)
    server.advance(29)
    assert server.connection.transport is not None
    for _ in range(3):  # what the kernels had on their way may still count as progress
        server.advance(31)
    await server.until(lambda: server.connection.transport is None)
    await server.until(lambda: server.connection.conn is None)


async def test_a_peer_that_takes_no_file_is_reset(serve, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 20_000_000)
    server, _ = await stall(serve, lambda conn: conn.send_file(200, path))
    await server.until(lambda: server.connection._sender is not None)
    for _ in range(200):
        await asyncio.sleep(0)
    server.advance(0)
    for _ in range(3):
        server.advance(31)
    await server.until(lambda: server.connection.transport is None)
    await server.until(lambda: server.connection._sender is None)


async def test_a_peer_that_is_slow_but_reads_is_served(serve):
    async def application(conn: Conn) -> Conn:
        conn.send_chunked(200)
        for _ in range(60):
            await conn.chunk(b"x" * 65_536)
        return conn

    server, client = await stall(serve, application)
    await server.until(lambda: server.connection._write_waiter is not None)
    received = 0
    while received < 500_000:
        received += len(await client.receive())
        server.advance(5)  # in all far more than 30 s
    client.widen()
    assert (await client.read_until(b"\r\n0\r\n\r\n"))[-7:] == b"\r\n0\r\n\r\n"


async def test_a_connection_that_is_closing_is_reset_when_the_peer_takes_nothing(serve):
    server = await serve(lambda conn: conn.send_resp(200, b"x" * 8_000_000), write_timeout=30)
    client = await server.connect(receive_buffer=4096)
    await client.send(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    await server.until(lambda: server.connection._closing)
    server.advance(0)
    for _ in range(3):
        server.advance(31)
    await server.until(lambda: server.connection.transport is None)


# lingering ------------------------------------------------------------------------------------


async def test_an_early_refusal_is_read_by_a_client_that_goes_on_sending(serve):
    server = await serve(hello)
    client = await server.connect()
    await client.send(b"GET / HTTP/1.1\r\nhost x\r\n\r\n" + b"x" * 100_000)
    for _ in range(20):
        await client.send_some(b"x" * 50_000)
    response = await client.response()
    assert response.status == 400
    assert await client.closed()
    # It does not leave: it is thrown out in the end.
    server.advance(server.options.linger_timeout + 1)
    await server.until(lambda: server.connection.transport is None)


async def test_lingering_ends_when_the_client_leaves(serve):
    server = await serve(hello)
    client = await server.connect()
    await client.send(b"nonsense\r\n\r\n")
    assert (await client.response()).status == 400
    assert server.connection.transport is not None
    client.close()
    await server.until(lambda: server.connection.transport is None)


@pytest.mark.parametrize(
    ("raw", "drained", "lingers"),
    [
        (b"nonsense\r\n\r\n", False, True),
        (POST + b"content-length: 2000000\r\n\r\nabc", False, True),
        (POST + b"transfer-encoding: chunked\r\n\r\nnonsense\r\n", False, True),
        (GET[:-2] + b"connection: close\r\n\r\n", False, False),
        (b"GET / HTTP/1.0\r\n\r\n", False, False),
        (GET, True, True),  # the client may have sent its next request by now
    ],
)
async def test_who_may_still_be_sending_is_lingered_for(wired, raw, drained, lingers):
    connection, wire = wired(hello)
    connection.data_received(raw[:10])
    if drained:
        connection.drain()
    connection.data_received(raw[10:])
    assert wire.sent.count(b"HTTP/1.1 ") == 1
    assert b"\r\nconnection: close\r\n" in wire.sent
    assert (wire.ended, wire.closing) == (lingers, not lingers)
    connection.data_received(GET)  # what comes now is thrown away
    assert connection.requests <= 1


async def test_no_lingering(serve):
    server = await serve(hello, linger_timeout=0)
    client = await server.connect()
    await client.send(b"nonsense\r\n\r\n")
    assert (await client.response()).status == 400
    await server.until(lambda: server.connection.transport is None)


# draining -------------------------------------------------------------------------------------


async def test_drain_closes_an_idle_connection(serve):
    server = await serve(hello)
    client = await server.connect()
    await client.get()
    server.connection.drain()
    assert await client.closed()


async def test_drain_lets_a_request_finish(serve):
    gate, entered = asyncio.Event(), asyncio.Event()

    async def application(conn: Conn) -> Conn:
        entered.set()
        await gate.wait()
        return conn.send_resp(200, "done")

    server = await serve(application)
    client = await server.connect()
    await client.send(GET + GET)
    await entered.wait()
    server.connection.drain()
    gate.set()
    response = await client.response()
    assert (response.body, response.closes) == (b"done", True)
    assert await client.closed()
    client.close()
    await server.until(lambda: server.connection.transport is None)
    assert server.connection.requests == 1


async def test_drain_lets_a_head_arrive(serve):
    server = await serve(hello)
    client = await server.connect()
    await client.send(GET[:10])
    await server.until(lambda: server.connection._buffer is not None)
    server.connection.drain()
    await client.send(GET[10:])
    response = await client.response()
    assert (response.body, response.closes) == (b"hello", True)


async def test_drain_while_a_body_is_skipped(serve):
    server = await serve(hello)
    client = await server.connect()
    await client.send(POST + b"content-length: 5\r\n\r\n")
    assert (await client.response("POST")).status == 200
    server.connection.drain()
    await client.send(b"hello")
    assert await client.closed()


# floods and garbage ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage",
    [
        bytes.fromhex("16030100f8010000f40303") + os.urandom(500),  # a TLS hello
        b"\x00" * 1000,
        b"\xff" * 1000,
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"<policy-file-request/>\0",
        b"EHLO example.com\r\n",
    ],
)
async def test_garbage_is_refused(serve, parser, garbage):
    server = await serve(hello, http=parser)
    other = await server.connect()
    client = await server.connect()
    await client.send(garbage)
    response = await client.response()
    assert response.status in (400, 501, 505)
    assert response.closes
    if garbage[:1] == b"\x16":
        assert b"TLS" in response.body
    assert (await other.get()).status == 200


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_bytes_kill_a_connection(wired, pieces):
    for http in ("httptools", "h11"):
        connection, wire = wired(hello, http=http)
        for piece in pieces:
            connection.data_received(piece)
        assert wire.sent == b"" or wire.sent.startswith(b"HTTP/1.1 ")
        connection.connection_lost(None)


async def test_a_pipelining_flood_disturbs_no_other(serve):
    server = await serve(hello)
    other = await server.connect()
    client = await server.connect(receive_buffer=4096)
    flood = asyncio.ensure_future(client.send_some(GET * 500_000))
    await server.until(lambda: server.connection._write_paused)
    # Nothing is read any more, and what waits is bounded.
    for _ in range(20):
        assert (await other.get()).status == 200
    connection = server.connections[1]
    assert connection.transport.get_write_buffer_size() < 1_000_000
    assert len(connection._buffer or b"") <= server.options.read_buffer + 262_144
    client.close()
    flood.cancel()
    await asyncio.gather(flood, return_exceptions=True)


async def test_the_clock_ticks_by_itself(serve, monkeypatch):
    monkeypatch.setattr("plugpy.http.runtime.TICK", 0.001)
    server = await serve(hello, keepalive_timeout=0.001, frozen=False)
    client = await server.connect()
    await client.get()
    assert await client.closed()
