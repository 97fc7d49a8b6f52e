"""Where a test request came from, and how (Plug.Test.put_peer_data/2 and its kin)."""

from typing import Any

from plugpy.conn import Conn, PeerData, SockData
from plugpy.testing.sent import adapter_of


def put_peer_data(
    conn: Conn, address: str, port: int = 111317, ssl_cert: bytes | None = None
) -> Conn:
    """The other end of the connection; `conn.remote_ip` follows unless a plug has set or read it.

    Source: Plug.Test.put_peer_data/2.

    >>> from plugpy.testing import conn
    >>> put_peer_data(conn("GET", "/"), "203.0.113.9").remote_ip
    '203.0.113.9'
    """
    adapter_of(conn).peer = PeerData(address, port, ssl_cert)
    return conn


def put_sock_data(conn: Conn, address: str, port: int = 111318) -> Conn:
    """Our end of the connection (Plug.Test.put_sock_data/2)."""
    adapter_of(conn).sock = SockData(address, port)
    return conn


def put_ssl_data(conn: Conn, data: dict[str, Any] | None) -> Conn:
    """The facts of the TLS session, None for none (Plug.Test.put_ssl_data/2).

    `conn.scheme` is the option `scheme` of `conn` and stays.
    """
    adapter_of(conn).ssl_data = data
    return conn


def put_http_protocol(conn: Conn, protocol: str) -> Conn:
    """What `get_http_protocol` says, "HTTP/1.1" or "HTTP/2" (Plug.Test.put_http_protocol/2)."""
    adapter_of(conn).http_protocol = protocol
    return conn
