"""Values as text: short whatever they are, and without secrets."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from plugpy.debugging.redaction import HIDDEN, Redaction

MOST_CHARACTERS: Final = 1_000
"""Of one value that is shown; what is longer is cut."""

MOST_ITEMS: Final = 50
"""Of one collection that is shown."""

MOST_DEPTH: Final = 5
"""Of collections in collections."""


def show(value: Any, redaction: Redaction, name: object = "") -> str:
    """A repr of `value`, the values of secret names in it hidden at any depth. Never raises.

    name: what the value goes by; a secret's name hides it whole.
    """
    if redaction.hides(name):
        return HIDDEN
    return cut(_Showing(redaction).show(value, MOST_DEPTH))


def show_text(text: str, redaction: Redaction, name: object = "") -> str:
    """As `show` for what is text anyway: without quotes."""
    if redaction.hides(name):
        return HIDDEN
    return cut(redaction.text(text[: 2 * MOST_CHARACTERS]), len(text))


def cut(text: str, length: int | None = None) -> str:
    """`text`, or its beginning. length: that of the whole, where `text` is less."""
    length = len(text) if length is None else max(length, len(text))
    if length <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]}... ({length} characters)"


class _Showing:
    """One value being shown. left: characters for what is inside; more would be cut anyway."""

    __slots__ = ("left", "redaction")

    def __init__(self, redaction: Redaction) -> None:
        self.redaction = redaction
        self.left = 2 * MOST_CHARACTERS

    def show(self, value: Any, depth: int) -> str:
        text = self.value(value, depth)
        self.left -= len(text) + 2
        return text

    def value(self, value: Any, depth: int) -> str:
        kind = type(value)
        if isinstance(value, str | bytes | bytearray):
            return self.text(value)
        if value is None or kind in (bool, int, float, complex):
            return cut(_repr(value))
        if depth == 0 or self.left <= 0:
            return "..."
        try:
            if isinstance(value, Mapping):
                inside = self.pairs(value.items(), len(value), depth, "{key}: {value}")
                return f"{{{inside}}}" if kind is dict else f"{kind.__name__}({{{inside}}})"
            if dataclasses.is_dataclass(value) and not isinstance(value, type):
                names = [field.name for field in dataclasses.fields(value) if field.repr]
                return self.fields(value, names, depth)
            if isinstance(value, tuple) and hasattr(value, "_fields"):
                return self.fields(value, value._fields, depth)
            if kind in (list, tuple, set, frozenset):
                return self.items(value, depth)
        except Exception as error:
            return f"<{kind.__qualname__}, can't be shown: {type(error).__name__}>"
        return self.redaction.text(_repr(value)[: 2 * MOST_CHARACTERS])

    def text(self, value: str | bytes | bytearray) -> str:
        start = value[: 2 * MOST_CHARACTERS]
        more = f"... ({len(value)} in all)" if len(start) < len(value) else ""
        # Before its quotes are escaped by the repr.
        if isinstance(start, str):
            return _repr(self.redaction.text(start)) + more
        return _repr(self.redaction.text(start.decode("latin-1")).encode("latin-1")) + more

    def items(self, value: Any, depth: int) -> str:
        shown = []
        for item in islice(value, MOST_ITEMS):
            if self.left <= 0:
                break
            shown.append(self.show(item, depth - 1))
        if len(value) == 2 and isinstance(value, tuple) and self.redaction.hides(value[0]):
            shown[1:] = [HIDDEN]  # a pair, as headers are
        if len(value) > len(shown):
            shown.append(f"... ({len(value)} in all)")
        inside = ", ".join(shown)
        if isinstance(value, list):
            return f"[{inside}]"
        if isinstance(value, tuple):
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        if not value:
            return f"{type(value).__name__}()"
        return f"{{{inside}}}" if isinstance(value, set) else f"frozenset({{{inside}}})"

    def fields(self, value: Any, names: Sequence[str], depth: int) -> str:
        pairs = ((name, getattr(value, name)) for name in names)
        return f"{type(value).__name__}({self.pairs(pairs, len(names), depth, '{name}={value}')})"

    def pairs(self, pairs: Iterable[tuple[Any, Any]], count: int, depth: int, form: str) -> str:
        shown = []
        for name, value in islice(pairs, MOST_ITEMS):
            if self.left <= 0:
                break
            text = HIDDEN if self.redaction.hides(name) else self.show(value, depth - 1)
            key = self.show(name, depth - 1) if "{key}" in form else ""
            shown.append(form.format(key=key, name=name, value=text))
        if count > len(shown):
            shown.append(f"... ({count} in all)")
        return ", ".join(shown)


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__qualname__}, its repr raised {type(error).__name__}>"
