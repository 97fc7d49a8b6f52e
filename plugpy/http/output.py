"""The writing half of an HTTP/1 connection: what a Conn asks of its adapter (RFC 9112).

It writes for `conn`, the request that is being served, and for no other: a Conn whose turn is over
(its client left, a Task outlived its request) gets ClientDisconnected, or silence where nothing
waits for an answer.
"""

import asyncio
import logging
from asyncio import Future
from collections.abc import Sequence
from typing import Any

from acceptors import Connection, Connections
from plugpy.conn import (
    BadRequestError,
    ClientDisconnected,
    Conn,
    PeerData,
    RequestTimeoutError,
    RequestTooLargeError,
    SockData,
)
from plugpy.conn.errors import ContentLengthError
from plugpy.conn.fields import ConnFields
from plugpy.conn.response import validate_header
from plugpy.http.blocks import has_body, status_line
from plugpy.http.body import RequestBody
from plugpy.http.errors import VERDICTS
from plugpy.http.files import SMALL_FILE, read_range, send_range
from plugpy.http.options import HttpOptions
from plugpy.http.response_head import ResponseHead, response_head
from plugpy.http.runtime import Runtime, runtime_of

logger = logging.getLogger("plugpy.http")

TOO_LARGE = VERDICTS["body_too_large"][1]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

LARGE = 16_384
"""Bytes above which a response does not wait for those of the next pipelined requests."""

JOIN_LIMIT = 65_536
"""Bytes of body up to which head and body are copied together for one write; above, one writev."""


class Http1Output(Connection):
    """State of the response that is being written.

    conn            the request being served, None between requests
    runtime         what the listener's connections share
    requests        how many it has served
    body_bytes      bytes of body of the response that is being sent in pieces
    transport       None once the connection is gone
    """

    __slots__ = (
        "_body",
        "_chunked",
        "_last",
        "_out",
        "_remaining",
        "_sender",
        "_upgrade",
        "_write_paused",
        "_write_waiter",
        "body_bytes",
        "conn",
        "requests",
        "runtime",
    )

    def __init__(self, connections: Connections, options: HttpOptions) -> None:
        super().__init__(connections, options)
        self.runtime: Runtime = runtime_of(options, connections)
        self.conn: Conn | None = None
        self._body: RequestBody | None = None
        # Responses to pipelined requests are gathered here for one write; None: write at once.
        self._out: list[bytes] | None = None
        # Whether the connection ends with the response that is being served.
        self._last = False
        self._write_paused = False
        self._write_waiter: Future[None] | None = None
        self._sender: Future[None] | None = None
        self.requests = 0
        self.body_bytes = 0

    # the adapter: responses ----------------------------------------------------------------------

    def send_resp(self, conn: ConnFields, body: bytes, kind: str = "") -> None:
        """Send a whole response in one write (plugpy.conn.adapter.Adapter)."""
        if conn.head.plain and self.conn is conn and not self._last:
            headers = conn._resp_headers
            size = len(body)
            block: bytes | None = None
            if headers is None:
                blocks = self.runtime.blocks[kind]
                block = blocks.get(size << 10 | conn.status)  # type: ignore[operator]
                if block is None:
                    block = blocks.make(conn.status or 200, size, self.runtime.date)
            elif type(headers) is tuple and size <= JOIN_LIMIT:
                runtime = self.runtime
                blocks = runtime.blocks[kind]
                block = blocks.with_headers(conn.status or 200, headers, size, runtime.date)
            if block is not None:
                out = self._out
                if out is None:
                    transport = self.transport
                    if transport is not None:
                        transport.write(block + body)
                else:
                    out.append(block + body)
                return
        if self.conn is not conn:
            return
        head = self._head(conn, len(body), kind)
        if not head.body:
            self._write(head.data)
        elif len(body) <= JOIN_LIMIT:
            self._write(head.data + body)
        else:
            self._write(head.data)
            self._write(body)
            self.runtime.note_large(len(body))

    def send_block(self, conn: ConnFields, block: bytes, body: bytes) -> bool:
        """Send a whole response whose head somebody else knows by heart (the ASGI bridge).

        block: status line and checked header lines, without date, content-length and connection.
        Returns False, and sends nothing, where the head must be thought about.
        """
        if self.conn is not conn or not conn.head.plain or self._last:
            return False
        data = b"%b%bcontent-length: %d\r\n\r\n%b" % (block, self.runtime.date, len(body), body)
        out = self._out
        if out is not None:
            out.append(data)
        elif self.transport is not None:
            self.transport.write(data)
        return True

    def send_chunked(self, conn: ConnFields) -> None:
        """Send the head; the body follows by `chunk`."""
        if self.conn is not conn:
            return
        head = self._head(conn, None)
        self._chunked = head.chunked
        self._remaining: int | None = None if head.chunked or not head.body else head.length
        self._write(head.data)

    async def chunk(self, conn: ConnFields, data: bytes) -> None:
        """Send one piece; waits while the peer is slow. Raises ClientDisconnected, and
        ContentLengthError past the content-length that was put."""
        if self.conn is not conn or self.transport is None:
            raise ClientDisconnected("the client went away before the response was complete")
        if conn.head.method == "HEAD" or not has_body(conn.status or 200):
            return
        self.body_bytes += len(data)
        if self._chunked:
            self._write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            if self._remaining is not None:
                if len(data) > self._remaining:
                    raise ContentLengthError(
                        f"this chunk of {len(data)} bytes goes past the content-length header: "
                        f"{self._remaining} were left"
                    )
                self._remaining -= len(data)
            self._write(data)
        if self._write_paused:
            await self.drained()

    def _end_chunks(self, conn: Conn) -> None:
        """Complete a response that was sent in pieces."""
        if self._chunked:
            trailers = conn.private.get("resp_trailers")
            self._chunked = False
            if trailers:
                for name, value in trailers:
                    validate_header(name, value)  # they may have been put into `private` unseen
                fields = "".join(f"{name}: {value}\r\n" for name, value in trailers)
                self._write(b"0\r\n" + fields.encode("latin-1") + b"\r\n")
            else:
                self._write(b"0\r\n\r\n")
        elif self._remaining:
            raise ContentLengthError(
                f"the response ended {self._remaining} bytes before its content-length"
            )

    def send_file(self, conn: ConnFields, path: str, offset: int, length: int) -> None:
        """Send a range of a file: small ones in one write, larger ones by sendfile(2) in the
        background. Raises OSError where it can't be opened."""
        if self.conn is not conn:
            return
        if length <= SMALL_FILE:
            body = read_range(path, offset, length)
            self.send_resp(conn, body)
            if conn.head.method != "HEAD" and has_body(conn.status or 200):
                self.body_bytes = len(body)
            return
        file = open(path, "rb")  # noqa: SIM115 - the sender closes it
        try:
            head = self._head(conn, length)
            self._write(head.data)
        except BaseException:
            file.close()
            raise
        if not head.body:
            file.close()
            return
        self._sender = self.runtime.loop.create_task(send_range(self, file, offset, length))
        self._sender.add_done_callback(self._file_sent)

    def _file_sent(self, task: "Future[None]") -> None:
        """The file has left, or never will. The serving half overrides what comes next."""
        raise NotImplementedError

    def inform(self, conn: ConnFields, status: int, headers: Sequence[tuple[str, str]]) -> bool:
        """Send an informational response (RFC 9110 section 15.2); HTTP/1.0 has none."""
        if conn.head.version == "1.0":
            return False
        if self.conn is conn:
            fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
            self._write(status_line(status) + fields.encode("latin-1") + b"\r\n")
        return True

    def upgrade(self, conn: ConnFields, protocol: str, options: Any) -> bool:
        """Check an upgrade, and remember it for when the plugs have returned. Raises what the
        protocol has against it."""
        upgrade = self.runtime.options.upgrades.get(protocol)
        if upgrade is None or self.conn is not conn:
            return False
        self._refuse_body()
        agreed, receiver = upgrade.prepare(conn, options)
        conn.merge_resp_headers(agreed.resp_headers)
        self._upgrade: Any = (protocol, agreed, receiver)
        return True

    def websocket(self, conn: ConnFields, options: Any, settings: dict[str, Any]) -> Any:
        """What `conn.websocket()` returns. Raises ValueError where this listener has none."""
        upgrade = self.runtime.options.upgrades.get("websocket")
        if upgrade is None:
            raise ValueError("WebSocket is not supported by this listener")
        return upgrade.socket(conn, options, settings)

    def start_websocket(self, conn: ConnFields, accepted: Any, receiver: Any) -> None:
        """Send the 101 now, and hand the connection over (plugpy.websocket). The coroutine that
        serves the request goes on. The serving half overrides it."""
        raise NotImplementedError

    def _refuse_body(self) -> None:
        """What follows the head of an upgrade is the new protocol's: there can be no body."""
        if self._body is not None:
            raise BadRequestError("a request with a body can't change the protocol")

    # the adapter: request body -------------------------------------------------------------------

    async def read_req_body(
        self, conn: ConnFields, limit: int | None, read_timeout: float | None
    ) -> bytes:
        """The next piece of the request body, b"" at its end."""
        body = self._body
        if self.conn is not conn:
            raise ClientDisconnected("the request is over: its body can't be read any more")
        if body is None:
            return b""
        if limit is None:
            limit = getattr(conn.route, "max_body", None)
            if limit is None:
                limit = self.runtime.options.max_body
        # Also by the size of a chunk, before it has come.
        if body.announced > limit:
            raise RequestTooLargeError(f"{TOO_LARGE}: {body.announced} bytes, not {limit}")
        if body.expects_continue:
            # RFC 9110 section 10.1.1: only now, since a plug really wants the body.
            body.expects_continue = False
            if not body.received:
                self._write(CONTINUE)
        while not body.pieces:
            if body.failure is not None:
                raise body.failure
            if body.ended:
                return b""
            try:
                async with asyncio.timeout(read_timeout):
                    await body.wait(self.runtime.loop)
            except TimeoutError:
                self._last = True
                raise RequestTimeoutError(VERDICTS["body_timeout"][1]) from None
            if self.conn is not conn:
                raise ClientDisconnected("the request is over: its body can't be read any more")
        piece = body.take()
        if body.taken > limit:
            raise RequestTooLargeError(f"{TOO_LARGE}: more than {limit} bytes")
        self.update_reading()
        return piece

    def update_reading(self) -> None:
        """Hold the client back, or let it go on. The reading half overrides it."""

    @property
    def trailers(self) -> Sequence[tuple[str, str]]:
        """Trailers of the request body, once it was read."""
        return self._body.decoder.trailers if self._body is not None else ()

    # the adapter: the connection -----------------------------------------------------------------

    @property
    def scheme(self) -> str:
        """ "https" on a TLS connection, also where a trusted proxy says by the PROXY protocol that
        the client has one with it; else "http"."""
        transport = self.transport
        if transport and transport.get_extra_info("ssl_object"):
            return "https"
        if self.connections.arrivals and (header := self.proxy_header) and header.ssl:
            return "https"
        return "http"

    @property
    def owner(self) -> "Http1Output":
        """The process that serves the request: this connection."""
        return self

    @property
    def tasks(self) -> Any:
        """The supervisor of what outlives its request, None without a server."""
        return self.runtime.options.tasks

    @property
    def secret_key_base(self) -> str | None:
        """What cookies are signed with."""
        return self.runtime.options.secret_key_base

    def get_peer_data(self) -> PeerData:
        """The client; where a trusted proxy has said so, the proxy's client."""
        name = self.peername
        certificate = None
        if self.transport and (tls := self.transport.get_extra_info("ssl_object")):
            certificate = tls.getpeercert(binary_form=True)
        elif self.connections.arrivals and (header := self.proxy_header) and header.ssl:
            certificate = header.ssl.certificate if header.ssl.verified else None
        if isinstance(name, tuple):
            return PeerData(name[0], name[1], certificate or None)
        return PeerData("", 0, certificate or None)

    def get_sock_data(self) -> SockData:
        """Our end of the connection, or the proxy's."""
        name = self.sockname
        if isinstance(name, tuple):
            return SockData(name[0], name[1])
        return SockData(name if isinstance(name, str) else "", 0)

    def get_ssl_data(self) -> dict[str, Any] | None:
        """Version, cipher and the protocol agreed on, None without TLS."""
        tls = self.transport.get_extra_info("ssl_object") if self.transport else None
        if tls is not None:
            return {
                "version": tls.version(),
                "cipher": tls.cipher(),
                "alpn": tls.selected_alpn_protocol(),
            }
        header = self.proxy_header
        if header is None or header.ssl is None:
            return None
        cipher = header.ssl.cipher
        return {
            "version": header.ssl.version,
            # As Python has it: name, version, bits; the proxy says the name alone.
            "cipher": None if cipher is None else (cipher, header.ssl.version, None),
            "alpn": None if header.alpn is None else header.alpn.decode("ascii", "replace"),
        }

    def get_http_protocol(self) -> str:
        """ "HTTP/1.1" or "HTTP/1.0", of the request."""
        return f"HTTP/{self.conn.head.version if self.conn is not None else '1.1'}"

    # bytes out -----------------------------------------------------------------------------------

    def _head(self, conn: ConnFields, length: int | None, kind: str = "") -> ResponseHead:
        if conn.status is not None and conn.status < 200:
            raise ValueError(f"{conn.status} is no final status; use conn.inform for 1xx")
        body = self._body
        if body is not None and not body.ended and not self._last:
            # What was not read must be skipped to find the next request. Not when it is long, nor
            # when the client waits for a 100 that will never come.
            unread = body.announced if body.length is None else body.decoder.remaining
            self._last = (
                body.expects_continue
                or body.failure is not None
                or unread > self.runtime.options.max_skip_body
            )
        head = response_head(conn, length, self.runtime.date, close=self._last, kind=kind)
        if head.close:
            self._last = True
        return head

    def _write(self, data: bytes) -> None:
        if self._out is not None:
            self._out.append(data)
            if len(data) > LARGE:
                self._flush(self._out)
        elif self.transport is not None:
            self.transport.write(data)

    def _flush(self, out: list[bytes]) -> None:
        if self.transport is not None:
            self.transport.write(out[0] if len(out) == 1 else b"".join(out))
        out.clear()

    def pause_writing(self) -> None:
        """The peer is slow: the transport holds more than its high-water mark."""
        self._write_paused = True
        self.update_reading()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self._write_paused = False
        waiter = self._write_waiter
        if waiter is not None:
            self._write_waiter = None
            if not waiter.done():
                waiter.set_result(None)
        self.update_reading()

    async def drained(self) -> None:
        """Wait until the peer has caught up. Raises ClientDisconnected."""
        if self.transport is None:
            raise ClientDisconnected("the client went away before the response was complete")
        if self._write_paused:
            if self._write_waiter is None or self._write_waiter.done():
                self._write_waiter = self.runtime.loop.create_future()
            await asyncio.shield(self._write_waiter)
