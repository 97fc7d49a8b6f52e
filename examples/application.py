"""An application with processes beside its router: a cache, a worker, a periodic job.

    plugpy serve application:Quotes --app-dir examples

`/` answers with a quote from the cache, which the worker has filled; `/mail` answers at once, and
the mail is written after that; `/slow` asks two processes that die with the request.
"""

import asyncio
import itertools
from typing import Any

from acceptors import otp
from plugpy import Application, Conn, Router, every, get, worker


class Cache(otp.GenServer):
    """Keeps what was put there, until it is forgotten."""

    def init(self) -> None:
        """Begin empty."""
        self.values: dict[str, str] = {}

    def handle_call(self, request: Any, from_: otp.From) -> Any:
        """`("get", key)`: the value or None."""
        return self.values.get(request[1])

    def handle_cast(self, request: Any) -> None:
        """`("put", key, value)` or `"forget"`."""
        if request == "forget":
            self.values.clear()
        else:
            self.values[request[1]] = request[2]


async def fill() -> None:
    """The worker: puts a quote into the cache whenever somebody asks for another."""
    otp.register("filler", otp.self())
    for number in itertools.count(1):
        otp.cast("cache", ("put", "quote", f"quote {number}"))
        await otp.receive("another")


async def write_mail(address: str) -> None:
    """Work that outlives its request."""
    await asyncio.sleep(0)
    otp.cast("cache", ("put", "mail", address))


async def ask(who: otp.Process, question: str) -> None:
    """A part of the work of a request."""
    otp.send(who, ("answer", question, await otp.call("cache", ("get", question))))


class QuotesRouter(Router):
    """What is served."""

    @get("/")
    async def index(self, conn: Conn) -> Conn:
        """The quote of the cache; the next one is another."""
        quote = await otp.call("cache", ("get", "quote"))
        otp.send("filler", "another")
        return conn.text(quote or "none yet")

    @get("/mail")
    def mail(self, conn: Conn) -> Conn:
        """Answer at once; write the mail afterwards."""
        conn.tasks.start_task(write_mail, "ada@example.com")
        return conn.send_resp(202, "on its way")

    @get("/slow")
    async def slow(self, conn: Conn) -> Conn:
        """Two linked processes, which end with the request whatever happens to it."""
        me = otp.self()
        for question in ("quote", "mail"):
            otp.spawn_link(ask, me, question)
        answers = [await otp.receive(("answer", str, otp.ANY), timeout=5) for _ in range(2)]
        return conn.json(sorted(question for _, question, _ in answers))


class Quotes(Application):
    """The router, and what runs beside it."""

    router = QuotesRouter

    def start(self) -> Any:
        """In this order, before the first connection; stopped in reverse, after the last."""
        return [
            worker(Cache, name="cache"),
            worker(fill),
            every(60, otp.cast, "cache", "forget", id="forget", jitter=5),
        ]
