"""A router with one page; anything else is answered with 404.

    plugpy serve hello:HelloRouter --app-dir examples

Then `curl http://127.0.0.1:4000/` says "Hello Plug!", and any other path "Nothing here".
"""

from plugpy.conn import Conn
from plugpy.router import Router, get, match


class HelloRouter(Router):
    """`/` and nothing else."""

    @get("/")
    def index(self, conn: Conn) -> Conn:
        """The one page."""
        return conn.send_resp(200, "Hello Plug!")

    @match("/*rest")
    def not_found(self, conn: Conn, rest: list[str]) -> Conn:
        """Every other path, whatever the method."""
        return conn.send_resp(404, "Nothing here")
