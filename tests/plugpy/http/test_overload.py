"""Load shedding: 503 while the event loop is late, and not before, and not for health checks."""

from __future__ import annotations

import asyncio
import logging
import time

from plugpy.conn import Conn
from plugpy.http import HttpOptions
from plugpy.http.overload import INTERVAL, LOOKS, LagMeter, LoadShedding
from plugpy.http.runtime import REFUSALS


def hello(conn: Conn) -> Conn:
    return conn.send_resp(200, "hello")


class Loop:
    """What a meter needs of an event loop: one timer, that fires when the test says so, and turns
    that take as long as it says."""

    def __init__(self, clock):
        self.timers = []
        self.clock = clock
        self.turn = 0.0

    def call_later(self, delay, callback):
        assert INTERVAL / 2 <= delay <= INTERVAL * 1.5
        self.timers.append(callback)
        return callback

    def call_soon(self, callback, *args):
        self.clock.now += self.turn
        callback(*args)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def metered():
    clock = Clock()
    loop = Loop(clock)
    meter = LagMeter(loop, clock)

    def look(late: float) -> float:
        clock.now = meter._due + late
        loop.timers.pop()()
        return round(meter.lag, 6)

    return meter, loop, look


def test_one_long_callback_is_no_overload():
    meter, _, look = metered()
    meter.wake({1: 1})
    assert [look(late) for late in (0, 5.0, 0, 0)] == [0, 0, 0, 0]
    assert [look(late) for late in (0.3, 0.2, 0.4)] == [0, 0, 0.2]
    assert look(0.5) == 0.2
    assert look(0.0) == 0.0
    assert LOOKS == 3


def test_long_turns_are_lateness_too():
    meter, loop, look = metered()
    meter.wake({1: 1})
    loop.turn = 0.5
    look(0)
    look(0)
    assert look(0) == 0.5


def test_it_looks_only_while_there_are_connections():
    meter, loop, look = metered()
    connections = {1: 1}
    meter.wake(connections)
    meter.wake(connections)
    assert len(loop.timers) == 1
    look(1.0)
    look(1.0)
    connections.clear()
    assert look(1.0) == 0.0
    assert loop.timers == []
    connections[2] = 2
    meter.wake(connections)
    assert len(loop.timers) == 1


async def test_requests_are_shed_while_the_loop_is_late(serve, caplog):
    server = await serve(hello, max_lag=0.1, max_lag_exempt=("/health",))
    client = await server.connect()
    assert (await client.get()).status == 200
    meter = server.options.application.meter
    meter._timer.cancel()
    meter.lag = 0.2
    for _ in range(2):
        response = await client.get()
        assert (response.status, response.get("retry-after")) == (503, "1")
        assert b"overloaded" in response.body
        assert not response.closes  # who comes again need not connect again
    assert (await client.get("/health")).body == b"hello"
    meter.lag = 0.1
    assert (await client.get()).status == 200
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        "the event loop is 200 ms late, more than max-lag: new requests get 503",
        "the event loop is in time again: 2 requests got 503",
    ]


async def test_a_loop_that_can_not_keep_up_is_found_late(serve):
    """The real thing: each request takes the loop a while, and more come than it can serve."""

    def slow(conn: Conn) -> Conn:
        time.sleep(0.005)
        return conn.send_resp(200, "done")

    server = await serve(slow, max_lag=0.01)
    clients = [await server.connect() for _ in range(20)]
    statuses: list[int] = []
    async with asyncio.timeout(20):
        while 503 not in statuses:
            statuses += [r.status for r in await asyncio.gather(*(c.get() for c in clients))]
    assert statuses[0] == 200


def test_what_is_off_is_not_there():
    assert HttpOptions(hello).application is hello
    shedding = HttpOptions(hello, max_lag=0.5).application
    assert isinstance(shedding, LoadShedding)
    assert shedding.application is hello


async def test_a_flood_of_refusals_does_not_flood_the_log(serve, caplog):
    caplog.set_level(logging.INFO, logger="plugpy.http")
    server = await serve(lambda conn: conn.send_resp(200, ""))
    for _ in range(REFUSALS + 5):
        client = await server.connect()
        await client.send(b"\0\r\n\r\n")
        assert (await client.response()).status == 400
        client.close()
    runtime = server.connection.runtime
    runtime._tick()
    if runtime._timer is not None:
        runtime._timer.cancel()
    said = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(said) == REFUSALS + 1
    assert said[0].startswith("refused a request: ")
    assert said[-1] == "refused 5 requests more in this second"
