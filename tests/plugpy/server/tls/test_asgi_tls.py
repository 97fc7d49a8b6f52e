"""The extension `tls` of an ASGI scope."""

import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from acceptors.proxy_protocol import ProxyHeader, ProxyTls, encode
from plugpy.server import Server

ClientContext = Callable[..., ssl.SSLContext]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the extension, {} where there is none."""
    if scope["type"] == "http":
        body = json.dumps(scope["extensions"].get("tls", {})).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize(("version", "number"), [("TLSv1_2", 0x0303), ("TLSv1_3", 0x0304)])
async def test_version_and_cipher(
    tls: dict[str, Any], facts: Any, client_context: ClientContext, version: str, number: int
) -> None:
    wanted = getattr(ssl.TLSVersion, version)
    context = client_context(minimum_version=wanted, maximum_version=wanted)
    async with Server(app, **tls) as server:
        told = await facts(server.address, context=context)
    suite = told.pop("cipher_suite")
    assert told == {
        "server_cert": None,
        "client_cert_chain": [],
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": number,
    }
    # RFC 8446 appendix B.4, RFC 5289 section 3.
    known = {0x1301, 0x1302, 0x1303} if number == 0x0304 else {0xC02B, 0xC02C, 0xC02F, 0xC030}
    assert suite in known | ({0xCCA8, 0xCCA9} if number == 0x0303 else set())


async def test_the_certificate_of_the_client(
    tls: dict[str, Any],
    facts: Any,
    client_context: ClientContext,
    authority: trustme.CA,
    tmp_path: Path,
) -> None:
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    issued = authority.issue_cert("client.example", common_name="Ann", organization_name="A, B")
    context = client_context()
    issued.configure_cert(context)
    options = {**tls, "client_cert": "optional", "ca_certs": str(ca)}
    async with Server(app, **options) as server:
        told = await facts(server.address, context=context)
        anonymous = await facts(server.address, context=client_context())
    assert told["client_cert_name"].startswith("CN=Ann,")
    assert r"O=A\, B" in told["client_cert_name"]
    pem = issued.cert_chain_pems[0].bytes().decode()
    assert [one.split() for one in told["client_cert_chain"]] == [pem.split()]
    assert (anonymous["client_cert_chain"], anonymous["client_cert_name"]) == ([], None)


async def test_without_tls_there_is_no_extension(facts: Any) -> None:
    async with Server(app, port=0, access_log=False) as server:
        assert await facts(server.address) == {}


@pytest.mark.parametrize("readable", [True, False])
async def test_what_a_proxy_says(facts: Any, authority: trustme.CA, readable: bool) -> None:
    issued = authority.issue_cert("client.example", common_name="Ann")
    der = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
    session = ProxyTls(
        version="TLSv1.3",
        cipher="TLS_AES_128_GCM_SHA256",
        verified=True,
        certificate=der if readable else b"DER",
    )
    header = ProxyHeader(
        family="tcp4", source=("203.0.113.9", 5_000), destination=("192.0.2.1", 443), ssl=session
    )
    async with Server(app, port=0, access_log=False, proxy_protocol="required") as server:
        told = await facts(server.address, first=encode(header))
    assert (told["tls_version"], told["cipher_suite"]) == (0x0304, 0x1301)
    assert len(told["client_cert_chain"]) == readable
    name = told["client_cert_name"]
    assert name.startswith("CN=Ann,") if readable else name is None
