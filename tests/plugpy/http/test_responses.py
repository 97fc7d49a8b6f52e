"""Every way to send: whole, in chunks, files, informational responses; framing, trailers,
backpressure. h11 reads what comes."""

from __future__ import annotations

import asyncio
import os

import h11
import pytest

from plugpy.conn import AlreadySentError, Conn, InvalidHeaderError
from plugpy.http.files import SMALL_FILE

BIG = bytes(range(256)) * 4096  # 1 MiB


def whole(conn: Conn) -> Conn:
    return conn.send_resp(200, "hello")


def with_header(conn: Conn) -> Conn:
    return conn.put_resp_header("x-a", "b").send_resp(200, b"hello")


def only_set(conn: Conn) -> Conn:
    return conn.resp(200, "hello")


async def from_task(conn: Conn) -> Conn:
    return conn.send_resp(200, "hello")


async def in_chunks(conn: Conn) -> Conn:
    conn.send_chunked(200)
    await conn.chunk("hel")
    await conn.chunk("")
    await conn.chunk(b"lo")
    return conn


async def with_length(conn: Conn) -> Conn:
    conn.put_resp_header("content-length", "5").send_chunked(200)
    await conn.chunk("hel")
    return await conn.chunk("lo")


def as_json(conn: Conn) -> Conn:
    return conn.json("hel")  # five bytes with its quotes


WAYS = [whole, with_header, only_set, from_task, in_chunks, with_length, as_json]


@pytest.fixture
def file(tmp_path):
    """`file(data)` -> path."""

    def make(data: bytes) -> str:
        path = tmp_path / "file"
        path.write_bytes(data)
        return str(path)

    return make


@pytest.mark.parametrize("way", WAYS)
async def test_head_has_the_headers_of_get_and_no_body(serve, way):
    server = await serve(way)
    client = await server.connect()
    get = await client.get()
    assert len(get.body) == 5
    head = await client.request(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert head.body == b""
    assert sorted(pair for pair in head.headers if pair[0] != "date") == sorted(
        pair for pair in get.headers if pair[0] != "date"
    )
    assert (await client.get()).body == get.body


STATUSES = {
    "whole": lambda conn, status: conn.send_resp(status, "hello"),
    "bytes": lambda conn, status: conn.send_resp(status, b"hello"),
    "header": lambda conn, status: conn.put_resp_header("x-a", "b").send_resp(status, "hello"),
    "set": lambda conn, status: conn.resp(status, "hello"),
    "json": lambda conn, status: conn.put_status(status).json("hello"),
    "file": lambda conn, status: conn.send_file(status, __file__),
    "chunks": lambda conn, status: conn.send_chunked(status),
}


@pytest.mark.parametrize("status", [204, 205, 304])
@pytest.mark.parametrize("way", STATUSES)
async def test_statuses_without_a_body(serve, way, status):
    async def chunks(conn: Conn) -> Conn:
        return await conn.chunk("hello")

    def application(conn: Conn) -> object:
        if conn.request_path == "/next":
            return conn.send_resp(200, "next")
        STATUSES[way](conn, status)
        return chunks(conn) if way == "chunks" else conn

    server = await serve(application)
    client = await server.connect()
    response = await client.get()
    assert response.status == status
    assert response.body == b""
    assert response.get("transfer-encoding") is None
    assert response.get("content-length") == ("0" if status == 205 else None)
    assert (await client.get("/next")).body == b"next"


async def test_an_informational_status_is_no_answer(serve, caplog):
    server = await serve(lambda conn: conn.send_resp(103, ""))
    client = await server.connect()
    assert (await client.get()).status == 500
    assert "ValueError" in caplog.text


async def test_a_status_without_a_phrase(serve):
    server = await serve(lambda conn: conn.send_resp(299, "x"))
    client = await server.connect()
    response = await client.get()
    assert (response.status, response.reason) == (299, "")


async def test_chunks(serve):
    server = await serve(in_chunks)
    client = await server.connect()
    await client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await client.read_until(b"\r\n\r\n")
    assert await client.read_until(b"0\r\n\r\n") == b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"


async def test_chunks_to_http_1_0_end_with_the_connection(serve):
    server = await serve(in_chunks)
    client = await server.connect()
    response = await client.request(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
    assert response.body == b"hello"
    assert response.closes
    assert response.get("transfer-encoding") is None


async def test_trailers(serve):
    async def application(conn: Conn) -> Conn:
        conn.put_resp_header("trailer", "x-sum").send_chunked(200)
        await conn.chunk("a")
        return conn.put_resp_trailer("x-sum", "1").put_resp_trailer("x-sum", "2")

    server = await serve(application)
    client = await server.connect()
    response = await client.get()
    assert response.body == b"a"
    assert response.trailers == [("x-sum", "2")]
    assert (await client.request(b"GET / HTTP/1.0\r\n\r\n")).body == b"a"


@pytest.mark.parametrize(
    ("key", "value"),
    [("content-length", "1"), ("X-Sum", "1"), ("x-sum", "1\r\nx: y"), ("x sum", "1")],
)
async def test_bad_trailers_are_refused(serve, key, value):
    async def application(conn: Conn) -> Conn:
        conn.send_chunked(200)
        try:
            conn.put_resp_trailer(key, value)
        except InvalidHeaderError:
            await conn.chunk("refused")
        return conn

    server = await serve(application)
    client = await server.connect()
    response = await client.get()
    assert response.body == b"refused"
    assert response.trailers == []


async def test_trailers_put_behind_the_back_are_checked_too(serve, caplog):
    async def application(conn: Conn) -> Conn:
        conn.send_chunked(200).private["resp_trailers"] = [("x", "1\r\n\r\nHTTP/1.1 200 OK")]
        return conn

    server = await serve(application)
    client = await server.connect()
    await client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await client.read_to_end()).count(b"HTTP/1.1") == 1
    assert "InvalidHeaderError" in caplog.text


async def test_a_trailer_after_a_whole_response(serve):
    def application(conn: Conn) -> Conn:
        conn.send_resp(200, "")
        with pytest.raises(AlreadySentError):
            conn.put_resp_trailer("x", "1")
        return conn

    server = await serve(application)
    client = await server.connect()
    assert (await client.get()).status == 200


async def test_informational_responses(serve):
    def application(conn: Conn) -> Conn:
        conn.inform(103, {"link": "</a.css>; rel=preload"})
        conn.inform(103, [("link", "</b.css>")])
        return conn.send_resp(200, conn.http_version)

    server = await serve(application)
    client = await server.connect()
    response = await client.get()
    assert response.informs == [
        (103, [("link", "</a.css>; rel=preload")]),
        (103, [("link", "</b.css>")]),
    ]
    old = await client.request(b"GET / HTTP/1.0\r\n\r\n")
    assert old.informs == []
    assert old.body == b"1.0"


# content-length put by the user ---------------------------------------------------------------


async def test_a_wrong_content_length_is_a_500(serve, caplog):
    def application(conn: Conn) -> Conn:
        return conn.put_resp_header("content-length", "4").send_resp(200, "hello")

    server = await serve(application)
    client = await server.connect()
    assert (await client.get()).status == 500
    assert "says 4, but the body has 5 bytes" in caplog.text
    assert (await client.get()).status == 500


@pytest.mark.parametrize("pieces", [["hel"], ["hel", "loo"], []])
async def test_a_broken_promise_breaks_the_connection(serve, caplog, pieces):
    async def application(conn: Conn) -> Conn:
        conn.put_resp_header("content-length", "5").send_chunked(200)
        for piece in pieces:
            await conn.chunk(piece)
        return conn

    server = await serve(application)
    client = await server.connect()
    with pytest.raises((h11.RemoteProtocolError, ConnectionError, AssertionError)):
        await client.get()
    assert "ContentLengthError" in caplog.text


# files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, SMALL_FILE, SMALL_FILE + 1, len(BIG)])
async def test_files(serve, file, size):
    path = file(BIG[:size])
    server = await serve(lambda conn: conn.send_file(200, path))
    client = await server.connect()
    for _ in range(2):
        response = await client.get()
        assert response.get("content-length") == str(size)
        assert response.body == BIG[:size]
    head = await client.request(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert head.get("content-length") == str(size)
    assert (await client.get()).body == BIG[:size]


@pytest.mark.parametrize(("offset", "length"), [(10, 20), (100_000, 200_000), (5, None), (0, 0)])
async def test_a_range_of_a_file(serve, file, offset, length):
    path = file(BIG)
    server = await serve(lambda conn: conn.send_file(206, path, offset, length))
    client = await server.connect()
    end = len(BIG) if length is None else offset + length
    assert (await client.get()).body == BIG[offset:end]
    assert (await client.get()).body == BIG[offset:end]


async def test_pipelined_files(serve, file):
    path = file(BIG)
    server = await serve(lambda conn: conn.send_file(200, path))
    client = await server.connect()
    await client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
    for _ in range(3):
        assert (await client.response()).body == BIG


async def test_a_file_from_a_task(serve, file):
    path = file(BIG)

    async def application(conn: Conn) -> Conn:
        await asyncio.sleep(0)
        return conn.send_file(200, path)

    server = await serve(application)
    client = await server.connect()
    for _ in range(2):
        assert (await client.get()).body == BIG


async def test_a_missing_file_is_a_500(serve, tmp_path):
    server = await serve(lambda conn: conn.send_file(200, tmp_path / "missing"))
    client = await server.connect()
    assert (await client.get()).status == 500
    assert (await client.get()).status == 500


@pytest.mark.parametrize("start", [0, 200_000])
async def test_a_file_that_shrinks_breaks_the_response(serve, file, caplog, start):
    path = file(BIG)

    def application(conn: Conn) -> Conn:
        conn.send_file(200, path)
        os.truncate(path, start)
        return conn

    server = await serve(application)
    client = await server.connect()
    await client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    received = await client.read_to_end()
    assert len(received) < len(BIG)
    assert "the file could not be sent" in caplog.text


async def test_a_small_file_that_shrinks_breaks_no_promise(serve, file):
    path = file(b"hello")

    def application(conn: Conn) -> Conn:
        conn.register_before_send(shrink)
        return conn.send_file(200, path)

    def shrink(conn: Conn) -> Conn:
        os.truncate(path, 2)
        return conn

    server = await serve(application)
    client = await server.connect()
    response = await client.get()
    assert response.body == b"he"


@pytest.mark.parametrize("size", [5, len(BIG)])
async def test_the_log_knows_how_much_of_a_file_was_sent(serve, file, size):
    path = file(BIG[:size])
    logged = []
    server = await serve(
        lambda conn: conn.send_file(200, path, 1),
        access_log=lambda conn, sent, started: logged.append(sent),
    )
    client = await server.connect()
    assert len((await client.get()).body) == size - 1
    await client.send(b"HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    await server.until(lambda: len(logged) == 2)
    assert logged == [size - 1, 0]


async def test_a_client_that_leaves_in_the_middle_of_a_file(serve, file):
    path = file(BIG * 8)
    finished = asyncio.Event()

    def application(conn: Conn) -> Conn:
        return conn.send_file(200, path)

    server = await serve(application, access_log=lambda *facts: finished.set())
    client = await server.connect(receive_buffer=4096)
    await client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await client.receive()
    before = len(os.listdir("/proc/self/fd"))
    client.reset()
    await finished.wait()
    await server.until(lambda: len(os.listdir("/proc/self/fd")) <= before - 3)


# backpressure -------------------------------------------------------------------------------------


async def test_chunks_wait_for_a_slow_reader(serve):
    sent = 0
    total = 100

    async def application(conn: Conn) -> Conn:
        nonlocal sent
        conn.send_chunked(200)
        for _ in range(total):
            await conn.chunk(b"x" * 65_536)
            sent += 1
        return conn

    server = await serve(application)
    client = await server.connect(receive_buffer=4096)
    await client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await server.until(lambda: server.connection._write_waiter is not None)
    assert sent < total
    # Bounded: one chunk above the high-water mark.
    assert server.connection.transport.get_write_buffer_size() <= 65_536 + 65_600
    assert server.connection.snapshot()["activity"] == "writing"
    client.widen()
    response = await client.response()
    assert len(response.body) == total * 65_536
    assert (sent, total) == (total, total)


async def test_pipelining_waits_for_a_slow_reader(serve):
    served = 0

    def application(conn: Conn) -> Conn:
        nonlocal served
        served += 1
        return conn.send_resp(200, b"x" * 60_000)

    server = await serve(application)
    client = await server.connect(receive_buffer=4096)
    requests = 100
    flood = asyncio.ensure_future(client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * requests))
    await server.until(lambda: server.connection._write_paused)
    assert served < requests
    client.widen()
    for _ in range(requests):
        assert len((await client.response()).body) == 60_000
    await flood
    assert served == requests


async def test_a_whole_response_to_a_slow_reader(serve):
    server = await serve(lambda conn: conn.send_resp(200, BIG * 8))
    client = await server.connect(receive_buffer=4096)
    await client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 2)
    await server.until(lambda: server.connection._write_paused)
    client.widen()
    for _ in range(2):
        assert (await client.response()).body == BIG * 8
