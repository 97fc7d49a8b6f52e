"""Server-sent events: their text, read by a small reader of its own, and the stream."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.conn import AlreadySentError, ClientDisconnected, Conn
from plugpy.conn.draining import tell_draining
from plugpy.conn.event_text import comment_text, event_text
from plugpy.testing import conn


def read(text: str) -> tuple[list[tuple[str, str, str]], int | None]:
    """Events (name, data, last id) and the retry, as HTML section 9.2.6 reads them."""
    events, retry = [], None
    data: list[str] = []
    name = last = ""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]:
        if not line:
            if data:
                events.append((name or "message", "\n".join(data), last))
            data, name = [], ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id" and "\0" not in value:
            last = value
        elif field == "retry" and value.isascii() and value.isdecimal():
            retry = int(value)
    return events, retry


# the text ---------------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8")) | st.text("ab:\r\n\0 ", max_size=20)
lines = texts.map(lambda text: text.replace("\r", "").replace("\n", ""))


@given(
    st.lists(
        st.tuples(texts, st.none() | lines.filter(bool), lines.map(lambda t: t.replace("\0", "")))
    ),
    st.integers(0, 10**9),
)
def test_what_is_sent_is_read(sent, retry):
    text = event_text(retry=retry)
    for data, name, id_ in sent:
        text += event_text(data, event=name, id=id_) + comment_text(data)
    wanted = [
        (name or "message", data.replace("\r\n", "\n").replace("\r", "\n"), id_)
        for data, name, id_ in sent
    ]
    assert read(text) == (wanted, retry)


@given(texts)
def test_a_comment_is_never_an_event(text):
    assert read(comment_text(text)) == ([], None)


def test_other_data_becomes_json():
    assert event_text({"a": ["ü", 1]}) == 'data: {"a":["ü",1]}\n\n'
    assert event_text("") == "data: \n\n"
    assert event_text(0) == "data: 0\n\n"


def test_an_id_alone_is_no_event():
    assert read(event_text(id="7")) == ([], None)
    assert event_text(id="") == "id: \n\n"  # the client forgets the last one


@pytest.mark.parametrize(
    "fields",
    [
        {"event": "a\nb"},
        {"event": "a\rdata: b"},
        {"event": ""},
        {"id": "1\r\ndata: forged"},
        {"id": "1\0"},
        {"retry": -1},
        {"retry": 1.5},
    ],
)
def test_fields_that_would_be_others(fields):
    with pytest.raises(ValueError, match=r"event|code 'd'|retry"):
        event_text("x", **fields)


def test_no_event_at_all():
    with pytest.raises(ValueError, match="has data"):
        event_text()
    with pytest.raises(TypeError, match="decode the bytes"):
        event_text(b"x")


# the stream -------------------------------------------------------------------------------------


def sent_by(request: Conn) -> str:
    return request.adapter.sent_body.decode()


async def test_head_and_events():
    request = conn("GET", "/", headers={"last-event-id": "41"})
    async with request.event_stream(retry=2_000) as events:
        assert events.last_event_id == request.last_event_id == "41"
        await events.send("hello", id="42")
        await events.send({"n": 1}, event="count")
        await events.comment("x")
    adapter = request.adapter
    assert adapter.sent_status == 200
    assert dict(adapter.sent_headers) == {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
    }
    assert read(sent_by(request)) == (
        [("message", "hello", "42"), ("count", '{"n":1}', "42")],
        2_000,
    )


@pytest.mark.parametrize(
    ("value", "seen"),
    [(None, None), ("", None), ("é".encode().decode("latin-1"), "é"), ("\xff", "\ufffd")],
)
def test_last_event_id(value, seen):
    headers = {} if value is None else {"last-event-id": value}
    assert conn("GET", "/", headers=headers).last_event_id == seen


async def test_it_is_entered_once_and_used_inside():
    request = conn()
    events = request.event_stream()
    with pytest.raises(ValueError, match="inside of `async with"):
        await events.send("x")
    async with events:
        pass
    with pytest.raises(ValueError, match="inside of"):
        await events.send("x")
    with pytest.raises(ValueError, match="once"):
        await events.__aenter__()
    with pytest.raises(AlreadySentError):
        async with request.event_stream():
            pass


@pytest.mark.parametrize("heartbeat", [0, -1, float("inf"), float("nan")])
def test_heartbeats_that_are_none(heartbeat):
    with pytest.raises(ValueError, match="heartbeat is"):
        conn().event_stream(heartbeat=heartbeat)


async def test_what_the_block_raises_goes_on():
    with pytest.raises(ZeroDivisionError):
        async with conn().event_stream():
            raise ZeroDivisionError


async def test_silence_is_broken_by_comments():
    request = conn()
    came = asyncio.Event()
    chunk = request.adapter.chunk

    async def noticing(*args: Any) -> None:
        await chunk(*args)
        came.set()

    request.adapter.chunk = noticing
    async with request.event_stream(heartbeat=0.001) as events:
        for _ in range(3):
            await came.wait()
            came.clear()
        await events.send("x")
    assert sent_by(request).startswith(":\n\n" * 3)
    assert read(sent_by(request))[0] == [("message", "x", "")]
    assert len(asyncio.all_tasks()) == 1


async def test_an_idle_stream_has_no_task_of_its_own():
    async with conn().event_stream():
        assert len(asyncio.all_tasks()) == 1


async def test_a_heartbeat_finds_out_that_the_client_is_gone():
    request = conn()

    async def chunk(conn: Conn, data: bytes) -> None:
        raise ClientDisconnected("gone")

    request.adapter.chunk = chunk
    with pytest.raises(ClientDisconnected, match="gone"):
        async with request.event_stream(heartbeat=0.001):
            await asyncio.Event().wait()
    assert asyncio.current_task().cancelling() == 0


async def test_a_slow_client_gets_one_heartbeat_at_a_time():
    request = conn()
    begun, goes_on, second = asyncio.Event(), asyncio.Event(), asyncio.Event()
    calls = []

    async def chunk(conn: Conn, data: bytes) -> None:
        calls.append(data)
        begun.set()
        if len(calls) > 1:
            second.set()
        await goes_on.wait()

    request.adapter.chunk = chunk
    async with request.event_stream(heartbeat=0.0001) as events:
        await begun.wait()
        timer = events._timer
        while events._timer is timer:  # a further beat was due
            await asyncio.sleep(0)
        assert len(calls) == 1
        goes_on.set()
        await second.wait()


async def test_a_server_that_stops_ends_the_block_and_not_the_handler():
    request = conn()
    began, after = asyncio.Event(), []

    async def handler() -> Conn:
        async with request.event_stream() as events:
            await events.send("x")
            began.set()
            await asyncio.Event().wait()
        after.append(asyncio.current_task().cancelling())
        await asyncio.sleep(0)
        return request

    task = asyncio.create_task(handler())
    await began.wait()
    tell_draining(request)
    tell_draining(request)
    assert await task is request
    assert after == [0]


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_what_is_over_before_it_begins(method):
    request = conn(method)
    if method == "GET":
        tell_draining(request)
    async with request.event_stream() as events:
        while True:
            await events.send("x")
    assert sent_by(request) == ""
    assert request.adapter.sent_status == 200
    async with conn("HEAD").event_stream():
        pass  # nothing that awaits
    await asyncio.sleep(0)


async def test_who_is_cancelled_too_stays_cancelled():
    request = conn()
    began = asyncio.Event()

    async def handler() -> None:
        async with request.event_stream():
            began.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(handler())
    await began.wait()
    tell_draining(request)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
