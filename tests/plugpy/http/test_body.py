"""Body decoders without I/O: any split of the input gives the same, and nothing is taken twice."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.http import HttpError, HttpOptions
from plugpy.http.body import TURN, ChunkedDecoder, LengthDecoder, RequestBody

MAX_CHUNK_LINE = 1024


def limits(max_trailers: int) -> HttpOptions:
    return HttpOptions(
        lambda conn: conn,
        max_trailers=max_trailers,
        max_chunk_line=MAX_CHUNK_LINE,
        max_chunk_extensions=16 * MAX_CHUNK_LINE,
    )


chunks = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
extensions = st.sampled_from([b"", b";a", b";a=b", b' ;a="b c"'])
trailers = st.lists(
    st.tuples(st.sampled_from([b"X-A", b"x-b", b"Digest"]), st.sampled_from([b"", b"1", b"a b"])),
    max_size=3,
)


def encode(pieces, extension=b"", fields=()):
    body = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
    lines = b"".join(b"%b: %b\r\n" % field for field in fields)
    return body + b"0\r\n" + lines + b"\r\n"


def cut(data, places):
    """`data` in parts, cut at `places`."""
    bounds = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


def decode(decoder, parts):
    """What a decoder makes of the parts: the body, and what follows it."""
    pieces: list[bytes] = []
    for number, part in enumerate(parts):
        rest = decoder.feed(part, pieces)
        assert decoder.ended or not rest
        if decoder.ended:
            return b"".join(pieces), rest + b"".join(parts[number + 1 :])
    return b"".join(pieces), None


@given(chunks, extensions, trailers, st.binary(max_size=20), st.lists(st.integers(0, 500)))
def test_chunks_come_out_however_they_are_cut(pieces, extension, fields, rest, places):
    decoder = ChunkedDecoder(limits(1000))
    data = encode(pieces, extension, fields) + rest
    body, following = decode(decoder, cut(data, places))
    assert (body, following) == (b"".join(pieces), rest)
    assert decoder.trailers == [(name.decode().lower(), value.decode()) for name, value in fields]


@given(st.binary(max_size=100), st.binary(max_size=20), st.lists(st.integers(0, 200)))
def test_a_length_comes_out_however_it_is_cut(body, rest, places):
    if body:
        parts = [part for part in cut(body + rest, places) if part]
        assert decode(LengthDecoder(len(body)), parts) == (body, rest)


def outcome(parts):
    decoder = ChunkedDecoder(limits(60))
    try:
        return (*decode(decoder, parts), decoder.trailers)
    except HttpError as error:
        return error.verdict


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [b"5\r\nhello\r\n", b"0\r\n", b"\r\n", b"1", b"a", b";", b"\r", b"\n", b"x: y\r\n"]
            ),
            st.binary(max_size=3),
        ),
        max_size=8,
    ).map(b"".join),
    st.lists(st.integers(0, 60)),
)
def test_garbage_is_refused_alike_however_it_is_cut(data, places):
    whole = outcome([data])
    parts = cut(data, places)
    if isinstance(whole, str):
        assert outcome(parts) == whole
        assert outcome([data[at : at + 1] for at in range(len(data))]) == whole
    else:
        # What is refused only in parts would have been refused with the next bytes.
        for split in (parts, [data[at : at + 1] for at in range(len(data))]):
            again = outcome(split)
            assert again == whole or (whole[1] is None and isinstance(again, str))


@pytest.mark.parametrize("size", [MAX_CHUNK_LINE, MAX_CHUNK_LINE + 1, 10 * MAX_CHUNK_LINE])
def test_a_chunk_line_is_bounded(size):
    line = b"1;" + b"a" * (size - 2)
    for parts in ([line + b"\r\n"], [line[at : at + 1] for at in range(len(line))] + [b"\r\n"]):
        decoder = ChunkedDecoder(limits(100))
        if size <= MAX_CHUNK_LINE:
            decode(decoder, parts)
        else:
            with pytest.raises(HttpError) as caught:
                decode(decoder, parts)
            assert caught.value.verdict == "bad_chunk"


def test_chunk_extensions_are_bounded_together():
    chunk = b"1;" + b"a" * 998 + b"\r\nx\r\n"
    decoder = ChunkedDecoder(limits(100))
    decode(decoder, [chunk] * 16)
    with pytest.raises(HttpError) as caught:
        decode(decoder, [chunk])
    assert caught.value.verdict == "bad_chunk"


def test_trailers_are_bounded_together():
    decoder = ChunkedDecoder(limits(40))
    pieces: list[bytes] = []
    decoder.feed(b"0\r\n" + b"a: 123456789\r\n" * 2, pieces)
    with pytest.raises(HttpError) as caught:
        decoder.feed(b"a: 123456789\r\n", pieces)
    assert caught.value.verdict == "trailers_too_long"


def test_a_trailer_line_without_end_is_bounded():
    decoder = ChunkedDecoder(limits(40))
    decoder.feed(b"0\r\n", [])
    with pytest.raises(HttpError) as caught:
        decode(decoder, [b"a"] * 100)
    assert caught.value.verdict == "trailers_too_long"


def test_a_flood_of_tiny_chunks_is_decoded_in_turns_into_one_piece_each():
    body = RequestBody(ChunkedDecoder(limits(100)), expects_continue=False)
    assert body.feed(b"1\r\na\r\n" * 10_000 + b"0\r\n\r\nrest") == b""
    assert list(body.pieces) == [b"a" * TURN]
    assert body.held == body.received == TURN
    rest = b""
    turns = 1
    while body.waiting:
        rest = body.feed(b"")
        turns += 1
    assert rest == b"rest"
    assert b"".join(body.pieces) == b"a" * 10_000
    assert len(body.pieces) <= turns <= 10_000 // TURN + 1


async def test_two_tasks_cannot_wait_for_the_same_body():
    body = RequestBody(LengthDecoder(3), expects_continue=False)
    loop = asyncio.get_running_loop()
    first = body.wait(loop)
    with pytest.raises(RuntimeError, match="another Task"):
        body.wait(loop)
    body.feed(b"abc")
    assert first.done()
    assert body.take() == b"abc"
