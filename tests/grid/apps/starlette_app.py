"""The example of the grid in Starlette."""

import asyncio
import contextlib
import typing
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

# Something of 100 KB that is there everywhere.
FILE = Path(typing.__file__)

events: list[str] = []
seen = {"bytes": 0}
done: list[str] = []
go = asyncio.Event()


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
    events.append("startup")
    yield {"resource": "open"}
    events.append("shutdown")


async def index(request: Request) -> Response:
    return PlainTextResponse("Hello from Starlette")


async def query(request: Request) -> Response:
    return JSONResponse(request.query_params.multi_items())


async def json(request: Request) -> Response:
    return JSONResponse({"got": await request.json()}, status_code=201)


async def form(request: Request) -> Response:
    async with request.form() as fields:
        return JSONResponse(dict(fields))


async def upload(request: Request) -> Response:
    async with request.form() as fields:
        file = fields["file"]
        size = len(await file.read())
        return JSONResponse({"name": file.filename, "size": size, "note": fields["note"]})


async def stream(request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"first "
        await go.wait()
        go.clear()
        yield b"second"

    return StreamingResponse(pieces(), media_type="text/plain")


async def let_go(request: Request) -> Response:
    go.set()
    return PlainTextResponse("gone")


async def read(request: Request) -> Response:
    total = 0
    async for piece in request.stream():
        total += len(piece)
        seen["bytes"] = total
    return PlainTextResponse(str(total))


async def bytes_seen(request: Request) -> Response:
    return PlainTextResponse(str(seen["bytes"]))


async def cookies(request: Request) -> Response:
    response = JSONResponse(request.cookies)
    response.set_cookie("one", "1", httponly=True)
    response.set_cookie("two", "2")
    return response


async def redirect(request: Request) -> Response:
    return RedirectResponse("/", status_code=302)


async def error(request: Request) -> Response:
    raise RuntimeError("a secret")


async def large(request: Request) -> Response:
    return Response(b"x" * 5_000_000)


async def file(request: Request) -> Response:
    return FileResponse(FILE)


async def state(request: Request) -> Response:
    return PlainTextResponse(request.state.resource)


async def background(request: Request) -> Response:
    async def work() -> None:
        await go.wait()
        go.clear()
        done.append("background")

    return PlainTextResponse("answered", background=BackgroundTask(work))


async def work_done(request: Request) -> Response:
    return PlainTextResponse(" ".join(done))


async def endless(request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick"
                await asyncio.sleep(0)
        finally:
            done.append("left")

    return StreamingResponse(pieces())


async def where(request: Request) -> Response:
    return PlainTextResponse(str(request.url_for("where")))


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        async for text in websocket.iter_text():
            await websocket.send_text(f"echo {text}")
    finally:
        done.append("socket")


application = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/", index),
        Route("/query", query),
        Route("/json", json, methods=["POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/upload", upload, methods=["POST"]),
        Route("/stream", stream),
        Route("/go", let_go),
        Route("/read", read, methods=["POST"]),
        Route("/seen", bytes_seen),
        Route("/cookies", cookies),
        Route("/redirect", redirect),
        Route("/error", error),
        Route("/large", large),
        Route("/file", file),
        Route("/state", state),
        Route("/background", background),
        Route("/done", work_done),
        Route("/endless", endless),
        Route("/where", where, name="where"),
        WebSocketRoute("/echo", echo),
    ],
)
