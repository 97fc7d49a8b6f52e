"""Json: JSON bodies (Plug.Parsers.JSON)."""

import json
from collections.abc import Callable
from typing import Any

from plugpy.conn import Conn
from plugpy.conn.media_type import MediaType
from plugpy.plugs.parsers.errors import ParseError
from plugpy.plugs.parsers.parser import BodyReader, read_whole


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _standard_loads(body: bytes) -> Any:
    # json.loads takes UTF-16 and a byte order mark too, RFC 8259 section 8.1 does not.
    return json.loads(body.decode("utf-8"), parse_constant=_refuse)


try:
    import orjson
except ImportError:
    loads: Callable[[bytes], Any] = _standard_loads
else:
    loads = orjson.loads


class Json:
    """Reads `application/json` and `application/*+json`.

    length       bytes at most; None for the limit of the route or the server (8 MB)
    decoder      function bytes -> value that raises ValueError; orjson where it is installed, else
                 the standard library
    nest_all     False; True: objects too are put below "_json", as everything else is always
    body_reader  async function that reads the body, see BodyReader; None: `conn.body`

    An empty body is {}.
    """

    __slots__ = ("_body_reader", "_decode", "_length", "_nest_all")

    def __init__(
        self,
        *,
        length: int | None = None,
        decoder: Callable[[bytes], Any] | None = None,
        nest_all: bool = False,
        body_reader: BodyReader | None = None,
    ) -> None:
        if decoder is not None and not callable(decoder):
            raise TypeError(f"decoder is a function bytes -> value, got {decoder!r}")
        self._length = length
        self._decode = decoder or loads
        self._nest_all = nest_all
        self._body_reader = body_reader

    def accepts(self, kind: MediaType) -> bool:
        """Whether the body is JSON."""
        return kind.type == "application" and (
            kind.subtype == "json" or kind.subtype.endswith("+json")
        )

    async def parse(self, conn: Conn, kind: MediaType) -> dict[str, Any]:
        """The members of the object. Raises ParseError (400), RequestTooLargeError (413)."""
        body = await read_whole(conn, self._length, self._body_reader)
        if not body:
            return {}
        try:
            value = self._decode(body)
        except (ValueError, RecursionError) as error:
            raise ParseError(f"the body is not JSON: {error}") from error
        if isinstance(value, dict) and not self._nest_all:
            return value
        return {"_json": value}
