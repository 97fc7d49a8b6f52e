"""Starlette: its router, with orjson for JSON."""

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


async def index(request: Request) -> Response:
    """The page."""
    return PlainTextResponse("Hello Plug!")


async def size(request: Request) -> Response:
    """The size of the body."""
    return PlainTextResponse(str(len(await request.body())))


async def show(request: Request) -> Response:
    """One user as JSON."""
    number = request.path_params["id"]
    body = orjson.dumps({"id": number, "name": f"User {number}"})
    return Response(body, media_type="application/json")


app = Starlette(
    routes=[
        Route("/", index, methods=["GET"]),
        Route("/", size, methods=["POST"]),
        Route("/users/{id:int}", show),
    ]
)
