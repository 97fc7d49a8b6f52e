"""A dashboard: figures of the running server, every second, by server-sent events.

    plugpy serve dashboard:Dashboard --app-dir examples

Open http://127.0.0.1:4000, and let it have some work from another terminal:

    plugpy load http://127.0.0.1:4000/work --connections 20 --duration 10s
    curl -N http://127.0.0.1:4000/events | head -n 6

A job takes the figures once for everybody and keeps those of some minutes. Each watcher is a
coroutine that sends what is new. One that was away comes back by itself, says which figures it has
seen last (Last-Event-ID), and gets what it has missed. One that is slow gets what is still kept, so
nothing piles up for it. With several workers each shows its own figures.
"""

import asyncio
import os
import re
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import acceptors
from plugpy import Application, Conn, Router, every, get, plug, telemetry
from plugpy.plugs import SecureHeaders, Static, Telemetry

STATIC = Path(__file__).parent / "static"
PERIOD = float(os.environ.get("DASHBOARD_PERIOD", "1"))
KEPT = 300
"""Figures that are kept for who comes back."""

OWN_SCRIPTS = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


class Sample(NamedTuple):
    """What is told of one period."""

    at: int
    """Milliseconds since 1970; the id of the event, so it goes on when the server starts anew."""

    requests: float
    """Answers in a second."""

    slowest: float
    """Milliseconds until the answer that took longest began."""

    connections: int
    watchers: int

    memory: float
    """Resident megabytes."""

    cpu: float
    """Percent of one core."""

    lag: float
    """Milliseconds that the event loop was late with this sample."""


class Figures:
    """The samples of the last minutes, and who waits for the next."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque(maxlen=KEPT)
        self.news = asyncio.Event()
        self.watchers = 0
        self._answers, self._slowest = 0, 0.0
        self._time, self._cpu = time.monotonic(), time.process_time()

    def count(self, event: str, numbers: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """An answer is about to leave: what the plug Telemetry tells."""
        self._answers += 1
        self._slowest = max(self._slowest, numbers["duration"])

    def take(self) -> None:
        """Take a sample, and wake all who wait."""
        now, cpu = time.monotonic(), time.process_time()
        passed = max(now - self._time, 1e-3)
        last = self.samples[-1].at if self.samples else 0
        sample = Sample(
            at=max(round(time.time() * 1_000), last + 1),  # later, even if the clock was put back
            requests=round(self._answers / passed, 1),
            slowest=round(self._slowest * 1_000, 2),
            connections=sum(facts["all_connections"] for facts in acceptors.info().values()),
            watchers=self.watchers,
            memory=round(memory() / 1e6, 1),
            cpu=round(100 * (cpu - self._cpu) / passed, 1),
            lag=round(max(0.0, passed - PERIOD) * 1_000, 1),
        )
        self._answers, self._slowest, self._time, self._cpu = 0, 0.0, now, cpu
        self.samples.append(sample)
        news, self.news = self.news, asyncio.Event()
        news.set()

    def since(self, at: int) -> list[Sample]:
        """The samples that came after one."""
        return [sample for sample in self.samples if sample.at > at]

    def seen(self, last_event_id: str | None) -> int:
        """The sample that a watcher has seen last; 0 where it says none, or nothing that makes
        sense: it comes from the client."""
        if last_event_id is None or not re.fullmatch("[0-9]{1,15}", last_event_id):
            return 0
        at = int(last_event_id)
        return at if self.samples and at <= self.samples[-1].at else 0


def memory() -> int:
    """Bytes of memory of this process; 0 where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


figures = Figures()


class DashboardRouter(Router):
    """The page, its figures, and something to do."""

    plug(Telemetry, event_prefix="dashboard.request")
    plug(SecureHeaders, headers={"content-security-policy": OWN_SCRIPTS})
    plug(Static, at="/static", from_=STATIC, only=["dashboard.js", "dashboard.css"])

    @get("/")
    def page(self, conn: Conn) -> Conn:
        """The page. Its script is a file, so the policy need not allow any inside of pages."""
        conn.put_resp_content_type("text/html")
        return conn.send_file(200, STATIC / "dashboard.html")

    @get("/events")
    async def events(self, conn: Conn) -> Conn:
        """What was missed, then what is new, until the watcher leaves or the server stops."""
        figures.watchers += 1
        try:
            async with conn.event_stream(retry=2_000) as events:
                seen = figures.seen(events.last_event_id)
                while True:
                    news = figures.news  # before looking: what comes meanwhile is not missed
                    for sample in figures.since(seen):
                        await events.send(sample._asdict(), id=str(sample.at))
                        seen = sample.at
                    await news.wait()
        finally:
            figures.watchers -= 1
        return conn

    @get("/work")
    async def work(self, conn: Conn) -> str:
        """Something that takes a few milliseconds."""
        await asyncio.sleep(0.005)
        return "done\n"


class Dashboard(Application):
    """The router, and the job that takes the figures."""

    router = DashboardRouter

    def start(self) -> list[Any]:
        telemetry.attach("dashboard", "dashboard.request.stop", figures.count)
        return [every(PERIOD, figures.take, immediately=True)]

    def stop(self) -> None:
        telemetry.detach("dashboard")
