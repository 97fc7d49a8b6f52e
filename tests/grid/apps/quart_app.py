"""The example of the grid in Quart."""

import asyncio
import typing
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from quart import (
    Quart,
    Response,
    jsonify,
    redirect,
    request,
    send_file,
    url_for,
    websocket,
)

# Something of 100 KB that is there everywhere.
FILE = Path(typing.__file__)

events: list[str] = []
seen = {"bytes": 0}
done: list[str] = []
go = asyncio.Event()

application = Quart(__name__)


@application.while_serving
async def lifespan() -> AsyncIterator[None]:
    events.append("startup")
    application.config["RESOURCE"] = "open"
    yield
    events.append("shutdown")


@application.get("/")
async def index() -> Response:
    return Response("Hello from Quart", mimetype="text/plain")


@application.get("/query")
async def query() -> Response:
    return jsonify(list(request.args.items(multi=True)))


@application.post("/json")
async def json() -> Any:
    return {"got": await request.get_json()}, 201


@application.post("/form")
async def form() -> Any:
    return dict((await request.form).items())


@application.post("/upload")
async def upload() -> Any:
    file = (await request.files)["file"]
    note = (await request.form)["note"]
    return {"name": file.filename, "size": len(file.read()), "note": note}


@application.get("/stream")
async def stream() -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"first "
        await go.wait()
        go.clear()
        yield b"second"

    return pieces(), {"Content-Type": "text/plain"}


@application.get("/go")
async def let_go() -> str:
    go.set()
    return "gone"


@application.post("/read")
async def read() -> str:
    total = 0
    async for piece in request.body:
        total += len(piece)
        seen["bytes"] = total
    return str(total)


@application.get("/seen")
async def bytes_seen() -> str:
    return str(seen["bytes"])


@application.get("/cookies")
async def cookies() -> Response:
    response = jsonify(dict(request.cookies))
    response.set_cookie("one", "1", httponly=True)
    response.set_cookie("two", "2")
    return response


@application.get("/redirect")
async def elsewhere() -> Any:
    return redirect("/", 302)


@application.get("/error")
async def error() -> str:
    raise RuntimeError("a secret")


@application.get("/large")
async def large() -> bytes:
    return b"x" * 5_000_000


@application.get("/file")
async def file() -> Response:
    return await send_file(FILE)


@application.get("/state")
async def state() -> str:
    resource: str = application.config["RESOURCE"]
    return resource


@application.get("/background")
async def background() -> str:
    async def work() -> None:
        await go.wait()
        go.clear()
        done.append("background")

    application.add_background_task(work)
    return "answered"


@application.get("/done")
async def work_done() -> str:
    return " ".join(done)


@application.get("/endless")
async def endless() -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick"
                await asyncio.sleep(0)
        finally:
            done.append("left")

    response = Response(pieces())
    response.timeout = None
    return response


@application.get("/where")
async def where() -> str:
    return url_for("where", _external=True)


@application.websocket("/echo")
async def echo() -> None:
    try:
        while True:
            await websocket.send(f"echo {await websocket.receive()}")
    finally:
        done.append("socket")


application.config["MAX_CONTENT_LENGTH"] = None
