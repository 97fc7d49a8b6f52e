"""TLS through the whole server: options, the Conn, new certificates, what is wrong with files."""

import asyncio
import contextlib
import logging
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acceptors.otp import VirtualClock
from plugpy import Router, get
from plugpy.server import Server
from plugpy.server.errors import ConfigurationError, ServerError, StartError
from plugpy.server.tls import LOOK_INTERVAL

WriteCertificate = Callable[..., tuple[str, str]]
ClientContext = Callable[..., ssl.SSLContext]


async def test_a_request_by_tls(
    tls: dict[str, Any], client_context: ClientContext, tell: Any, facts: Any
) -> None:
    async with Server(tell, **tls) as server:
        assert server.url == f"https://127.0.0.1:{server.port}"
        told = await facts(server.address, context=client_context(alpn=["http/1.1"]))
        assert told["scheme"] == "https"
        assert told["port"] == 443  # the Host header has none
        assert told["peer"][0] == "127.0.0.1"
        assert told["sock"] == ["127.0.0.1", server.port]
        assert told["certificate"] is None
        assert told["ssl"]["version"] == "TLSv1.3"
        assert told["ssl"]["alpn"] == "http/1.1"


async def test_a_context_from_python(
    pair: tuple[str, str], client_context: ClientContext, tell: Any, facts: Any
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    async with Server(tell, ssl=context, port=0, access_log=False) as server:
        assert server.url.startswith("https://")
        assert (await facts(server.address, context=client_context()))["scheme"] == "https"


async def test_plain_http_is_told_to_use_https(
    tls: dict[str, Any], client_context: ClientContext, tell: Any, exchange: Any, facts: Any
) -> None:
    async with Server(tell, **tls) as server:
        answer = await exchange(server.address)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert answer.endswith(b"this is plain HTTP on a port that speaks TLS: use https\n")
        assert b"connection: close" in answer
        assert await facts(server.address, context=client_context())


async def test_tls_on_a_plain_port_is_told_so_too(tell: Any, exchange: Any) -> None:
    async with Server(tell, port=0, access_log=False) as server:
        answer = await exchange(server.address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert b"this looks like TLS" in answer


async def test_many_requests_and_large_bodies(
    tls: dict[str, Any], client_context: ClientContext
) -> None:
    class App(Router):
        @get("/:size")
        def big(self, conn: Any, size: int) -> Any:
            return conn.send_resp(200, b"x" * size)

    async with Server(App, **tls) as server:
        reader, writer = await asyncio.open_connection(
            *server.address[:2], ssl=client_context(), server_hostname="localhost"
        )
        for size in (1, 100_000, 1, 1_000_000, 0):
            writer.write(f"GET /{size} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(size) == b"x" * size
        # Pipelined.
        writer.write(b"GET /3 HTTP/1.1\r\nhost: localhost\r\n\r\n" * 50)
        for _ in range(50):
            await reader.readuntil(b"\r\n\r\nxxx")
        writer.close()
        await writer.wait_closed()


async def test_an_early_answer_is_not_lost(
    tls: dict[str, Any], client_context: ClientContext
) -> None:
    """413 while the body is still coming. There is no half close over TLS, so the server reads on
    for a moment, and the client that sends all before it reads gets its answer."""

    async def body(conn: Any) -> Any:
        return conn.send_resp(200, await conn.body())

    async with Server(body, **tls, max_body="1KB", max_skip_body="1KB") as server:
        reader, writer = await asyncio.open_connection(
            *server.address[:2], ssl=client_context(), server_hostname="localhost"
        )
        writer.write(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5000000\r\n\r\n")
        async with asyncio.timeout(10):
            for _ in range(40):
                writer.write(b"x" * 100_000)
                await writer.drain()
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413 ")
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


async def test_client_certificates_are_on_the_conn(
    tls: dict[str, Any],
    client_context: ClientContext,
    authority: Any,
    tmp_path: Path,
    tell: Any,
    exchange: Any,
    facts: Any,
) -> None:
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    made = authority.issue_cert("ada@example.org")
    context = client_context()
    made.configure_cert(context)
    options = {**tls, "client_cert": "optional", "ca_certs": str(ca)}
    async with Server(tell, **options) as server:
        told = await facts(server.address, context=context)
        expected = ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())
        assert told["certificate"] == expected.hex()
        assert (await facts(server.address, context=client_context()))["certificate"] is None
    async with Server(tell, **{**options, "client_cert": "required"}) as server:
        assert await facts(server.address, context=context)
        # TLS 1.3: the client learns of the refusal only when it reads.
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            assert await exchange(server.address, context=client_context()) == b""


async def test_new_certificates_are_served_within_seconds(
    write_certificate: WriteCertificate,
    client_context: ClientContext,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    tell: Any,
    facts: Any,
) -> None:
    caplog.set_level(logging.INFO)
    pair = write_certificate("localhost", to=tmp_path)
    with VirtualClock() as clock:
        async with Server(
            tell, port=0, access_log=False, certfile=pair[0], keyfile=pair[1]
        ) as server:
            context = client_context()
            reader, writer = await asyncio.open_connection(
                *server.address[:2], ssl=context, server_hostname="localhost"
            )

            async def ask() -> bytes:
                writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
                return await reader.readuntil(b"\r\n\r\n{")

            assert await ask()
            # Half of a new pair: the old one stays, and that is said once.
            other = write_certificate("localhost")
            shutil.copy(other[0], pair[0])
            await clock.advance(3 * LOOK_INTERVAL)
            assert caplog.text.count("the certificates of before stay") == 1
            assert await facts(server.address, context=client_context())
            assert not server.reload_certificates()
            # The other half.
            write_certificate("localhost", "new.example", to=tmp_path)
            await clock.advance(LOOK_INTERVAL)
            assert "new connections get the certificates of now" in caplog.text
            assert await facts(server.address, context=client_context(), name="new.example")
            assert await reader.read(10_000)
            assert await ask()  # the connection of before lives on
            assert server.reload_certificates()
            writer.close()
            await writer.wait_closed()


async def test_what_is_wrong_with_files_is_said_at_the_start(
    tls: dict[str, Any], write_certificate: WriteCertificate, tmp_path: Path, tell: Any
) -> None:
    _, other_key = write_certificate("other.example")

    def fails(kind: type[ServerError], message: str, **options: Any) -> None:
        with pytest.raises(kind, match=message):
            Server(tell, **{**tls, **options})

    fails(StartError, "the argument certfile: nowhere.pem: No such file", certfile="nowhere.pem")
    fails(StartError, "the argument keyfile: the key .* is not that of", keyfile=other_key)
    fails(StartError, "the argument keyfile: nowhere.pem: No such file", keyfile="nowhere.pem")
    fails(StartError, "ciphers: OpenSSL knows no cipher", ciphers="none of them")
    fails(StartError, "client certificates can't be verified", client_cert="required")
    fails(ConfigurationError, "2 keys for 1 certificates", keyfile=[other_key, other_key])
    fails(ConfigurationError, "is not one of none, optional, required", client_cert="yes")
    fails(ConfigurationError, "give it a time above 0s", handshake_timeout="0s")
    with pytest.raises(ConfigurationError, match="https needs a certfile"):
        Server(tell, listen="https://127.0.0.1:0")


async def test_warnings_at_the_start(
    tls: dict[str, Any], caplog: pytest.LogCaptureFixture, tmp_path: Path, tell: Any
) -> None:
    open_key = tmp_path / "open.pem"
    shutil.copy(tls["keyfile"], open_key)
    open_key.chmod(0o644)
    async with Server(tell, **{**tls, "keyfile": str(open_key)}):
        pass
    assert "can be read by every user of this machine" in caplog.text


async def test_a_password_comes_from_anywhere_but_the_command_line(
    tls: dict[str, Any], tmp_path: Path, client_context: ClientContext, tell: Any, facts: Any
) -> None:
    from plugpy.server.listeners import OWN
    from plugpy.server.options import BY_NAME

    assert BY_NAME["keyfile_password"].secret
    assert "keyfile_password" not in OWN
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    locked = tmp_path / "locked.pem"
    subprocess.run(
        f"openssl pkcs8 -topk8 -in {tls['keyfile']} -out {locked} -passout pass:hunter2".split(),
        check=True,
        capture_output=True,
    )
    options = {**tls, "keyfile": str(locked)}
    async with Server(tell, **options, keyfile_password="hunter2") as server:
        assert await facts(server.address, context=client_context())
        assert "hunter2" not in repr(server.settings)
    with pytest.raises(StartError, match="no password was given"):
        Server(tell, **options)
