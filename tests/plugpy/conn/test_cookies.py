"""Cookie text: what is read, what is written, what is refused."""

import doctest
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.conn import cookies
from plugpy.conn.errors import InvalidCookieError, InvalidHeaderError


def test_the_examples_of_the_docstrings_hold() -> None:
    assert doctest.testmod(cookies).failed == 0


# decode ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", {}),
        (";;;", {}),
        ("a", {}),
        ("=a", {}),
        ("a=1", {"a": "1"}),
        ("a=1;b=2", {"a": "1", "b": "2"}),
        ("a=b=c", {"a": "b=c"}),
        (' a = 1; b="2 3"', {"b": '"2 3"'}),
        ("a=1   ;b= 2 ", {"a": "1", "b": " 2"}),
        ("a=%3B", {"a": "%3B"}),
        ("a=1; b=2\t; c=3", {"a": "1", "c": "3"}),
        ("\ta=1; \t b=2", {"a": "1", "b": "2"}),
        # The cookie of the longest path comes first and counts.
        ("sid=inner; sid=outer", {"sid": "inner"}),
        # A name hidden in a nameless cookie gets nothing.
        ("=__Host-sid=evil; sid=1", {"sid": "1"}),
        ("a=\u00e9", {"a": "\u00e9"}),
    ],
)
def test_a_cookie_header_decodes(header: str, expected: dict[str, str]) -> None:
    assert cookies.decode(header) == expected


@pytest.mark.parametrize("space", list("\t\r\n\v\f"))
def test_a_pair_with_a_control_white_space_is_dropped(space: str) -> None:
    header = f"a=1; b{space}=2; c=3{space}; d={space}4; e=5"
    assert cookies.decode(header) == {"a": "1", "e": "5"}


def test_the_number_of_cookies_is_bounded() -> None:
    assert len(cookies.decode("; ".join(f"c{n}=" for n in range(cookies.MAX_COOKIES)))) == 512
    with pytest.raises(InvalidCookieError, match="513 cookies, the maximum is 512") as caught:
        cookies.decode("; ".join(f"c{n}=" for n in range(513)))
    assert caught.value.status == 400
    with pytest.raises(InvalidCookieError):
        cookies.decode(";" * 3, max_cookies=3)


@given(st.text(max_size=60))
def test_any_text_decodes_to_pairs_that_were_in_it(header: str) -> None:
    for name, value in cookies.decode(header).items():
        assert f"{name}={value}" in header


def decode_by_characters(header: str) -> dict[str, str]:
    """The same, as a machine that reads one character after the other."""
    found: dict[str, str] = {}
    state, name, value = "start", "", ""
    for character in [*header, ";"]:
        if character == ";":
            if state == "value":
                found.setdefault(name, value.rstrip(" "))
            state, name, value = "start", "", ""
        elif state == "start" and character in " \t":
            pass
        elif state in ("start", "name"):
            state = "name"
            if character == "=":
                state = "value" if name else "skip"
            elif character in " \t\r\n\v\f":
                state = "skip"
            else:
                name += character
        elif state == "value":
            if character in "\t\r\n\v\f":
                state = "skip"
            value += character
    return found


@given(st.text(alphabet="ab= ;\t\r\v", max_size=16))
def test_decoding_whole_agrees_with_decoding_by_characters(header: str) -> None:
    assert cookies.decode(header) == decode_by_characters(header)


# encode ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, "a=; path=/; HttpOnly"),
        ({"value": "1", "http_only": False}, "a=1; path=/"),
        ({"value": None, "path": None, "max_age": None}, "a=; path=/; HttpOnly"),
        (
            {
                "extra": "Partitioned; Priority=High",
                "same_site": "none",
                "http_only": True,
                "secure": True,
                "max_age": 90,
                "universal_time": 0.0,
                "domain": "example.com",
                "path": "/x",
                "value": "v",
            },
            (
                "a=v; path=/x; domain=example.com; expires=Thu, 01 Jan 1970 00:01:30 GMT; "
                "max-age=90; secure; HttpOnly; SameSite=None; Partitioned; Priority=High"
            ),
        ),
    ],
)
def test_a_cookie_encodes_in_a_fixed_order(options: dict[str, Any] | None, expected: str) -> None:
    assert cookies.encode("a", options) == expected


def test_expires_is_max_age_from_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cookies.time, "time", lambda: 1_000_000_000.9)
    assert "expires=Sun, 09 Sep 2001 01:47:40 GMT; max-age=60" in cookies.encode(
        "a", {"max_age": 60}
    )


@pytest.mark.parametrize("max_age", [0, -1])
def test_a_cookie_that_is_to_go_expires_in_the_past_of_every_clock(max_age: int) -> None:
    assert f"expires=Thu, 01 Jan 1970 00:00:00 GMT; max-age={max_age};" in cookies.encode(
        "a", {"max_age": max_age}
    )


def test_a_far_date_stays_a_date() -> None:
    assert cookies.http_date(10**15) == "Fri, 31 Dec 9999 23:59:59 GMT"
    assert cookies.http_date(-1) == "Thu, 01 Jan 1970 00:00:00 GMT"


@given(st.integers(0, 253_402_300_799))
def test_a_date_reads_back_by_the_standard_library(timestamp: int) -> None:
    assert parsedate_to_datetime(cookies.http_date(timestamp)).timestamp() == timestamp


@pytest.mark.parametrize("option", ["value", "path", "domain"])
@pytest.mark.parametrize("bad", [";", "\r", "\n", "\0", "\t", "\x7f"])
def test_text_that_would_end_the_cookie_is_refused(option: str, bad: str) -> None:
    with pytest.raises(InvalidHeaderError, match=f"the {option} of the cookie 'sid'") as caught:
        cookies.encode("sid", {option: f"secret{bad}x"})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("bad", ["\r", "\n", "\0"])
def test_extra_may_have_attributes_but_no_line_breaks(bad: str) -> None:
    with pytest.raises(InvalidHeaderError, match="the extra of the cookie"):
        cookies.encode("a", {"extra": f"Partitioned{bad}"})


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "a\r\nb", "\0", "a\t"])
def test_a_name_that_would_not_come_back_is_refused(name: str) -> None:
    with pytest.raises(InvalidHeaderError, match="cookie name"):
        cookies.encode(name, {"value": "1"})


def test_text_beyond_latin1_is_refused() -> None:
    assert cookies.encode("a", {"value": "é"}).startswith("a=é;")
    with pytest.raises(InvalidHeaderError, match="percent-encode"):
        cookies.encode("a", {"value": "日本"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"value": 1}, "the value of the cookie 'a' must be a str, got int"),
        ({"path": b"/"}, "the path of the cookie 'a' must be a str, got bytes"),
        ({"max_age": "60"}, "number of seconds"),
        ({"max_age": 1.5}, "number of seconds"),
        ({"max_age": True}, "number of seconds"),
        ({"httponly": True}, "no option 'httponly': did you mean 'http_only'"),
        ({"zzz": 1}, "no option 'zzz': known are domain, extra"),
    ],
)
def test_a_wrong_option_is_refused_with_advice(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        cookies.encode("a", options)


def test_an_unknown_same_site_is_refused() -> None:
    with pytest.raises(ValueError, match="one of Lax, Strict, None, got 'Loose'"):
        cookies.encode("a", {"same_site": "Loose"})


safe = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=";="), min_size=1
)


@given(safe, st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20))
def test_what_was_encoded_decodes_to_the_same(name: str, value: str) -> None:
    try:
        header = cookies.encode(name, {"value": value}).partition("; path=")[0]
    except InvalidHeaderError:
        assert any(character in value for character in ";\x7f")
    else:
        assert cookies.decode(header) == {name: value.rstrip(" ")}
