"""What a WSGI application sends, and what becomes of it (PEP 3333)."""

from __future__ import annotations

import asyncio
import gzip
import io
import sys
import tempfile
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import h11
import pytest

from acceptors import otp
from plugpy.conn import Conn, InvalidHeaderError
from plugpy.interop import wsgi_plug
from plugpy.interop.wsgi_outlet import WINDOW

TEXT = [("Content-Type", "text/plain")]


def returning(result: Any, status: str = "200 OK", headers: Any = TEXT) -> Any:
    """An application that returns `result`, or what it gives when it is called."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, headers)
        return result() if callable(result) else result

    return app


class Body:
    """An iterable that says when it was closed."""

    def __init__(self, pieces: Any) -> None:
        self.pieces = iter(pieces)
        self.taken = 0
        self.closed: Future[None] = Future()

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        piece = next(self.pieces)
        self.taken += 1
        return piece

    def close(self) -> None:
        self.closed.set_result(None)

    async def wait_closed(self) -> None:
        async with asyncio.timeout(10):
            await asyncio.wrap_future(self.closed)


# -- the body


@pytest.mark.parametrize("result", [[b"Hello"], (b"Hel", b"lo"), [b"", b"Hello", b""]])
async def test_a_list_is_a_whole_response_in_one_write(serve_wsgi, result: Any):
    server = await serve_wsgi(returning(result))
    response = await (await server.connect()).get()
    assert (response.status, response.body) == (200, b"Hello")
    assert response.get(b"content-length") == b"5"
    assert response.get(b"content-type") == b"text/plain"
    assert response.get(b"cache-control") is None
    assert len(server.writes) == 1


@pytest.mark.parametrize("result", [[], [b""], (), lambda: iter(()), lambda: iter([b"", b""])])
async def test_an_empty_body(serve_wsgi, result: Any):
    response = await (await (await serve_wsgi(returning(result))).connect()).get()
    assert (response.body, response.get(b"content-length")) == (b"", b"0")


async def test_a_generator_is_sent_in_chunks_as_it_goes(serve_wsgi):
    go = threading.Event()

    def pieces() -> Any:
        yield b"first"
        assert go.wait(10)
        yield b""
        yield b"second"

    client = await (await serve_wsgi(returning(pieces))).connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    data = b""
    while b"first" not in data:
        data += await client.receive()
    assert b"transfer-encoding: chunked" in data
    go.set()
    client.unread = data
    assert (await client.response()).body == b"firstsecond"


async def test_a_piece_as_long_as_was_promised_is_the_whole_response(serve_wsgi):
    body = Body([b"Hello"])
    server = await serve_wsgi(returning(body, headers=[("Content-Length", "5")]))
    response = await (await server.connect()).get()
    assert (response.body, len(server.writes)) == (b"Hello", 1)
    await body.wait_closed()


async def test_a_promised_length_in_several_pieces(serve_wsgi):
    server = await serve_wsgi(returning(Body([b"Hel", b"lo"]), headers=[("Content-Length", "5")]))
    client = await server.connect()
    response = await client.get()
    assert (response.body, response.get(b"content-length")) == (b"Hello", b"5")
    assert response.get(b"transfer-encoding") is None
    assert client.unread == b""


@pytest.mark.parametrize("length", ["4", "6", "x"])
async def test_a_list_of_another_length_than_promised(serve_wsgi, errors, length: str):
    app = returning([b"Hello"], headers=[("Content-Length", length)])
    response = await (await (await serve_wsgi(app)).connect()).get()
    assert response.status == 500
    assert "content-length" in errors()[0]


@pytest.mark.parametrize(("length", "pieces"), [("4", [b"He", b"llo"]), ("6", [b"He", b"llo"])])
async def test_a_stream_of_another_length_is_broken_off(serve_wsgi, errors, length: str, pieces):
    app = returning(Body(pieces), headers=[("Content-Length", length)])
    client = await (await serve_wsgi(app)).connect()
    if length == "6":
        with pytest.raises(h11.RemoteProtocolError):
            await client.get()
    else:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        # What came in one turn of the loop is one piece.
        assert (await client.read_to_end()).partition(b"\r\n\r\n")[2] in (b"", b"He")
    assert "content-length" in errors()[0]


async def test_more_than_promised_after_a_whole_response(serve_wsgi, errors):
    body = Body([b"Hello", b"again"])
    server = await serve_wsgi(returning(body, headers=[("Content-Length", "5")]))
    client = await server.connect()
    assert (await client.get()).body == b"Hello"
    await body.wait_closed()
    await server.until(lambda: bool(errors()))
    assert "sent more than the content-length" in errors()[0]


async def test_by_write_and_by_returning(serve_wsgi):
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", TEXT)
        write(b"")
        write(b"one ")
        write(b"two ")
        return [b"three"]

    response = await (await (await serve_wsgi(app)).connect()).get()
    assert response.body == b"one two three"


@pytest.mark.parametrize("by_write", [True, False])
async def test_a_stream_waits_for_a_slow_client(serve_wsgi, by_write: bool):
    """The thread is held back: it is never more than a few windows ahead."""
    piece = b"x" * 10_000
    body = Body(piece for _ in range(400))
    sent = 0

    def app(environ: Any, start_response: Any) -> Any:
        nonlocal sent
        write = start_response("200 OK", TEXT)
        if not by_write:
            return body
        for data in body:
            write(data)
        return []

    server = await serve_wsgi(app)
    client = await server.connect(slow=True)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await server.until(lambda: bool(server.connections and server.connections[0]._write_paused))
    # What the kernel takes is no business of ours.
    waiting = body.taken * len(piece) - sum(map(len, server.writes))
    assert waiting <= 3 * WINDOW
    assert body.taken < 400
    response = await client.response()
    assert len(response.body) == 400 * len(piece)


async def test_head_asks_for_no_body(serve_wsgi):
    body = Body([b"Hello", b"World"])
    server = await serve_wsgi(returning(body, headers=[("Content-Length", "10")]))
    client = await server.connect()
    response = await client.get(method="HEAD")
    assert (response.body, response.get(b"content-length")) == (b"", b"10")
    await body.wait_closed()
    assert body.taken == 1
    server = await serve_wsgi(returning([b"Hello"]))
    client = await server.connect()
    for _ in range(2):
        response = await client.get(method="HEAD")
        assert (response.body, response.get(b"content-length")) == (b"", b"5")


@pytest.mark.parametrize("status", ["204 No Content", "205 Reset Content", "304 Not Modified"])
@pytest.mark.parametrize("make", [lambda: [b"no"], lambda: iter([b"no"]), list])
async def test_statuses_without_a_body(serve_wsgi, errors, status: str, make: Any):
    client = await (await serve_wsgi(returning(make, status, []))).connect()
    for _ in range(2):
        response = await client.get()
        assert (str(response.status), response.body) == (status[:3], b"")
    assert errors() == []


# -- close


async def test_close_is_called_after_the_body(serve_wsgi):
    body = Body([b"a", b"b"])
    client = await (await serve_wsgi(returning(body))).connect()
    assert (await client.get()).body == b"ab"
    await body.wait_closed()


async def test_close_is_called_when_the_body_raises(serve_wsgi, errors):
    def pieces() -> Any:
        yield b"a"
        raise RuntimeError("no more")

    body = Body(pieces())
    client = await (await serve_wsgi(returning(body))).connect()
    with pytest.raises(h11.RemoteProtocolError):
        await client.get()
    await body.wait_closed()
    assert "no more" in errors()[0]


async def test_close_is_called_when_the_client_leaves(serve_wsgi, errors):
    """And the thread does not go on sending to nobody."""
    body = Body(iter(lambda: b"x" * 10_000, b""))
    server = await serve_wsgi(returning(body), threads=1)
    client = await server.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.receive()
    client.reset()
    await body.wait_closed()
    assert errors() == []


async def test_what_close_raises_is_logged(serve_wsgi, errors):
    class Broken(list):  # type: ignore[type-arg]
        def close(self) -> None:
            raise RuntimeError("while closing")

    server = await serve_wsgi(returning(Broken([b"Hello"]), headers=[("Content-Length", "5")]))
    assert (await (await server.connect()).get()).body == b"Hello"
    await server.until(lambda: bool(errors()))
    assert "raised after its response | while closing" in errors()[0]


# -- start_response


async def test_start_response_again_with_an_error(serve_wsgi):
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("X-First", "1")])
        try:
            raise RuntimeError
        except RuntimeError:
            start_response("503 Busy", TEXT, sys.exc_info())
        return [b"later"]

    response = await (await (await serve_wsgi(app)).connect()).get()
    assert (response.status, response.body) == (503, b"later")
    assert response.get(b"x-first") is None


async def test_start_response_with_an_error_after_the_head_has_left(serve_wsgi, errors):
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)(b"begun")
        try:
            raise RuntimeError("the first error")
        except RuntimeError:
            start_response("500 Oops", TEXT, sys.exc_info())
        return [b"never"]

    client = await (await serve_wsgi(app)).connect()
    with pytest.raises(h11.RemoteProtocolError):
        await client.get()
    assert "the first error" in errors()[0]


def start_twice(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    start_response("200 OK", [])
    return []


async def test_start_response_in_a_generator(serve_wsgi):
    def app(environ: Any, start_response: Any) -> Any:
        start_response("201 Created", TEXT)
        yield b"late"

    response = await (await (await serve_wsgi(app)).connect()).get()
    assert (response.status, response.body) == (201, b"late")


@pytest.mark.parametrize(
    ("app", "message"),
    [
        (start_twice, "start_response twice"),
        (lambda environ, start_response: [b"x"], "never called start_response"),
        (lambda environ, start_response: iter([b"x"]), "never called start_response"),
        (lambda environ, start_response: None, "'NoneType' object is not iterable"),
        (returning(["text"]), "a response body is made of bytes, got str"),
        (returning("text"), "a response body is made of bytes, got str"),
        (returning(lambda: iter(["text"])), "a response body is made of bytes, got str"),
        (returning([], "200"), ""),
        (returning([], "99 Low"), "takes a status such as '200 OK'"),
        (returning([], "100 Continue"), "takes a status such as '200 OK'"),
        (returning([], "200\r\nX: y"), "takes a status such as '200 OK'"),
        (returning([], 200), "takes a status such as '200 OK'"),
        (returning([], "200 OK", {"a": "b"}), "takes a list of headers"),
        (returning([], "200 OK", [("a",)]), "a pair of str"),
        (returning([], "200 OK", [("a", 1)]), "a pair of str"),
        (returning([], "200 OK", [(b"a", b"b")]), "a pair of str"),
        (returning([], "200 OK", [("X-A", "b\r\nSet-Cookie: c")]), "a CR, LF or NUL"),
        (returning([], "200 OK", [("X A", "b")]), "not a lower-case token"),
        (returning([], "200 OK", [("X-A", "€")]), "outside Latin-1"),
    ],
)
async def test_what_breaks_the_protocol(serve_wsgi, errors, app: Any, message: str):
    response = await (await (await serve_wsgi(app)).connect()).get()
    if not message:
        assert response.status == 200
        return
    assert response.status == 500
    assert message not in response.body.decode()
    assert message in errors()[0]


async def test_headers_of_the_connection_are_the_servers(serve_wsgi):
    headers = [("Transfer-Encoding", "chunked"), ("Keep-Alive", "9"), ("Connection", "keep-alive")]
    client = await (await serve_wsgi(returning([b"a"], headers=[*headers, *TEXT]))).connect()
    response = await client.get()
    assert {name for name, _ in response.headers} == {b"content-type", b"date", b"content-length"}
    server = await serve_wsgi(returning([b"a"], headers=[("Connection", "close")]))
    client = await server.connect()
    assert (await client.get()).get(b"connection") == b"close"
    assert await client.receive() == b""


async def test_cookies_stay_apart_and_plugs_headers_stay(serve_wsgi, serve):
    app = returning([b""], headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-B", "app")])
    plug = wsgi_plug(app)

    def first(conn: Conn) -> Any:
        conn.put_resp_header("x-a", "plug").put_resp_header("x-b", "plug")
        conn.register_before_send(lambda conn: conn.put_resp_header("x-c", "before"))
        return plug(conn)

    response = await (await (await serve(None, plug=first)).connect()).get()
    fields = [pair for pair in response.headers if pair[0].startswith((b"x-", b"set"))]
    assert fields == [
        (b"x-a", b"plug"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"x-b", b"app"),
        (b"x-c", b"before"),
    ]
    await plug.lifespan.shutdown()


# -- errors


async def test_an_error_is_a_500_without_its_text(serve_wsgi, errors):
    def app(environ: Any, start_response: Any) -> Any:
        raise ValueError("the password is 1234")

    client = await (await serve_wsgi(app)).connect()
    for _ in range(2):
        response = await client.get()
        assert (response.status, b"1234" in response.body) == (500, False)
    assert "1234" in errors()[0]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
async def test_an_application_can_not_end_the_server(serve_wsgi, errors, kind: type):
    def app(environ: Any, start_response: Any) -> Any:
        raise kind("bye")

    client = await (await serve_wsgi(app, threads=1)).connect()
    for _ in range(2):
        assert (await client.get()).status == 500
    assert f"raised {kind.__name__}: bye" in errors()[0]


async def test_wsgi_errors_is_the_log(serve_wsgi, caplog):
    def app(environ: Any, start_response: Any) -> Any:
        print("something is odd", file=environ["wsgi.errors"], flush=True)
        environ["wsgi.errors"].writelines(["a\n", "b\n"])
        start_response("200 OK", [])
        return []

    await (await (await serve_wsgi(app)).connect()).get()
    messages = [each.getMessage() for each in caplog.records if each.name == "plugpy.wsgi"]
    assert messages == ["something is odd", "a", "b"]


# -- files


def sending(filelike: Any, headers: Any = TEXT, block_size: int = 8192, **how: Any) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", headers)
        return environ["wsgi.file_wrapper"](filelike(**how), block_size)

    return app


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
async def test_a_file_is_sent_by_the_connection(serve_wsgi, tmp_path: Path, size: int):
    path = tmp_path / "file"
    path.write_bytes(b"a" * size + b"end")
    files: list[Any] = []

    def open_at(position: int = size) -> Any:
        file = open(path, "rb")  # noqa: SIM115 - the server closes it
        file.seek(3)
        files.append(file)
        return file

    server = await serve_wsgi(sending(open_at))
    client = await server.connect()
    response = await client.get()
    assert len(response.body) == size
    assert response.get(b"content-length") == str(size).encode()
    # sendfile goes around the transport.
    assert sum(map(len, server.writes)) < 100_000
    await server.until(lambda: files[0].closed)


async def test_a_file_that_close_removes(serve_wsgi):
    def filelike() -> Any:
        file = tempfile.NamedTemporaryFile()  # noqa: SIM115
        file.write(b"x" * 500_000)
        file.seek(0)
        opened = open(file.name, "rb")  # noqa: SIM115

        removed.append(file)
        return opened

    removed: list[Any] = []

    # Django's way: the close of the response becomes that of the file.
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        wrapper = environ["wsgi.file_wrapper"](filelike())
        inner = wrapper.close

        def close() -> None:
            removed[0].close()
            inner()

        wrapper.close = close
        return wrapper

    server = await serve_wsgi(app)
    response = await (await server.connect()).get()
    assert len(response.body) == 500_000
    await server.until(lambda: not Path(removed[0].name).exists())


@pytest.mark.parametrize("length", [0, 4, 100_000])
async def test_a_part_of_a_file(serve_wsgi, tmp_path: Path, length: int):
    (tmp_path / "file").write_bytes(b"0123456789" * 20_000)
    app = sending((tmp_path / "file").open, [("Content-Length", str(length))], mode="rb")
    client = await (await serve_wsgi(app)).connect()
    for _ in range(2):
        assert len((await client.get()).body) == length
    assert (await client.get(method="HEAD")).get(b"content-length") == str(length).encode()


async def test_what_only_looks_like_a_file_is_read(serve_wsgi, tmp_path: Path):
    """A GzipFile has a descriptor and a name; other bytes are read from it."""
    with gzip.open(tmp_path / "file.gz", "wb") as file:
        file.write(b"unpacked")

    def temporary() -> Any:
        file = tempfile.TemporaryFile()  # noqa: SIM115
        file.write(b"unpacked")
        file.seek(0)
        return file

    for make in (
        lambda: gzip.GzipFile(tmp_path / "file.gz"),
        lambda: io.BytesIO(b"unpacked"),
        temporary,
    ):
        client = await (await serve_wsgi(sending(make, block_size=3))).connect()
        assert (await client.get()).body == b"unpacked"


# -- threads and time


async def test_as_many_at_a_time_as_there_are_threads(serve_wsgi):
    together = threading.Barrier(3)
    running = 0
    most = 0
    lock = threading.Lock()

    def app(environ: Any, start_response: Any) -> Any:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(10)
        with lock:
            running -= 1
        start_response("200 OK", [])
        return [threading.current_thread().name.encode()]

    server = await serve_wsgi(app, threads=3)
    clients = [await server.connect() for _ in range(6)]
    responses = await asyncio.gather(*(client.get() for client in clients))
    assert most == 3
    assert len({response.body for response in responses}) == 3


async def test_who_leaves_before_a_thread_is_free_is_not_served(serve_wsgi):
    go = threading.Event()
    seen: list[str] = []

    def app(environ: Any, start_response: Any) -> Any:
        seen.append(environ["PATH_INFO"])
        assert go.wait(10)
        start_response("200 OK", [])
        return []

    server = await serve_wsgi(app, threads=1)
    clients = [await server.connect() for _ in range(3)]
    for number, client in enumerate(clients):
        client.send(f"GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        await server.until(lambda: sum(each.requests for each in server.connections) > number)  # noqa: B023
    clients[1].reset()
    await server.until(lambda: any(each.transport is None for each in server.connections))
    go.set()
    assert (await clients[2].response()).status == 200
    assert seen == ["/0", "/2"]


async def test_a_request_that_takes_too_long(serve_wsgi, errors):
    go = threading.Event()
    outcome: Future[str] = Future()

    def app(environ: Any, start_response: Any) -> Any:
        assert go.wait(10)
        try:
            start_response("200 OK", [])(b"late")
        except OSError as error:
            outcome.set_result(str(error))
        return []

    server = await serve_wsgi(app, request_timeout=5.0)
    client = await server.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await server.until(lambda: bool(server.connections and server.connections[0].conn))
    server.advance(6)
    assert (await client.response()).status == 503
    go.set()
    await asyncio.wrap_future(outcome)
    # The connection is not harmed, and neither is the next request.
    assert (await client.get()).body == b"late"
    assert errors() == []


async def test_the_process_of_the_request_is_known_in_the_thread(serve_wsgi):
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [repr(otp.self()).encode()]

    response = await (await (await serve_wsgi(app)).connect()).get()
    assert b"(GET /)" in response.body


async def test_pipelined_requests_are_answered_in_their_order(serve_wsgi):
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    client = await (await serve_wsgi(app)).connect()
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(50)))
    for number in range(50):
        assert (await client.response()).body == b"/%d" % number


@pytest.mark.parametrize(
    "other", [5, None, "app", lambda conn: conn, lambda a, b, c: None, dict, Body]
)
def test_what_is_no_wsgi_application(other: Any):
    with pytest.raises(TypeError, match=r"def app\(environ, start_response\)"):
        wsgi_plug(other)


def test_an_async_function_is_no_wsgi_application():
    async def app(environ: Any, start_response: Any) -> Any:
        return []

    with pytest.raises(TypeError, match="a WSGI application is"):
        wsgi_plug(app)


@pytest.mark.parametrize("options", [{"threads": 0}, {"root_path": "app"}, {"root_path": "/app/"}])
def test_wrong_options(options: dict[str, Any]):
    with pytest.raises(ValueError, match=r"threads is|root_path begins"):
        wsgi_plug(returning([]), **options)


async def test_a_class_whose_instances_are_bodies(serve_wsgi):
    class App:
        def __init__(self, environ: Any, start_response: Any) -> None:
            start_response("200 OK", [])

        def __iter__(self) -> Any:
            yield b"from a class"

    assert (await (await (await serve_wsgi(App)).connect()).get()).body == b"from a class"


async def test_a_client_that_takes_nothing_is_reset_and_its_thread_is_free(serve_wsgi, errors):
    body = Body(iter(lambda: b"x" * 10_000, b""))
    server = await serve_wsgi(returning(body), threads=1, write_timeout=5.0)
    client = await server.connect(slow=True)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await server.until(lambda: bool(server.connections and server.connections[0]._write_paused))
    for _ in range(7):
        server.advance(1)
    await body.wait_closed()
    assert server.connections[0].transport is None
    assert errors() == []


async def test_a_thread_that_waits_for_a_client_is_told_that_it_left(serve_wsgi, errors):
    body = Body(iter(lambda: b"x" * 10_000, b""))
    server = await serve_wsgi(returning(body), threads=1)
    client = await server.connect(slow=True)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    def waits() -> bool:
        task: Any = server.connections[0]._task if server.connections else None
        return task is not None and task._outlet is not None and task._outlet._size >= WINDOW

    await server.until(waits)
    client.reset()
    await body.wait_closed()
    assert errors() == []


async def test_the_application_is_told_of_a_wrong_header(serve_wsgi):
    def app(environ: Any, start_response: Any) -> Any:
        try:
            start_response("200 OK", [("X-A", "b\r\nc")])
        except InvalidHeaderError:
            start_response("200 OK", TEXT)
        return [b"second try"]

    assert (await (await (await serve_wsgi(app)).connect()).get()).body == b"second try"
