"""The adapter: what a Conn needs of whatever carries its request (Plug.Conn.Adapter).

HTTP/1 connections, the ASGI bridge and the test kit each implement it. All methods take the Conn
they act for: an adapter that serves several requests in turn refuses a Conn whose turn is over.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from plugpy.conn.fields import ConnFields


class PeerData(NamedTuple):
    """The other end of the connection (Plug.Conn.get_peer_data/1).

    address: the IP address, "" on a unix socket; port: 0 on a unix socket;
    ssl_cert: the peer's certificate in DER form, None without mutual TLS.
    """

    address: str
    port: int
    ssl_cert: bytes | None = None


class SockData(NamedTuple):
    """Our end of the connection (Plug.Conn.get_sock_data/1). On a unix socket address is its path
    and port 0."""

    address: str
    port: int


class Adapter(Protocol):
    """The calls that a Conn makes. Statuses and headers are read from the Conn that is given."""

    @property
    def scheme(self) -> str:
        """ "http" or "https"."""

    def send_resp(self, conn: "ConnFields", body: bytes, kind: str = "") -> None:
        """Send status, headers and the whole body.

        kind: "text" (text/plain in UTF-8), "json" (application/json) or "": the content-type to
        send where the conn has none.
        """

    def send_file(self, conn: "ConnFields", path: str, offset: int, length: int) -> None:
        """Send `length` bytes of a file from `offset`. Goes on in the background; the next
        request of the connection waits for it."""

    def send_chunked(self, conn: "ConnFields") -> None:
        """Send status and headers of a response whose body follows by `chunk`."""

    async def chunk(self, conn: "ConnFields", data: bytes) -> None:
        """Send one piece (never empty). Waits while the peer is slow.
        Raises ClientDisconnected."""

    async def read_req_body(
        self, conn: "ConnFields", limit: int | None, read_timeout: float | None
    ) -> bytes:
        """The next piece of the request body, b"" at its end.

        limit: the most bytes of body, in all, that the caller accepts; None: the adapter's own.
        read_timeout: seconds to wait for the piece.
        Raises RequestTooLargeError, RequestTimeoutError, ClientDisconnected, BadRequestError.
        """

    def inform(self, conn: "ConnFields", status: int, headers: Sequence[tuple[str, str]]) -> bool:
        """Send an informational response (1xx). False where the protocol has none."""

    # Adapters that know WebSocket have two methods more: `websocket(conn, options, settings)`
    # returns what `conn.websocket()` does, `start_websocket(conn, accepted, receiver)` accepts it.

    def upgrade(self, conn: "ConnFields", protocol: str, options: Any) -> bool:
        """Take note of an upgrade that happens after the pipeline. False: not supported."""

    def get_peer_data(self) -> PeerData: ...

    def get_sock_data(self) -> SockData: ...

    def get_ssl_data(self) -> dict[str, Any] | None:
        """Facts of the TLS session; None on a plain connection."""

    def get_http_protocol(self) -> str:
        """ "HTTP/1.1" and the like, of the request that is being served."""

    @property
    def trailers(self) -> Sequence[tuple[str, str]]:
        """Trailers of the request body, known once the body was read."""
