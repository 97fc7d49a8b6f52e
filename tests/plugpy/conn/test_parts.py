"""Multipart bodies through Conn.read_part_headers and Conn.read_part_body: whole, byte by byte and
in any other pieces; what is no multipart; attacks on every limit."""

import asyncio
import itertools
import logging
import sys
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from acceptors import get_port, start_listener, stop_listener
from plugpy.conn import (
    BadEncodingError,
    BadRequestError,
    BodyPart,
    Conn,
    ConnError,
    RequestTooLargeError,
    UnfetchedError,
    UnsupportedMediaTypeError,
)
from plugpy.http import Http1Connection, HttpOptions
from plugpy.testing import TestAdapter, conn

Part = tuple[list[tuple[str, str]], bytes]

FORM = (
    b"--AaB03x\r\n"
    b'Content-Disposition: form-data; name="title"\r\n'
    b"\r\n"
    b"caf\xc3\xa9\r\n"
    b"--AaB03x\r\n"
    b'content-disposition: form-data; name="file"; filename="\xc3\xa9t\xc3\xa9.txt"\r\n'
    b"CONTENT-TYPE:text/plain \t\r\n"
    b"x-empty:\r\n"
    b"\r\n"
    b"line\r\n\r\n--AaB03\r--\r\n--AaB0\n--AaB03x\r\n"
    b"--AaB03x\r\n"
    b"\r\n"
    b"\r\n--AaB03x--\r\n"
)
FORM_PARTS: list[Part] = [
    ([("content-disposition", 'form-data; name="title"')], "café".encode()),
    (
        [
            ("content-disposition", 'form-data; name="file"; filename="été.txt"'),
            ("content-type", "text/plain"),
            ("x-empty", ""),
        ],
        b"line\r\n\r\n--AaB03\r--\r\n--AaB0\n--AaB03x",
    ),
    ([], b""),
]
SIZES = [1, 2, 3, 7, 50, 65_536]


class PieceAdapter(TestAdapter):
    """A body in the pieces that the test says, made one by one."""

    def __init__(self, pieces: Iterable[bytes], **options: Any) -> None:
        super().__init__(**options)
        self.pieces = iter(pieces)
        self.taken = 0

    async def read_req_body(self, conn: Any, limit: Any, read_timeout: Any) -> bytes:
        piece = next(self.pieces, b"")
        self.taken += len(piece)
        if self.taken > self.body_limit:
            raise RequestTooLargeError
        return piece


def multipart(
    body: bytes, boundary: str = "AaB03x", subtype: str = "form-data", **options: Any
) -> Conn:
    content_type = f'multipart/{subtype}; charset=utf-8; boundary="{boundary}"'
    return conn("POST", "/", body, {"content-type": content_type}, **options)


def in_pieces(pieces: Iterable[bytes], boundary: str = "AaB03x", **options: Any) -> Conn:
    c = multipart(b"", boundary)
    c.adapter = PieceAdapter(pieces, **options)
    return c


async def read_parts(c: Conn, **options: Any) -> list[Part]:
    parts = []
    while (headers := await c.read_part_headers()) is not None:
        body = b""
        while (part := await c.read_part_body(**options)).more:
            body += part.data
        parts.append((headers, body + part.data))
    return parts


def form(parts: list[Part], boundary: bytes) -> bytes:
    """What a client sends."""
    out = b""
    for headers, body in parts:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers).encode()
        out += b"--" + boundary + b"\r\n" + lines + b"\r\n" + body + b"\r\n"
    return out + b"--" + boundary + b"--\r\n"


# parts ---


@pytest.mark.parametrize("size", SIZES)
async def test_parts_with_their_headers_and_bodies(size: int) -> None:
    assert await read_parts(multipart(FORM, piece_size=size)) == FORM_PARTS


@pytest.mark.parametrize("length", [1, 5, 1000])
@pytest.mark.parametrize("size", SIZES)
async def test_a_body_in_parts_of_some_length(size: int, length: int) -> None:
    assert await read_parts(multipart(FORM, piece_size=size), length=length) == FORM_PARTS


@pytest.mark.parametrize("size", SIZES)
async def test_unread_bodies_are_skipped(size: int) -> None:
    c = multipart(FORM, piece_size=size)
    for headers, _ in FORM_PARTS:
        assert await c.read_part_headers() == headers
    assert await c.read_part_headers() is None
    assert await c.read_part_headers() is None


@pytest.mark.parametrize("size", SIZES)
async def test_the_rest_of_a_body_that_was_read_in_part_is_skipped(size: int) -> None:
    body = form([([("a", "1")], b"x" * 1000), ([("b", "2")], b"second")], b"AaB03x")
    c = multipart(body, piece_size=size)
    assert await c.read_part_headers() == [("a", "1")]
    first = await c.read_part_body(length=10)
    assert set(first.data) == {ord("x")}
    assert await c.read_part_headers() == [("b", "2")]
    assert await c.read_part_body() == BodyPart(b"second", more=False)


async def test_a_length_is_kept_to_within_a_piece() -> None:
    c = multipart(form([([], b"x" * 1000)], b"AaB03x"), piece_size=10)
    await c.read_part_headers()
    part = await c.read_part_body(length=100)
    assert part.more
    assert 100 <= len(part.data) < 110


async def test_a_part_that_is_over_gives_no_more() -> None:
    c = multipart(form([([], b"one")], b"AaB03x"))
    await c.read_part_headers()
    # All of it, so there is no more, although it is exactly the length that was asked for.
    assert await c.read_part_body(length=3) == BodyPart(b"one", more=False)
    assert await c.read_part_body() == BodyPart(b"", more=False)
    assert await c.read_part_headers() is None
    assert await c.read_part_body() == BodyPart(b"", more=False)


async def test_a_body_before_headers_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(UnfetchedError, match="call read_part_headers"):
        await multipart(FORM).read_part_body()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("preamble", [b"\r\n", b"no part\r\n--AaB03\r\n", b"--AaB0\r\n\r\r\n"])
async def test_preamble_and_epilogue_are_ignored(preamble: bytes, size: int) -> None:
    body = preamble + FORM + b"--AaB03x\r\n\r\nno part either\r\n--AaB03x--"
    assert await read_parts(multipart(body, piece_size=size)) == FORM_PARTS


@pytest.mark.parametrize("size", [1, 65_536])
async def test_no_parts_at_all(size: int) -> None:
    assert await read_parts(multipart(b"--AaB03x--", piece_size=size)) == []


@pytest.mark.parametrize("subtype", ["form-data", "mixed", "related", "byteranges"])
async def test_every_kind_of_multipart(subtype: str) -> None:
    assert await read_parts(multipart(FORM, subtype=subtype)) == FORM_PARTS


async def test_a_body_that_was_cached_is_read_from_the_cache() -> None:
    c = multipart(FORM, piece_size=10)
    assert await c.body() == FORM
    assert await read_parts(c) == FORM_PARTS
    assert await c.body() == FORM


async def test_the_state_is_private() -> None:
    c = multipart(FORM)
    await c.read_part_headers()
    assert list(c.private) == ["plug_multipart"]


# Delimiters, beginnings of them, and what is between: the hard bytes for a parser.
hard_bodies = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"-", b"--", b"b", b"\r\n--", b"\r\n-", b"x" * 40])
    | st.binary(max_size=8)
).map(b"".join)
headers = st.lists(
    st.tuples(
        st.from_regex(r"[a-z][a-z0-9!#$%&'*+.^_`|~-]{0,8}", fullmatch=True),
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).map(
            lambda text: text.strip(" ")
        ),
    ),
    max_size=3,
)
forms = st.lists(
    st.tuples(headers, hard_bodies.filter(lambda body: b"\r\n--b" not in b"\r\n" + body)),
    max_size=4,
)


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    points = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(points)]


@given(forms, st.lists(st.integers(0, 2000), max_size=12), st.sampled_from(["b", "b-b"]))
def test_any_split_gives_the_parts_that_were_sent(
    parts: list[Part], cuts: list[int], boundary: str
) -> None:
    body = form(parts, boundary.encode())
    for pieces in ([body], pieces_of(body, cuts), [bytes([byte]) for byte in body]):
        assert asyncio.run(read_parts(in_pieces(pieces, boundary))) == parts


@given(
    st.lists(
        st.sampled_from(
            [
                b"--b",
                b"\r\n",
                b"\r\n--b",
                b"--b\r\n",
                b"\r\n--b--",
                b"a: b",
                b" ",
                b":",
                b"-",
                b"\n",
            ]
        )
        | st.binary(max_size=5)
    ).map(b"".join),
    st.integers(1, 20),
)
def test_any_bytes_give_parts_or_an_error_with_a_status(body: bytes, size: int) -> None:
    for start in (b"", b"--b\r\n", b"--b\r\n\r\n"):
        try:
            parts = asyncio.run(read_parts(multipart(start + body, "b", piece_size=size)))
        except ConnError as error:
            assert error.status in (400, 413)  # noqa: PT017 - or no error at all
        else:
            assert b"--b--" in start + body
            assert sum(len(data) for _, data in parts) < len(start + body)


# what is no multipart ---


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded; boundary=b", "junk"]
)
async def test_another_media_type(content_type: str | None) -> None:
    c = conn("POST", "/", FORM, {"content-type": content_type} if content_type else {})
    with pytest.raises(UnsupportedMediaTypeError, match=content_type or "none"):
        await c.read_part_headers()


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "; boundary",
        "; boundary=",
        '; boundary=""',
        '; boundary="ends in space "',
        '; boundary="a\r\nb"',
        '; boundary="quote\\"d"',
        '; boundary="ä"',
        "; boundary=" + "b" * 71,
        "; boundary=" + "b" * 100_000,
    ],
)
async def test_a_boundary_that_is_missing_oversized_or_invalid(parameters: str) -> None:
    c = conn("POST", "/", FORM, {"content-type": "multipart/form-data" + parameters})
    with pytest.raises(BadRequestError, match="boundary") as caught:
        await c.read_part_headers()
    assert caught.value.status == 400
    assert len(str(caught.value)) < 250


async def test_the_longest_boundary_and_every_character_that_it_may_have() -> None:
    boundary = "aZ09'()+_,-./:=? " + "b" * 53
    assert len(boundary) == 70
    body = form([([("a", "b")], b"c")], boundary.encode())
    assert await read_parts(multipart(body, boundary, piece_size=9)) == [([("a", "b")], b"c")]


async def test_two_content_types() -> None:
    header = ("content-type", "multipart/form-data; boundary=AaB03x")
    with pytest.raises(BadRequestError, match="one content-type header"):
        await conn("POST", "/", FORM, [header, header]).read_part_headers()


@pytest.mark.parametrize("size", [1, 65_536])
async def test_a_body_that_is_cut_off_anywhere(size: int) -> None:
    end = FORM.rindex(b"--") + 2
    for cut in range(end):
        with pytest.raises(BadRequestError) as caught:
            await read_parts(multipart(FORM[:cut], piece_size=size))
        assert caught.value.status == 400
    assert await read_parts(multipart(FORM[:end], piece_size=size)) == FORM_PARTS


MALFORMED = {
    "LF after the boundary": b"--b\na: b\r\n\r\nc\r\n--b--\r\n",
    "LF after a header": b"--b\r\na: b\nc: d\r\n\r\ne\r\n--b--\r\n",
    "LF after the headers": b"--b\r\na: b\r\n\nc\r\n--b--\r\n",
    "LF before the boundary": b"--b\r\na: b\r\n\r\nc\n--b--\r\n",
    "LF everywhere": b"--b\na: b\n\nc\n--b--\n",
    "CR alone after a header": b"--b\r\na: b\rc: d\r\n\r\ne\r\n--b--\r\n",
    "a header that goes on in the next line": b"--b\r\na: b\r\n c\r\n\r\nd\r\n--b--\r\n",
    "a header without a name": b"--b\r\n: b\r\n\r\nc\r\n--b--\r\n",
    "a header without a colon": b"--b\r\nab\r\n\r\nc\r\n--b--\r\n",
    "a space before the colon": b"--b\r\na : b\r\n\r\nc\r\n--b--\r\n",
    "NUL in a header": b"--b\r\na: b\x00\r\n\r\nc\r\n--b--\r\n",
    "no UTF-8 in a header": b"--b\r\na: \xff\r\n\r\nc\r\n--b--\r\n",
    "a longer boundary": b"--bc\r\na: b\r\n\r\nc\r\n--bc--\r\n",
    "a boundary that is not on its own line": b"x--b\r\na: b\r\n\r\nc\r\n",
    "something after the boundary": b"--b\r\n\r\nc\r\n--b x\r\n\r\nd\r\n--b--",
}


@pytest.mark.parametrize("size", [1, 3, 65_536])
@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_body(name: str, size: int, caplog: pytest.LogCaptureFixture) -> None:
    c = multipart(MALFORMED[name], "b", piece_size=size)
    with caplog.at_level(logging.DEBUG), pytest.raises(BadRequestError) as caught:
        await read_parts(c)
    assert caught.value.status == 400
    # A client must not be able to fill the log.
    assert caplog.records == []
    # There is no way back into step.
    with pytest.raises(BadRequestError):
        await c.read_part_headers()


async def test_a_header_that_is_no_utf_8_is_named() -> None:
    c = multipart(MALFORMED["no UTF-8 in a header"], "b")
    with pytest.raises(BadEncodingError, match="'a'"):
        await c.read_part_headers()


# attacks on the limits ---


@pytest.mark.parametrize("size", [1, 4096])
@pytest.mark.parametrize(
    "flood",
    [b"x: " + b"y" * 1000, b"n" * 1000, b"x:" + b" " * 1000, b"a:\r\n" * 60, b"a: b\r\n" * 60],
)
async def test_headers_that_do_not_end(flood: bytes, size: int) -> None:
    c = multipart(b"--b\r\n" + flood, "b", piece_size=size)
    with pytest.raises(RequestTooLargeError, match="longer than 100 bytes"):
        await c.read_part_headers(length=100)
    with pytest.raises(RequestTooLargeError):
        await c.read_part_headers()


async def test_headers_that_do_not_end_in_a_cached_body() -> None:
    c = multipart(b"--b\r\nx: " + b"y" * 1_000_000, "b")
    await c.body()
    with pytest.raises(RequestTooLargeError, match="longer than 64000 bytes"):
        await c.read_part_headers()


@pytest.mark.parametrize("size", [1, 65_536])
async def test_a_header_block_is_measured_with_its_line_ends(size: int) -> None:
    block = b"a:   b\r\nlong: cd \r\n\r\n"
    for length in (len(block), len(block) - 1):
        c = multipart(b"--b\r\n" + block + b"x\r\n--b--", "b", piece_size=size)
        if length == len(block):
            assert await c.read_part_headers(length=length) == [("a", "b"), ("long", "cd")]
        else:
            with pytest.raises(RequestTooLargeError):
                await c.read_part_headers(length=length)


@pytest.mark.parametrize("size", [1, 65_536])
async def test_the_limit_is_that_of_each_block(size: int) -> None:
    """Neither other parts nor their bodies count towards it."""
    parts: list[Part] = [([("a", "b" * 50)], b"c" * 500)] * 20
    c = multipart(form(parts, b"b"), "b", piece_size=size)
    for headers, _ in parts:
        assert await c.read_part_headers(length=60) == headers
    assert await c.read_part_headers(length=60) is None


async def test_a_hundred_headers_are_the_most_of_a_part() -> None:
    most = [("a", "b")] * 100
    assert await multipart(form([(most, b"")], b"b"), "b").read_part_headers() == most
    c = multipart(form([([*most, ("a", "b")], b"")], b"b"), "b")
    with pytest.raises(RequestTooLargeError, match="100 headers"):
        await c.read_part_headers()


async def skip_parts(c: Conn) -> None:
    """Read the headers of every part, and no body."""
    while await c.read_part_headers() is not None:
        pass


@pytest.mark.parametrize("size", [100, 65_536])
async def test_a_thousand_parts_are_the_most_of_a_body(size: int) -> None:
    part: Part = ([], b"x")
    assert len(await read_parts(multipart(form([part] * 1000, b"b"), "b", piece_size=size))) == 1000
    c = multipart(form([part] * 1001, b"b"), "b", piece_size=size)
    with pytest.raises(RequestTooLargeError, match="1000 parts"):
        await skip_parts(c)


@pytest.mark.parametrize("size", [100, 65_536])
async def test_padding_that_does_not_end(size: int) -> None:
    body = b"--b\r\n\r\nx\r\n--b" + b" " * 1_000_000
    c = multipart(body, "b", piece_size=size)
    await c.read_part_headers()
    with pytest.raises(BadRequestError, match="follow a boundary"):
        await c.read_part_headers()


async def test_some_padding_is_allowed() -> None:
    body = b"--b\r\n\r\nx\r\n--b \t \r\n\r\ny\r\n--b--"
    assert await read_parts(multipart(body, "b", piece_size=1)) == [([], b"x"), ([], b"y")]


@pytest.mark.parametrize(
    ("start", "repeated"),
    [
        (b"", b"preamble " * 1000),
        (b"--b\r\n\r\n", b"body " * 1000),
        (b"--b\r\n\r\n", b"\r\n--b\r\na: b\r\n\r\n" + b"skipped" * 200),
        (b"--b\r\n\r\n", b"\r\n--" * 1000),
    ],
    ids=["preamble", "body", "parts", "boundaries that are none"],
)
async def test_everything_that_is_skipped_counts_towards_the_limit_of_the_body(
    start: bytes, repeated: bytes
) -> None:
    """CVE-2026-56814 of Plug."""
    c = multipart(start + repeated * 100, "b", body_limit=100_000)
    with pytest.raises(RequestTooLargeError, match="100000 bytes"):
        await skip_parts(c)


async def test_memory_does_not_grow_with_a_part() -> None:
    piece = b"\r\n--not-the-boundary" * 3000  # 60 KB, full of what might be one

    def pieces() -> Iterable[bytes]:
        yield b"--b\r\na: b\r\n\r\n"
        for _ in range(1700):
            yield piece
        yield b"\r\n--b\r\nc: d\r\n\r\nlast\r\n--b--\r\n"

    c = in_pieces(pieces(), "b", body_limit=sys.maxsize)
    assert await c.read_part_headers() == [("a", "b")]
    size = 0
    tracemalloc.start()
    try:
        while (part := await c.read_part_body(length=100_000)).more:
            size += len(part.data)
        size += len(part.data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        assert size == 1700 * len(piece) > 100_000_000
        assert await c.read_part_headers() == [("c", "d")]
    finally:
        tracemalloc.stop()
    assert await c.read_part_body() == BodyPart(b"last", more=False)


async def test_memory_does_not_grow_with_a_part_that_is_skipped() -> None:
    def pieces() -> Iterable[bytes]:
        for _ in range(20):
            yield b"preamble" * 12_500
        yield b"\r\n--b\r\na: b\r\n\r\n"
        for _ in range(200):
            yield b"x" * 100_000
        yield b"\r\n--b--\r\n"

    c = in_pieces(pieces(), "b", body_limit=sys.maxsize)
    tracemalloc.start()
    try:
        assert await c.read_part_headers() == [("a", "b")]
        assert await c.read_part_headers() is None
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


async def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_multipart", None)
    with pytest.raises(ImportError, match=r'pip install "plugpy\[multipart\]"'):
        await multipart(FORM).read_part_headers()


# over a socket ---


async def sizes_of_parts(c: Conn) -> Conn:
    sizes = []
    while (headers := await c.read_part_headers()) is not None:
        size = 0
        while ("skip", "yes") not in headers:
            part = await c.read_part_body(length=1000)
            size += len(part.data)
            if not part.more:
                break
        sizes.append(size)
    return c.json(sizes)


def chunked(body: bytes, size: int) -> bytes:
    chunks = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def post(body: bytes, framing: str) -> bytes:
    length = (
        "transfer-encoding: chunked" if framing == "chunked" else f"content-length: {len(body)}"
    )
    head = f"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/mixed; boundary=b\r\n{length}"
    sent = chunked(body, 999) if framing == "chunked" else body
    return head.encode() + b"\r\n\r\n" + sent


LAST = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


def answers(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], sent: bytes, **options: Any
) -> list[tuple[int, bytes]]:
    """Status and body of the responses to what is sent over one connection."""

    async def run() -> bytes:
        ref = object()
        await start_listener(
            ref,
            {"num_acceptors": 1, "shutdown": 0.0},
            Http1Connection,
            HttpOptions(sizes_of_parts, **options),
        )
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", get_port(ref))
            try:
                writer.write(sent)
                async with asyncio.timeout(10):
                    return await reader.read()
            finally:
                writer.close()
        finally:
            await stop_listener(ref)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        received = runner.run(run())
    responses = []
    for response in received.split(b"HTTP/1.1 ")[1:]:
        head, _, body = response.partition(b"\r\n\r\n")
        responses.append((int(head[:3]), body))
    return responses


loops = pytest.mark.parametrize(
    "loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
framings = pytest.mark.parametrize("framing", ["content-length", "chunked"])


@loops
@framings
def test_a_server_reads_parts_and_the_connection_goes_on(loop_factory: Any, framing: str) -> None:
    body = form([([("a", "b")], b"x" * 300_000), ([("skip", "yes")], b"y" * 300_000)], b"b")
    epilogue = b"epilogue" * 10_000
    got = answers(loop_factory, post(body + epilogue, framing) + LAST)
    assert got[0] == (200, b"[300000,0]")
    # The next request is no multipart, and the server has found it.
    assert [status for status, _ in got] == [200, 415]


@loops
@framings
@pytest.mark.parametrize("header", [("a", "b"), ("skip", "yes")])
def test_a_server_counts_parts_that_are_read_and_that_are_skipped(
    loop_factory: Any, framing: str, header: tuple[str, str]
) -> None:
    """CVE-2026-56814 of Plug: whatever is done with the parts, the body has its limit."""
    body = form([([header], b"x" * 1000)] * 50, b"b")
    sent = post(body, framing)
    assert answers(loop_factory, sent + LAST, max_body=len(body))[0][0] == 200
    assert answers(loop_factory, sent + LAST, max_body=len(body) - 10)[0][0] == 413


@loops
@framings
def test_a_server_refuses_a_body_without_a_last_boundary(loop_factory: Any, framing: str) -> None:
    assert answers(loop_factory, post(b"--b\r\n\r\nx", framing) + LAST)[0][0] == 400
