"""What bench/attack.py attacks: a small page, a large one, and one that reads a body."""

from plugpy.conn import Conn
from plugpy.router import Router, get, post

LARGE = b"x" * 1_000_000


class AttackedRouter(Router):
    """The good clients ask for the small page."""

    @get("/")
    def index(self, conn: Conn) -> Conn:
        """The page."""
        return conn.send_resp(200, "Hello Plug!")

    @get("/large")
    def large(self, conn: Conn) -> Conn:
        """More than a socket's buffers hold."""
        return conn.send_resp(200, LARGE)

    @post("/")
    async def size(self, conn: Conn) -> Conn:
        """The size of the body."""
        return conn.send_resp(200, str(len(await conn.body())))
