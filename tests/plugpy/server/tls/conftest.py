"""What the tests of TLS, of peers and of several listeners share; all run on both event loops."""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

WriteCertificate = Callable[..., tuple[str, str]]
ClientContext = Callable[..., ssl.SSLContext]


def pytest_asyncio_loop_factories(config: Any, item: Any) -> Any:
    import uvloop

    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def _tell(conn: Any) -> Any:
    """All that a Conn says about its connection."""
    peer, sock = conn.get_peer_data(), conn.get_sock_data()
    facts = {
        "scheme": conn.scheme,
        "host": conn.host,
        "port": conn.port,
        "remote_ip": conn.remote_ip,
        "peer": [peer.address, peer.port],
        "certificate": None if peer.ssl_cert is None else peer.ssl_cert.hex(),
        "sock": [sock.address, sock.port],
        "ssl": conn.get_ssl_data(),
    }
    return conn.send_resp(200, json.dumps(facts))


async def _exchange(
    address: Any,
    request: bytes = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    *,
    first: bytes = b"",
    context: ssl.SSLContext | None = None,
    name: str = "localhost",
) -> bytes:
    """What comes back until the end; `first` is sent before TLS."""
    raw = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    try:
        raw.connect(address if isinstance(address, str) else address[:2])
    except OSError:
        raw.close()
        raise
    raw.sendall(first)
    raw.setblocking(False)
    how: dict[str, Any] = {} if context is None else {"ssl": context, "server_hostname": name}
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(sock=raw, **how)
        try:
            writer.write(request)
            return await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()


async def _facts(address: Any, **how: Any) -> Any:
    answer = await _exchange(address, **how)
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.fixture(scope="session")
def pair(write_certificate: WriteCertificate) -> tuple[str, str]:
    return write_certificate("localhost", "127.0.0.1")


@pytest.fixture
def tls(pair: tuple[str, str]) -> dict[str, Any]:
    """Options of a server."""
    certfile, keyfile = pair
    return {"port": 0, "access_log": False, "certfile": certfile, "keyfile": keyfile}


@pytest.fixture(name="tell")
def tell_fixture() -> Callable[..., Any]:
    """A plug that answers with all that a Conn says about its connection, as JSON."""
    return _tell


@pytest.fixture(name="exchange")
def exchange_fixture() -> Callable[..., Any]:
    """`await exchange(address, request, first=b"", context=None, name="localhost")`."""
    return _exchange


@pytest.fixture(name="facts")
def facts_fixture() -> Callable[..., Any]:
    """`await facts(address, ...)`: what `tell` answered."""
    return _facts
