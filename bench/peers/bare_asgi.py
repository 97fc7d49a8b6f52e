"""An ASGI function without a framework. Served by uvicorn, granian, and by plugpy's ASGI plug."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

TEXT = (b"content-type", b"text/plain; charset=utf-8")
JSON = (b"content-type", b"application/json")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request; refuse the lifespan protocol, as bare functions do."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    path = scope["path"]
    kind = TEXT
    if path == "/":
        body = b"Hello Plug!" if scope["method"] == "GET" else await size_of_body(receive)
    elif path.startswith("/users/"):
        number = int(path[7:])
        kind = JSON
        body = orjson.dumps({"id": number, "name": f"User {number}"})
    else:
        await respond(send, 404, TEXT, b"Nothing here")
        return
    await respond(send, 200, kind, body)


async def respond(send: Send, status: int, kind: tuple[bytes, bytes], body: bytes) -> None:
    """Send one whole response."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [kind, length]})
    await send({"type": "http.response.body", "body": body})


async def size_of_body(receive: Receive) -> bytes:
    """Read the body to its end; its size in decimal."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            return b"%d" % size
