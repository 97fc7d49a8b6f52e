"""Compress: which answers, which coding, and that the client gets back what was sent."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.conn import ClientDisconnected, Conn
from plugpy.pipeline import Pipeline, blocking, plug, wrap
from plugpy.plugs import Compress, ConditionalGet, ETag
from plugpy.plugs.compress import encoders
from plugpy.plugs.compress.choice import choose
from plugpy.plugs.compress.encoders import LEVELS, encode_whole, encoder
from plugpy.testing import call, conn

brotli = pytest.importorskip("brotli")
TEXT = "a text that repeats itself, " * 200
CODINGS = sorted(LEVELS)


def decode(coding: str, data: bytes) -> bytes:
    """All of `data` that can be read, also of a body without an end."""
    if coding == "gzip":
        return zlib.decompressobj(31).decompress(data)
    if coding == "br":
        decompressor = brotli.Decompressor()
        decoded: bytes = decompressor.process(data)
        while more := decompressor.process(b""):  # it gives 32 KB a call
            decoded += more
        return decoded
    zstandard = pytest.importorskip("zstandard")
    return bytes(zstandard.ZstdDecompressor().decompressobj().decompress(data))


def asked(accept: str | None = "gzip", method: str = "GET", **headers: str) -> Conn:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if accept is not None:
        fields["accept-encoding"] = accept
    return conn(method, "/", headers=fields)


def answer(handler: Any, request: Conn | None = None, **options: Any) -> Any:
    """What leaves: the test adapter."""
    return call(Pipeline([wrap(Compress, **options), handler]), request or asked()).adapter


def header(adapter: Any, name: str) -> str | None:
    values = [value for key, value in adapter.sent_headers if key == name]
    assert len(values) < 2
    return values[0] if values else None


def coding_of(adapter: Any) -> str | None:
    return header(adapter, "content-encoding")


# whole bodies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("size", [2_000, 300_000])
def test_what_was_sent_comes_back(coding, size):
    body = (TEXT * (size // 1000))[:size]
    sent = answer(lambda conn: conn.text(body), asked(coding))
    assert coding_of(sent) == coding
    assert header(sent, "vary") == "accept-encoding"
    assert header(sent, "content-type") == "text/plain; charset=utf-8"
    assert len(sent.sent_body) < size / 2
    assert decode(coding, sent.sent_body) == body.encode()


@pytest.mark.parametrize(
    "handler",
    [
        lambda conn: conn.send_resp(200, TEXT),
        lambda conn: conn.resp(200, TEXT).send_resp(),
        lambda conn: conn.json([TEXT]),
        lambda conn: conn.html(TEXT),
        lambda conn: conn.put_resp_header("content-length", "5600").text(TEXT),
    ],
    ids=["send_resp", "resp", "json", "html", "content-length"],
)
def test_each_way_to_send_a_whole_body(handler):
    sent = answer(handler)
    assert coding_of(sent) == "gzip"
    assert header(sent, "content-length") is None  # of the plain body; the server puts the right
    assert TEXT in gzip.decompress(sent.sent_body).decode()


@pytest.mark.parametrize("factor", [1, 100])
def test_what_is_left_to_the_server_to_send(factor):
    app = Pipeline([wrap(Compress), lambda conn: conn.resp(200, TEXT * factor)])
    result = call(app, asked())
    assert result.state == "set"
    sent = result.put_resp_header("x-later", "1").send_resp().adapter
    assert header(sent, "x-later") == "1"
    assert gzip.decompress(sent.sent_body).decode() == TEXT * factor


def test_a_body_that_is_changed_after_it_was_compressed():
    result = call(Pipeline([wrap(Compress), lambda conn: conn.resp(200, TEXT * 100)]), asked())
    sent = result.resp(200, TEXT).send_resp().adapter
    assert gzip.decompress(sent.sent_body).decode() == TEXT


def test_the_same_body_gives_the_same_bytes():
    one, other = (answer(lambda conn: conn.text(TEXT)).sent_body for _ in range(2))
    assert one == other


def test_head_gets_the_headers_of_get():
    sent = answer(lambda conn: conn.text(TEXT), asked(method="HEAD"))
    assert (coding_of(sent), header(sent, "vary")) == ("gzip", "accept-encoding")
    assert sent.sent_body == b""


def test_callbacks_see_the_plain_body_wherever_they_are():
    seen = []

    def look(conn: Conn) -> Conn:
        def callback(conn: Conn) -> Conn:
            seen.append(conn.resp_body)
            return conn.resp(200, conn.resp_body + "!")

        return conn.register_before_send(callback)

    app = Pipeline([look, wrap(Compress), look, lambda conn: conn.text(TEXT)])
    sent = app(asked()).adapter
    assert seen == [TEXT, TEXT + "!"]
    assert gzip.decompress(sent.sent_body).decode() == TEXT + "!!"


def test_cookies_leave_with_a_body_compressed_in_a_thread():
    sent = answer(lambda conn: conn.put_resp_cookie("a", "1").text(TEXT * 100))
    assert header(sent, "set-cookie").startswith("a=1")
    assert gzip.decompress(sent.sent_body).decode() == TEXT * 100


def test_the_loop_goes_on_while_a_large_body_is_compressed(monkeypatch):
    began, goes_on = asyncio.Event(), asyncio.Event()
    threads: list[Any] = []

    async def to_thread(function: Any, *args: Any) -> Any:
        threads.append(args[0])
        began.set()
        await goes_on.wait()
        return function(*args)

    monkeypatch.setattr("plugpy.plugs.compress.adapter.asyncio.to_thread", to_thread)

    async def go() -> Conn:
        app = Pipeline([wrap(Compress, thread_size=2_000), lambda conn: conn.text(TEXT)])
        task = asyncio.create_task(awaited(app(asked())))
        await began.wait()
        goes_on.set()
        return await task

    async def awaited(result: Any) -> Conn:
        answered: Conn = await result
        return answered

    result = asyncio.run(go())
    assert threads == ["gzip"]
    assert gzip.decompress(result.adapter.sent_body).decode() == TEXT


def test_a_request_that_is_cancelled_meanwhile_is_answered_all_the_same(monkeypatch):
    began = asyncio.Event()

    async def to_thread(function: Any, *args: Any) -> Any:
        began.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("plugpy.plugs.compress.adapter.asyncio.to_thread", to_thread)
    request = asked()

    async def go() -> None:
        app: Any = Pipeline([wrap(Compress), lambda conn: conn.text(TEXT * 100)])
        task = asyncio.ensure_future(app(request))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    assert request.adapter.sent_body.decode() == TEXT * 100
    assert coding_of(request.adapter) is None


@pytest.mark.parametrize("is_async", [False, True])
def test_a_crash_after_a_large_answer_does_not_swallow_it(is_async):
    request = asked()

    def crash(conn: Conn) -> Conn:
        conn.text(TEXT * 100)
        raise ZeroDivisionError

    async def crash_later(conn: Conn) -> Conn:
        return crash(conn)

    with pytest.raises(ZeroDivisionError):
        answer(crash_later if is_async else crash, request)
    assert request.adapter.sent_body.decode() == TEXT * 100


def test_from_a_thread():
    @blocking
    def report(conn: Conn) -> Conn:
        return conn.text(TEXT * 100)

    assert gzip.decompress(answer(report).sent_body).decode() == TEXT * 100


# which answers ----------------------------------------------------------------------------------


def plain(sent: Any) -> bool:
    return coding_of(sent) is None and header(sent, "vary") is None


@pytest.mark.parametrize("status", [204, 205, 206, 304])
def test_statuses_without_a_whole_body(status):
    sent = answer(
        lambda conn: conn.put_resp_content_type("text/plain").resp(status, TEXT).send_resp()
    )
    assert coding_of(sent) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("content-encoding", "br"),
        ("content-encoding", "identity"),
        ("content-range", "bytes 0-5599/9999"),
        ("cache-control", "public, No-Transform"),
        ("content-digest", "sha-256=:x:"),
        ("repr-digest", "sha-256=:x:"),
        ("content-md5", "x"),
    ],
)
def test_headers_of_bodies_that_must_stay(name, value):
    sent = answer(lambda conn: conn.put_resp_header(name, value).text(TEXT))
    assert sent.sent_body.decode() == TEXT
    assert header(sent, "vary") is None


@pytest.mark.parametrize(
    ("content_type", "compressed"),
    [
        ("text/html; charset=utf-8", True),
        ("Text/CSS", True),
        ("application/problem+json", True),
        ("image/svg+xml", True),
        ("application/json", True),
        ("image/png", False),
        ("application/zip", False),
        ("application/octet-stream", False),
        ("video/mp4", False),
        ("+json", False),
        ("application/json+", False),
    ],
)
def test_content_types(content_type, compressed):
    def handler(conn: Conn) -> Conn:
        return conn.put_resp_header("content-type", content_type).send_resp(200, TEXT)

    assert plain(answer(handler)) is not compressed


def test_bytes_without_a_content_type_are_left_alone():
    assert plain(answer(lambda conn: conn.send_resp(200, TEXT.encode())))


def test_small_bodies_are_left_alone():
    assert plain(answer(lambda conn: conn.text("x" * 1023)))
    assert coding_of(answer(lambda conn: conn.text("x" * 1024))) == "gzip"
    assert coding_of(answer(lambda conn: conn.text("x" * 50), min_size=50)) == "gzip"
    assert plain(answer(lambda conn: conn.text(""), min_size=1))


def test_a_handler_says_no():
    assert plain(answer(lambda conn: conn.put_private("compress", False).text(TEXT)))


def test_exclude_is_asked_when_the_answer_is_known():
    seen = []

    def exclude(conn: Conn) -> bool:
        seen.append(conn.status)
        return bool(conn.resp_cookies)

    assert plain(
        answer(lambda conn: conn.put_resp_cookie("a", "b").text(TEXT, 201), exclude=exclude)
    )
    assert coding_of(answer(lambda conn: conn.text(TEXT), exclude=exclude)) == "gzip"
    assert seen == [201, 200]


def test_caches_are_told_also_where_nothing_is_compressed():
    for accept in (None, "identity", "gzip;q=0"):
        sent = answer(lambda conn: conn.text(TEXT), asked(accept))
        assert coding_of(sent) is None
        assert header(sent, "vary") == "accept-encoding"
        assert sent.sent_body.decode() == TEXT


def test_vary_keeps_what_it_has():
    for before, after in (("origin", "origin, accept-encoding"), ("*", "*")):
        sent = answer(lambda conn, vary=before: conn.put_resp_header("vary", vary).text(TEXT))
        assert header(sent, "vary") == after


def test_files_leave_as_they_are(tmp_path):
    path = tmp_path / "page.html"
    path.write_text(TEXT)
    sent = answer(lambda conn: conn.put_resp_content_type("text/html").send_file(200, path))
    assert sent.sent_body.decode() == TEXT


# entity tags ------------------------------------------------------------------------------------


def test_a_strong_etag_becomes_weak():
    def handler(conn: Conn) -> Conn:
        return (
            conn.put_resp_header("etag", '"1"').put_resp_header("accept-ranges", "bytes").text(TEXT)
        )

    sent = answer(handler)
    assert header(sent, "etag") == 'W/"1"'
    assert header(sent, "accept-ranges") is None
    assert header(answer(handler, asked(None)), "etag") == '"1"'


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("weak", [False, True])
def test_the_next_request_gets_304(inside, weak):
    class App(Pipeline):
        if not inside:
            wrap(Compress)
        plug(ConditionalGet)
        if inside:
            wrap(Compress)
        plug(ETag, weak=weak)
        plug("page")

        def page(self, conn: Conn) -> Conn:
            return conn.text(TEXT)

    first = App()(asked()).adapter
    etag = header(first, "etag")
    assert etag.startswith("W/")
    second = App()(asked(if_none_match=etag)).adapter
    assert (second.sent_status, header(second, "etag")) == (304, etag)
    assert header(second, "vary") == "accept-encoding"
    # Who has the plain one hears of that.
    plain_etag = header(App()(asked(None)).adapter, "etag")
    third = App()(asked(None, if_none_match=plain_etag)).adapter
    assert (third.sent_status, header(third, "etag")) == (304, plain_etag)


# streams ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", CODINGS)
def test_each_chunk_can_be_read_at_once(coding):
    pieces = ["first\n", "second " * 20_000, "third\n"]
    seen = []

    async def stream(conn: Conn) -> Conn:
        conn.put_resp_content_type("text/plain").put_resp_header("content-length", "140012")
        conn.send_chunked(200)
        for piece in pieces:
            await conn.chunk(piece)
            seen.append(decode(coding, conn.adapter.sent_body).decode())
        return conn

    sent = answer(stream, asked(coding))
    assert seen == ["".join(pieces[: count + 1]) for count in range(3)]
    assert (coding_of(sent), header(sent, "content-length")) == (coding, None)
    assert header(sent, "vary") == "accept-encoding"
    if coding == "gzip":
        assert gzip.decompress(sent.sent_body).decode() == "".join(pieces)  # and it has an end
    assert len(sent.sent_body) < 10_000


def test_a_stream_without_chunks_has_an_end():
    sent = answer(lambda conn: conn.put_resp_content_type("text/plain").send_chunked(200))
    assert gzip.decompress(sent.sent_body) == b""


def test_a_stream_that_says_it_is_small():
    async def stream(conn: Conn) -> Conn:
        conn.put_resp_content_type("text/plain").put_resp_header("content-length", "2")
        return await conn.send_chunked(200).chunk("ab")

    sent = answer(stream)
    assert (sent.sent_body, header(sent, "content-length"), plain(sent)) == (b"ab", "2", True)


def test_head_of_a_stream():
    async def stream(conn: Conn) -> Conn:
        return await conn.put_resp_content_type("text/plain").send_chunked(200).chunk("ab")

    sent = answer(stream, asked(method="HEAD"))
    assert (coding_of(sent), sent.sent_body) == ("gzip", b"")


def test_pieces_of_two_tasks_do_not_mix():
    async def stream(conn: Conn) -> Conn:
        conn.put_resp_content_type("text/plain").send_chunked(200)
        await asyncio.gather(*(conn.chunk(letter * 100_000) for letter in "abcd"))
        return conn

    text = gzip.decompress(answer(stream).sent_body).decode()
    assert text == "".join(letter * 100_000 for letter in "abcd")


def test_a_piece_that_was_cancelled_breaks_the_stream(monkeypatch):
    async def to_thread(function: Any, *args: Any) -> Any:
        raise TimeoutError

    monkeypatch.setattr("plugpy.plugs.compress.adapter.asyncio.to_thread", to_thread)

    async def stream(conn: Conn) -> Conn:
        conn.put_resp_content_type("text/plain").send_chunked(200)
        with pytest.raises(TimeoutError):
            await conn.chunk("x" * 100_000)
        with pytest.raises(ClientDisconnected):
            await conn.chunk("y")
        return conn

    with pytest.raises(ClientDisconnected, match="can't be decoded"):
        answer(stream)


def test_a_stream_that_crashes_gets_no_end():
    request = asked()

    async def stream(conn: Conn) -> Conn:
        await conn.put_resp_content_type("text/plain").send_chunked(200).chunk("ab")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        answer(stream, request)
    with pytest.raises(EOFError):
        gzip.decompress(request.adapter.sent_body)


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=200), max_size=10),
    coding=st.sampled_from(CODINGS),
)
def test_streams_and_whole_bodies_decode_alike(pieces, coding):
    for level in LEVELS[coding][:2]:
        stream = encoder(coding, level)
        data = b""
        for count, piece in enumerate(pieces, 1):
            data += stream.encode(piece)
            assert decode(coding, data) == b"".join(pieces[:count])
        data += stream.finish()
        body = b"".join(pieces)
        assert decode(coding, data) == body
        assert decode(coding, encode_whole(coding, level, body)) == body


# negotiation ------------------------------------------------------------------------------------

ALL = ("zstd", "br", "gzip")


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip;q=1.0, br;q=0.9", "gzip"),
        ("gzip;q=0.5, br;q=0.5", "br"),
        ("br;q=0, *", "zstd"),
        ("zstd;q=0, br;q=0, *", "gzip"),
        ("*;q=0", None),
        ("identity", None),
        ("identity;q=0.5, gzip;q=0.4", None),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0", None),
        ("gzip;q=nonsense", None),
        ("gzip;q=-1", None),
        ("deflate, compress", None),
        ("", None),
        (",,;q=1", None),
    ],
)
def test_choice(accept, coding):
    assert choose([accept], ALL) == coding


def test_several_headers_are_one_list():
    assert choose(["br;q=0.1", "gzip"], ALL) == "gzip"
    assert choose([], ALL) is None


@given(st.lists(st.text(max_size=40), max_size=3))
def test_whatever_a_client_sends(values):
    assert choose(values, ALL) in (*ALL, None)


# options ----------------------------------------------------------------------------------------


def test_encodings_in_the_order_of_the_option():
    sent = answer(lambda conn: conn.text(TEXT), asked("*"), encodings=["gzip", "br"])
    assert coding_of(sent) == "gzip"


def test_levels():
    small, large = (
        len(answer(lambda conn: conn.text(TEXT), asked(), levels={"gzip": level}).sent_body)
        for level in (9, 1)
    )
    assert small < large


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encodings": ["deflate"]}, "encodings are zstd, br, gzip"),
        ({"encodings": "gzip"}, "a list"),
        ({"encodings": []}, "a list"),
        ({"levels": {"gzip": 10}}, "a level of gzip is 1 to 9"),
        ({"levels": {"zstd": 20}}, "a level of zstd is 1 to 19"),
        ({"levels": {"deflate": 1}}, "levels are of"),
        ({"min_size": -1}, "sizes are not below 0"),
        ({"types": "text/html"}, "a list of content-types"),
        ({"types": ["*/*"]}, "a content-type is"),
        ({"types": ["text"]}, "a content-type is"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        Compress(lambda conn: conn, **options)


def test_a_library_that_is_missing(monkeypatch):
    monkeypatch.setattr(encoders.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"package brotli: pip install \"plugpy\[compress\]\""):
        Compress(lambda conn: conn, encodings=["br"])
    sent = answer(lambda conn: conn.text(TEXT), asked("br, gzip"), encodings=["gzip"])
    assert coding_of(sent) == "gzip"
    assert coding_of(answer(lambda conn: conn.text(TEXT), asked("br, gzip;q=0.1"))) == "gzip"


def test_it_goes_around_plugs():
    with pytest.raises(TypeError, match=r"wrap\(Compress\)"):
        Compress(None)  # type: ignore[arg-type]
