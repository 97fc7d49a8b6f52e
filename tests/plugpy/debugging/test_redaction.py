"""Secrets are told by their names, wherever they turn up."""

from __future__ import annotations

import collections
import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.debugging import Redaction
from plugpy.debugging.redaction import HIDDEN
from plugpy.debugging.values import MOST_CHARACTERS, show, show_text

PLAIN = Redaction()

SECRET_NAMES = [
    "password",
    "Password",
    "db_password",
    "passwd",
    "user.pwd",
    "secret",
    "client-secret",
    "secret_key_base",
    "SECRET_KEY_BASE",
    "token",
    "accessToken",
    "_csrf_token",
    "x-csrf-token",
    "authorization",
    "Proxy-Authorization",
    "cookie",
    "set-cookie",
    "api_key",
    "X-Api-Key",
    "apikey",
    "private_key",
    "aws_access_key_id",
    "credentials",
    "session_id",
    "sid",
    "jwt",
    "signature",
    "key",
    "card[cvv]",
]


@dataclasses.dataclass
class User:
    name: str
    password: str


Pair = collections.namedtuple("Pair", "name token")


class Settings:
    def __repr__(self):
        return "Settings(host='here', api_key='hunter2', dsn='postgres://ann:hunter2@db/x')"


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_of_secrets(name):
    assert PLAIN.hides(name)
    assert PLAIN.hides(name.encode())
    assert show("hunter2", PLAIN, name) == HIDDEN
    assert "hunter2" not in show({"deep": [{name: "hunter2"}]}, PLAIN)


@pytest.mark.parametrize("name", ["name", "user", "page", "keyboard", "passenger", "", 7, None])
def test_other_names(name):
    assert not PLAIN.hides(name)


def test_names_of_ones_own():
    redaction = Redaction(["Blood-Type"])
    assert redaction.hides("bloodType")
    assert redaction.hides("the_blood_type")
    assert redaction.hides("password")
    assert not PLAIN.hides("bloodType")
    with pytest.raises(ValueError, match="list of names"):
        Redaction("name")


@pytest.mark.parametrize(
    "value",
    [
        {"password": "hunter2"},
        {b"password": b"hunter2"},
        {"a": {"b": [({"token": "hunter2"},)]}},
        [("authorization", "hunter2")],
        (("x-api-key", "hunter2"), ("a", "b")),
        User("ann", "hunter2"),
        [User("ann", "hunter2")],
        Pair("ann", "hunter2"),
        collections.OrderedDict(secret="hunter2"),
        collections.defaultdict(dict, {"cookie": "hunter2"}),
        Settings(),
        "https://example.com/?page=1&token=hunter2",
        "token=hunter2; path=/",
        "pass%77ord=hunter2&page=2",
        '{"password": "hunter2", "name": "ann"}',
        '{\\"password\\": \\"hunter2\\"}',
        b'{"user": {"api_key":"hunter2"}}',
        "redis://:hunter2@localhost/0",
        "postgres://ann:hunter2@localhost/app",
        "Authorization: Bearer hunter2",
        "Bearer hunter2",
        "Basic hunter2==",
        "password = 'hunter2 and more hunter2'",
        "error: password=hunter2",
        "a=b=token=hunter2=hunter2",
        "token==hunter2",
        "x-api-key: a=hunter2",
        "Headers([('authorization', 'hunter2'), (b'cookie', b'hunter2')])",
        'secret: "a \\" hunter2"',
    ],
    ids=repr,
)
def test_no_secret_is_shown(value):
    assert "hunter2" not in show(value, PLAIN)
    if isinstance(value, str):
        assert "hunter2" not in show_text(value, PLAIN)


def test_what_is_no_secret_is_shown():
    value = {"name": "ann", "page": 2, "tags": ["a", ("b",), {3}], "url": "http://x/?page=1"}
    assert show(value, PLAIN) == repr(value)
    assert show(User("ann", "x"), PLAIN) == f"User(name='ann', password={HIDDEN})"
    assert show_text("text/html;q=0.8, image/webp", PLAIN) == "text/html;q=0.8, image/webp"
    assert show(frozenset(), PLAIN) == "frozenset()"
    assert show(set(), PLAIN) == "set()"


def test_showing_has_an_end():
    wide = [[[[[0] * 50] * 50] * 50] * 50] * 50
    assert len(show(wide, PLAIN)) < MOST_CHARACTERS + 100
    deep = {n: {m: [0] * 50 for m in range(50)} for n in range(50)}
    assert len(show(deep, PLAIN)) < MOST_CHARACTERS + 100

    class Long:
        shown = 0

        def __repr__(self):
            Long.shown += 1
            return "x" * 1000

    show([Long() for _ in range(50)], PLAIN)
    assert Long.shown < 5
    endless: list[object] = []
    endless.append(endless)
    assert "..." in show(endless, PLAIN)
    assert len(show("x" * 1_000_000, PLAIN)) < MOST_CHARACTERS + 100
    assert len(show(list(range(1_000_000)), PLAIN)) < MOST_CHARACTERS + 100
    assert len(show_text("x" * 1_000_000, PLAIN)) < MOST_CHARACTERS + 100


def test_what_can_not_be_shown_says_so():
    class Broken:
        def __repr__(self):
            raise ZeroDivisionError

    class Bad(dict):
        def items(self):
            raise ZeroDivisionError

    assert "ZeroDivisionError" in show(Broken(), PLAIN)
    assert "ZeroDivisionError" in show([Broken()], PLAIN)
    assert "ZeroDivisionError" in show(Bad(a=1), PLAIN)


@given(
    st.sampled_from(["password", "api_key", "x-token", "client_secret"]),
    st.sampled_from(["{}={}", "{}={}&page=2", "?a=1&{}={}", '"{}": "{}"', "{}='{}'", "{}: {},"]),
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=4, max_size=20),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_a_pair_is_hidden_in_any_text(name, form, value, before, after):
    value = f"hunter{value}2"
    text = f"{before} {form.format(name, value)} {after}"
    if value in before or value in after:
        return
    # An open quote in what comes before may swallow the pair: then all of it may go, but not stay.
    if not re.search(r"[=:][^\n]*[\"']", before):
        assert value not in PLAIN.text(text)
