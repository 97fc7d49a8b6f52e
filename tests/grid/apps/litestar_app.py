"""The example of the grid in Litestar."""

import asyncio
import contextlib
import typing
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from litestar import (
    Litestar,
    MediaType,
    Request,
    Response,
    WebSocket,
    get,
    post,
    route,
    websocket,
)
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import Cookie, State, UploadFile
from litestar.enums import HttpMethod, RequestEncodingType
from litestar.exceptions import WebSocketDisconnect
from litestar.params import Body, JSONBody
from litestar.response import File, Redirect, Stream

# Something of 100 KB that is there everywhere.
FILE = Path(typing.__file__)

events: list[str] = []
seen = {"bytes": 0}
done: list[str] = []
go = asyncio.Event()

Fields = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]
Parts = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.MULTI_PART)]


@contextlib.asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    events.append("startup")
    app.state.resource = "open"
    yield
    events.append("shutdown")


@route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD], media_type=MediaType.TEXT)
async def index(request: Request) -> str | None:
    return "Hello from Litestar"


@get("/query")
async def query(request: Request) -> list[tuple[str, str]]:
    return list(request.query_params.multi_items())


@post("/json")
async def json(data: JSONBody[dict[str, Any]]) -> dict[str, Any]:
    return {"got": data}


@post("/form")
async def form(data: Fields) -> dict[str, str]:
    return data


@post("/upload")
async def upload(data: Parts) -> dict[str, Any]:
    file: UploadFile = data["file"]
    return {"name": file.filename, "size": len(await file.read()), "note": data["note"]}


@get("/stream")
async def stream() -> Stream:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"first "
        await go.wait()
        go.clear()
        yield b"second"

    return Stream(pieces(), media_type="text/plain")


@get("/go")
async def let_go() -> None:
    go.set()


@post("/read", media_type=MediaType.TEXT)
async def read(request: Request) -> str:
    total = 0
    async for piece in request.stream():
        total += len(piece)
        seen["bytes"] = total
    return str(total)


@get("/seen", media_type=MediaType.TEXT)
async def bytes_seen() -> str:
    return str(seen["bytes"])


@get("/cookies")
async def cookies(request: Request) -> Response[dict[str, str]]:
    sent = [Cookie("one", value="1", httponly=True), Cookie("two", value="2")]
    return Response(dict(request.cookies), cookies=sent)


@get("/redirect")
async def redirect() -> Redirect:
    return Redirect("/", status_code=302)


@get("/error")
async def error() -> None:
    raise RuntimeError("a secret")


@get("/large", sync_to_thread=True)
def large() -> bytes:
    return b"x" * 5_000_000


@get("/file")
async def file() -> File:
    return File(FILE)


@get("/state", media_type=MediaType.TEXT)
async def resource(state: State) -> str:
    found: str = state.resource
    return found


@get("/background", media_type=MediaType.TEXT)
async def background() -> Response[str]:
    async def work() -> None:
        await go.wait()
        go.clear()
        done.append("background")

    return Response("answered", background=BackgroundTask(work))


@get("/done", media_type=MediaType.TEXT)
async def work_done() -> str:
    return " ".join(done)


@get("/endless")
async def endless() -> Stream:
    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick"
                await asyncio.sleep(0)
        finally:
            done.append("left")

    return Stream(pieces())


@get("/where", name="where", media_type=MediaType.TEXT)
async def where(request: Request) -> str:
    return request.url_for("where")


@websocket("/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(f"echo {await socket.receive_text()}")
    except WebSocketDisconnect:
        done.append("socket")


application = Litestar(
    # Its own would set up the loggers of the whole process.
    logging_config=None,
    lifespan=[lifespan],
    request_max_body_size=None,
    route_handlers=[
        index,
        query,
        json,
        form,
        upload,
        stream,
        let_go,
        read,
        bytes_seen,
        cookies,
        redirect,
        error,
        large,
        file,
        resource,
        background,
        work_done,
        endless,
        where,
        echo,
    ],
)
