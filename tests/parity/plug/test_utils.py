"""What the examples of Plug's lib/plug/conn/utils.ex ask for, which are its tests.

One test a function; each row stands for one example.
"""

import pytest

from plugpy.conn import media_type as utils

Parsed = tuple[str, str, dict[str, str]] | None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image/png", ("image", "png", {})),
        ("IMAGE/vnd.My-Data+XML", ("image", "vnd.my-data+xml", {})),
        ("application/one_two+json", ("application", "one_two+json", {})),
        ("image/*; q=0.5", ("image", "*", {"q": "0.5"})),
        ("*/*; q=0.5", ("*", "*", {"q": "0.5"})),
        ("a b", None),
        ("*/png", None),
        ("/", None),
        ("a/b c", None),
    ],
)
def test_media_type(text: str, expected: Parsed) -> None:
    assert utils.media_type(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x-one/xml; charset=utf-8", ("x-one", "xml", {"charset": "utf-8"})),
        ("x-one/xml  ; charset=utf-8  ; a=b", ("x-one", "xml", {"charset": "utf-8", "a": "b"})),
        ("\r\n image/png;\r\n level=one\r\n", ("image", "png", {"level": "one"})),
        ("image/png", ("image", "png", {})),
        ("a/*", None),
        ("*/*", None),
        ("words", None),
    ],
)
def test_content_type(text: str, expected: Parsed) -> None:
    assert utils.content_type(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=one", {"a": "one"}),
        ("   a=one   ", {"a": "one"}),
        ("A=one", {"a": "one"}),
        ("Ab=one; c=TWO", {"ab": "one", "c": "TWO"}),
        ("a=ONE ; two", {"a": "ONE"}),
        ('a="one"; b="two"', {"a": "one", "b": "two"}),
        ('a="one;"; b="two"', {"a": "one;", "b": "two"}),
        ("=", {}),
        (";", {}),
        ("a=", {}),
    ],
)
def test_params(text: str, expected: dict[str, str]) -> None:
    assert utils.params(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one", "one"),
        ("one-two", "one-two"),
        ("<one>", None),
        ('"<one>"', "<one>"),
        (r'"<\on\e>\"<\two>"', '<one>"<two>'),
        ('"', None),
        ("one   ", "one"),
        ("one two", None),
        ("", None),
        (" ", ""),
    ],
)
def test_token(text: str, expected: str | None) -> None:
    assert utils.token(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one, two", ["one", "two"]),
        ("onetwo", ["onetwo"]),
        ("", []),
        ("there, , are,, gaps", ["there", "are", "gaps"]),
        ("white , , ,,   space   ,is, left out", ["white", "space", "is", "left out"]),
    ],
)
def test_list(text: str, expected: list[str]) -> None:
    assert utils.elements(text) == expected
