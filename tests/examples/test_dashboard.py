"""examples/dashboard.py: the figures are those of the server, and watchers come back to them."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from contextlib import asynccontextmanager

import pytest

from plugpy import telemetry


@pytest.fixture
def dashboard(example):
    """The application. Its job takes one sample at the start; the test takes all others."""
    return example("dashboard:Dashboard", DASHBOARD_PERIOD=3600)


@pytest.fixture
def figures(dashboard):
    return sys.modules["dashboard"].figures


class Watcher:
    """A client of the events."""

    def __init__(self, reader):
        self.reader = reader

    async def event(self):
        """(id, data) of the next event."""
        async with asyncio.timeout(20):
            id_, data = None, None
            while data is None:
                line = (await self.reader.readline()).decode()
                assert line, "the stream has ended"
                if line.startswith("id: "):
                    id_ = int(line[4:])
                elif line.startswith("data: "):
                    data = json.loads(line[6:])
        return id_, data


@asynccontextmanager
async def watching(server, last_event_id=None):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        again = "" if last_event_id is None else f"last-event-id: {last_event_id}\r\n"
        writer.write(f"GET /events HTTP/1.1\r\nhost: a\r\n{again}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"200 OK" in head
        assert b"content-type: text/event-stream" in head
        yield Watcher(reader)
    finally:
        writer.close()


async def ask(server, path="/work"):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


async def test_the_figures_are_those_of_the_server(dashboard, figures, live_server):
    async with live_server.here(dashboard) as server, watching(server) as watcher:
        id_, first = await watcher.event()
        assert id_ == first["at"]
        for _ in range(3):
            assert b"done" in await ask(server)
        figures.take()
        _, second = await watcher.event()
        assert second["at"] > first["at"]
        assert second["requests"] > 0
        assert second["slowest"] >= 5
        assert second["watchers"] == 1
        assert second["connections"] == server.connections
        assert second["memory"] > 1
        figures.take()
        _, third = await watcher.event()
        assert (third["requests"], third["slowest"]) == (0, 0)


async def test_who_comes_back_gets_what_was_missed(dashboard, figures, live_server):
    async with live_server.here(dashboard) as server:
        async with watching(server) as watcher:
            await watcher.event()
            figures.take()
            seen, _ = await watcher.event()
        figures.take()
        figures.take()
        missed = [sample.at for sample in figures.samples][-2:]
        async with watching(server, seen) as watcher:
            assert [(await watcher.event())[0] for _ in range(2)] == missed
            figures.take()
            assert (await watcher.event())[0] == figures.samples[-1].at


@pytest.mark.parametrize("id_", ["", "0", "x", "-1", "9" * 15, "9" * 5_000, "\u0661", "1e3"])
async def test_an_id_that_makes_no_sense_gets_everything(dashboard, figures, live_server, id_):
    async with live_server.here(dashboard) as server:
        figures.take()
        async with watching(server, id_.encode().decode("latin-1")) as watcher:
            assert (await watcher.event())[0] == figures.samples[0].at


async def test_what_a_slow_watcher_can_miss_is_bounded(dashboard, figures, live_server):
    async with live_server.here(dashboard):
        for _ in range(1_000):
            figures.take()
        assert len(figures.samples) == 300
        ids = [sample.at for sample in figures.samples]
        assert ids == sorted(set(ids))


async def test_a_watcher_that_leaves_is_forgotten(dashboard, figures, live_server):
    async with live_server.here(dashboard) as server:
        async with watching(server) as watcher:
            await watcher.event()
            assert figures.watchers == 1
        async with asyncio.timeout(20):
            while figures.watchers:
                await asyncio.sleep(0)


async def test_a_server_that_stops_ends_the_streams_and_listens_no_more(dashboard, live_server):
    async with live_server.here(dashboard) as server:
        assert telemetry.handlers("dashboard")
        async with watching(server) as watcher:
            await watcher.event()
            await server.stop()
            async with asyncio.timeout(20):
                assert (await watcher.reader.read()).endswith(b"0\r\n\r\n")
    assert telemetry.handlers("dashboard") == []


async def test_the_page_has_a_policy_that_its_files_keep_to(dashboard, live_server):
    async with live_server.here(dashboard) as server:
        head, _, page = (await ask(server, "/")).partition(b"\r\n\r\n")
        assert b"content-type: text/html" in head
        assert b"script-src 'self';" in head
        assert b"unsafe" not in head
        assert not re.search(rb"<script>|<style| on\w+=| style=", page)
        for path in re.findall(r'(?:src|href)="([^"]+)"', page.decode()):
            assert (await ask(server, path)).startswith(b"HTTP/1.1 200")
        assert (await ask(server, "/static/guestbook.css")).startswith(b"HTTP/1.1 404")


async def test_a_browser_shows_the_figures(dashboard, figures, live_server, browse, monkeypatch):
    """It tells what it shows when the stream has ended: when the server has stopped."""
    came, seen = asyncio.Event(), figures.seen
    monkeypatch.setattr(figures, "seen", lambda id_: came.set() or seen(id_))
    async with live_server.here(dashboard) as server:
        looking = asyncio.create_task(browse(server.url))
        try:
            async with asyncio.timeout(45):
                await came.wait()
            figures.take()
            await server.stop()
        finally:
            dom = await looking
    last = figures.samples[-1]
    assert '<p id="watchers">1 </p>' in dom
    assert f'<p id="memory">{last.memory:g} MB</p>' in dom
    assert dom.count("<polyline points=") == 7
    assert "connection lost, trying again" in dom
