"""Parsers: the plug that finds the parser of a body (Plug.Parsers)."""

import inspect
from collections.abc import Awaitable, Iterable
from typing import Any, Final

from plugpy.conn import BadRequestError, Conn, UnsupportedMediaTypeError
from plugpy.conn.media_type import content_type, media_type
from plugpy.pipeline.steps import did_you_mean
from plugpy.plugs.parsers.json import Json
from plugpy.plugs.parsers.multipart import Multipart
from plugpy.plugs.parsers.parser import BodyReader, Parser
from plugpy.plugs.parsers.urlencoded import UrlEncoded

BY_NAME: Final[dict[str, type[Any]]] = {
    "urlencoded": UrlEncoded,
    "multipart": Multipart,
    "json": Json,
}

METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Methods whose body is read."""


class Parsers:
    """Reads the body into `conn.body_params`, by the parser that takes its content-type.

    Options:
      parsers               "urlencoded", "multipart", "json", or objects such as
                            `Json(length=10_000)`: the first that accepts a body reads it
      pass_                 content-types that no parser needs to take, such as ["text/*"] or
                            ["*/*"]; their body stays unread. Others are answered by 415; ()
      query_string_length   bytes of the query string, 1,000,000; more is a 414
      validate_utf8         True: the query must be UTF-8, and so must what parsers read that are
                            given by name; False: replacement characters
      length                bytes of a body for parsers that are given by name; None: their own
                            limits, 1,000,000 for "urlencoded", for the others those of the route
                            or the server (8 MB)
      body_reader           async function (conn, bytes at most) -> bytes in place of `conn.body`,
                            for "urlencoded" and "json" given by name: decrypts, unpacks. None

    Only POST, PUT, PATCH and DELETE are looked at, and only where nobody has read the body before.
    Without a content-type body_params is {}. Query parameters are fetched for every request.
    `conn.params` is query, body and path in one, path before body before query. Place it after
    Session and before MethodOverride, CSRFProtection and the router. Options of one parser:
    `Json(decoder=..., nest_all=...)`, `Multipart(max_files=..., file_length=...)`. A body that is
    too long is a 413, one of which nothing comes for 15 seconds a 408 (5 in the headers of a
    part), one that is not what its type says a 400. Raises ValueError where there is no parser, or
    none of a name.

    >>> from plugpy.pipeline import Pipeline
    >>> from plugpy.testing import call, conn
    >>> form = conn("POST", "/", "a[b]=1", {"content-type": "application/x-www-form-urlencoded"})
    >>> call(Parsers(parsers=["urlencoded"]), form).body_params
    {'a': {'b': '1'}}
    """

    __slots__ = ("_parsers", "_pass", "_query_string_length", "_validate_utf8")

    def __init__(
        self,
        *,
        parsers: Iterable[str | Parser],
        pass_: Iterable[str] = (),
        query_string_length: int = 1_000_000,
        validate_utf8: bool = True,
        length: int | None = None,
        body_reader: BodyReader | None = None,
    ) -> None:
        if isinstance(parsers, str) or isinstance(pass_, str):
            raise ValueError("parsers and pass_ take a list, not one name")
        if length is not None and length < 0:
            raise ValueError(f"length is a number of bytes, got {length}")
        options: dict[str, Any] = {"validate_utf8": validate_utf8, "body_reader": body_reader}
        if length is not None:
            options["length"] = length
        self._parsers: list[Parser] = [_make(parser, options) for parser in parsers or ()]
        if not self._parsers:
            raise ValueError(f"Parsers needs parsers: {', '.join(BY_NAME)}, or one of your own")
        self._pass: list[tuple[str, str]] = []
        for text in pass_:
            kind = media_type(text)
            if kind is None:
                raise ValueError(f"pass_ takes content-types such as 'text/*', got {text!r}")
            self._pass.append((kind.type, kind.subtype))
        self._query_string_length = query_string_length
        self._validate_utf8 = validate_utf8

    def __call__(self, conn: Conn) -> Conn | Awaitable[Conn]:
        if conn.query_string:
            conn.fetch_query_params(
                length=self._query_string_length, validate_utf8=self._validate_utf8
            )
        if conn.method not in METHODS or conn.body_params_fetched:
            return conn
        sent = conn.get_req_header("content-type")
        if not sent:
            conn.body_params = {}
            return conn
        if len(sent) > 1:
            raise BadRequestError(f"one content-type header is expected, got {len(sent)}")
        kind = content_type(sent[0])
        if kind is not None:
            for parser in self._parsers:
                if parser.accepts(kind):
                    encoding = ", ".join(conn.get_req_header("content-encoding")).lower()
                    if encoding not in ("", "identity"):
                        raise UnsupportedMediaTypeError(
                            f"bodies with content-encoding {encoding!r} are not read here"
                        )
                    return _parse(conn, parser, kind)
        if ("*", "*") in self._pass or (
            kind is not None
            and any(
                type_ == kind.type and subtype in ("*", kind.subtype)
                for type_, subtype in self._pass
            )
        ):
            return conn
        raise UnsupportedMediaTypeError(f"bodies of type {sent[0][:100]!r} are not read here")


async def _parse(conn: Conn, parser: Parser, kind: Any) -> Conn:
    conn.body_params = await parser.parse(conn, kind)
    return conn


def _make(parser: str | Parser, options: dict[str, Any]) -> Parser:
    if isinstance(parser, type):
        parser = parser()
    if not isinstance(parser, str):
        if not (hasattr(parser, "accepts") and hasattr(parser, "parse")):
            raise ValueError(f"{parser!r} is no parser: it needs the methods accepts and parse")
        return parser
    kind = BY_NAME.get(parser)
    if kind is None:
        raise ValueError(f"there is no parser {parser!r}{did_you_mean(parser, BY_NAME)}")
    taken = inspect.signature(kind).parameters
    made: Parser = kind(**{name: value for name, value in options.items() if name in taken})
    return made
