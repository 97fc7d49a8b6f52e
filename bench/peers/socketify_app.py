"""socketify (uWebSockets, C++) with its own router; run as a script with the port."""

import logging
import sys
from typing import Any

import orjson
from socketify import App


def index(response: Any, request: Any) -> None:
    """The page."""
    response.end("Hello Plug!")


def show(response: Any, request: Any) -> None:
    """One user as JSON."""
    number = int(request.get_parameter(0))
    body = orjson.dumps({"id": number, "name": f"User {number}"})
    response.send(body, b"application/json")


def size(response: Any, request: Any) -> None:
    """The size of the body. By its callbacks: its `await response.get_data()` does not survive
    many requests at once."""
    total = 0

    def collect(response: Any, chunk: bytes | None, is_end: bool) -> None:
        nonlocal total
        total += len(chunk or b"")
        if is_end:
            response.end(str(total))

    response.on_aborted(lambda response: None)
    response.on_data(collect)


def main() -> None:
    """Serve on 127.0.0.1 until killed."""
    logging.disable()
    app = App()
    app.get("/", index)
    app.post("/", size)
    app.get("/users/:id", show)
    app.listen({"port": int(sys.argv[1]), "host": "127.0.0.1"}, lambda config: None)
    app.run()


if __name__ == "__main__":
    main()
