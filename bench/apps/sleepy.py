"""A handler that sleeps, and a page that tells how many sleep."""

import asyncio

from plugpy.conn import Conn
from plugpy.router import Router, get


class Sleepers:
    """How many requests are in progress, and how many were at most."""

    now = 0
    peak = 0


class SleepyRouter(Router):
    """As examples/sleepy.py, with a count."""

    @get("/")
    async def index(self, conn: Conn) -> Conn:
        """Sleep for `?seconds=`."""
        Sleepers.now += 1
        Sleepers.peak = max(Sleepers.peak, Sleepers.now)
        await asyncio.sleep(float(conn.query_params.get("seconds", "0")))
        Sleepers.now -= 1
        return conn.send_resp(200, "Hello Plug!")

    @get("/sleepers")
    def sleepers(self, conn: Conn) -> Conn:
        """Those that sleep now, and the most that ever did."""
        return conn.send_resp(200, f"{Sleepers.now} {Sleepers.peak}")
