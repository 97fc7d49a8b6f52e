"""The cases of Plug's test/plug/conn/query_test.exs and the examples of lib/plug/conn/query.ex."""

from typing import Any

import pytest

from plugpy.conn.errors import InvalidQueryError
from plugpy.conn.query import Decoder, decode, encode


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("color=red&size=xl", {"color": "red", "size": "xl"}),
        (
            "car[make]=saab&car[year]=1987&car[owner][town]=Umeå".replace("å", "%C3%A5"),
            {"car": {"make": "saab", "year": "1987", "owner": {"town": "Umeå"}}},
        ),
        ("an+odd+name=a%21%22%27b%245%267%2F%29%3F", {"an odd name": "a!\"'b$5&7/)?"}),
        ("=", {"": ""}),
        ("flag", {"flag": ""}),
        ("flag=", {"flag": ""}),
        ("=text", {"": "text"}),
        ("list[]", {"list": [""]}),
        ("list[]=", {"list": [""]}),
        ("list[]=one&list[]=two", {"list": ["one", "two"]}),
        ("l[]=one&m[]=1&l[]=two&m[]=2", {"l": ["one", "two"], "m": ["1", "2"]}),
        ("p[q][r]=s", {"p": {"q": {"r": "s"}}}),
        ("p[q][r][]=s", {"p": {"q": {"r": ["s"]}}}),
        ("p[q][r]=s&p[q][r]=t", {"p": {"q": {"r": "t"}}}),
        ("p[q][r][]=s&p[q][r][]=t", {"p": {"q": {"r": ["s", "t"]}}}),
        ("p[q][][r]=s", {"p": {"q": [{"r": "s"}]}}),
        ("p[q][][r][]=s", {"p": {"q": [{"r": ["s"]}]}}),
    ],
)
def test_decode_queries(query: str, expected: dict[str, Any]) -> None:
    assert decode(query) == expected


def test_decode_nested_lists() -> None:
    assert decode("deep[][][]=end") == {"deep": [[["end"]]]}


def test_decode_empty_pairs() -> None:
    assert decode("&&one=1&&&two=2&") == {"one": "1", "two": "2"}


@pytest.mark.parametrize(
    "query", ["v[]=no&v[k]=yes", "v[k][][w]=no&v[k]=yes", "v=no&v[k]=yes", "v[k][0][w]=no&v[k]=yes"]
)
def test_decode_last_always_wins_on_bad_queries(query: str) -> None:
    assert decode(query) == {"v": {"k": "yes"}}


def test_decode_raises_exception_on_bad_www_form() -> None:
    with pytest.raises(InvalidQueryError) as caught:
        decode("name=%Q1%7%9D")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"one": "a", "two": "b"}, "one=a&two=b"),
        ({"none": None}, "none="),
        ({"text": "så®"}, "text=s%C3%A5%C2%AE"),
        ({"number": 1987}, "number=1987"),
        ({"list": ["a", "b"]}, "list[]=a&list[]=b"),
        ({"car": {"make": "saab", "year": 87}}, "car[make]=saab&car[year]=87"),
        ({"car": [("make", "saab"), ("year", 87)]}, "car[make]=saab&car[year]=87"),
        ({"car": [("make", "saab"), ("make", "volvo")]}, "car[make]=saab"),
        ({"an odd name": "a!\"'b$5&7/)?"}, "an+odd+name=a%21%22%27b%245%267%2F%29%3F"),
        ({"in": {"an odd name": "&"}}, "in[an+odd+name]=%26"),
        ({}, ""),
        ([], ""),
        ({"list": [""]}, "list[]="),
        ({"l": ["a", "b"], "m": [1, 2]}, "l[]=a&l[]=b&m[]=1&m[]=2"),
        ({"p": {"q": {"r": 1}}}, "p[q][r]=1"),
        ({"p": {"q": {"r": [1]}}}, "p[q][r][]=1"),
        ({"p": {"q": {"r": [1, 2]}}}, "p[q][r][]=1&p[q][r][]=2"),
        ({"p": {"q": [{"r": 1}]}}, "p[q][][r]=1"),
        ({"p": {"q": [{"r": [1]}]}}, "p[q][][r][]=1"),
    ],
)
def test_encode_data(params: Any, expected: str) -> None:
    assert encode(params) == expected


def test_encode_nested_lists() -> None:
    assert encode({"deep": [[["end"]]]}) == "deep[][][]=end"


def test_encode_with_custom_encoder() -> None:
    def shout(value: object) -> str:
        return f"{value}!"

    assert encode([("a", "yes"), ("b", "no")], shout) == "a=yes%21&b=no%21"
    assert encode([("a", ["yes", "no"])], shout) == "a[]=yes%21&a[]=no%21"


@pytest.mark.parametrize("empty", [{}, []])
def test_encode_ignores_empty_maps_or_lists(empty: object) -> None:
    assert encode([("empty", empty), ("a", "1"), ("b", "2")]) == "a=1&b=2"


@pytest.mark.parametrize("items", [[{"a": 1, "b": 2}], [{"fine": 1}, {}]])
def test_encode_raises_when_there_s_a_map_with_0_or_1_elems_in_a_list(items: object) -> None:
    with pytest.raises(ValueError, match="mapping inside a list"):
        encode({"list": items})
    assert encode({"list": {0: {"a": 1, "b": 2}}}) == "list[0][a]=1&list[0][b]=2"


def decode_pairs(*pairs: tuple[str, str]) -> dict[str, Any]:
    decoder = Decoder()
    for key, value in pairs:
        decoder.add(key, value)
    return decoder.done()


def test_decode_pair_simple_queries() -> None:
    assert decode_pairs(("one", "a"), ("two", "b%")) == {"one": "a", "two": "b%"}


def test_decode_pair_decode_pair_one_level_nested_query() -> None:
    assert decode_pairs(("car[make]", "saab")) == {"car": {"make": "saab"}}
    pairs = (("car[make]", "saab"), ("car[year]", "1987"))
    assert decode_pairs(*pairs) == {"car": {"make": "saab", "year": "1987"}}


def test_decode_pair_query_no_override() -> None:
    assert decode_pairs(("one", "a"), ("one", "b")) == {"one": "b"}
    assert decode_pairs(("car[make]", "a"), ("car[make]", "b")) == {"car": {"make": "b"}}


def test_decode_pair_many_levels_nested_query() -> None:
    pairs = (("car[make]", "saab"), ("car[year]", "1987"), ("car[owner][town]", "Lund"))
    expected = {"make": "saab", "year": "1987", "owner": {"town": "Lund"}}
    assert decode_pairs(*pairs) == {"car": expected}


def test_decode_pair_list_query() -> None:
    assert decode_pairs(("list[]", "a"), ("list[]", "b")) == {"list": ["a", "b"]}


def test_cve_2026_54892_keys_have_a_maximum_depth() -> None:
    """Of Plug 1.19.3."""
    with pytest.raises(InvalidQueryError) as caught:
        decode("a" + "[b]" * 10_000 + "=1")
    assert caught.value.status == 400
