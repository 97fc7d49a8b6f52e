"""aiohttp's server and router on uvloop; run as a script with the port."""

import sys

import orjson
import uvloop
from aiohttp import web


async def index(request: web.Request) -> web.Response:
    """The page."""
    return web.Response(text="Hello Plug!")


async def size(request: web.Request) -> web.Response:
    """The size of the body."""
    return web.Response(text=str(len(await request.read())))


async def show(request: web.Request) -> web.Response:
    """One user as JSON."""
    number = int(request.match_info["id"])
    body = orjson.dumps({"id": number, "name": f"User {number}"})
    return web.Response(body=body, content_type="application/json")


def main() -> None:
    """Serve on 127.0.0.1 until killed."""
    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_post("/", size)
    app.router.add_get("/users/{id}", show)
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        print=None,
        access_log=None,
        loop=uvloop.new_event_loop(),
    )


if __name__ == "__main__":
    main()
