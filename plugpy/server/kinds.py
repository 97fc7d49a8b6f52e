"""The kinds of value that an option can have: how each is read from text, and written back.

Flags, `PLUGPY_*` variables, TOML and Python calls all go through `Kind.convert`, so a value means
the same wherever it is written.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from plugpy.server.errors import did_you_mean
from plugpy.server.places import parse_place, place_of_table
from plugpy.server.units import format_size, format_span, parse_size, parse_span

TRUE: Final = frozenset({"1", "true", "yes", "on"})
FALSE: Final = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Kind:
    """`parse` raises ValueError with a sentence for the user; `format(parse(text))` parses again.

    `metavar` is what stands for a value in the help. `words` are texts with a meaning of their own
    beside what `parse` reads, such as `auto`; they are kept as they are. `flag`: a switch without a
    value. `only_text`: a number is refused, because its digits would mean something else. `table`:
    the text of a value that is written as a table in TOML.
    """

    metavar: str
    parse: Callable[[str], Any]
    format: Callable[[Any], str] = str
    words: tuple[str, ...] = ()
    flag: bool = False
    only_text: bool = False
    table: Callable[[Mapping[str, Any]], str] | None = None

    def convert(self, value: Any) -> Any:
        """The value that `value` (text, or a plain Python or TOML value) stands for."""
        if isinstance(value, bool):
            if not self.flag:
                raise ValueError(f"{str(value).lower()} is not {self.metavar}")
            return value
        if self.table is not None and isinstance(value, Mapping):
            value = self.table(value)
        if isinstance(value, os.PathLike):
            text = os.fspath(value)
        elif isinstance(value, str) or (isinstance(value, (int, float)) and not self.only_text):
            text = "infinity" if value == float("inf") else str(value)
        else:
            raise ValueError(f"{value!r} of type {type(value).__name__} is not {self.metavar}")
        if text in self.words:
            return text
        return self.parse(text)

    def text(self, value: Any) -> str:
        """`value` as it is written on the command line."""
        return value if isinstance(value, str) and value in self.words else self.format(value)


def _parse_text(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("an empty value was given")
    return text


def _parse_boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def _parse_mode(text: str) -> int:
    try:
        mode = int(text.removeprefix("0o"), 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise ValueError(f"{text!r} is not a file mode in octal digits, such as 660")
    return mode


def _parse_network(text: str) -> str:
    # Not at the top: with few options it is not needed, and takes 3 ms.
    import ipaddress

    try:
        return str(ipaddress.ip_network(text.strip()))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network such as 10.0.0.0/8 ({error})") from None


TEXT: Final = Kind("TEXT", _parse_text)
PATH: Final = Kind("PATH", _parse_text)
BOOLEAN: Final = Kind("BOOLEAN", _parse_boolean, lambda value: str(value).lower(), flag=True)
SIZE: Final = Kind("SIZE", parse_size, format_size)
SPAN: Final = Kind("SPAN", parse_span, format_span)
SPAN_OR_INFINITY: Final = Kind("SPAN", parse_span, format_span, words=("infinity",))
NETWORK: Final = Kind("NETWORK", _parse_network)
PLACE: Final = Kind("PLACE", lambda text: str(parse_place(text)), table=place_of_table)
MODE: Final = Kind("MODE", _parse_mode, "{:03o}".format, only_text=True)


def integer(least: int, most: int | None = None, words: tuple[str, ...] = ()) -> Kind:
    """Whole numbers from `least` to `most`, both included, or one of `words`."""
    extent = f"from {least} to {most}" if most is not None else f"of at least {least}"
    alternative = f" or {' or '.join(words)}" if words else ""

    def parse(text: str) -> int:
        digits = text.strip().replace("_", "")
        # int() would also take digits of other scripts and a sign.
        number = int(digits) if digits.isascii() and digits.isdigit() else -1
        if number < least or (most is not None and number > most):
            raise ValueError(f"{text!r} is not a whole number {extent}{alternative}")
        return number

    return Kind("|".join(("INTEGER", *words)), parse, words=words)


def choice(*names: str) -> Kind:
    """One of `names`."""

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(
                f"{text!r} is not one of {', '.join(names)}{did_you_mean(text, names)}"
            )
        return text

    return Kind("|".join(names), parse)


def convert_all(kind: Kind, value: Any) -> list[Any]:
    """A list of values: `value` is a sequence, or text with commas between them."""
    parts: Sequence[Any]
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",") if part.strip()]
    elif isinstance(value, (list, tuple)):
        parts = value
    else:
        parts = [value]
    return [kind.convert(part) for part in parts]
