"""wsgi.input: the body of a request, read by a thread."""

from __future__ import annotations

import asyncio
import io
import threading
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.interop.wsgi_input import WsgiInput
from plugpy.interop.wsgi_response import READ_AHEAD


class Pieces(WsgiInput):
    """Gives the pieces that it was made of, and says how often it waited."""

    __slots__ = ("pieces",)

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = [piece for piece in pieces if piece]
        super().__init__(None, b"", False)  # type: ignore[arg-type]

    def _receive(self) -> bytes:
        if not self.pieces:
            self._ended = True
            return b""
        return self.pieces.pop(0)


CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.sampled_from([-1, 0, 1, 2, 3, 7, 100])),
        st.tuples(st.just("readline"), st.sampled_from([-1, 0, 1, 2, 3, 7, 100])),
        st.tuples(st.just("readlines"), st.sampled_from([-1, 0, 1, 5, 100])),
    )
)


@given(st.lists(st.text("ab\n", max_size=9).map(str.encode)), CALLS)
def test_it_reads_as_a_file_does(pieces: list[bytes], calls: list[tuple[str, int]]):
    file = io.BytesIO(b"".join(pieces))
    body = Pieces(pieces)
    for name, size in calls:
        assert getattr(body, name)(size) == getattr(file, name)(size)
    assert list(body) == list(file)
    assert body.read() == b""


def test_none_is_no_limit():
    assert Pieces([b"a\n", b"b"]).read(None) == b"a\nb"
    assert Pieces([b"a", b"b\nc"]).readline(None) == b"ab\n"
    assert Pieces([b"a", b"b\nc"]).readlines(None) == [b"ab\n", b"c"]


def echo(environ: Any, start_response: Any) -> Any:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("X-Length", environ.get("CONTENT_LENGTH", "none"))])
    return [body]


async def test_a_chunked_body_that_is_there_has_a_length(serve_wsgi):
    """So applications that look at CONTENT_LENGTH can read it."""
    client = await (await serve_wsgi(echo)).connect()
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    client.send(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    response = await client.response("POST")
    assert (response.body, response.get(b"x-length")) == (b"abcde", b"5")
    response = await client.get()
    assert (response.body, response.get(b"x-length")) == (b"", b"none")


async def test_a_small_body_takes_no_thread_while_it_comes(serve_wsgi):
    called = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        called.set()
        return echo(environ, start_response)

    server = await serve_wsgi(app)
    client = await server.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
    await server.until(lambda: bool(server.connections and server.connections[0]._body))
    assert (await (await server.connect()).get()).status == 200
    called.clear()
    await asyncio.sleep(0)
    assert not called.is_set()
    client.send(b"cd")
    assert (await client.response("POST")).body == b"abcd"


async def test_a_large_body_is_read_while_it_comes(serve_wsgi):
    first: Future[int] = Future()

    def app(environ: Any, start_response: Any) -> Any:
        stream = environ["wsgi.input"]
        first.set_result(len(stream.read(10)))
        size = 10
        while data := stream.read(50_000):
            size += len(data)
        start_response("200 OK", [])
        return [str(size).encode()]

    client = await (await serve_wsgi(app)).connect()
    size = 3_000_000
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
    client.send(b"x" * READ_AHEAD)
    assert await asyncio.wrap_future(first) == 10
    client.send(b"x" * (size - READ_AHEAD))
    assert (await client.response("POST")).body == str(size).encode()


async def test_the_client_is_held_back_while_nobody_reads(serve_wsgi):
    go = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        assert go.wait(10)
        return echo(environ, start_response)

    server = await serve_wsgi(app)
    client = await server.connect()
    size = 5_000_000
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    await server.until(lambda: bool(server.connections and server.connections[0]._body))
    connection = server.connections[0]
    body = connection._body
    await server.until(lambda: connection._read_paused and body.held > 0)
    assert body.received < 1_000_000
    go.set()
    assert len((await client.response("POST")).body) == size


@pytest.mark.parametrize("catches", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_that_is_too_large(serve_wsgi, errors, catches: bool, chunked: bool):
    """413 whatever the application makes of it, before a thread is taken or in it."""
    raised: list[Exception] = []

    def app(environ: Any, start_response: Any) -> Any:
        try:
            while environ["wsgi.input"].read(10_000):
                pass
        except OSError as error:
            raised.append(error)
            if not catches:
                raise
        start_response("200 OK", [])
        return [b"thank you"]

    server = await serve_wsgi(app, max_body=200_000)
    client = await server.connect()
    if chunked:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(21):
            client.send(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
    else:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200001\r\n\r\n")
    assert (await client.response("POST")).status == 413
    await server.until(lambda: len(raised) == chunked)
    assert errors() == []


async def test_a_broken_body(serve_wsgi):
    client = await (await serve_wsgi(echo)).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n")
    assert (await client.response("POST")).status == 400


async def test_a_body_that_is_too_slow(serve_wsgi):
    server = await serve_wsgi(echo)
    client = await server.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
    await server.until(lambda: bool(server.connections and server.connections[0]._body))
    await server.until(lambda: server.connections[0]._body.waiter is not None)
    for _ in range(20):
        server.advance(1)
    assert (await client.response("POST")).status == 408


async def test_the_client_leaves_while_its_body_is_read(serve_wsgi, errors):
    outcome: Future[Exception | None] = Future()
    reading = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        reading.set()
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            outcome.set_result(error)
            raise
        outcome.set_result(None)
        return []

    server = await serve_wsgi(app)
    client = await server.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n" + b"x" * READ_AHEAD)
    await asyncio.to_thread(reading.wait, 10)
    client.reset()
    assert isinstance(await asyncio.wrap_future(outcome), ConnectionError)
    assert errors() == []


@pytest.mark.parametrize("reads", [True, False])
async def test_expect_continue_waits_for_the_application(serve_wsgi, reads: bool):
    def app(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"].read() if reads else b"no"
        start_response("200 OK" if reads else "403 Forbidden", [])
        return [body]

    client = await (await serve_wsgi(app)).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    if reads:
        assert (await client.receive()).startswith(b"HTTP/1.1 100 ")
        client.send(b"yes")
    response = await client.response("POST")
    assert (response.status, response.body) == ((200, b"yes") if reads else (403, b"no"))


async def test_what_a_plug_has_read_is_given_again(serve_wsgi, serve):
    from plugpy.interop import wsgi_plug

    plug = wsgi_plug(echo)

    async def first(conn: Any) -> Any:
        assert await conn.body() == b"abc"
        return await plug(conn)

    client = await (await serve(None, plug=first)).connect()
    assert (await client.post(b"abc")).body == b"abc"
    await plug.lifespan.shutdown()


async def test_reading_after_the_end_of_the_request(serve_wsgi):
    kept: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        kept.append(environ["wsgi.input"])
        start_response("200 OK", [])
        return [b""]

    server = await serve_wsgi(app)
    client = await server.connect()
    size = READ_AHEAD + 100_000
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    assert (await client.response("POST")).status == 200
    with pytest.raises(OSError, match="the request is over"):
        await asyncio.to_thread(kept[0].read)
