"""The framing of every response: method x status x way to send x content-length x version x
persistence, judged by h11 as the client, and by a second request on the same connection.

CONNECT is not among the methods: it is refused before any plug (RFC 9110 section 9.3.6).
"""

from __future__ import annotations

import asyncio
import email.utils
from itertools import product
from typing import Any

import h11
import pytest

from plugpy.conn import Conn

BODY = b"hello"
STATUSES = [200, 201, 204, 205, 206, 302, 304, 404, 412, 500, 599]
LENGTHS = {
    "none": None,
    "right": "5",
    "zeros": "005",
    "short": "3",
    "long": "9",
    "sign": "+5",
    "list": "5, 5",
    "text": "x",
}
VERSIONS = ["1.0", "1.1"]
CONNECTIONS = ["", "close", "keep-alive"]


def whole(conn: Conn, status: int) -> Conn:
    return conn.send_resp(status, BODY)


def kept(conn: Conn, status: int) -> Conn:
    return conn.resp(status, BODY)


def nothing(conn: Conn, status: int) -> Conn:
    return conn.send_resp(status, "")


def file(conn: Conn, status: int) -> Conn:
    return conn.send_file(status, __file__, 0, len(BODY))


async def chunked(conn: Conn, status: int) -> Conn:
    conn.send_chunked(status)
    await conn.chunk(BODY[:2])
    await conn.chunk("")
    return await conn.chunk(BODY[2:])


async def no_chunk(conn: Conn, status: int) -> Conn:
    return conn.send_chunked(status)


WAYS: dict[Any, bytes] = {
    whole: BODY,
    kept: BODY,
    nothing: b"",
    file: b'"""Th',
    chunked: BODY,
    no_chunk: b"",
}


def fields_of(response: h11.Response) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in response.headers:
        assert name not in fields, f"{name!r} came twice"
        fields[name] = value
    return fields


def read(client: h11.Connection) -> tuple[h11.Response, bytes]:
    event = client.next_event()
    assert isinstance(event, h11.Response), event
    body = b""
    while isinstance(piece := client.next_event(), h11.Data):
        body += piece.data
    assert isinstance(piece, h11.EndOfMessage), piece
    return event, body


@pytest.mark.asyncio(loop_factories=["asyncio"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_every_response_is_framed_as_it_says(wired, way, method):
    for status, length, version, option in product(STATUSES, LENGTHS, VERSIONS, CONNECTIONS):
        await check(wired, way, method, status, LENGTHS[length], version, option)


async def check(
    wired: Any, way: Any, method: str, status: int, length: str | None, version: str, option: str
) -> None:
    def application(conn: Conn) -> Any:
        if conn.request_path == "/next":
            return conn.send_resp(200, "next")
        if length is not None:
            conn.put_resp_header("content-length", length)
        return way(conn, status)

    connection, wire = wired(application)
    line = f"connection: {option}\r\n" if option else ""
    connection.data_received(
        f"{method} / HTTP/{version}\r\nhost: x\r\n{line}\r\n"
        "GET /next HTTP/1.1\r\nhost: x\r\n\r\n".encode()
    )
    while connection.conn is not None:
        await asyncio.sleep(0)

    has_body = status not in (204, 205, 304)
    wanted = WAYS[way] if has_body and method != "HEAD" else b""
    number = length is not None and length.isdigit()
    # RFC 9110 section 8.6: HEAD and 304 may tell the length of a body that is not there.
    lies = length is not None and (
        (not number and (has_body or status == 304))
        or (number and has_body and method != "HEAD" and int(length) != len(WAYS[way]))
    )
    streamed = way in (chunked, no_chunk)
    if lies and streamed and number:
        assert wire.aborted, "a promise that was broken after the head had left"
        return
    assert not wire.aborted

    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(wire.sent)
    closed = wire.ended or wire.closing
    if closed:
        client.receive_data(b"")
    response, body = read(client)
    fields = fields_of(response)

    assert response.status_code == (500 if lies else status)
    assert response.http_version == b"1.1"
    assert email.utils.parsedate_to_datetime(fields[b"date"].decode()).tzinfo is not None
    if not lies:
        assert body == wanted
    elif method == "HEAD":
        assert body == b""
    if status == 204 and not lies:
        assert b"content-length" not in fields
    if status == 205 and not lies:
        assert fields[b"content-length"] == b"0"
    if version == "1.0" or not has_body:
        assert b"transfer-encoding" not in fields
    assert not (b"transfer-encoding" in fields and b"content-length" in fields)

    wishes = option == "keep-alive" if version == "1.0" else option != "close"
    if closed:
        # At the client's wish, or where nothing else can end the body.
        until_close = version == "1.0" and streamed and length is None and has_body
        assert not wishes or until_close
        assert fields[b"connection"] == b"close"
        assert client.trailing_data[0] == b""
    else:
        assert wishes
        assert fields.get(b"connection") == (b"keep-alive" if version == "1.0" else None)
        # What follows is the next response, from its first byte.
        judge = h11.Connection(h11.CLIENT)
        judge.send(h11.Request(method="GET", target="/next", headers=[("host", "x")]))
        judge.send(h11.EndOfMessage())
        judge.receive_data(client.trailing_data[0])
        assert read(judge)[1] == b"next"
        assert judge.trailing_data[0] == b""
    connection.connection_lost(None)
