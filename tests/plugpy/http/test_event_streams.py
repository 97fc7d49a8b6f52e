"""Server-sent events on a real server: clients that leave, drains, compression, a browser."""

from __future__ import annotations

import asyncio
import shutil
import zlib

import pytest

from plugpy.conn import Conn
from plugpy.pipeline import Pipeline, wrap
from plugpy.plugs import Compress

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


class Stream:
    """An application with one stream; the test sees how it goes."""

    def __init__(self) -> None:
        self.began, self.left = asyncio.Event(), asyncio.Event()
        self.outcome: str | None = None

    async def __call__(self, conn: Conn) -> Conn:
        try:
            async with conn.event_stream() as events:
                await events.send("hello", id="1")
                self.began.set()
                await asyncio.Event().wait()
            self.outcome = "ended"
            return conn
        except asyncio.CancelledError:
            self.outcome = "cancelled"
            raise
        finally:
            self.left.set()


async def test_the_event_is_there_at_once_and_a_drain_ends_well(serve):
    stream = Stream()
    server = await serve(stream)
    client = await server.connect()
    await client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    seen = await client.read_until(b"data: hello\n\n")
    assert b"content-type: text/event-stream\r\n" in seen
    server.connection.drain()
    assert (await client.read_until(b"0\r\n\r\n")).endswith(b"0\r\n\r\n")
    assert stream.outcome == "ended"


async def test_a_drain_before_the_stream_begins(serve):
    came, goes_on = asyncio.Event(), asyncio.Event()
    stream = Stream()

    async def late(conn: Conn) -> Conn:
        came.set()
        await goes_on.wait()
        return await stream(conn)

    server = await serve(late)
    client = await server.connect()
    await client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await came.wait()
    server.connection.drain()
    goes_on.set()
    response = await client.response()
    assert (response.status, response.body, response.get("connection")) == (200, b"", "close")
    assert stream.outcome == "ended"


async def test_a_client_that_leaves(serve):
    stream = Stream()
    server = await serve(stream)
    client = await server.connect()
    await client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await stream.began.wait()
    client.close()
    async with asyncio.timeout(10):
        await stream.left.wait()
    assert stream.outcome == "cancelled"


async def test_compressed_events_are_there_at_once(serve):
    stream = Stream()
    server = await serve(Pipeline([wrap(Compress), stream]))
    client = await server.connect()
    await client.send(b"GET / HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\n\r\n")
    head = await client.read_until(b"\r\n\r\n")
    assert b"content-encoding: gzip" in head
    size = int(await client.read_until(b"\r\n"), 16)
    while len(client.unread) < size:
        client.unread += await client.receive()
    decoder = zlib.decompressobj(31)
    assert decoder.decompress(client.unread[:size]) == b"id: 1\ndata: hello\n\n"
    client.unread = client.unread[size + 2 :]
    server.connection.drain()
    rest = await client.read_until(b"0\r\n\r\n")
    size, _, rest = rest.partition(b"\r\n")
    decoder.decompress(rest[: int(size, 16)])
    assert decoder.eof


PAGE = """<!doctype html><title>events</title><body><script>
const told = [];
const source = new EventSource("/events");
source.onmessage = event => told.push(`message ${event.data.replace(/\\n/g, "|")}`);
source.addEventListener("count", event => told.push(`count ${JSON.parse(event.data).n}`));
source.addEventListener("end", event => {
  source.close();
  document.body.innerHTML = `<p id=told>${told.join(", ")}, end ${event.lastEventId}</p>`;
});
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium (Debian package chromium)")
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_a_browser_comes_back_where_it_was(serve, tmp_path, compressed):
    seen = []

    async def application(conn: Conn) -> Conn:
        if conn.request_path != "/events":
            return conn.html(PAGE)
        seen.append(conn.last_event_id)
        async with conn.event_stream(retry=1) as events:
            if conn.last_event_id is None:
                await events.send("one\ntwo", id="é1")
                await events.comment("ignored")
                await events.send({"n": 2}, event="count", id="é2")
                return conn  # the browser comes back by itself
            await events.send("three", id="é3")
            await events.send("", event="end")
            await asyncio.Event().wait()
        return conn

    server = await serve(Pipeline([wrap(Compress), application]) if compressed else application)
    quiet = (
        "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
        "disable-component-update disable-sync disable-dev-shm-usage"
    )
    assert BROWSER is not None
    process = await asyncio.create_subprocess_exec(
        BROWSER,
        *[f"--{flag}" for flag in quiet.split()],
        "--proxy-server=direct://",
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=10000",
        "--dump-dom",
        f"http://127.0.0.1:{server.port}/",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(45):
        out, _ = await process.communicate()
    assert '<p id="told">message one|two, count 2, message three, end é3</p>' in out.decode()
    assert seen == [None, "é2"]
