"""The routers that are measured beside the peers."""

from typing import Any

from bench.peers import bare_asgi as asgi
from plugpy.conn import Conn
from plugpy.interop import AsgiPlug, asgi_plug
from plugpy.plugs import Head, RequestId
from plugpy.router import Router, get, plug, post


class HelloRouter(Router):
    """The pages that each peer has: see bench.peers."""

    @get("/")
    def index(self, conn: Conn) -> Conn:
        """The page."""
        return conn.send_resp(200, "Hello Plug!")

    @post("/")
    async def size(self, conn: Conn) -> Conn:
        """The size of the body."""
        return conn.send_resp(200, str(len(await conn.body())))

    @get("/users/:id")
    def show(self, conn: Conn, id: int) -> Conn:  # noqa: A002 (the name that the route gives it)
        """One user as JSON."""
        return conn.json({"id": id, "name": f"User {id}"})


class PluggedRouter(Router):
    """The page behind two of the built-in plugs."""

    plug(Head)
    plug(RequestId)

    @get("/")
    def index(self, conn: Conn) -> Conn:
        """The page."""
        return conn.send_resp(200, "Hello Plug!")


class AsyncRouter(Router):
    """The page by a coroutine that is never suspended."""

    @get("/")
    async def index(self, conn: Conn) -> Conn:
        """The page."""
        return conn.send_resp(200, "Hello Plug!")


class ReturningRouter(Router):
    """Handlers that return what is to be sent."""

    @get("/")
    def index(self, conn: Conn) -> str:
        """The page."""
        return "Hello Plug!"

    @get("/users/:id")
    def show(self, conn: Conn, id: int) -> dict[str, Any]:  # noqa: A002 (as above)
        """One user as JSON."""
        return {"id": id, "name": f"User {id}"}


def bare_asgi() -> AsgiPlug:
    """The same pages by an ASGI function."""
    return asgi_plug(asgi.app)
