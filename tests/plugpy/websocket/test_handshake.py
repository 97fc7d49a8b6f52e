"""The opening handshake (RFC 6455 sections 4.2, 4.4 and 10.2; RFC 7692 section 5)."""

from __future__ import annotations

from typing import Any

import pytest

from plugpy.websocket import Push, Upgrade, WebSocketHandler, WebSocketOptions
from plugpy.websocket.handshake import accept_token
from plugpy.websocket.origin import allows

from .conftest import ACCEPT, KEY, TEXT, frame, request


class Echo(WebSocketHandler):
    def handle_in(self, message: Any, state: Any) -> Any:
        return Push(message)


def callbacks(**options: Any) -> Any:
    def application(conn: Any) -> Any:
        upgrade = Upgrade(Echo(), options=WebSocketOptions(**options))
        return conn.upgrade_adapter("websocket", upgrade)

    return application


def coroutine(**options: Any) -> Any:
    async def application(conn: Any) -> Any:
        async with conn.websocket(**options) as ws:
            async for message in ws:
                await ws.send(message)
        return conn

    return application


styles = pytest.mark.parametrize("style", [callbacks, coroutine])


def test_the_token_of_the_rfc() -> None:
    assert accept_token(KEY) == ACCEPT


@styles
async def test_accepted(serve: Any, style: Any) -> None:
    server = await serve(style())
    client = await server.dial()
    await client.send(request())
    status, headers = await client.head()
    assert status == 101
    assert headers["upgrade"] == "websocket"
    assert headers["connection"] == "upgrade"
    assert headers["sec-websocket-accept"] == ACCEPT
    assert not {"content-length", "transfer-encoding", "sec-websocket-protocol"} & set(headers)
    await client(TEXT, "hello")
    assert await client.text() == "hello"


@styles
async def test_frames_right_behind_the_handshake_are_not_lost(serve: Any, style: Any) -> None:
    server = await serve(style())
    client = await server.dial()
    await client.send(request() + frame(TEXT, b"one") + frame(TEXT, b"two"))
    assert (await client.head())[0] == 101
    assert [await client.text(), await client.text()] == ["one", "two"]


@styles
async def test_byte_by_byte(serve: Any, style: Any) -> None:
    server = await serve(style())
    client = await server.dial()
    for byte in request() + frame(TEXT, b"one") + frame(TEXT, b"x" * 200):
        await client.send(bytes([byte]))
    assert (await client.head())[0] == 101
    assert [await client.text(), await client.text()] == ["one", "x" * 200]


REFUSED = {
    "no upgrade": (request(leave_out="upgrade"), 426, {"upgrade": "websocket"}),
    "another protocol": (request("/", "upgrade: h2c"), 426, {"upgrade": "websocket"}),
    "not in connection": (request("/", "connection: keep-alive"), 426, {"upgrade": "websocket"}),
    "no version": (request(leave_out="sec-websocket-version"), 426, {}),
    "an old version": (
        request("/", "sec-websocket-version: 8"),
        426,
        {"sec-websocket-version": "13"},
    ),
    "two versions": (
        request().replace(b"\r\n\r\n", b"\r\nsec-websocket-version: 8\r\n\r\n"),
        426,
        {"sec-websocket-version": "13"},
    ),
    "no key": (request(leave_out="sec-websocket-key"), 400, {}),
    "a short key": (request("/", "sec-websocket-key: AAAA"), 400, {}),
    "a key that is no base64": (request("/", "sec-websocket-key: " + "!" * 24), 400, {}),
    "two keys": (
        request().replace(b"\r\n\r\n", b"\r\nsec-websocket-key: " + KEY.encode() + b"\r\n\r\n"),
        400,
        {},
    ),
    "post": (request().replace(b"GET", b"POST"), 400, {}),
    "http/1.0": (request().replace(b"HTTP/1.1", b"HTTP/1.0"), 400, {}),
    "a body": (request("/", "content-length: 5") + b"hello", 400, {}),
    "a foreign origin": (request("/", "origin: https://evil.example"), 403, {}),
    "an opaque origin": (request("/", "origin: null"), 403, {}),
    "malformed extensions": (request("/", "sec-websocket-extensions: a;;b"), 400, {}),
}


@styles
@pytest.mark.parametrize("name", REFUSED)
async def test_refused(serve: Any, style: Any, name: str) -> None:
    raw, expected, fields = REFUSED[name]
    server = await serve(style())
    client = await server.dial()
    await client.send(raw)
    status, headers = await client.head()
    assert status == expected, headers
    assert fields.items() <= headers.items()
    if status == 426:
        assert "upgrade" in headers["connection"]
    # It stays HTTP: what comes next is a request, answered like any other.
    if expected == 426:
        await client.read(int(headers["content-length"]))
        await client.send(request())
        assert (await client.head())[0] == 101


@styles
@pytest.mark.parametrize("connection", ["keep-alive, Upgrade", "UPGRADE", "upgrade ,x"])
async def test_connection_is_a_list(serve: Any, style: Any, connection: str) -> None:
    server = await serve(style())
    client = await server.connect("/", f"connection: {connection}", "upgrade: WebSocket")
    await client(TEXT, "x")
    assert await client.text() == "x"


@styles
async def test_subprotocols_by_the_servers_wish(serve: Any, style: Any) -> None:
    server = await serve(style(subprotocols=["v2", "v1"]))
    for offered, chosen in [("v1, v2", "v2"), ("v1", "v1"), ("v3", None), ("V1", None)]:
        client = await server.dial()
        await client.send(request("/", f"sec-websocket-protocol: {offered}"))
        status, headers = await client.head()
        assert (status, headers.get("sec-websocket-protocol")) == (101, chosen)


async def test_headers_put_before_are_part_of_the_101(serve: Any) -> None:
    def application(conn: Any) -> Any:
        conn.put_resp_header("x-before", "1").put_resp_cookie("a", "b")
        conn.register_before_send(lambda conn: conn.put_resp_header("x-late", conn.state))
        return conn.upgrade_adapter("websocket", Upgrade(Echo))

    server = await serve(application)
    client = await server.dial()
    await client.send(request())
    status, headers = await client.head()
    assert (status, headers["x-before"], headers["x-late"]) == (101, "1", "set_upgrade")
    assert headers["set-cookie"].startswith("a=b")


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "client_max_window_bits=12"),
        ("permessage-deflate; client_no_context_takeover", "client_no_context_takeover"),
        ("permessage-deflate; server_no_context_takeover", "server_no_context_takeover"),
        ("permessage-deflate; server_max_window_bits=9", "server_max_window_bits=9"),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; unknown", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", None),
        ("x-webkit-deflate-frame", None),
    ],
)
async def test_compression_is_negotiated(serve: Any, offer: str, answer: str | None) -> None:
    server = await serve(callbacks())
    client = await server.dial()
    await client.send(request("/", f"sec-websocket-extensions: {offer}"))
    status, headers = await client.head()
    assert status == 101
    agreed = headers.get("sec-websocket-extensions")
    assert agreed is None if answer is None else answer in str(agreed)
    await client(TEXT, "x")
    assert await client.text() == "x"


async def test_compression_can_be_off(serve: Any) -> None:
    server = await serve(callbacks(compress=False))
    client = await server.dial()
    await client.send(request("/", "sec-websocket-extensions: permessage-deflate"))
    assert "sec-websocket-extensions" not in (await client.head())[1]


ORIGINS = [
    # host that it connects to, origin of the page, check, allowed
    ("example.com", "https://example.com", True, True),
    ("example.com", "http://example.com", True, True),
    ("EXAMPLE.com", "https://Example.COM", True, True),
    ("example.com:443", "https://example.com", True, True),
    ("example.com:8443", "https://example.com:8443", True, True),
    ("example.com:8443", "https://example.com", True, False),
    ("example.com", "https://example.com:8443", True, False),
    ("example.com", "https://www.example.com", True, False),
    ("example.com", "https://example.com.evil.example", True, False),
    ("example.com", "https://example.com@evil.example", True, False),
    ("example.com", "https://someone@example.com", True, False),
    ("example.com", "https://evil.example/example.com", True, False),
    ("example.com", "null", True, False),
    ("example.com", "", True, False),
    ("example.com", "example.com", True, False),
    ("example.com", "https://[::1", True, False),
    ("[::1]:8000", "http://[::1]:8000", True, True),
    ("example.com", "https://evil.example", False, True),
    ("example.com", "https://app.example", ["https://app.example"], True),
    ("example.com", "http://app.example", ["https://app.example"], False),
    ("example.com", "https://example.com", ["https://app.example"], False),
    ("example.com", "http://app.example:81", ["//app.example"], True),
    ("example.com", "https://a.b.example", ["https://*.b.example"], True),
    ("example.com", "https://b.example", ["https://*.b.example"], False),
    ("example.com", "https://evilb.example", ["https://*.b.example"], False),
    ("example.com", "https://x", lambda conn, origin: origin == "https://x", True),
    ("example.com", "https://y", lambda conn, origin: origin == "https://x", False),
]


@pytest.mark.parametrize(("host", "origin", "check", "allowed"), ORIGINS)
async def test_origins(serve: Any, host: str, origin: str, check: Any, allowed: bool) -> None:
    server = await serve(callbacks(check_origin=check))
    client = await server.dial()
    await client.send(request("/", f"host: {host}", f"origin: {origin}"))
    assert (await client.head())[0] == (101 if allowed else 403)


def test_a_pattern_that_is_no_origin_is_told() -> None:
    from plugpy.testing import conn

    with pytest.raises(ValueError, match="write an origin as"):
        allows(["app.example"], conn("GET", "/"), "https://app.example")


def test_options_that_make_no_sense_are_told() -> None:
    for wrong in ({"max_frame_size": 0}, {"timeout": -1}, {"subprotocols": "chat"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            WebSocketOptions(**wrong)  # type: ignore[arg-type]


async def test_what_is_no_upgrade_is_told(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    server = await serve(lambda conn: conn.upgrade_adapter("websocket", {"handler": Echo}))
    client = await server.dial()
    await client.send(request())
    assert (await client.head())[0] == 500
    assert "takes an Upgrade" in caplog.text


async def test_without_a_server_it_is_told() -> None:
    from plugpy.testing import conn

    headers = [tuple(line.split(": ", 1)) for line in request().decode().split("\r\n")[1:-2]]
    made = conn("GET", "/", headers=headers)
    with pytest.raises(ValueError, match="does not support WebSocket"):
        made.websocket()
