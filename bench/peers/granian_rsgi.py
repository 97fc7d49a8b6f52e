"""granian's own interface, RSGI."""

from typing import Any

import orjson

TEXT = [("content-type", "text/plain; charset=utf-8")]
JSON = [("content-type", "application/json")]


async def app(scope: Any, protocol: Any) -> None:
    """Answer one request."""
    path = scope.path
    if path == "/":
        if scope.method == "GET":
            protocol.response_str(200, TEXT, "Hello Plug!")
        else:
            protocol.response_str(200, TEXT, str(len(await protocol())))
    elif path.startswith("/users/"):
        number = int(path[7:])
        body = orjson.dumps({"id": number, "name": f"User {number}"})
        protocol.response_bytes(200, JSON, body)
    else:
        protocol.response_str(404, TEXT, "Nothing here")
