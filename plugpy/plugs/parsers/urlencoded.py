"""UrlEncoded: bodies of plain HTML forms (Plug.Parsers.URLENCODED)."""

from typing import Any, Final

from plugpy.conn import BadEncodingError, Conn, InvalidQueryError
from plugpy.conn import query as query_text
from plugpy.conn.media_type import MediaType
from plugpy.plugs.parsers.errors import ParseError
from plugpy.plugs.parsers.parser import BodyReader, read_whole

LENGTH: Final = 1_000_000
"""Bytes of a form at most: files do not come this way."""


class UrlEncoded:
    """Reads `application/x-www-form-urlencoded`, nested as query strings are.

    length          bytes at most, 1,000,000; more is a 413
    validate_utf8   True; False puts replacement characters where the bytes are not UTF-8
    body_reader     async function that reads the body, see BodyReader; None: `conn.body`
    """

    __slots__ = ("_body_reader", "_length", "_validate_utf8")

    def __init__(
        self,
        *,
        length: int = LENGTH,
        validate_utf8: bool = True,
        body_reader: BodyReader | None = None,
    ) -> None:
        self._length = length
        self._validate_utf8 = validate_utf8
        self._body_reader = body_reader

    def accepts(self, kind: MediaType) -> bool:
        """Whether the body is such a form."""
        return kind.type == "application" and kind.subtype == "x-www-form-urlencoded"

    async def parse(self, conn: Conn, kind: MediaType) -> dict[str, Any]:
        """The fields. Raises BadEncodingError, ParseError (400), RequestTooLargeError (413)."""
        body = await read_whole(conn, self._length, self._body_reader)
        try:
            return query_text.decode(
                body, max_length=len(body) or 1, validate_utf8=self._validate_utf8
            )
        except InvalidQueryError as error:
            text = str(error).replace("query string", "form").replace("query", "form")
            raise (BadEncodingError if "UTF-8" in text else ParseError)(text) from None
