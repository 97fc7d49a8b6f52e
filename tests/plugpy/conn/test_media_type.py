"""Media types, parameters, tokens, lists."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.conn import media_type as parser

rough = st.text(alphabet='ab/*;=", \t\r\n\\<', max_size=16)


def test_the_examples_of_the_docstrings_hold() -> None:
    assert doctest.testmod(parser).failed == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image/svg+xml", ("image", "svg+xml", {})),
        ("TEXT/HTML;Level=1", ("text", "html", {"level": "1"})),
        (" \t a/b \t ; c=d ", ("a", "b", {"c": "d"})),
        ("a/b;", ("a", "b", {})),
        ("a/b;;c=d;;", ("a", "b", {"c": "d"})),
        ("a/*", ("a", "*", {})),
        ("*/*", ("*", "*", {})),
        (
            'multipart/form-data; boundary="a;b c"',
            ("multipart", "form-data", {"boundary": "a;b c"}),
        ),
    ],
)
def test_a_media_type_parses(text: str, expected: object) -> None:
    assert parser.media_type(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "/",
        "a/",
        "/b",
        "*",
        "*/b",
        "*a/b",
        "a/*b",
        "a b/c",
        "a/b c",
        "a/b, c/d",
        "ä/b",
        "a//b",
    ],
)
def test_what_is_no_media_type_is_none(text: str) -> None:
    assert parser.media_type(text) is None
    assert parser.content_type(text) is None


@pytest.mark.parametrize("text", ["*/*", "a/*", "a/*; q=1"])
def test_a_content_type_has_no_wildcard(text: str) -> None:
    assert parser.media_type(text) is not None
    assert parser.content_type(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("a=1;A=2", {"a": "1"}),
        ("a=1;a=", {"a": "1"}),
        ('a=;a="2"', {"a": "2"}),
        ('a="x;y";b=2', {"a": "x;y", "b": "2"}),
        (r'a="x\";b=1;\"";c=3', {"a": 'x";b=1;"', "c": "3"}),
        ('a="open; b=2', {}),
        ("a =1; b= 2; c=3", {"c": "3"}),
        ("a[0]=1; b=2", {"b": "2"}),
        ("a=b=c", {}),
    ],
)
def test_params_keep_the_pairs_that_are_well_formed(text: str, expected: dict[str, str]) -> None:
    assert parser.params(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        (" ", ""),
        ("a\r\n", "a"),
        ("a\n", None),
        ("a\0", None),
        ("a;b", None),
        ('""', ""),
        ('"a" ', "a"),
        ('"a"b', None),
        ('"a', None),
        ('"a\\', None),
        ('"a\\"', None),
        (r'"a\\"', "a\\"),
    ],
)
def test_token(text: str, expected: str | None) -> None:
    assert parser.token(text) == expected


@given(st.text(max_size=30))
def test_a_quoted_string_gives_back_what_was_quoted(text: str) -> None:
    quoted = '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'
    assert parser.token(quoted) == text
    assert parser.params(f"a={quoted};b=2") == {"a": text, "b": "2"}


@given(rough)
def test_nothing_raises_and_the_parsers_agree(text: str) -> None:
    loose, strict = parser.media_type(text), parser.content_type(text)
    if strict is not None:
        assert strict == loose
    assert all(name and name in text for name in parser.params(text))
    assert all(element == element.strip() and element for element in parser.elements(text))


def test_hostile_text_is_parsed_in_one_pass() -> None:
    # Each of these is quadratic or worse for a parser that goes back; it would run for minutes.
    for text in ('"' * 200_001, '"' + "\\" * 200_001, ";" * 200_000, " " * 200_000 + "a/b c"):
        parser.params("a=" + text)
        parser.token(text)
        parser.media_type("a/b;" + text)
        parser.media_type(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", []), (",", []), ("a", ["a"]), (" a ,\tb,,c ", ["a", "b", "c"]), ("a b", ["a b"])],
)
def test_elements(text: str, expected: list[str]) -> None:
    assert parser.elements(text) == expected
