"""BlackSheep, served by uvicorn."""

import orjson
from blacksheep import Application, Content, Request, Response, get, post, text

app = Application()


@get("/")
async def index() -> Response:
    """The page."""
    return text("Hello Plug!")


@post("/")
async def size(request: Request) -> Response:
    """The size of the body."""
    return text(str(len(await request.read() or b"")))


@get("/users/{id}")
async def show(request: Request) -> Response:
    """One user as JSON."""
    assert request.route_values is not None
    number = int(request.route_values["id"])
    body = orjson.dumps({"id": number, "name": f"User {number}"})
    return Response(200, content=Content(b"application/json", body))
