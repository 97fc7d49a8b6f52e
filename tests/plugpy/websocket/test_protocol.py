"""What is answered to frames: by callbacks and by a coroutine, whole and byte by byte (RFC 6455
sections 5 to 8)."""

from __future__ import annotations

import asyncio
import itertools
import struct
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugpy.websocket.codec import OUT_OF_ORDER, Codec, Utf8Decoder, apply_mask
from plugpy.websocket.codes import REASON_LIMIT, check_close
from plugpy.websocket.connection import READ_AHEAD, TURN

from .conftest import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Client,
    Frame,
    close_frame,
    frame,
)
from .test_handshake import callbacks, coroutine, styles
from .wire import Wire


async def play(client: Client, data: bytes, bytewise: bool) -> None:
    try:
        for piece in [data[i : i + 1] for i in range(len(data))] if bytewise else [data]:
            await client.send(piece)
    except ConnectionError:
        pass  # it was told, and hung up


def deflate(data: bytes, *, last: bool = True) -> bytes:
    made = zlib.compressobj(wbits=-12)
    flushed = made.compress(data) + made.flush(zlib.Z_SYNC_FLUSH)
    return flushed[:-4] if last else flushed


def streams(*parts: bytes) -> bytes:
    """A deflate stream with a final block for each part, and the zero byte that ends a message
    (RFC 7692 section 7.2.3.4)."""
    ended = []
    for part in parts:
        made = zlib.compressobj(wbits=-12)
        ended.append(made.compress(part) + made.flush())
    return b"".join(ended) + b"\0"


EURO = "€".encode()

ANSWERED: dict[str, tuple[bytes, list[Frame]]] = {
    "text": (frame(TEXT, b"hello"), [Frame(TEXT, b"hello")]),
    "empty text": (frame(TEXT), [Frame(TEXT, b"")]),
    "empty binary": (frame(BINARY), [Frame(BINARY, b"")]),
    "binary": (frame(BINARY, b"\xff\x00"), [Frame(BINARY, b"\xff\x00")]),
    "125 bytes": (frame(TEXT, b"x" * 125), [Frame(TEXT, b"x" * 125)]),
    "126 bytes": (frame(TEXT, b"x" * 126), [Frame(TEXT, b"x" * 126)]),
    "65,535 bytes": (frame(BINARY, b"x" * 65535), [Frame(BINARY, b"x" * 65535)]),
    "65,536 bytes": (frame(BINARY, b"x" * 65536), [Frame(BINARY, b"x" * 65536)]),
    "two": (frame(TEXT, b"1") + frame(BINARY, b"2"), [Frame(TEXT, b"1"), Frame(BINARY, b"2")]),
    "a mask of zeros": (frame(TEXT, b"hello", mask=bytes(4)), [Frame(TEXT, b"hello")]),
    "fragments": (
        frame(TEXT, b"a", fin=False) + frame(CONT, b"b", fin=False) + frame(CONT, b"c"),
        [Frame(TEXT, b"abc")],
    ),
    "empty fragments": (
        frame(BINARY, fin=False) + frame(CONT, fin=False) * 3 + frame(CONT),
        [Frame(BINARY, b"")],
    ),
    "a character over fragments": (
        frame(TEXT, EURO[:1], fin=False)
        + frame(CONT, EURO[1:2], fin=False)
        + frame(CONT, EURO[2:]),
        [Frame(TEXT, EURO)],
    ),
    "a ping": (frame(PING, b"p"), [Frame(PONG, b"p")]),
    "an empty ping": (frame(PING), [Frame(PONG, b"")]),
    "the largest ping": (frame(PING, b"\xff" * 125), [Frame(PONG, b"\xff" * 125)]),
    "a ping amid fragments": (
        frame(TEXT, b"a", fin=False) + frame(PING, b"p") + frame(CONT, b"b"),
        [Frame(PONG, b"p"), Frame(TEXT, b"ab")],
    ),
    "a pong nobody asked for": (frame(PONG, b"p") + frame(TEXT, b"x"), [Frame(TEXT, b"x")]),
    "a ping in its place": (
        frame(TEXT, b"1") + frame(PING, b"p") + frame(TEXT, b"2"),
        [Frame(TEXT, b"1"), Frame(PONG, b"p"), Frame(TEXT, b"2")],
    ),
}


@styles
@pytest.mark.parametrize(
    ("name", "bytewise"),
    [(name, False) for name in ANSWERED]
    + [(name, True) for name, (data, _) in ANSWERED.items() if len(data) < 1000],
)
async def test_answered(serve: Any, style: Any, name: str, bytewise: bool) -> None:
    data, expected = ANSWERED[name]
    client = await (await serve(style())).connect()
    await play(client, data, bytewise)
    got = [await client.frame() for _ in expected]
    if style is coroutine:  # its echo comes in a Task's own time; pongs need none
        got, expected = sorted(got), sorted(expected)
    assert got == expected
    await client.send(close_frame())
    assert await client.closed() == (1000, "")


CLOSED: dict[str, tuple[bytes, int]] = {
    "1000": (close_frame(1000), 1000),
    "with a reason": (close_frame(1001, "bye €"), 1001),
    "without a code": (close_frame(None), 1005),
    "3000": (close_frame(3000), 3000),
    "4999": (close_frame(4999), 4999),
    "the longest reason": (close_frame(1000, "x" * 123), 1000),
    "amid fragments": (frame(TEXT, b"a", fin=False) + close_frame(), 1000),
    "and then more": (close_frame() + frame(TEXT, b"late") + frame(PING), 1000),
    "one byte of code": (frame(CLOSE, b"\x03"), 1002),
    "code 0": (close_frame(0), 1002),
    "code 999": (close_frame(999), 1002),
    "code 1004": (close_frame(1004), 1002),
    "code 1005": (close_frame(1005), 1002),
    "code 1006": (close_frame(1006), 1002),
    "code 1015": (close_frame(1015), 1002),
    "code 1016": (close_frame(1016), 1002),
    "code 2999": (close_frame(2999), 1002),
    "code 5000": (close_frame(5000), 1002),
    "code 65535": (close_frame(65535), 1002),
    "a reason that is not UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "a reason too long": (frame(CLOSE, b"\x03\xe8" + b"x" * 124), 1002),
    "no mask": (frame(TEXT, b"x", mask=None), 1002),
    "RSV1": (frame(TEXT, b"x", rsv=4), 1002),
    "RSV2": (frame(TEXT, b"x", rsv=2), 1002),
    "RSV3": (frame(TEXT, b"x", rsv=1), 1002),
    "RSV in a ping": (frame(PING, b"x", rsv=4), 1002),
    "opcode 3": (frame(3), 1002),
    "opcode 7": (frame(7, b"x"), 1002),
    "opcode 11": (frame(11), 1002),
    "opcode 15": (frame(15, b"x"), 1002),
    "a fragmented ping": (frame(PING, b"x", fin=False), 1002),
    "a ping too long": (frame(PING, b"x" * 126), 1002),
    "a continuation of nothing": (frame(CONT, b"x"), 1002),
    "a message within a message": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    "binary within a message": (frame(TEXT, b"a", fin=False) + frame(BINARY, b"b"), 1002),
    "text that is not UTF-8": (frame(TEXT, b"\xff"), 1007),
    "a surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "overlong": (frame(TEXT, b"\xc0\xaf"), 1007),
    "above U+10FFFF": (frame(TEXT, b"\xf4\x90\x80\x80"), 1007),
    "half a character": (frame(TEXT, EURO[:2]), 1007),
    "half a character in the last fragment": (
        frame(TEXT, EURO[:2], fin=False) + frame(CONT, b""),
        1007,
    ),
    "not UTF-8 in the first of many fragments": (frame(TEXT, b"a\xff", fin=False), 1007),
    "not UTF-8 in a later fragment": (
        frame(TEXT, b"a", fin=False) + frame(CONT, b"\xff", fin=False),
        1007,
    ),
    "a length above the limit": (b"\x82\xff" + struct.pack("!Q", 1 << 40), 1009),
    "a length with its highest bit": (b"\x82\xff" + struct.pack("!Q", 1 << 63), 1009),
}


@styles
@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("name", CLOSED)
async def test_closed(serve: Any, style: Any, name: str, bytewise: bool) -> None:
    data, code = CLOSED[name]
    client = await (await serve(style())).connect()
    await play(client, data, bytewise)
    assert (await client.closed())[0] == code


LONG = 100_000

EARLY: dict[str, tuple[bytes, int]] = {
    "text that is not UTF-8": (frame(TEXT, b"a\xff" + b"x" * LONG)[:500], 1007),
    "after a part that is": (frame(TEXT, b"x" * 5000 + b"\xff" + b"x" * LONG)[:6000], 1007),
    "above U+10FFFF": (frame(TEXT, b"\xf4\x90\x80\x80" + b"x" * LONG)[:16], 1007),
    "in a later fragment": (
        frame(TEXT, EURO[:2], fin=False) + frame(CONT, b"x" * LONG)[:100],
        1007,
    ),
    "short": (frame(TEXT, b"\xff" + b"x" * 100)[:20], 1007),
    "a ping too long": (frame(PING, b"x" * 126)[:2], 1002),
    "a fragmented ping": (frame(PING, b"x" * 100, fin=False)[:2], 1002),
    "a continuation of nothing": (frame(CONT, b"x" * LONG)[:2], 1002),
    "a message within a message": (
        frame(TEXT, b"x", fin=False) + frame(TEXT, b"x" * LONG)[:2],
        1002,
    ),
    "RSV1": (frame(TEXT, b"x" * LONG, rsv=4)[:2], 1002),
    "no mask": (frame(BINARY, b"x" * LONG, mask=None)[:10], 1002),
    "too long": (frame(TEXT, b"x" * (16 * 1_048_576 + 1))[:14], 1009),
}


@styles
@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("name", EARLY)
async def test_what_is_wrong_is_told_before_the_rest_comes(
    serve: Any, style: Any, name: str, bytewise: bool
) -> None:
    data, code = EARLY[name]
    client = await (await serve(style())).connect()
    await play(client, data, bytewise and len(data) < 1000)
    assert (await client.closed())[0] == code


@styles
async def test_long_text_that_comes_in_pieces(serve: Any, style: Any) -> None:
    """Each piece is judged with the mask turned to where it begins."""
    text = "€uro " * 5000
    client = await (await serve(style())).connect()
    data = frame(TEXT, text.encode()[:7], fin=False) + frame(CONT, text.encode()[7:])
    for start in range(0, len(data), 1013):
        await client.send(data[start : start + 1013])
        await asyncio.sleep(0)
    assert await client.text() == text


@styles
async def test_messages_before_a_close_are_answered_first(serve: Any, style: Any) -> None:
    client = await (await serve(callbacks())).connect()
    await client.send(frame(TEXT, b"1") + frame(TEXT, b"2") + close_frame(4000, "x"))
    assert [await client.text(), await client.text()] == ["1", "2"]
    assert await client.closed() == (4000, "")


async def test_what_comes_after_a_close_does_not_cut_the_answers(serve: Any) -> None:
    """Closing with unread bytes would reset the connection, and lose what is on its way."""
    client = await (await serve(callbacks())).connect()
    large = b"x" * 2_000_000
    await client.send(frame(TEXT, large) + close_frame() + frame(PING) * 1000)
    assert len((await client.frame()).data) == len(large)
    assert (await client.closed())[0] == 1000


async def test_a_fault_is_told_after_what_was_right(serve: Any) -> None:
    client = await (await serve(callbacks())).connect()
    await client.send(frame(TEXT, b"1", fin=False) + frame(CONT, b"2") + frame(CONT, b"3"))
    assert await client.text() == "12"
    assert await client.closed() == (1002, OUT_OF_ORDER)


async def test_a_flood_of_small_frames_leaves_others_their_turn(serve: Any) -> None:
    seen: list[int] = []

    def application(conn: Any) -> Any:
        if conn.request_path == "/look":
            seen.append(len(messages))
            return conn.send_resp(200, "")
        return conn.upgrade_adapter("websocket", upgrade)

    from plugpy.websocket import Upgrade, WebSocketHandler

    messages: list[str] = []

    class Count(WebSocketHandler):
        def handle_in(self, message: Any, state: Any) -> None:
            messages.append(message)

    upgrade = Upgrade(Count())
    server = await serve(application)
    client = await server.connect()
    connection = server.connection.upgraded
    connection.data_received(frame(TEXT, b"x") * (TURN * 10))
    assert len(messages) == TURN  # and no more in this turn of the loop
    await server.until(lambda: len(messages) == TURN * 10)
    await client.send(close_frame())
    assert (await client.closed())[0] == 1000


async def test_who_is_slow_to_read_is_not_read(serve: Any) -> None:
    """An echo whose client does not read must not pile up."""
    server = await serve(callbacks())
    client = await server.connect(receive_buffer=4096)
    message = frame(BINARY, b"x" * 60_000)
    sent = 0
    client.sock.setblocking(False)
    while not server.connection.upgraded._reading_paused:
        try:
            sent += client.sock.send(message[sent % len(message) :])
        except BlockingIOError:
            await asyncio.sleep(0)
    upgraded = server.connection.upgraded
    assert upgraded._codec.waiting < READ_AHEAD + 300_000
    assert server.connection.transport.get_write_buffer_size() < 500_000
    # It catches up: all that was sent whole is answered.
    whole = sent // len(message)
    for _ in range(whole):
        assert len((await client.frame()).data) == 60_000


@given(
    messages=st.lists(
        st.tuples(st.one_of(st.text(max_size=300), st.binary(max_size=300)), st.data()), max_size=5
    ),
    cuts=st.lists(st.integers(0, 2000), max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_any_fragmentation_in_any_pieces(messages: Any, cuts: list[int]) -> None:
    """Whatever frames a message comes in, and whatever reads those come in."""
    from plugpy.websocket.codec import Codec

    from .wire import Wire

    data, expected = b"", []
    for message, source in messages:
        raw = message.encode() if isinstance(message, str) else message
        at = sorted(source.draw(st.lists(st.integers(0, len(raw)), max_size=3)))
        parts = [raw[a:b] for a, b in zip([0, *at], [*at, len(raw)], strict=True)]
        for number, part in enumerate(parts):
            opcode = CONT if number else TEXT if isinstance(message, str) else BINARY
            data += frame(opcode, part, fin=number == len(parts) - 1)
            data += frame(PING, b"between")
        expected.append(message)
    wire = Wire(Codec((), 1000, 1000, 0))
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in itertools.pairwise(edges):
        wire.connection.data_received(data[start:end])
        wire.run()
    assert wire.messages == expected


@given(data=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=4))
@settings(max_examples=200, deadline=None)
def test_any_bytes_have_one_verdict(data: bytes, cuts: list[int]) -> None:
    """However the same bytes are split, they mean the same; and nothing raises."""
    from plugpy.websocket.codec import Codec

    from .wire import Wire

    outcomes = []
    for edges in (
        [0, len(data)],
        list(range(len(data) + 1)),
        sorted({0, len(data), *(cut for cut in cuts if cut < len(data))}),
    ):
        wire = Wire(Codec((), 1000, 1000, 0))
        for start, end in itertools.pairwise(edges):
            wire.connection.data_received(data[start:end])
            wire.run()
        outcomes.append((wire.messages, wire.sent, wire.over))
    assert outcomes[0] == outcomes[1] == outcomes[2]


@styles
async def test_compressed_messages(serve: Any, style: Any) -> None:
    client = await (await serve(style())).connect(
        "/", "sec-websocket-extensions: permessage-deflate; client_max_window_bits"
    )
    text = "compress me " * 40
    await client(TEXT, deflate(text.encode()), rsv=4)
    got = await client.frame()
    assert (got.opcode, got.rsv) == (TEXT, 4)
    inflater = zlib.decompressobj(wbits=-15)
    assert inflater.decompress(got.data + b"\0\0\xff\xff").decode() == text
    # With context takeover the same again is a few bytes.
    await client(TEXT, text)  # not every message must be compressed
    again = await client.frame()
    assert len(again.data) < 20
    assert inflater.decompress(again.data + b"\0\0\xff\xff").decode() == text
    await client(TEXT, "short")
    assert await client.frame() == Frame(TEXT, b"short")


@styles
@pytest.mark.parametrize("bytewise", [False, True])
async def test_final_blocks(serve: Any, style: Any, bytewise: bool) -> None:
    """The example of RFC 7692 section 7.2.3.4, and what may come after it."""
    for offer in ("permessage-deflate", "permessage-deflate; client_no_context_takeover"):
        server = await serve(style(max_message_size=100_000))
        client = await server.connect("/", f"sec-websocket-extensions: {offer}")
        half = len(streams(b"two ")) - 1
        data = (
            frame(TEXT, bytes.fromhex("f348cdc9c9070000"), rsv=4)
            + frame(TEXT, deflate(b"as ever"), rsv=4)
            + frame(TEXT, streams(b"two ", b"streams"), rsv=4)
            + frame(TEXT, streams(b"two ", b"frames")[:half], fin=False, rsv=4)
            + frame(CONT, streams(b"two ", b"frames")[half:])
            + frame(BINARY, streams(bytes(100_000)), rsv=4)
            + frame(TEXT, deflate(b"again"), rsv=4)
        )
        await play(client, data, bytewise)
        inflater = zlib.decompressobj(wbits=-15)
        got = []
        for _ in range(6):
            answer = await client.frame()
            if answer.rsv:
                got.append(inflater.decompress(answer.data + b"\0\0\xff\xff"))
            else:
                got.append(answer.data)
        expected = [b"Hello", b"as ever", b"two streams", b"two frames", bytes(100_000), b"again"]
        assert got == expected
        await client.send(close_frame())
        await client.closed()


@given(
    st.lists(st.lists(st.binary(max_size=3000), min_size=1, max_size=5), min_size=1, max_size=5),
    st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_messages_of_any_streams(messages: list[list[bytes]], forgets: bool) -> None:
    from websockets.frames import Frame as Parsed
    from websockets.frames import Opcode

    from plugpy.websocket.deflate import Deflate

    extension = Deflate(forgets, False, 12, 12, {})
    for parts in messages:
        for data in (streams(*parts), deflate(b"".join(parts))):
            parsed = Parsed(Opcode.BINARY, data, True, True)
            assert extension.decode(parsed, max_size=15_000).data == b"".join(parts)


@styles
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"\xff\xff\xff", rsv=4), 1002),
        (frame(TEXT, deflate(b"a"), fin=False, rsv=4) + frame(CONT, b"", rsv=4), 1002),
        (frame(PING, deflate(b"a"), rsv=4), 1002),
        (frame(TEXT, deflate(b"\xff"), rsv=4), 1007),
        (frame(BINARY, deflate(bytes(2_000_000)), rsv=4), 1009),
        (
            frame(BINARY, deflate(bytes(60_000), last=False), fin=False, rsv=4)
            + frame(CONT, deflate(bytes(60_000))),
            1009,
        ),
        (frame(BINARY, streams(b"", bytes(2_000_000)), rsv=4), 1009),
        (frame(BINARY, streams(bytes(60_000), bytes(60_000)), rsv=4), 1009),
        (frame(BINARY, streams(bytes(100_000), b"1"), rsv=4), 1009),
        (frame(BINARY, streams(*[b""] * 5_000), rsv=4), 1002),
        (frame(TEXT, streams(b"a")[:-1] + b"\xff", rsv=4), 1002),
    ],
    ids=[
        *("garbage", "RSV1 in a continuation", "a ping", "not UTF-8", "a bomb", "a bomb in parts"),
        *("a bomb in the second stream", "two halves", "one byte too many", "5,000 streams"),
        "garbage after a stream",
    ],
)
async def test_compressed_attacks(serve: Any, style: Any, data: bytes, code: int) -> None:
    server = await serve(style(max_message_size=100_000))
    client = await server.connect("/", "sec-websocket-extensions: permessage-deflate")
    await client.send(data)
    assert (await client.closed())[0] == code


@styles
async def test_the_sizes_of_frames_and_messages_are_bounded(serve: Any, style: Any) -> None:
    server = await serve(style(max_frame_size=1000, max_message_size=2000))
    client = await server.connect()
    await client(BINARY, bytes(1000))
    assert len((await client.frame()).data) == 1000
    await client.send(frame(BINARY, bytes(1000), fin=False) + frame(CONT, bytes(1000)))
    assert len((await client.frame()).data) == 2000
    for attack in (
        frame(BINARY, bytes(1001))[:14],  # told before the payload comes
        frame(BINARY, bytes(1000), fin=False) * 1
        + frame(CONT, bytes(1000), fin=False)
        + frame(CONT, b"x"),
    ):
        client = await server.connect()
        await client.send(attack)
        code, reason = await client.closed()
        assert (code, reason) == (1009, "at most 1,000 bytes a frame and 2,000 a message")


async def test_a_fault_disturbs_no_other_connection(serve: Any) -> None:
    server = await serve(callbacks())
    good, bad = await server.connect(), await server.connect()
    await bad.send(b"\xff" * 100)
    assert (await bad.closed())[0] == 1002
    await good(TEXT, "still here")
    assert await good.text() == "still here"


async def test_a_fault_is_told_although_more_arrives(serve: Any) -> None:
    """Closing with unread data would reset the connection, and the reason would be lost."""
    server = await serve(callbacks())
    client = await server.connect()
    await client.send(frame(CONT, b"x") + bytes(500_000))
    assert await client.closed() == (1002, OUT_OF_ORDER)


def test_reasons_are_cut_at_a_character() -> None:
    assert check_close(1000, "€" * 100) == "€" * (REASON_LIMIT // 3)
    for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000):
        with pytest.raises(ValueError, match="close code"):
            check_close(code, "")


@pytest.mark.parametrize("parts", ["pieces of a frame", "frames"])
def test_each_byte_is_judged_once(parts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a text arrives: what was looked at again with each piece would be quadratic."""
    judged = unmasked = 0

    class Counting:
        def __init__(self) -> None:
            self.decoder = Utf8Decoder()

        def decode(self, data: Any, final: bool = False) -> None:
            nonlocal judged
            judged += len(data)
            self.decoder.decode(data, final)

        def getstate(self) -> Any:
            return self.decoder.getstate()

        def setstate(self, state: Any) -> None:
            self.decoder.setstate(state)

    def counting(data: Any, mask: Any) -> Any:
        nonlocal unmasked
        unmasked += len(data)
        return apply_mask(data, mask)

    monkeypatch.setattr("plugpy.websocket.codec.Utf8Decoder", Counting)
    monkeypatch.setattr("plugpy.websocket.connection.Utf8Decoder", Counting)
    monkeypatch.setattr("plugpy.websocket.codec.apply_mask", counting)
    size, step = 1 << 18, 1 << 10
    wire = Wire(Codec((), size, size, 64))
    if parts == "frames":
        data = frame(TEXT, b"", fin=False) + frame(CONT, b"x" * step, fin=False) * (size // step)
        data += frame(CONT, b"")
    else:
        data = frame(TEXT, b"x" * size)
    for start in range(0, len(data), step):
        wire.connection.data_received(data[start : start + step])
        wire.run()
    assert wire.messages == ["x" * size]
    # A frame whose bytes come in two reads is judged as they come and once it is whole.
    assert size - step <= judged <= 2 * size
    assert unmasked <= size


def test_a_message_of_tiny_pieces_takes_its_own_size_of_memory() -> None:
    """An object for each piece would be 48 bytes for two."""
    wire = Wire(Codec((), 1 << 20, 1 << 20, 64))
    for opcode in (TEXT, BINARY):
        first, more = frame(opcode, b"ab", fin=False), frame(CONT, b"cd", fin=False) * 50
        tracemalloc.start()
        wire.connection.data_received(first)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(200):
            wire.connection.data_received(more)
            wire.run()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        wire.connection.data_received(frame(CONT, b""))
        assert len(wire.messages.pop()) == 20_002
        assert grown < 60_000, grown
