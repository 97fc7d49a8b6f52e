"""A reverse proxy: hands requests to other servers and their answers back, piece by piece.

    plugpy serve hello:HelloRouter --app-dir examples --port 4001
    PROXY_UPSTREAMS=http://127.0.0.1:4001 plugpy serve reverse_proxy:Proxy --app-dir examples
    curl -i http://127.0.0.1:4000/

Several upstreams are separated by commas and take turns; one that can't be reached is passed over.
`PROXY_TIMEOUT` is how many seconds may pass without a byte in either direction, 30.

Each request has a connection to the upstream of its own. That costs a handshake, and buys a lot: to
cancel is to close, no answer can end up with another client, and none is lost to a connection that
was kept for too long. h11 speaks HTTP on it and refuses what can be read in two ways; the HTTP
clients that are made for users know cookies, redirects and content-encodings, of which a proxy must
know nothing, and read no answer before they have sent the whole request. Install it by
`pip install "plugpy[h11]"`. Trailers are dropped, and WebSocket does not pass.
"""

import asyncio
import itertools
import logging
import os
import secrets
import ssl
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import h11

from plugpy import Conn, Router, error, match

logger = logging.getLogger("reverse_proxy")

SILENCE = float(os.environ.get("PROXY_TIMEOUT", "30"))
CONNECT = 5.0
"""Seconds until an upstream must have accepted a connection."""

CONTINUE = 1.0
"""Seconds that a client which asks first waits for the upstream (RFC 9110 section 10.1.1)."""

MOST_AT_ONCE = 200
"""Requests that are handed on at the same time; more are told to come back later."""

LARGEST_BODY, LARGEST_HEAD = 100_000_000, 65_536
"""Bytes of a request's body, and of the head of an answer."""

NAME = f"plugpy-{secrets.token_hex(4)}"
"""What this proxy is called in Via: a request that has passed it already goes round in a circle."""

HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
HOP_BY_HOP |= {"proxy-authenticate", "proxy-authorization", "proxy-connection"}
"""Fields that are meant for the next one on the way only (RFC 9110 section 7.6.1)."""

OURS = frozenset({"content-length", "expect", "forwarded", "host", "via", "x-real-ip"})
"""Fields of a request that are written anew, as are X-Forwarded-*: the client's are no more than
claims, which a server behind us would believe."""


class GatewayError(Exception):
    """What went wrong behind us: 502, 503 or 504."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Upstream(NamedTuple):
    """A server behind us."""

    host: str
    port: int
    tls: ssl.SSLContext | None


def upstreams(text: str) -> list[Upstream]:
    """Those of "http://10.0.0.1:4001, https://app.internal". Raises ValueError."""
    found = []
    for url in text.split(","):
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"PROXY_UPSTREAMS has URLs such as http://10.0.0.1:4001, got {url!r}")
        tls = ssl.create_default_context() if parts.scheme == "https" else None
        found.append(Upstream(parts.hostname, parts.port or (443 if tls else 80), tls))
    return found


UPSTREAMS = upstreams(os.environ.get("PROXY_UPSTREAMS", "http://127.0.0.1:4001"))


class Line:
    """A connection to an upstream, for one request and its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)
        self.reader, self.writer = reader, writer
        self.patience = asyncio.timeout(SILENCE)

    def moved(self) -> None:
        """Something has been sent or received: the silence begins anew."""
        self.patience.reschedule(asyncio.get_running_loop().time() + SILENCE)

    async def send(self, event: h11.Event) -> bool:
        """Send a part of the request; waits while the upstream is slow. False when it takes no
        more: it may have answered all the same."""
        try:
            self.writer.write(self.machine.send(event) or b"")
            await self.writer.drain()
        except OSError:
            return False
        self.moved()
        return True

    async def receive(self) -> Any:
        """The next part of the answer, an event of h11."""
        try:
            while (event := self.machine.next_event()) is h11.NEED_DATA:
                self.machine.receive_data(await self.reader.read(65_536))
                self.moved()
        except (OSError, h11.RemoteProtocolError) as error:
            raise GatewayError(502, f"the upstream's answer is broken: {error}") from error
        return event


class Proxy(Router):
    """Everything goes to an upstream."""

    def __init__(self) -> None:
        self.turns = itertools.cycle(UPSTREAMS)
        self.at_once = 0

    @match()
    async def hand_on(self, conn: Conn) -> Conn:
        """One request. A client that leaves cancels this, and so closes the line."""
        if any(NAME in value for value in conn.get_req_header("via")):
            raise GatewayError(508, "this request has been here already")
        if self.at_once >= MOST_AT_ONCE:
            conn.put_resp_header("retry-after", "1")
            raise GatewayError(503, f"{MOST_AT_ONCE} requests are being handed on")
        self.at_once += 1
        try:
            line = await self.connect()
            try:
                async with line.patience:
                    await self.exchange(conn, line)
            except TimeoutError as error:
                raise GatewayError(504, f"nothing has moved for {SILENCE:g} s") from error
            finally:
                line.writer.transport.abort()
        finally:
            self.at_once -= 1
        return conn

    async def connect(self) -> Line:
        """A line to the upstream whose turn it is, or else to the next one that can be reached."""
        for left in range(len(UPSTREAMS), 0, -1):
            upstream = next(self.turns)
            try:
                async with asyncio.timeout(CONNECT):
                    return Line(
                        *await asyncio.open_connection(
                            upstream.host, upstream.port, ssl=upstream.tls
                        )
                    )
            except OSError as error:  # TimeoutError is one
                logger.warning("%s:%s: %r", upstream.host, upstream.port, error)
                if left == 1:
                    status = 504 if isinstance(error, TimeoutError) else 502
                    raise GatewayError(status, "no upstream can be reached") from error
        raise AssertionError("there is at least one upstream")

    async def exchange(self, conn: Conn, line: Line) -> None:
        """Request and answer at the same time: an upstream may answer before it has read all."""
        fields, asks_first = request_fields(conn)
        target = conn.request_path + (f"?{conn.query_string}" if conn.query_string else "")
        await line.send(h11.Request(method=conn.method, target=target, headers=fields))
        may_send = asyncio.Event()
        sending = asyncio.create_task(self.send_body(conn, line, may_send, asks_first))
        answering = asyncio.create_task(self.answer(conn, line, may_send))
        try:
            await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()  # raises what is wrong with the client's body
            await answering
        finally:
            sending.cancel()
            answering.cancel()
            await asyncio.gather(sending, answering, return_exceptions=True)

    async def send_body(
        self, conn: Conn, line: Line, may_send: asyncio.Event, asks_first: bool
    ) -> None:
        """Hand the body on as it comes. Not more is read than the upstream takes."""
        if asks_first:
            with suppress(TimeoutError):
                async with asyncio.timeout(CONTINUE):
                    await may_send.wait()
        async for piece in conn.iter_body(limit=LARGEST_BODY):
            if not await line.send(h11.Data(data=piece)):
                return
        await line.send(h11.EndOfMessage())

    async def answer(self, conn: Conn, line: Line, may_send: asyncio.Event) -> None:
        """Hand the answer on as it comes. Not more is read than the client takes."""
        while not isinstance(event := await line.receive(), h11.Response):
            if not isinstance(event, h11.InformationalResponse):
                raise GatewayError(502, "the upstream has closed without an answer")
            if event.status_code == 100:
                may_send.set()
            else:
                conn.inform(event.status_code, answer_fields(event.headers))
        conn.resp_headers = [*answer_fields(event.headers), ("via", f"1.1 {NAME}")]
        conn.send_chunked(event.status_code)
        while isinstance(piece := await line.receive(), h11.Data):
            await conn.chunk(piece.data)
            line.moved()

    @error(GatewayError)
    def told(self, conn: Conn, error: GatewayError) -> Conn:
        """Who asks is told no more than what kind of thing went wrong."""
        logger.warning("%s %s: %s", conn.method, conn.request_path, error)
        return conn.text(f"{conn.status}: this could not be handed on\n")


def request_fields(conn: Conn) -> tuple[list[tuple[str, str]], bool]:
    """The fields that an upstream gets, and whether the client waits to be told to send its body.

    The framing is written by what the request is, never by what a field of Connection would have.
    """
    fields = [
        (name, value)
        for name, value in end_to_end(conn.req_headers)
        # Where fields become variables, x_forwarded_for would be the same as x-forwarded-for.
        if (plain := name.replace("_", "-")) not in OURS and not plain.startswith("x-forwarded-")
    ]
    host = (conn.get_req_header("host") or [conn.host or "localhost"])[0]
    client = conn.remote_ip or "unknown"
    node = f'"[{client}]"' if ":" in client else client
    fields += [
        ("host", host),
        ("connection", "close"),
        ("via", ", ".join([*conn.get_req_header("via"), f"1.1 {NAME}"])),
        ("forwarded", f'for={node};host="{host}";proto={conn.scheme}'),
        ("x-forwarded-for", client),
        ("x-forwarded-host", host),
        ("x-forwarded-proto", conn.scheme),
    ]
    length = conn.get_req_header("content-length")
    chunked = bool(conn.get_req_header("transfer-encoding"))
    if chunked:
        fields.append(("transfer-encoding", "chunked"))
    elif length:
        fields.append(("content-length", length[0]))
    asks_first = (
        (chunked or length not in ([], ["0"]))
        and "100-continue" in ",".join(conn.get_req_header("expect")).lower()
        and conn.get_http_protocol() != "HTTP/1.0"
    )
    if asks_first:
        fields.append(("expect", "100-continue"))
    return fields, asks_first


def answer_fields(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """The fields that the client gets."""
    fields = [(name.decode("ascii"), value.decode("latin-1")) for name, value in headers]
    framed_by_chunks = any(name == "transfer-encoding" for name, _ in fields)
    return [
        (name, value)
        for name, value in end_to_end(fields)
        if not (framed_by_chunks and name == "content-length")
    ]


def end_to_end(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Fields without those that are meant for the next one on the way, and those that Connection
    names."""
    named = ",".join(value for name, value in fields if name == "connection").lower().split(",")
    dropped = HOP_BY_HOP.union(name.strip() for name in named)
    return [(name, value) for name, value in fields if name not in dropped]
