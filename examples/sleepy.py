"""A handler that sleeps: acceptors bound how many connections can be accepted at a time, not how
many are served.

    plugpy serve sleepy:SleepyRouter --app-dir examples --acceptors 2
    for i in 1 2 3 4 5; do curl http://127.0.0.1:4000/ & done

Two acceptors hand five connections over, and all five sleep at the same time. `?seconds=1` sleeps
for less than the 100 seconds of the default.
"""

import asyncio

from plugpy.conn import Conn
from plugpy.router import Router, get, match


class SleepyRouter(Router):
    """`/` answers after a while."""

    @get("/")
    async def index(self, conn: Conn) -> Conn:
        """Sleep for `?seconds=` (100), then answer."""
        await asyncio.sleep(float(conn.query_params.get("seconds", "100")))
        return conn.send_resp(200, "Hello Plug!")

    @match("/*rest")
    def not_found(self, conn: Conn, rest: list[str]) -> Conn:
        """Every other path, whatever the method."""
        return conn.send_resp(404, "Nothing here")
