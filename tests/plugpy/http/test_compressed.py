"""Compress on a real server: what clients that decode by themselves get."""

from __future__ import annotations

import asyncio
import zlib

import httpx
import pytest

from plugpy.conn import Conn
from plugpy.pipeline import Pipeline, wrap
from plugpy.plugs import Compress

TEXT = "a text that repeats itself, " * 200


async def answer(conn: Conn) -> Conn:
    match conn.request_path:
        case "/large":
            return conn.text(TEXT * 200)
        case "/set":
            return conn.resp(200, TEXT * 200)
        case "/stream":
            conn.put_resp_content_type("text/plain").send_chunked(200)
            for _ in range(3):
                await conn.chunk(TEXT)
            return conn.put_resp_trailer("x-end", "1")
        case "/crash":
            conn.text(TEXT * 200)
            raise ZeroDivisionError
    return conn.text(TEXT)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
async def test_httpx_gets_what_was_sent(serve, coding):
    server = await serve(Pipeline([wrap(Compress), answer]))
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{server.port}", trust_env=False
    ) as client:
        for path, factor in (("/", 1), ("/large", 200), ("/set", 200), ("/stream", 3)):
            got = await client.get(path, headers={"accept-encoding": coding})
            assert got.headers["content-encoding"] == coding
            assert got.text == TEXT * factor
            head = await client.head(path, headers={"accept-encoding": coding})
            assert head.headers.get("content-length") == got.headers.get("content-length")
            assert head.headers["content-encoding"] == coding
    assert len(server.connections) == 1


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_chunk_is_seen_before_the_next_one_is_made(serve, version):
    go_on = asyncio.Event()

    async def stream(conn: Conn) -> Conn:
        conn.put_resp_content_type("text/plain").send_chunked(200)
        await conn.chunk("first")
        await go_on.wait()
        return await conn.chunk("second")

    server = await serve(Pipeline([wrap(Compress), stream]))
    client = await server.connect()
    await client.send(f"GET / HTTP/{version}\r\nhost: x\r\naccept-encoding: gzip\r\n\r\n".encode())
    await client.read_until(b"\r\n\r\n")
    decoder = zlib.decompressobj(31)
    seen = b""
    while seen != b"first":
        if not client.unread:
            client.unread = await client.receive()
        data, client.unread = client.unread, b""
        if version == "1.1":
            while data:
                size, _, data = data.partition(b"\r\n")
                seen += decoder.decompress(data[: int(size, 16)])
                data = data[int(size, 16) + 2 :]
        else:
            seen += decoder.decompress(data)
    assert not decoder.eof
    go_on.set()
    rest = await (client.read_until(b"0\r\n\r\n") if version == "1.1" else client.read_to_end())
    assert rest


async def test_a_crash_after_a_large_answer(serve):
    server = await serve(Pipeline([wrap(Compress), answer]))
    client = await server.connect()
    got = await client.get("/crash", "accept-encoding: gzip")
    assert (got.status, got.body.decode()) == (200, TEXT * 200)
    again = await client.get("/", "accept-encoding: gzip")
    assert zlib.decompress(again.body, 31).decode() == TEXT


async def test_a_client_that_leaves_while_its_answer_is_compressed(serve, monkeypatch):
    began, ended = asyncio.Event(), asyncio.Event()

    async def to_thread(*args: object) -> bytes:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return b""

    monkeypatch.setattr("plugpy.plugs.compress.adapter.asyncio.to_thread", to_thread)
    server = await serve(Pipeline([wrap(Compress), answer]))
    client = await server.connect()
    await client.send(b"GET /large HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\n\r\n")
    await began.wait()
    client.close()
    async with asyncio.timeout(10):
        await ended.wait()
