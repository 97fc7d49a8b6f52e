"""Converters: how the text of a path variable becomes what a handler's annotation asks for.

The table CONVERTERS is the one definition; `register_converter` adds to it. A converter that
refuses a text means "this route does not match", so /users/me reaches the next route, or a 404.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

MAX_INTEGER_DIGITS = 18
"""Longer integers are refused: 18 digits always fit the signed 64 bits of a database, and the time
of int() grows with the square of the digits."""

MAX_FLOAT_LENGTH = 40

_INTEGER = re.compile(rf"-?[0-9]{{1,{MAX_INTEGER_DIGITS}}}", re.ASCII)
_FLOAT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


class NoMatch:
    """The kind of NO_MATCH, which a converter or a route gives back instead of raising."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NO_MATCH"


NO_MATCH = NoMatch()


class Converter(NamedTuple):
    """read: text -> value, or NO_MATCH. write: value -> text, for URLs. pure: `read` depends on
    nothing but the text, so that the router may ask it at start."""

    name: str
    read: Callable[[str], Any]
    write: Callable[[Any], str] = str
    pure: bool = False


def read_integer(text: str) -> Any:
    """ASCII digits with an optional minus: not what int() takes besides (spaces, `1_000`, `+1`,
    digits of other scripts)."""
    return int(text) if _INTEGER.fullmatch(text) else NO_MATCH


def read_float(text: str) -> Any:
    """Decimal digits with an optional fraction and minus: no exponent, infinity or nan."""
    if len(text) > MAX_FLOAT_LENGTH or not _FLOAT.fullmatch(text):
        return NO_MATCH
    return float(text)


def read_uuid(text: str) -> Any:
    """The canonical form of RFC 9562 section 4: 36 characters, either case."""
    return UUID(text) if _UUID.fullmatch(text) else NO_MATCH


def _write_float(value: Any) -> str:
    text = format(float(value), "f").rstrip("0")
    return text + "0" if text.endswith(".") else text


TEXT = Converter("str", lambda text: text, str, pure=True)

CONVERTERS: dict[Any, Converter] = {
    str: TEXT,
    int: Converter("int", read_integer, lambda value: str(int(value)), pure=True),
    float: Converter("float", read_float, _write_float, pure=True),
    UUID: Converter("UUID", read_uuid, str, pure=True),
}
"""Annotation -> converter."""


def register_converter(
    annotation: Any, read: Callable[[str], Any], write: Callable[[Any], str] = str
) -> None:
    """Let path variables be annotated with `annotation`.

        register_converter(date, date.fromisoformat, date.isoformat)

    read: text -> value; ValueError means that the route does not match. Mind that the text comes
    from the client, up to 8,000 characters of it. write: value -> text, for `path_for`.
    """

    def guarded(text: str) -> Any:
        try:
            return read(text)
        except ValueError:
            return NO_MATCH

    name = getattr(annotation, "__name__", None) or repr(annotation)
    CONVERTERS[annotation] = Converter(name, guarded, write)
