"""Query strings: shapes, limits, hostile input."""

import doctest
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.conn import query
from plugpy.conn.errors import InvalidQueryError

# A small alphabet, so that keys collide, nest and come half open.
rough_keys = st.text(alphabet="ab[]", max_size=9)
rough_pairs = st.lists(st.tuples(rough_keys, st.sampled_from("123")), max_size=8)


def test_the_examples_of_the_docstrings_hold() -> None:
    assert doctest.testmod(query).failed == 0


# flat ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (b"", {}),
        ("&&&", {}),
        ("a", {"a": ""}),
        ("a=", {"a": ""}),
        ("=", {"": ""}),
        ("=v", {"": "v"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=1&a=2", {"a": "2"}),
        ("a=1;b=2", {"a": "1;b=2"}),
        ("a+b=c+d", {"a b": "c d"}),
        ("a%2Bb=%3D%26", {"a+b": "=&"}),
        ("a=%", {"a": "%"}),
        ("a=%z1%1", {"a": "%z1%1"}),
        ("a=%C3%A9", {"a": "é"}),
        ("a=\u00c3\u00a9", {"a": "é"}),
        (b"a=\xc3\xa9", {"a": "é"}),
        ("a=%C3\u00a9", {"a": "é"}),
        ("a=%00", {"a": "\0"}),
        ("日=本", {"日": "本"}),
    ],
)
def test_a_flat_query_decodes(text: str | bytes, expected: dict[str, str]) -> None:
    assert query.decode(text) == expected


@given(
    st.lists(st.tuples(st.text("ab%+= &", max_size=4), st.text("ab%+= &é", max_size=4)), max_size=6)
)
def test_flat_queries_agree_with_the_standard_library(pairs: list[tuple[str, str]]) -> None:
    text = query.encode(dict(pairs))
    assert query.decode(text) == dict(parse_qsl(text, keep_blank_values=True))


# nested ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a[b]=1", {"a": {"b": "1"}}),
        ("a%5Bb%5D=1", {"a": {"b": "1"}}),
        ("a[b][c]=1&a[b][d]=2&a[e]=3", {"a": {"b": {"c": "1", "d": "2"}, "e": "3"}}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[]", {"a": [""]}),
        ("a[][b]=1&a[][c]=2", {"a": [{"b": "1", "c": "2"}]}),
        ("a[][b]=1&a[][b]=2", {"a": [{"b": "2"}]}),
        ("a[][]=1&a[][]=2", {"a": [["1", "2"]]}),
        ("a[]=1&a[][b]=2&a[]=3", {"a": ["1", {"b": "2"}, "3"]}),
        ("a[0][b]=1&a[1][b]=2", {"a": {"0": {"b": "1"}, "1": {"b": "2"}}}),
        # no nesting: the brackets are part of the name
        ("a[b=1", {"a[b": "1"}),
        ("a]=1", {"a]": "1"}),
        ("[a]=1", {"[a]": "1"}),
        ("[]=1", {"[]": "1"}),
        ("a[b]c=1", {"a[b]c": "1"}),
        ("]=1", {"]": "1"}),
        # odd, but nested
        ("a[[]=1", {"a": {"[": "1"}}),
        ("a[b]]=1", {"a": {"b]": "1"}}),
        ("a[b]x[c]=1", {"a": {"b]x[c": "1"}}),
        # the last kind wins
        ("a[]=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[b]=1&a[]=2", {"a": ["2"]}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[b]=1&a=2", {"a": "2"}),
        ("a[b][c]=1&a[b]=2", {"a": {"b": "2"}}),
        # a map that lost its place does not come back
        ("a[b]=1&a=2&a[c]=3", {"a": "2"}),
    ],
)
def test_a_nested_query_decodes(text: str, expected: dict[str, Any]) -> None:
    assert query.decode(text) == expected


def decode_by_definition(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Slow and plain: a log of what arrived at every path; a path joins the log above it once."""
    logs: dict[tuple[str | None, ...], list[tuple[str | None, Any]]] = {(): []}
    for key, value in pairs:
        bracket = key.find("[")
        path: list[str | None] = [key]
        if bracket > 0 and key.endswith("]"):
            inner = key[bracket + 1 : -1].split("][")
            path = [key[:bracket], *(part or None for part in inner)]
        for depth in range(1, len(path)):
            here = tuple(path[:depth])
            if here not in logs:
                logs[here] = []
                logs[tuple(path[: depth - 1])].append((path[depth - 1], here))
        logs[tuple(path[:-1])].append((path[-1], value))

    def build(path: tuple[str | None, ...]) -> Any:
        log = [(k, build(v) if isinstance(v, tuple) else v) for k, v in logs[path]]
        if path and log[-1][0] is None:
            return [value for key, value in log if key is None]
        return {key: value for key, value in log if key is not None}

    result = build(())
    assert isinstance(result, dict)
    return result


@given(rough_pairs)
def test_nesting_agrees_with_its_definition(pairs: list[tuple[str, str]]) -> None:
    text = "&".join(f"{key}={value}" for key, value in pairs)
    assert query.decode(text) == decode_by_definition(pairs)


def test_a_decoder_takes_values_of_any_kind_and_initial_parameters_win() -> None:
    upload = object()
    decoder = query.Decoder().add("form[file]", upload).add("page", "2")
    assert decoder.done({"page": 1}) == {"form": {"file": upload}, "page": 1}


# limits ----------------------------------------------------------------------------------------


def test_a_query_may_be_as_long_as_max_length_but_not_longer() -> None:
    assert query.decode("a=345", max_length=5) == {"a": "345"}
    with pytest.raises(InvalidQueryError, match="6 bytes, the maximum is 5") as caught:
        query.decode("a=3456", max_length=5)
    assert caught.value.status == 414
    with pytest.raises(InvalidQueryError):
        query.decode("a" * 1_000_001)


def test_a_key_may_have_max_depth_parts_but_not_more() -> None:
    assert query.decode("a[b][]=1", max_depth=3) == {"a": {"b": ["1"]}}
    with pytest.raises(InvalidQueryError, match="deeper than 3 parts") as caught:
        query.decode("a[b][][c]=1", max_depth=3)
    assert caught.value.status == 400
    deepest = "a" + "[b]" * 31
    query.decode(deepest)
    with pytest.raises(InvalidQueryError):
        query.decode(deepest + "[b]")


def test_a_query_may_have_max_pairs_but_not_more() -> None:
    assert query.decode("a&b&c", max_pairs=3) == {"a": "", "b": "", "c": ""}
    for text in ("a&b&c&d", "&&&", "a[]&a[]&a[]&a[]"):
        with pytest.raises(InvalidQueryError, match="4 pairs, the maximum is 3") as caught:
            query.decode(text, max_pairs=3)
        assert caught.value.status == 400
    decoder = query.Decoder(max_pairs=1).add("a", 1)
    with pytest.raises(InvalidQueryError, match="too many pairs"):
        decoder.add("b", 2)


class CountingStr(str):
    """Counts the characters that are cut out of a key: the work of splitting it."""

    __slots__ = ()
    cut = 0

    def __getitem__(self, key: Any) -> str:
        part = super().__getitem__(key)
        CountingStr.cut += len(part)
        return part


@pytest.mark.parametrize("depth", [1_000, 4_000])
def test_the_work_for_a_deep_key_is_linear_in_its_length(depth: int) -> None:
    # CVE-2026-54892: a level known by the text before it costs depth * depth characters.
    key = CountingStr("a" + "[b]" * depth)
    CountingStr.cut = 0
    decoded: Any = query.Decoder(max_depth=depth + 1).add(key, "1").done()
    assert CountingStr.cut <= 2 * len(key)
    for _ in range(depth):
        decoded = decoded[next(iter(decoded))]
    assert decoded == {"b": "1"}


def test_a_very_deep_query_does_not_exhaust_the_stack() -> None:
    decoded: Any = query.decode("a" + "[]" * 50_000, max_depth=100_000)["a"]
    for _ in range(49_999):
        (decoded,) = decoded
    assert decoded == [""]


# UTF-8 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a=%8B", "%8B=a", "a=\u008b", b"a=\x8b", "a=%C3", "a[%FF]=1"])
def test_bytes_that_are_not_utf8_are_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidQueryError, match="not UTF-8: found byte") as caught:
        query.decode(text)
    assert caught.value.status == 400


def test_bytes_that_are_not_utf8_are_replaced_when_asked_for() -> None:
    assert query.decode("a=x%8By", validate_utf8=False) == {"a": "x\ufffdy"}


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    try:
        from_bytes: Any = query.decode(data)
    except InvalidQueryError as error:
        from_bytes = str(error)
    try:
        from_text: Any = query.decode(data.decode("latin-1"))
    except InvalidQueryError as error:
        from_text = str(error)
    assert from_bytes == from_text
    assert isinstance(query.decode(data, validate_utf8=False), dict)


@given(st.text(max_size=50).map(lambda text: text + "&日"))
def test_text_that_was_never_bytes_stands_for_itself(text: str) -> None:
    decoded = query.decode(text, validate_utf8=False)
    assert query.decode(text.encode("utf-8", "surrogatepass"), validate_utf8=False) == decoded


# encode ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ""),
        ([], ""),
        ({"a": None}, "a="),
        ({"a": True, "b": False, "c": 1, "d": 1.5}, "a=true&b=false&c=1&d=1.5"),
        ({"a": b"\xff"}, "a=%FF"),
        ({"a": "ü &=[]"}, "a=%C3%BC+%26%3D%5B%5D"),
        ({"a[b]": "1"}, "a%5Bb%5D=1"),
        ({"a": ("1", "2")}, "a[]=1&a[]=2"),
        ({1: {2: 3}}, "1[2]=3"),
        ([("b", 1), ("a", 2), ("b", 3)], "b=1&a=2"),
        ({"a": [("b", 1), ("b", 2)]}, "a[b]=1"),
        ({"a": {"b": {}}, "c": [[]], "d": 1}, "d=1"),
        ({"a": [{"b": 1}, {"c": 2}]}, "a[][b]=1&a[][c]=2"),
    ],
)
def test_parameters_encode(params: Any, expected: str) -> None:
    assert query.encode(params) == expected


@pytest.mark.parametrize("item", [{"b": 1, "c": 2}, {}])
def test_a_map_without_exactly_one_key_in_a_list_is_refused_with_advice(item: object) -> None:
    with pytest.raises(ValueError, match="numbered keys"):
        query.encode({"a": [item]})


keys = st.text(min_size=1, max_size=5).filter(lambda key: not {"[", "]"} & set(key))
texts = st.text(max_size=5)
maps = st.recursive(
    st.dictionaries(keys, texts | st.lists(texts, min_size=1, max_size=3), min_size=1, max_size=3),
    lambda inner: st.dictionaries(
        keys,
        texts | inner | st.lists(inner.filter(lambda item: len(item) == 1), min_size=1, max_size=1),
        min_size=1,
        max_size=3,
    ),
    max_leaves=8,
)


@given(maps)
def test_what_was_encoded_decodes_to_the_same(params: dict[str, Any]) -> None:
    assert query.decode(query.encode(params)) == params
