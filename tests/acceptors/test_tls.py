"""TLS: hands are shaken in the connection, never in the acceptor."""

from __future__ import annotations

import asyncio
import datetime
import ssl

import pytest

import acceptors

x509 = pytest.importorskip("cryptography.x509")


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    """(of the server, of a client that trusts it), with a certificate of this minute."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


async def test_echo_while_another_does_not_shake_hands(listen, connect, wait_for, contexts):
    ref = await listen(ssl=contexts[0], num_acceptors=1)
    silent = await connect(ref)  # its handshake never comes
    await wait_for(ref, "==", 1)
    client = await connect(ref, ssl=contexts[1], server_hostname="localhost")
    assert await client.echo(b"x" * 100_000)
    assert acceptors.info(ref)["transport"] == "tls"
    assert acceptors.info(ref)["active_connections"] == 2
    await client.close()
    await silent.close()


async def test_handshake_timeout(listen, connect, wait_for, contexts, caplog):
    ref = await listen(ssl=contexts[0], handshake_timeout=0.05)
    silent = await connect(ref)
    assert await silent.receive() == b""
    await wait_for(ref, "==", 0)
    assert not [r for r in caplog.records if r.name == "acceptors"]


async def test_nonsense_instead_of_a_handshake(listen, connect, wait_for, contexts, caplog):
    ref = await listen(ssl=contexts[0], num_acceptors=1)
    client = await connect(ref)
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    while await client.receive():
        pass
    await wait_for(ref, "==", 0)
    assert not [r for r in caplog.records if r.name == "acceptors"]
    good = await connect(ref, ssl=contexts[1], server_hostname="localhost")
    assert await good.echo(b"x")
    await good.close()


async def test_stop_while_hands_are_shaken(listen, connect, wait_for, contexts):
    ref = await listen(ssl=contexts[0], handshake_timeout=0.2, shutdown=0.05)
    await connect(ref)
    await wait_for(ref, "==", 1)
    async with asyncio.timeout(5):
        await acceptors.stop_listener(ref)
