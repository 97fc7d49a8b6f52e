"""Who makes more work than others waits for it: counted in reads and turns, not timed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from plugpy.conn import Conn
from plugpy.http.http1 import PIECES, SMALL_PIECE
from plugpy.http.runtime import LARGE_READ, LARGE_WRITES, READS

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: x\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"


def hello(conn: Conn) -> Conn:
    return conn.send_resp(200, "hello")


async def size(conn: Conn) -> Conn:
    return conn.send_resp(200, str(len(await conn.body())))


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


def ten(wired, application, **settings):
    """Connections of one listener, with their transports."""
    pairs = [wired(application, **settings) for _ in range(10)]
    for connection, _ in pairs:
        connection.runtime = pairs[0][0].runtime
    return pairs


async def test_a_head_that_comes_byte_by_byte_is_read_now_and_then(wired):
    connection, wire = wired(hello)
    taken = 0
    while wire.reading and taken < len(GET):
        connection.data_received(GET[taken : taken + 1])
        taken += 1
    assert taken == PIECES + 2  # the first one begins the head
    await until(lambda: wire.reading)
    connection.data_received(GET[taken : taken + 1])
    assert not wire.reading  # again after each
    await until(lambda: wire.reading)
    connection.data_received(GET[taken + 1 :])
    assert wire.sent.startswith(b"HTTP/1.1 200")
    # It is forgiven: the next head starts anew.
    connection.data_received(GET[:1])
    connection.data_received(GET[1:2])
    assert wire.reading


async def test_heads_in_a_few_pieces_are_never_held_back(wired):
    connection, wire = wired(hello)
    for _ in range(3 * PIECES):
        for part in (GET[:5], GET[5:12], GET[12:]):
            connection.data_received(part)
            assert wire.reading
    assert wire.sent.count(b"HTTP/1.1 200") == 3 * PIECES


async def test_long_heads_may_come_in_many_packets(wired):
    connection, wire = wired(hello)
    head = GET[:-2] + b"x: %b\r\n" % (b"v" * 4000) * 3 + b"\r\n"
    for start in range(0, len(head), SMALL_PIECE):
        assert wire.reading
        connection.data_received(head[start : start + SMALL_PIECE])
    assert wire.sent.startswith(b"HTTP/1.1 200")


async def test_a_body_that_comes_byte_by_byte_is_read_now_and_then(wired):
    connection, wire = wired(size)
    connection.data_received(POST + b"content-length: 100\r\n\r\n")
    taken = 0
    while wire.reading and taken < len(GET):
        connection.data_received(b"x")
        taken += 1
    assert taken == PIECES + 1
    await until(lambda: wire.reading)
    connection.data_received(b"x" * (100 - taken))
    await until(lambda: wire.sent.endswith(b"100"))


async def test_what_a_refused_client_goes_on_sending_waits_too(wired):
    connection, wire = wired(hello)
    connection.data_received(b"nonsense\r\n\r\n")
    assert wire.sent.startswith(b"HTTP/1.1 400")
    for _ in range(3):
        assert wire.reading
        connection.data_received(b"x" * (LARGE_READ + 1))
        assert not wire.reading
        await until(lambda: wire.reading)
    connection.data_received(b"x" * LARGE_READ)
    assert wire.reading


async def test_an_upload_is_read_in_turns(wired):
    """One of many that send large bodies: a turn of the loop reads a few of them."""
    served = asyncio.Event()

    async def waits(conn: Conn) -> Conn:
        await served.wait()
        return conn.send_resp(200, str(len(await conn.body())))

    pairs = ten(wired, waits, read_buffer=1_000_000)
    part = b"x" * (LARGE_READ + 1)
    for connection, _ in pairs:
        connection.data_received(POST + b"content-length: %d\r\n\r\n" % (2 * len(part)))
        connection.data_received(part)
    assert not any(wire.reading for _, wire in pairs)
    reading, turns = 0, 0
    while reading < len(pairs):
        await asyncio.sleep(0)
        turns += 1
        now = sum(wire.reading for _, wire in pairs)
        assert now - reading <= READS
        reading = now
        assert turns < 100
    for connection, _ in pairs:
        connection.data_received(part)
    served.set()
    await until(lambda: all(wire.sent.endswith(b"%d" % (2 * len(part))) for _, wire in pairs))


async def test_a_held_client_that_leaves_is_forgotten(wired):
    connection, wire = wired(hello)
    for byte in GET[: PIECES + 2]:
        connection.data_received(bytes([byte]))
    assert not wire.reading
    runtime = connection.runtime
    connection.connection_lost(None)
    await until(lambda: not runtime.held)
    assert not wire.reading  # nobody touches a transport that is gone


async def test_a_held_client_whose_time_is_up_is_refused(wired):
    connection, wire = wired(hello)
    for byte in GET[: PIECES + 2]:
        connection.data_received(bytes([byte]))
    assert not wire.reading
    connection.runtime.now += connection.runtime.options.header_timeout + 1
    connection.check_deadlines(connection.runtime.now)
    assert wire.sent.startswith(b"HTTP/1.1 408")
    assert wire.ended
    await until(lambda: wire.reading)  # what still comes is thrown away


@asynccontextmanager
async def flooding(server, first: bytes, flood: bytes, number: int):
    """`number` clients that send `flood` over and over, and take what they get."""

    async def attack() -> None:
        client = await server.connect()
        reading = asyncio.ensure_future(client.read_to_end())
        try:
            await client.send(first)
            while not client.ended:
                await client.send_some(flood)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    tasks = [asyncio.ensure_future(attack()) for _ in range(number)]
    await server.until(lambda: len(server.connections) > number)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(
    ("first", "flood"),
    [
        (b"", GET * 2000),
        (b"", (GET[:-2] + b"x: %b\r\n" % (b"y" * 8000) * 7 + b"\r\n") * 3),
        (CHUNKED, b"1\r\nx\r\n" * 20_000),
        (CHUNKED, b"4000\r\n" + b"x" * 0x4000 + b"\r\n"),
    ],
    ids=["pipelining", "large heads", "tiny chunks", "large chunks"],
)
async def test_a_good_client_waits_a_few_turns_whatever_many_flood(serve, first, flood):
    """A turn of the loop holds a bounded part of the flood; so what counts is their number."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def application(conn: Conn) -> Conn:
        if conn.method == "POST":
            await conn.body()
        return conn.send_resp(200, "hello")

    server = await serve(application)
    good = await server.connect()
    runtime = server.connection.runtime
    async with flooding(server, first, flood, 8):
        await server.until(lambda: runtime._serving)
        counting = asyncio.ensure_future(count())
        for _ in range(5):
            before = turns
            assert (await good.get("/good")).status == 200
            assert turns - before <= 10
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)


async def test_many_large_responses_are_sent_in_several_turns(wired):
    """Who asks for them at once waits for the others; each gets the right one."""
    body = b"x" * (LARGE_WRITES // 2)

    def application(conn: Conn) -> Conn:
        return conn.send_resp(200, body if conn.request_path == "/" else "hello")

    pairs = ten(wired, application)
    for _ in range(2):  # the second time their heads are known
        for connection, _ in pairs:
            connection.data_received(GET)
        assert sum(bool(wire.writes) for _, wire in pairs) == 3
        turns = 0
        while not all(wire.writes for _, wire in pairs):
            await asyncio.sleep(0)
            turns += 1
            assert turns < 20
        assert turns > 1
        for _, wire in pairs:
            assert wire.sent.count(b"HTTP/1.1 200") == 1
            assert wire.sent.endswith(body)
            wire.writes.clear()
    await until(lambda: not pairs[0][0].runtime._serving)
    for connection, wire in pairs:
        connection.data_received(GET.replace(b"/ ", b"/small "))
        assert wire.sent.endswith(b"hello")  # at once


async def test_a_slow_trickle_of_large_responses_makes_nobody_wait(wired):
    body = b"x" * LARGE_WRITES
    connection, wire = wired(lambda conn: conn.send_resp(200, body))
    for _ in range(5):
        connection.data_received(GET)
        assert wire.writes  # at once
        wire.writes.clear()
        await asyncio.sleep(0)
