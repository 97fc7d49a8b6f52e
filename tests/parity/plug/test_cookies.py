"""The cases of Plug's test/plug/conn/cookies_test.exs and of lib/plug/conn/cookies.ex."""

import calendar

import pytest

from plugpy.conn.cookies import decode, encode
from plugpy.conn.errors import InvalidHeaderError


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("a=one, b=two", {"a": "one, b=two"}),
        ("a=one; b=two", {"a": "one", "b": "two"}),
        ("a=one;b=two", {"a": "one", "b": "two"}),
        ("$a=one, b=two; $c=three", {"$a": "one, b=two", "$c": "three"}),
        ("a name=one, b=two three", {}),
        ("   a=one , b=two   ", {"a": "one , b=two"}),
        ("", {}),
        ("=", {}),
        ("=;", {}),
        ("a, =, b", {}),
        ("a=", {"a": ""}),
        ("a=;;b=", {"a": "", "b": ""}),
        ("a= ", {"a": ""}),
    ],
)
def test_decode_cookies(header: str, expected: dict[str, str]) -> None:
    assert decode(header) == expected


@pytest.mark.parametrize("space", list(" \t\r\n\v\f"))
def test_decode_cookies_that_are_white_space(space: str) -> None:
    """The second half of "decode cookies"."""
    assert decode(f"{space}=one") == {}
    assert decode(f"{space}={space}") == {}
    assert decode(f"a={space}") == ({"a": ""} if space == " " else {})


def test_decodes_encoded_cookie() -> None:
    moment = calendar.timegm((2031, 3, 4, 5, 6, 7))
    cookie = encode("a", {"value": "one", "max_age": 60, "universal_time": moment})
    assert decode(cookie) == {
        "a": "one",
        "path": "/",
        "expires": "Tue, 04 Mar 2031 05:07:07 GMT",
        "max-age": "60",
    }


def test_encodes_the_cookie() -> None:
    assert encode("a", {"value": "one"}) == "a=one; path=/; HttpOnly"
    assert encode("a", {}) == "a=; path=/; HttpOnly"
    assert encode("a") == "a=; path=/; HttpOnly"


def test_encodes_with_path_option() -> None:
    assert encode("a", {"value": "one", "path": "/in"}) == "a=one; path=/in; HttpOnly"


def test_encodes_with_domain_option() -> None:
    cookie = encode("a", {"value": "one", "domain": "example.org"})
    assert cookie == "a=one; path=/; domain=example.org; HttpOnly"


def test_encodes_with_secure_option() -> None:
    assert encode("a", {"value": "one", "secure": True}) == "a=one; path=/; secure; HttpOnly"


def test_encodes_without_same_site_option_if_not_set() -> None:
    assert "SameSite" not in encode("a", {"value": "one"})


def test_encodes_with_same_site_option_lax() -> None:
    cookie = encode("a", {"value": "one", "same_site": "Lax"})
    assert cookie == "a=one; path=/; HttpOnly; SameSite=Lax"


def test_encodes_with_same_site_option_strict() -> None:
    cookie = encode("a", {"value": "one", "same_site": "Strict"})
    assert cookie == "a=one; path=/; HttpOnly; SameSite=Strict"


def test_encodes_with_same_site_option_none() -> None:
    cookie = encode("a", {"value": "one", "same_site": "None"})
    assert cookie == "a=one; path=/; HttpOnly; SameSite=None"


def test_encodes_with_http_only_option_which_defaults_to_true() -> None:
    assert encode("a", {"value": "one", "http_only": False}) == "a=one; path=/"


@pytest.mark.parametrize(
    ("month", "expires"),
    [
        (1, "Tue, 07 Jan 2031"),
        (2, "Fri, 07 Feb 2031"),
        (3, "Fri, 07 Mar 2031"),
        (4, "Mon, 07 Apr 2031"),
        (5, "Wed, 07 May 2031"),
        (6, "Sat, 07 Jun 2031"),
        (7, "Mon, 07 Jul 2031"),
        (8, "Thu, 07 Aug 2031"),
        (9, "Sun, 07 Sep 2031"),
        (10, "Tue, 07 Oct 2031"),
        (11, "Fri, 07 Nov 2031"),
        (12, "Sun, 07 Dec 2031"),
    ],
)
def test_encodes_with_max_age(month: int, expires: str) -> None:
    moment = calendar.timegm((2031, month, 6, 23, 59, 50))
    cookie = encode("a", {"value": "one", "max_age": 15, "universal_time": moment})
    assert cookie == f"a=one; path=/; expires={expires} 00:00:05 GMT; max-age=15; HttpOnly"


def test_encodes_with_extra_option() -> None:
    cookie = encode("a", {"value": "one", "extra": "Priority=High"})
    assert cookie == "a=one; path=/; HttpOnly; Priority=High"


@pytest.mark.parametrize("option", ["value", "path", "domain"])
def test_cve_2026_56813_a_semicolon_in_an_attribute_raises(option: str) -> None:
    """Of Plug 1.20.3."""
    with pytest.raises(InvalidHeaderError):
        encode("a", {option: "x; domain=example.org"})
