"""fastpysgi (C) with a bare WSGI function; run as a script with the port."""

import sys
from collections.abc import Callable
from typing import Any

import fastpysgi
import orjson

TEXT = [("content-type", "text/plain; charset=utf-8")]
JSON = [("content-type", "application/json")]


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer one request."""
    path = environ["PATH_INFO"]
    if path == "/":
        start_response("200 OK", TEXT)
        if environ["REQUEST_METHOD"] == "GET":
            return [b"Hello Plug!"]
        return [b"%d" % len(environ["wsgi.input"].read())]
    if path.startswith("/users/"):
        number = int(path[7:])
        start_response("200 OK", JSON)
        return [orjson.dumps({"id": number, "name": f"User {number}"})]
    start_response("404 Not Found", TEXT)
    return [b"Nothing here"]


if __name__ == "__main__":
    fastpysgi.run(app, host="127.0.0.1", port=int(sys.argv[1]))
