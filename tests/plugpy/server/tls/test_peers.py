"""What proxies say of clients, on the Conn: PROXY protocol, X-Forwarded-*."""

import json
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from acceptors.proxy_protocol import ProxyHeader, ProxyTls, encode
from plugpy.server import Server

WriteCertificate = Callable[..., tuple[str, str]]
ClientContext = Callable[..., ssl.SSLContext]

# PROXY protocol and headers of proxies ------------------------------------------------------------

CLIENT = ("203.0.113.9", 5_000)
PLACE = ("192.0.2.1", 443)


async def test_the_proxy_protocol_tells_who_the_client_is(
    capfd: Any, tell: Any, facts: Any
) -> None:
    """On the Conn, in the access log, and in what an observer sees."""
    seen = []

    def app(conn: Any) -> Any:
        seen.append(conn.owner.snapshot() if conn.owner is not None else {})
        return tell(conn)

    header = ProxyHeader(
        family="tcp4",
        source=CLIENT,
        destination=PLACE,
        alpn=b"http/1.1",
        ssl=ProxyTls(
            version="TLSv1.3", cipher="TLS_AES_128_GCM_SHA256", verified=True, certificate=b"DER"
        ),
    )
    async with Server(app, port=0, proxy_protocol="required") as server:
        told = await facts(server.address, first=encode(header))
        plain = await facts(
            server.address,
            first=encode(ProxyHeader(version=1, family="tcp4", source=CLIENT, destination=PLACE)),
        )
    assert [one["peer"] for one in seen] == ["203.0.113.9:5000"] * 2
    assert told == {
        "scheme": "https",
        "host": "localhost",
        "port": 443,
        "remote_ip": "203.0.113.9",
        "peer": list(CLIENT),
        "certificate": b"DER".hex(),
        "sock": list(PLACE),
        "ssl": {
            "version": "TLSv1.3",
            "cipher": ["TLS_AES_128_GCM_SHA256", "TLSv1.3", None],
            "alpn": "http/1.1",
        },
    }
    assert (plain["scheme"], plain["ssl"], plain["peer"]) == ("http", None, list(CLIENT))
    assert capfd.readouterr().out.count("203.0.113.9") == 2


async def test_an_unverified_certificate_of_the_proxys_client_is_none(
    tell: Any, facts: Any
) -> None:
    tls = ProxyTls(version="TLSv1.3", verified=False, certificate=b"DER")
    header = ProxyHeader(family="tcp4", source=CLIENT, destination=PLACE, ssl=tls)
    async with Server(tell, port=0, access_log=False, proxy_protocol="optional") as server:
        assert (await facts(server.address, first=encode(header)))["certificate"] is None


async def test_unix_clients_of_a_proxy_have_no_address(tell: Any, facts: Any) -> None:
    header = ProxyHeader(family="unix", source="/run/a", destination="/run/b")
    async with Server(tell, port=0, access_log=False, proxy_protocol="required") as server:
        told = await facts(server.address, first=encode(header))
        assert (told["peer"], told["sock"]) == (["", 0], ["/run/b", 0])


async def test_a_proxy_header_before_tls(
    tls: dict[str, Any], client_context: ClientContext, tell: Any, exchange: Any, facts: Any
) -> None:
    header = encode(ProxyHeader(family="tcp4", source=CLIENT, destination=PLACE))
    async with Server(tell, **tls, proxy_protocol="optional") as server:
        told = await facts(server.address, first=header, context=client_context())
        assert (told["scheme"], told["peer"]) == ("https", list(CLIENT))
        assert (await facts(server.address, context=client_context()))["peer"][0] == "127.0.0.1"
        assert b"use https" in await exchange(server.address, first=header)


@pytest.mark.parametrize("interface", ["plug", "asgi"])
async def test_headers_of_trusted_proxies(interface: str, tell: Any, facts: Any) -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        answer = json.dumps({"remote_ip": scope["client"][0], "scheme": scope["scheme"]}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": answer})

    request = (
        b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
        b"x-forwarded-for: 6.6.6.6, 203.0.113.9\r\nx-forwarded-proto: https\r\n\r\n"
    )
    believed = ["x-forwarded-for", "x-forwarded-proto"]
    for options, expected in (
        ({"rewrite_on": believed}, ("203.0.113.9", "https")),
        ({"rewrite_on": believed, "trusted_proxies": ["10.0.0.0/8"]}, ("127.0.0.1", "http")),
        ({}, ("127.0.0.1", "http")),
    ):
        app = tell if interface == "plug" else asgi
        async with Server(app, port=0, access_log=False, **options) as server:
            told = await facts(server.address, request=request)
            assert (told["remote_ip"], told["scheme"]) == expected
