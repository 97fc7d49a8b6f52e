"""The example of the grid in FastAPI."""

import asyncio
import contextlib
import typing
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import (
    BackgroundTasks,
    FastAPI,
    File,
    Form,
    Query,
    Request,
    Response,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
)
from fastapi.responses import (
    FileResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)
from pydantic import BaseModel

# Something of 100 KB that is there everywhere.
FILE = Path(typing.__file__)

events: list[str] = []
seen = {"bytes": 0}
done: list[str] = []
go = asyncio.Event()


class Thing(BaseModel):
    name: str
    size: int


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    events.append("startup")
    yield {"resource": "open"}
    events.append("shutdown")


application = FastAPI(lifespan=lifespan)


@application.api_route("/", methods=["GET", "HEAD"], response_class=PlainTextResponse)
def index() -> str:
    return "Hello from FastAPI"


@application.get("/query")
async def query(a: Annotated[list[str], Query()], b: str) -> list[tuple[str, str]]:
    return [*(("a", value) for value in a), ("b", b)]


@application.post("/json", status_code=201)
async def json(thing: Thing) -> dict[str, Thing]:
    return {"got": thing}


@application.post("/form")
def form(name: Annotated[str, Form()], note: Annotated[str, Form()]) -> dict[str, str]:
    return {"name": name, "note": note}


@application.post("/upload")
def upload(file: Annotated[UploadFile, File()], note: Annotated[str, Form()]) -> dict[str, Any]:
    return {"name": file.filename, "size": len(file.file.read()), "note": note}


@application.get("/stream")
async def stream() -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"first "
        await go.wait()
        go.clear()
        yield b"second"

    return StreamingResponse(pieces(), media_type="text/plain")


@application.get("/go")
async def let_go() -> None:
    go.set()


@application.post("/read", response_class=PlainTextResponse)
async def read(request: Request) -> str:
    total = 0
    async for piece in request.stream():
        total += len(piece)
        seen["bytes"] = total
    return str(total)


@application.get("/seen", response_class=PlainTextResponse)
async def bytes_seen() -> str:
    return str(seen["bytes"])


@application.get("/cookies")
async def cookies(request: Request, response: Response) -> dict[str, str]:
    response.set_cookie("one", "1", httponly=True)
    response.set_cookie("two", "2")
    return request.cookies


@application.get("/redirect")
async def redirect() -> RedirectResponse:
    return RedirectResponse("/", status_code=302)


@application.get("/error")
def error() -> None:
    raise RuntimeError("a secret")


@application.get("/large")
def large() -> Response:
    return Response(b"x" * 5_000_000)


@application.get("/file")
async def file() -> FileResponse:
    return FileResponse(FILE)


@application.get("/state", response_class=PlainTextResponse)
async def state(request: Request) -> str:
    resource: str = request.state.resource
    return resource


@application.get("/background", response_class=PlainTextResponse)
async def background(tasks: BackgroundTasks) -> str:
    async def work() -> None:
        await go.wait()
        go.clear()
        done.append("background")

    tasks.add_task(work)
    return "answered"


@application.get("/done", response_class=PlainTextResponse)
async def work_done() -> str:
    return " ".join(done)


@application.get("/endless")
async def endless() -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick"
                await asyncio.sleep(0)
        finally:
            done.append("left")

    return StreamingResponse(pieces())


@application.get("/where", response_class=PlainTextResponse)
async def where(request: Request) -> str:
    return str(request.url_for("where"))


@application.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(f"echo {await websocket.receive_text()}")
    except WebSocketDisconnect:
        done.append("socket")
