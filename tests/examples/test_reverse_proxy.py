"""examples/reverse_proxy.py, between clients and upstreams: good, hostile, slow, dead."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from types import SimpleNamespace

import h11
import pytest

from plugpy import Conn, Router, get, match

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
PATIENCE = 20


class Upstream:
    """A server of the test: each connection is given to its function, with what it has read."""

    def __init__(self, serve):
        self.serve = serve
        self.heads = []
        self.connections = 0
        self.ended = asyncio.Event()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *error):
        self.server.close()

    async def connected(self, reader, writer):
        self.connections += 1
        try:
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
            await self.serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.ended.set()

    def fields(self, number=-1):
        """The header lines of a request, name -> values."""
        found = {}
        for line in self.heads[number].split("\r\n")[1:-2]:
            name, _, value = line.partition(": ")
            found.setdefault(name, []).append(value)
        return found


def answering(answer=OK):
    """An upstream that reads the head, and answers with these bytes."""

    async def serve(reader, writer):
        writer.write(answer)
        await writer.drain()

    return Upstream(serve)


@pytest.fixture
def proxy(example, live_server):
    """`async with proxy(upstream.url, ...) as server`."""

    @contextlib.asynccontextmanager
    async def start(*urls, timeout=PATIENCE):
        application = example(
            "reverse_proxy:Proxy", PROXY_UPSTREAMS=",".join(urls), PROXY_TIMEOUT=timeout
        )
        async with asyncio.timeout(50), live_server.here(application) as server:
            yield server

    return start


class Client:
    """A connection to the proxy."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def head(self):
        """(status, fields) of the next head."""
        data = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = data.split("\r\n")[:-2]
        return int(status.split()[1]), [tuple(line.split(": ", 1)) for line in lines]

    async def response(self):
        """(status, fields, body) of a response with a length or in chunks."""
        status, fields = await self.head()
        names = dict(fields)
        if "content-length" in names:
            return status, fields, await self.reader.readexactly(int(names["content-length"]))
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()
        return status, fields, body


@contextlib.asynccontextmanager
async def connected(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def ask(server, *lines, body=b"", method="GET", path="/"):
    async with connected(server) as client:
        head = [f"{method} {path} HTTP/1.1", "host: shop.example", *lines, "", ""]
        await client.send("\r\n".join(head).encode("latin-1") + body)
        return await client.response()


def names(fields):
    return {name for name, _ in fields}


# what goes through ---


async def test_a_whole_application_behind_it(proxy, live_server, client):
    class Shop(Router):
        @get("/things/:name")
        def thing(self, conn: Conn, name: str):
            conn.put_resp_cookie("a", "1").put_resp_cookie("b", "2")
            return {"name": name, "query": conn.query_string, "host": conn.host}

        @match("/echo")
        async def echo(self, conn: Conn) -> Conn:
            body = await conn.body()
            return conn.put_resp_header("x-method", conn.method).send_resp(201, body)

    async with (
        live_server.here(Shop, access_log=False) as shop,
        proxy(shop.url) as server,
        client.asynchronous(server, headers={"host": "shop.example"}) as http,
    ):
        answer = await http.get("/things/a%2Fb%20c?x=1&y=%41")
        assert answer.json() == {"name": "a/b c", "query": "x=1&y=%41", "host": "shop.example"}
        assert len(answer.headers.get_list("set-cookie")) == 2
        assert answer.headers["cache-control"] == "max-age=0, private, must-revalidate"
        assert answer.headers["via"].startswith("1.1 plugpy-")
        assert (await http.get("/none")).status_code == 404
        large = b"x" * 3_000_000

        async def pieces():
            for start in range(0, len(large), 100_000):
                yield large[start : start + 100_000]

        for method in ("POST", "PUT", "PATCH", "DELETE"):
            for content in (b"", b"body", large, pieces()):
                answer = await http.request(method, "/echo", content=content)
                assert answer.status_code == 201
                assert answer.headers["x-method"] == method
                assert answer.content == (large if not isinstance(content, bytes) else content)
        answer = await http.head("/things/x")
        assert (answer.status_code, answer.content) == (200, b"")
        assert int(answer.headers["content-length"]) > 0


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body(proxy, status):
    async with (
        answering(b'HTTP/1.1 %d X\r\netag: "1"\r\n\r\n' % status) as upstream,
        proxy(upstream.url) as server,
        connected(server) as client,
    ):
        for _ in range(2):
            await client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert (await client.head())[0] == status


async def test_an_answer_that_ends_with_its_connection(proxy):
    async with (
        answering(b"HTTP/1.0 200 OK\r\n\r\nuntil the end") as upstream,
        proxy(upstream.url) as server,
    ):
        status, fields, body = await ask(server)
        assert (status, body) == (200, b"until the end")
        assert ("transfer-encoding", "chunked") in fields


async def test_a_client_of_http_1_0(proxy):
    async with answering() as upstream, proxy(upstream.url) as server, connected(server) as client:
        await client.send(b"GET / HTTP/1.0\r\nexpect: 100-continue\r\n\r\n")
        assert (await client.reader.read()).endswith(b"\r\n\r\nok")
        assert len(upstream.fields()["host"]) == 1


async def test_pieces_of_an_answer_do_not_wait_for_each_other(proxy):
    seen = asyncio.Event()

    async def serve(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await seen.wait()
        writer.write(b"3\r\ntwo\r\n0\r\nx-trailer: dropped\r\n\r\n")

    async with (
        Upstream(serve) as upstream,
        proxy(upstream.url) as server,
        connected(server) as client,
    ):
        await client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await client.head()
        assert await client.reader.readexactly(8) == b"3\r\none\r\n"
        seen.set()
        assert await client.reader.readexactly(13) == b"3\r\ntwo\r\n0\r\n\r\n"


async def test_pieces_of_a_request_do_not_wait_for_each_other(proxy):
    arrived, rest = asyncio.Event(), []

    async def serve(reader, writer):
        await reader.readuntil(b"one")
        arrived.set()
        rest.append(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(OK)

    async with (
        Upstream(serve) as upstream,
        proxy(upstream.url) as server,
        connected(server) as client,
    ):
        await client.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        await client.send(b"3\r\none\r\n")
        await arrived.wait()
        await client.send(b"3\r\ntwo\r\n0\r\n\r\n")
        assert (await client.response())[2] == b"ok"
        assert b"two" in rest[0]


async def test_both_directions_at_once(proxy):
    """An upstream that sends back what it gets, more than any buffer holds."""
    size = 8_000_000

    async def serve(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        left = size
        while left:
            data = await reader.read(65_536)
            left -= len(data)
            writer.write(data)
            await writer.drain()

    async with (
        Upstream(serve) as upstream,
        proxy(upstream.url) as server,
        connected(server) as client,
    ):
        head = f"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n"
        sending = asyncio.create_task(client.send(head.encode() + b"0123456789" * (size // 10)))
        status, _, body = await client.response()
        await sending
        assert (status, body) == (200, b"0123456789" * (size // 10))


async def test_what_waits_for_a_slow_client_is_bounded(proxy):
    sent, stuck = 0, asyncio.Event()

    async def serve(reader, writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        with contextlib.suppress(TimeoutError):
            while sent < 200_000_000:
                writer.write(b"x" * 100_000)
                async with asyncio.timeout(0.5):
                    await writer.drain()
                sent += 100_000
        stuck.set()

    async with Upstream(serve) as upstream, proxy(upstream.url) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        try:
            sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            await stuck.wait()
            assert sent < 50_000_000
        finally:
            sock.close()
        await upstream.ended.wait()


# fields ---


async def test_fields_for_the_next_one_on_the_way_end_here(proxy):
    answer = (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x-internal, close\r\n"
        b"x-internal: secret\r\nkeep-alive: timeout=5\r\nproxy-authenticate: Basic\r\n"
        b"upgrade: h2c\r\ntrailer: x\r\nserver: theirs\r\nvia: 1.1 other\r\n\r\nok"
    )
    async with answering(answer) as upstream, proxy(upstream.url) as server:
        _, fields, _ = await ask(
            server,
            "connection: X-Internal , keep-alive",
            "connection: upgrade",
            "x-internal: secret",
            "keep-alive: timeout=5",
            "proxy-connection: keep-alive",
            "proxy-authorization: Basic xyz",
            "te: trailers",
            "upgrade: websocket",
            "accept: text/html",
        )
        sent = upstream.fields()
        gone = {"x-internal", "keep-alive", "proxy-connection", "proxy-authorization", "te"}
        assert not (gone | {"upgrade", "trailer"}) & set(sent)
        assert sent["connection"] == ["close"]
        assert sent["accept"] == ["text/html"]
        assert not names(fields) & {"x-internal", "keep-alive", "proxy-authenticate", "upgrade"}
        assert dict(fields)["server"] == "theirs"
        assert next(value for name, value in fields if name == "via") == "1.1 other"


async def test_what_the_client_says_of_itself_is_not_handed_on(proxy):
    async with answering() as upstream, proxy(upstream.url) as server:
        await ask(
            server,
            "x-forwarded-for: 6.6.6.6",
            "x_forwarded_for: 6.6.6.6",
            "X-Forwarded-User: admin",
            "forwarded: for=6.6.6.6",
            "x-real-ip: 6.6.6.6",
            "via: 1.0 fred",
        )
        sent = upstream.fields()
        assert "6.6.6.6" not in upstream.heads[0]
        assert "x-forwarded-user" not in sent
        assert sent["host"] == ["shop.example"]
        assert sent["x-forwarded-for"] == ["127.0.0.1"]
        assert sent["x-forwarded-host"] == ["shop.example"]
        assert sent["x-forwarded-proto"] == ["http"]
        assert sent["forwarded"] == ['for=127.0.0.1;host="shop.example";proto=http']
        (via,) = sent["via"]
        assert via.startswith("1.0 fred, 1.1 plugpy-")


async def test_connection_can_not_take_away_what_is_ours(proxy):
    ours = "host, content-length, x-forwarded-for, forwarded, via, transfer-encoding"
    body = b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"

    async def serve(reader, writer):
        assert await reader.readexactly(len(body)) == body
        writer.write(OK)

    async with Upstream(serve) as upstream, proxy(upstream.url) as server:
        lines = (f"connection: {ours}", f"content-length: {len(body)}")
        status, _, _ = await ask(server, *lines, method="POST", body=body)
        assert status == 200
        sent = upstream.fields()
        assert sent["content-length"] == [str(len(body))]
        assert {"host", "x-forwarded-for", "forwarded", "via"} <= set(sent)
        assert upstream.connections == 1


async def test_an_address_of_ipv6(example):
    from plugpy.conn import PeerData
    from plugpy.testing import conn

    example("reverse_proxy:Proxy")
    made, _ = sys.modules["reverse_proxy"].request_fields(
        conn("GET", "/", headers={"host": "[::1]:80"}, peer=PeerData("2001:db8::1", 1))
    )
    assert dict(made)["forwarded"] == 'for="[2001:db8::1]";host="[::1]:80";proto=http'
    assert dict(made)["x-forwarded-for"] == "2001:db8::1"


async def test_a_request_that_goes_round_in_a_circle(proxy):
    async with answering() as upstream, proxy(upstream.url) as server:
        name = sys.modules["reverse_proxy"].NAME
        assert (await ask(server, f"via: 1.1 first, 1.1 {name}"))[0] == 508
        assert upstream.connections == 0


# who tries to smuggle ---


@pytest.mark.parametrize(
    "request_",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n",
        b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        b"x: a\nx-smuggled: 1\r\n\r\n",
        b" folded: 1\r\n\r\n",
    ],
)
async def test_what_can_be_read_in_two_ways_reaches_no_upstream(proxy, request_):
    async with answering() as upstream, proxy(upstream.url) as server, connected(server) as client:
        await client.send(b"POST / HTTP/1.1\r\nhost: a\r\n" + request_)
        assert (await client.head())[0] in (400, 501)
        assert upstream.connections == 0


async def test_a_body_with_an_error_ends_the_request_to_the_upstream_too(proxy):
    arrived, got = asyncio.Event(), []

    async def serve(reader, writer):
        await reader.readuntil(b"one")
        arrived.set()
        got.append(await reader.read())

    async with (
        Upstream(serve) as upstream,
        proxy(upstream.url) as server,
        connected(server) as client,
    ):
        await client.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        await client.send(b"3\r\none\r\n")
        await arrived.wait()
        await client.send(b"NONSENSE\r\n")
        assert (await client.head())[0] == 400
        await upstream.ended.wait()
        assert b"0\r\n\r\n" not in b"".join(got)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\x00b\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad name: x\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"",
    ],
)
async def test_a_broken_answer_is_a_502(proxy, answer):
    async with answering(answer) as upstream, proxy(upstream.url) as server:
        status, _, body = await ask(server)
        assert (status, body) == (502, b"502: this could not be handed on\n")


async def test_chunks_count_more_than_a_length(proxy):
    answer = (
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n"
    )
    async with answering(answer) as upstream, proxy(upstream.url) as server:
        _, fields, body = await ask(server)
        assert body == b"hello"
        assert "content-length" not in names(fields)


async def test_a_second_answer_reaches_nobody(proxy):
    poison = OK + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison"
    async with answering(poison) as upstream, proxy(upstream.url) as server:
        async with connected(server) as client:
            await client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 3)
            assert [(await client.response())[2] for _ in range(3)] == [b"ok"] * 3
        assert upstream.connections == 3


# upstreams that are dead, silent, in a hurry ---


@pytest.fixture
def dead():
    """The URL of a port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"


async def test_a_dead_upstream_is_a_502(proxy, dead):
    async with proxy(dead, dead) as server:
        status, _, body = await ask(server)
        assert status == 502
        assert b"127.0.0.1" not in body


async def test_a_dead_one_is_passed_over(proxy, dead):
    async with answering() as upstream, proxy(dead, upstream.url) as server:
        assert [(await ask(server))[0] for _ in range(4)] == [200] * 4


async def test_they_take_turns(proxy):
    async with (
        answering() as one,
        answering() as two,
        proxy(one.url, two.url) as server,
    ):
        for _ in range(4):
            await ask(server)
        assert (one.connections, two.connections) == (2, 2)


async def silent(reader, writer):
    await reader.read()


async def test_a_silent_upstream_is_a_504_and_is_left(proxy):
    async with Upstream(silent) as upstream, proxy(upstream.url, timeout=0.2) as server:
        assert (await ask(server))[0] == 504
        await upstream.ended.wait()


async def test_each_piece_that_moves_begins_the_silence_anew(example):
    example("reverse_proxy:Proxy")
    module = sys.modules["reverse_proxy"]
    reader = asyncio.StreamReader()
    writer = SimpleNamespace(write=lambda data: None, drain=lambda: asyncio.sleep(0))
    line = module.Line(reader, writer)
    async with line.patience:
        ends = [line.patience.when()]
        await line.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
        ends.append(line.patience.when())
        await line.send(h11.EndOfMessage())
        for piece in (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", b"one", b"two"):
            reader.feed_data(piece)
            await line.receive()
            ends.append(line.patience.when())
    assert ends == sorted(set(ends))


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
async def test_half_an_answer_does_not_look_like_a_whole_one(proxy, start):
    async with (
        answering(start) as upstream,
        proxy(upstream.url) as server,
        connected(server) as client,
    ):
        await client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            got = await client.reader.read()
            assert not got.endswith(b"0\r\n\r\n")
            assert b"content-length: 5\r\n" not in got


async def test_an_upstream_that_answers_before_it_has_read_all(proxy):
    async def serve(reader, writer):
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 9\r\n\r\ntoo large")
        await writer.drain()

    async with (
        Upstream(serve) as upstream,
        proxy(upstream.url) as server,
        connected(server) as client,
    ):
        await client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000\r\n\r\nstart")
        status, _, body = await client.response()
        assert (status, body) == (413, b"too large")


async def test_who_asks_first_is_told_by_the_upstream(proxy):
    head = b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"

    async def accept(reader, writer):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(4) == b"body"
        writer.write(OK)

    async with (
        Upstream(accept) as upstream,
        proxy(upstream.url) as server,
        connected(server) as client,
    ):
        await client.send(head)
        assert (await client.head())[0] == 100
        await client.send(b"body")
        assert (await client.response())[2] == b"ok"
        assert upstream.fields()["expect"] == ["100-continue"]

    async with (
        answering(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno") as upstream,
        proxy(upstream.url) as server,
        connected(server) as client,
    ):
        await client.send(head)
        assert (await client.response())[::2] == (403, b"no")


async def test_hints_pass(proxy):
    hint = b"HTTP/1.1 103 Early Hints\r\nlink: </x.css>; rel=preload\r\n\r\n"
    async with (
        answering(hint + OK) as upstream,
        proxy(upstream.url) as server,
        connected(server) as client,
    ):
        await client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        status, fields = await client.head()
        assert (status, dict(fields)["link"]) == (103, "</x.css>; rel=preload")
        assert (await client.response())[2] == b"ok"


# clients that leave, and too many of them ---


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nstart"])
async def test_a_client_that_leaves_ends_the_request_to_the_upstream(proxy, part):
    came = asyncio.Event()

    async def serve(reader, writer):
        writer.write(part)
        came.set()
        await reader.read()

    async with Upstream(serve) as upstream, proxy(upstream.url) as server:
        async with connected(server) as client:
            await client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            await came.wait()
        await upstream.ended.wait()


async def test_a_client_that_leaves_in_the_middle_of_its_body(proxy):
    arrived = asyncio.Event()
    got = []

    async def serve(reader, writer):
        await reader.readexactly(5)
        arrived.set()
        got.append(await reader.read())

    async with Upstream(serve) as upstream, proxy(upstream.url) as server:
        async with connected(server) as client:
            await client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nstart")
            await arrived.wait()
        await upstream.ended.wait()
        assert b"".join(got) == b""


async def test_more_than_it_takes_at_once(proxy, monkeypatch):
    came = asyncio.Event()

    async def serve(reader, writer):
        came.set()
        await reader.read()

    async with Upstream(serve) as upstream, proxy(upstream.url) as server:
        monkeypatch.setattr(sys.modules["reverse_proxy"], "MOST_AT_ONCE", 1)
        async with connected(server) as client:
            await client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            await came.wait()
            status, fields, _ = await ask(server)
            assert (status, dict(fields)["retry-after"]) == (503, "1")
        await upstream.ended.wait()
        upstream.serve = answering().serve
        assert (await ask(server))[0] == 200


async def test_a_body_that_is_too_large(proxy, monkeypatch):
    async with Upstream(silent) as upstream, proxy(upstream.url) as server:
        monkeypatch.setattr(sys.modules["reverse_proxy"], "LARGEST_BODY", 1_000)
        status, _, _ = await ask(server, "content-length: 1001", method="POST", body=b"x" * 1_001)
        assert status == 413


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1:4001", "ftp://a", "http://", "http://a/path", "http://a,", "http://a:x"]
)
def test_upstreams_that_are_none(example, text):
    from plugpy.server.errors import ApplicationError

    with pytest.raises(ApplicationError, match="ValueError"):
        example("reverse_proxy:Proxy", PROXY_UPSTREAMS=text)
