"""Query strings and URL-encoded forms, nested as in Plug (Plug.Conn.Query).

    a=1            {"a": "1"}               a=1&a=2        {"a": "2"}, the last one wins
    a[b]=1         {"a": {"b": "1"}}        a[]=1&a[]=2    {"a": ["1", "2"]}
    a  or  a=      {"a": ""}                a[]=1&a[b]=2   {"a": {"b": "2"}}

Maps inside lists (`a[][b]=1`) are ambiguous: all such keys land in one map, the list has one item.
Use numbered keys (`a[0][b]=1&a[1][b]=2`) instead.

Time and memory grow linearly with the length: every part of a key costs one dict look-up, whatever
its depth. (A decoder that names each level by the text before it is quadratic in the depth,
CVE-2026-54892.)
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes

from plugpy.conn.errors import InvalidQueryError

MAX_LENGTH = 1_000_000
"""Bytes of a query string (Plug.Conn.fetch_query_params/2 `length`)."""

MAX_DEPTH = 32
"""Parts of one key: `a[b][]` has three. Rack has the same limit."""

MAX_PAIRS = 4096
"""Pairs of one query string, so that the cost of a request is bounded. Rack has the same limit."""


class _Level:
    """What the parts of a key meet below one key: a map, a list, or both until the input ends.

    `named` and `items` gather the values of `[key]` and `[]`; the kind of the last value decides
    which of the two the level becomes. A level below is the value of its key; `hidden` keeps those
    whose place a later value took, since further parts still go to them, as in Plug.
    """

    # PERF: hostile input makes 130,000 levels, so each starts with one dict and no list.
    __slots__ = ("hidden", "item_level", "items", "key", "listed", "named", "parent", "position")

    def __init__(self, parent: "_Level | None", key: str | None) -> None:
        self.parent = parent
        self.key = key
        self.position = 0
        self.named: dict[str, Any] = {}
        self.items: list[Any] | None = None
        self.item_level: _Level | None = None
        self.hidden: dict[str, _Level] | None = None
        self.listed = False

    def put(self, key: str | None, value: Any) -> None:
        if key is None:
            if self.items is None:
                self.items = []
            self.items.append(value)
            self.listed = True
        else:
            self.listed = False
            taken = self.named.get(key)
            if type(taken) is _Level:
                if self.hidden is None:
                    self.hidden = {}
                self.hidden[key] = taken
            self.named[key] = value

    def child(self, key: str | None) -> "_Level | None":
        if key is None:
            return self.item_level
        found = self.named.get(key)
        if type(found) is _Level:
            return found
        return self.hidden.get(key) if self.hidden is not None else None

    def make_child(self, key: str | None) -> "_Level":
        child = _Level(self, key)
        self.put(key, child)
        if key is None:
            assert self.items is not None
            self.item_level = child
            child.position = len(self.items) - 1
        return child

    def place(self) -> None:
        """Put the finished map or list where this level stands, unless a later value does."""
        above = self.parent
        assert above is not None
        result: Any = self.items if self.listed else self.named
        if self.key is None:
            assert above.items is not None
            above.items[self.position] = result
        elif above.named.get(self.key) is self:
            above.named[self.key] = result


class Decoder:
    """Decodes pairs one by one, for parsers that get them so (multipart).

    max_depth: parts of one key. max_pairs: pairs in all. Values may be anything.
    Source: Plug.Conn.Query.decode_init/0, decode_each/2 and decode_done/2.

    >>> Decoder().add("a[b]", "1").add("c", "2").done()
    {'a': {'b': '1'}, 'c': '2'}
    """

    __slots__ = ("_levels", "_max_depth", "_pairs_left", "_root")

    def __init__(self, *, max_depth: int = MAX_DEPTH, max_pairs: int = MAX_PAIRS) -> None:
        self._max_depth = max_depth
        self._pairs_left = max_pairs
        self._root = _Level(None, None)
        self._levels: list[_Level] = []

    def add(self, key: str, value: Any) -> "Decoder":
        """Take a pair whose key and value are percent-decoded already.

        Raises InvalidQueryError (400) beyond max_depth or max_pairs.
        """
        self._pairs_left -= 1
        if self._pairs_left < 0:
            raise InvalidQueryError("the query has too many pairs")
        if key[-1:] != "]" or (bracket := key.find("[")) < 1:
            self._root.put(key, value)
            return self
        parts = key[bracket + 1 : -1].split("][", self._max_depth)
        if len(parts) >= self._max_depth:
            raise InvalidQueryError(
                f"a key of the query is nested deeper than {self._max_depth} parts"
            )
        level: _Level = self._root
        last: str | None = key[:bracket]
        for part in parts:
            child = level.child(last)
            if child is None:
                child = level.make_child(last)
                self._levels.append(child)
            level, last = child, part or None
        level.put(last, value)
        return self

    def done(self, initial: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The decoded parameters. `initial`: parameters that win over those decoded."""
        # A level is placed by reference, so it does not matter in which order they are.
        for level in self._levels:
            level.place()
        params = self._root.named
        if initial:
            params.update(initial)
        return params


def decode(
    query: str | bytes,
    *,
    max_length: int = MAX_LENGTH,
    max_depth: int = MAX_DEPTH,
    max_pairs: int = MAX_PAIRS,
    validate_utf8: bool = True,
) -> dict[str, Any]:
    """Decode a query string or a URL-encoded form.

    query: as on the wire; in a str, characters up to 255 stand for bytes (Latin-1).
    max_length: bytes. max_depth: parts of one key. max_pairs: pairs, empty ones included.
    validate_utf8: False puts replacement characters where the bytes are not UTF-8.

    Returns nested dicts and lists of str. `%` without two hex digits is kept as it is.
    Raises InvalidQueryError: 414 when too long, 400 when too deep, too many or not UTF-8.
    Source: Plug.Conn.Query.decode/4, Plug.Conn.fetch_query_params/2.

    >>> decode("user[name]=Ann+Lee&user[tags][]=a&user[tags][]=b")
    {'user': {'name': 'Ann Lee', 'tags': ['a', 'b']}}
    """
    if not query:
        return {}
    if len(query) > max_length:
        raise InvalidQueryError(
            f"the query string has {len(query)} bytes, the maximum is {max_length}", status=414
        )
    text = query if isinstance(query, str) else query.decode("latin-1")
    if text.count("&") >= max_pairs:
        raise InvalidQueryError(
            f"the query string has {text.count('&') + 1} pairs, the maximum is {max_pairs}"
        )
    if "%" not in text and "+" not in text and "[" not in text and text.isascii():
        # PERF: most queries are flat and plain: 0.7 us for two pairs instead of 3 us.
        params = {}
        for pair in text.split("&"):
            if pair:
                key, _, value = pair.partition("=")
                params[key] = value
        return params
    if not text.isascii() and max(text) > "\xff":
        # Never from the wire: somebody assigned decoded text, which stands for itself.
        text = text.encode("utf-8", "surrogatepass").decode("latin-1")
    decoder = Decoder(max_depth=max_depth, max_pairs=max_pairs)
    errors = "strict" if validate_utf8 else "replace"
    for pair in text.split("&"):
        if pair:
            key, _, value = pair.partition("=")
            decoder.add(_decode_www_form(key, errors), _decode_www_form(value, errors))
    return decoder.done()


def values_of(query: str, key: str) -> list[str]:
    """All values of one key of a query string that `decode` has taken, in their order.

    >>> values_of("tag=a&x=1&tag=b+c", "tag")
    ['a', 'b c']
    """
    found: list[str] = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name == key or (
            ("%" in name or "+" in name) and _decode_www_form(name, "replace") == key
        ):
            found.append(_decode_www_form(value, "replace"))
    return found


def encode(
    params: Mapping[str, Any] | Iterable[tuple[str, Any]],
    encoder: Callable[[Any], str] | None = None,
) -> str:
    """Encode parameters to a query string, the reverse of `decode`.

    params: a mapping or pairs, whose values are mappings, lists, and anything that `encoder` turns
    into text (default: str; true and false in lower case, bytes as they are). Of pairs with the
    same key the first counts. None is empty text, empty mappings and lists are left out.

    Raises ValueError for a mapping inside a list that has not exactly one key: number the items
    with a mapping instead, `{"0": {...}, "1": {...}}`. Source: Plug.Conn.Query.encode/2.

    >>> encode({"foo": ["bar", "baz"], "user": {"name": "Ann Lee"}})
    'foo[]=bar&foo[]=baz&user[name]=Ann+Lee'
    """
    pairs: list[str] = []
    _encode_pairs(pairs, None, params, encoder or _text_of)
    return "&".join(pairs)


def _decode_www_form(text: str, errors: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    if "%" not in text and text.isascii():
        return text
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise InvalidQueryError(
            f"the query string is not UTF-8: found byte {error.object[error.start]}"
        ) from None


def _is_pairs(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list | tuple) and bool(value) and isinstance(value[0], tuple)
    )


def _encode_pairs(
    pairs: list[str],
    prefix: str | None,
    params: Mapping[str, Any] | Iterable[tuple[str, Any]],
    encoder: Callable[[Any], str],
) -> None:
    seen = set()
    for key, value in params.items() if isinstance(params, Mapping) else params:
        if key not in seen:
            seen.add(key)
            name = quote_plus(str(key))
            _encode_value(pairs, name if prefix is None else f"{prefix}[{name}]", value, encoder)


def _encode_value(pairs: list[str], name: str, value: Any, encoder: Callable[[Any], str]) -> None:
    if _is_pairs(value):
        _encode_pairs(pairs, name, value, encoder)
    elif isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, Mapping) and len(item) != 1:
                raise ValueError(
                    "cannot encode a mapping inside a list unless it has exactly one key, got "
                    f"{item!r}: use numbered keys, {{'0': ..., '1': ...}}, instead of the list"
                )
            _encode_value(pairs, f"{name}[]", item, encoder)
    else:
        pairs.append(f"{name}={'' if value is None else quote_plus(encoder(value))}")


def _text_of(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    # quote_plus takes bytes too and encodes them as they are.
    return value if isinstance(value, str | bytes) else str(value)
