"""The transport in memory, bytes in pieces, an HTTP connection without a socket."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.conn import Conn
from plugpy.testing import FakeTransport, VirtualClock, WiredConnection, feed
from plugpy.testing.transport import split

REQUEST = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc"


class Recorder(asyncio.Protocol):
    def __init__(self):
        self.pieces = []

    def data_received(self, data):
        self.pieces.append(data)


@pytest.mark.parametrize(
    ("how", "pieces"),
    [("whole", [b"abcd"]), ("bytewise", [b"a", b"b", b"c", b"d"]), ([1, 3], [b"a", b"bc", b"d"])],
)
def test_feed(how, pieces):
    recorder = Recorder()
    feed(recorder, b"abcd", how)
    feed(recorder, b"", "whole")
    assert recorder.pieces == pieces


@pytest.mark.parametrize("how", ["bytes", [0], [4], [2, 2], [3, 1], [-1]])
def test_wrong_pieces(how):
    with pytest.raises(ValueError, match="offsets"):
        feed(Recorder(), b"abcd", how)


@given(st.binary(min_size=2), st.data())
def test_nothing_is_lost(data, draw):
    offsets = draw.draw(st.sets(st.integers(1, len(data) - 1)))
    assert b"".join(split(data, sorted(offsets))) == data


def test_a_transport_notes_what_is_asked_of_it():
    transport = FakeTransport(peername=("192.0.2.1", 1))
    transport.writelines([b"a", bytearray(b"b"), memoryview(b"c")])
    transport.pause_reading()
    assert (transport.writes, transport.is_reading()) == ([b"abc"], False)
    transport.resume_reading()
    assert transport.is_reading()
    assert transport.get_extra_info("socket", 7) == 7
    transport.write_eof()
    with pytest.raises(AssertionError, match="write_eof"):
        transport.write(b"")
    closed = FakeTransport()
    closed.close()
    closed.write(b"lost")
    assert (closed.sent, closed.is_closing(), closed.aborted) == (b"", True, False)


async def answer(conn: Conn) -> Conn:
    return conn.send_resp(200, await conn.body())


@pytest.mark.parametrize("how", ["whole", "bytewise", [10, 20, 45]])
async def test_a_request_in_pieces(how):
    with WiredConnection(answer) as wired:
        wired.feed(REQUEST, how)
        await wired.settle()
        assert wired.transport.sent.startswith(b"HTTP/1.1 200 ")
        assert wired.transport.sent.endswith(b"\r\n\r\nabc")


async def test_deadlines_pass_when_the_test_says_so():
    with WiredConnection(answer, header_timeout=5) as wired:
        wired.feed(REQUEST[:10])
        wired.advance(4.9)
        assert not wired.transport.sent
        wired.advance(0.2)
        assert wired.transport.sent.startswith(b"HTTP/1.1 408 ")


async def test_nothing_is_left():
    before = asyncio.all_tasks()
    with WiredConnection(answer) as wired:
        wired.feed(REQUEST[:-1])
        await wired.settle()
    await wired.settle()
    assert asyncio.all_tasks() == before
    wired.close()


async def test_the_clock():
    rang = []
    with VirtualClock() as clock:
        clock.call_later(60, rang.append, 1)
        await clock.advance(59)
        assert not rang
        await clock.advance(1)
    assert rang == [1]
