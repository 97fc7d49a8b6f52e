"""The example of the grid in Flask."""

import threading
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, redirect, request, send_file, url_for

# Something of 100 KB that is there everywhere.
FILE = Path(typing.__file__)

seen = {"bytes": 0}
done: list[str] = []
go = threading.Event()

application = Flask(__name__)


@application.get("/")
def index() -> Response:
    return Response("Hello from Flask", mimetype="text/plain")


@application.get("/query")
def query() -> Response:
    return jsonify(list(request.args.items(multi=True)))


@application.post("/json")
def json() -> Any:
    return {"got": request.get_json()}, 201


@application.post("/form")
def form() -> Any:
    return dict(request.form.items())


@application.post("/upload")
def upload() -> Any:
    file = request.files["file"]
    return {
        "name": file.filename,
        "size": len(file.read()),
        "note": request.form["note"],
    }


@application.get("/stream")
def stream() -> Response:
    def pieces() -> Iterator[bytes]:
        yield b"first "
        assert go.wait(10)
        go.clear()
        yield b"second"

    return Response(pieces(), mimetype="text/plain")


@application.get("/go")
def let_go() -> str:
    go.set()
    return "gone"


@application.post("/read")
def read() -> str:
    total = 0
    while piece := request.stream.read(50_000):
        total += len(piece)
        seen["bytes"] = total
    return str(total)


@application.get("/seen")
def bytes_seen() -> str:
    return str(seen["bytes"])


@application.get("/cookies")
def cookies() -> Response:
    response = jsonify(request.cookies)
    response.set_cookie("one", "1", httponly=True)
    response.set_cookie("two", "2")
    return response


@application.get("/redirect")
def elsewhere() -> Any:
    return redirect("/", 302)


@application.get("/error")
def error() -> str:
    raise RuntimeError("a secret")


@application.get("/large")
def large() -> bytes:
    return b"x" * 5_000_000


@application.get("/file")
def file() -> Response:
    return send_file(FILE)


@application.get("/background")
def background() -> Response:
    def work() -> None:
        assert go.wait(10)
        go.clear()
        done.append("background")

    response = Response("answered")
    response.call_on_close(work)
    return response


@application.get("/done")
def work_done() -> str:
    return " ".join(done)


@application.get("/endless")
def endless() -> Response:
    def pieces() -> Iterator[bytes]:
        try:
            while True:
                yield b"tick"
        finally:
            done.append("left")

    return Response(pieces())


@application.get("/where")
def where() -> str:
    return url_for("where", _external=True)
