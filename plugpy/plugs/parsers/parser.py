"""Parser: what Parsers asks of each kind of body (the behaviour Plug.Parsers)."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from plugpy.conn import Conn, RequestTooLargeError
from plugpy.conn.media_type import MediaType


class Parser(Protocol):
    """Two methods; what they need beside is given to the constructor."""

    def accepts(self, kind: MediaType) -> bool:
        """Whether it reads bodies of this content-type."""
        ...

    async def parse(self, conn: Conn, kind: MediaType) -> dict[str, Any]:
        """The parameters of the body. Raises what has a status: ParseError and the like."""
        ...


BodyReader = Callable[[Conn, int | None], Awaitable[bytes]]
"""Reads the body of a conn in place of `conn.body`, such as one that is to be decrypted: async,
given the conn and the bytes that it may read at most (None: those of the server). What it returns
is parsed. Raises what has a status."""


async def read_whole(conn: Conn, length: int | None, reader: BodyReader | None = None) -> bytes:
    """The body by `conn.body()`, which keeps it for others (a check of its signature), or by
    `reader`.

    length: bytes at most, beside the limits of the route and the server; None for those alone.
    Raises RequestTooLargeError and as `conn.body` or the reader does.
    """
    limit = limit_of(conn, length)
    body = await (conn.body(limit) if reader is None else reader(conn, limit))
    if length is not None and len(body) > length:
        # Somebody with a higher limit has read it before.
        raise RequestTooLargeError(f"the body has {len(body)} bytes, the maximum is {length}")
    return body


def limit_of(conn: Conn, length: int | None) -> int | None:
    """The smaller one of `length` and the limit of the route; None for the server's."""
    route: int | None = getattr(conn.route, "max_body", None)
    if length is None or route is None:
        return length
    return min(length, route)
