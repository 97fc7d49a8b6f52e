"""The cases of Plug's test/plug/session/cookie_test.exs."""

import base64
import hashlib
import json
from typing import Any

import pytest

from plugpy.conn import Conn
from plugpy.conn.crypto import KeyGenerator, sign
from plugpy.plugs import Session
from plugpy.plugs.session import CookieStore
from plugpy.testing import conn

SECRET = "abcdef0123456789" * 8
SALT = "signing salt"
ENCRYPTION_SALT = "encryption salt"


class Lines:
    """A serializer that is none of ours: lines of key=value."""

    def encode(self, data: dict[str, Any]) -> bytes:
        return "\n".join(f"{key}={value}" for key, value in data.items()).encode()

    def decode(self, data: bytes) -> dict[str, Any]:
        return dict(line.split("=") for line in data.decode().splitlines())


def signed() -> Session:
    return Session(store=CookieStore(signing_salt=SALT), key="app")


def encrypted(**options: Any) -> Session:
    store = CookieStore(signing_salt=SALT, encryption_salt=ENCRYPTION_SALT, **options)
    return Session(store=store, key="app")


def custom() -> Session:
    return Session(store=CookieStore(signing_salt=SALT, serializer=Lines()), key="app")


def request(plug: Session, cookie: str | None = None, secret: str | None = SECRET) -> Conn:
    headers = {} if cookie is None else {"cookie": f"app={cookie}"}
    return plug(conn("GET", "/", headers=headers, secret_key_base=secret))


def cookie_of(plug: Session, **data: Any) -> str:
    c = request(plug)
    for key, value in data.items():
        c.put_session(key, value)
    return str(c.send_resp(200, "").resp_cookies["app"]["value"])


def comes_back(plug: Session) -> None:
    assert request(plug, cookie_of(plug, a="one")).get_session("a") == "one"


def is_dropped(plug: Session) -> None:
    c = request(plug, cookie_of(plug, a="one")).configure_session(drop=True).send_resp(200, "")
    assert (c.resp_cookies["app"]["max_age"], c.resp_cookies["app"]["value"]) == (0, "")
    assert request(plug, "").get_session() == {}


def refuses_nonsense(plug: Session) -> None:
    good = cookie_of(plug, a="one")
    for bad in ("", "bad", "a.b.c", good[:-2], good + "x", good.swapcase()):
        assert request(plug, bad).get_session() == {}


def test_requires_signing_salt_option_to_be_defined() -> None:
    with pytest.raises(TypeError, match="signing_salt"):
        CookieStore()  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="salts are texts"):
        CookieStore(signing_salt="")


def test_requires_the_secret_to_be_at_least_64_bytes() -> None:
    with pytest.raises(ValueError, match="at least 64"):
        request(signed(), secret="abcdef").put_session("a", 1).send_resp(200, "")
    with pytest.raises(ValueError, match="at least 64"):
        request(signed(), "a.b", secret="abcdef")
    with pytest.raises(ValueError, match="at least 64"):
        CookieStore(signing_salt=SALT, secret_key_base="abcdef")


def test_defaults_key_generator_opts() -> None:
    expected = hashlib.pbkdf2_hmac("sha256", SECRET.encode(), b"salt", 1000, 32)
    assert KeyGenerator.generate(SECRET, "salt") == expected


def test_prederives_keys_is_secret_key_base_is_available(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cookie = cookie_of(signed(), a="one")

    def derived_again(*_: Any) -> bytes:
        raise AssertionError("a key was derived again")

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", derived_again)
    assert request(signed(), cookie).get_session("a") == "one"


def test_uses_specified_key_generator_opts() -> None:
    expected = hashlib.pbkdf2_hmac("sha256", SECRET.encode(), b"salt", 2000, 64)
    assert KeyGenerator.generate(SECRET, "salt", iterations=2000, length=64) == expected
    with pytest.raises(TypeError, match="key_iterations"):
        CookieStore(signing_salt=SALT, key_iterations=2000)  # type: ignore[call-arg]


@pytest.mark.parametrize("serializer", ["Lines", Lines, 1, json])
def test_requires_serializer_option_to_be_an_atom(serializer: Any) -> None:
    with pytest.raises(TypeError, match="serializer is an object with the methods"):
        CookieStore(signing_salt=SALT, serializer=serializer)


def test_uses_external_term_format_cookie_serializer_by_default() -> None:
    payload = cookie_of(signed(), a="one").partition(".")[0]
    assert base64.urlsafe_b64decode(payload + "===").endswith(b'{"a":"one"}')


def test_uses_custom_cookie_serializer() -> None:
    payload = cookie_of(custom(), a="one").partition(".")[0]
    assert base64.urlsafe_b64decode(payload + "===").endswith(b"a=one")


def test_session_cookies_are_signed() -> None:
    comes_back(signed())
    refuses_nonsense(signed())


def test_gets_and_sets_signed_session_cookie() -> None:
    comes_back(signed())


def test_deletes_signed_session_cookie() -> None:
    is_dropped(signed())


def test_session_cookies_are_encrypted() -> None:
    assert b"one" not in base64.urlsafe_b64decode(cookie_of(encrypted(), a="one") + "===")
    refuses_nonsense(encrypted())
    assert request(encrypted(), cookie_of(signed(), a="one")).get_session() == {}


def test_gets_and_sets_encrypted_session_cookie() -> None:
    comes_back(encrypted())


def test_deletes_encrypted_session_cookie() -> None:
    is_dropped(encrypted())


def test_session_cookies_are_serialized_by_the_custom_serializer() -> None:
    comes_back(custom())
    refuses_nonsense(custom())


def test_session_cookies_are_serialized_by_the_custom_serializer_that_cannot_read_them() -> None:
    # Signed by us, and yet no session: an older version wrote it.
    for data in (b"no lines", b"\xff"):
        token = sign(SECRET, f"plugpy.session:{SALT}", data)
        assert request(custom(), token).get_session() == {}
        assert request(signed(), token).get_session() == {}
    assert request(signed(), sign(SECRET, f"plugpy.session:{SALT}", b"[1]")).get_session() == {}


def test_gets_and_sets_custom_serialized_session_cookie() -> None:
    comes_back(custom())


def test_deletes_custom_serialized_session_cookie() -> None:
    is_dropped(custom())


def test_gets_and_sets_prederived_session_cookie() -> None:
    plug = encrypted(secret_key_base=SECRET)
    cookie = request(plug, secret=None).put_session("a", 1).send_resp(200, "").resp_cookies["app"]
    assert request(plug, cookie["value"], secret=None).get_session("a") == 1


def test_gets_session_cookie_using_rotating_options() -> None:
    def plug(salt: str, *rotating: CookieStore) -> Session:
        return Session(store=CookieStore(signing_salt=salt, rotating=rotating), key="app")

    old = CookieStore(signing_salt="old", encryption_salt="old", secret_key_base="o" * 64)
    cookie = cookie_of(Session(store=old, key="app"), a="one")
    assert request(plug("new"), cookie).get_session() == {}

    both = plug("new", old)
    c = request(both, cookie)
    assert c.get_session("a") == "one"
    # What is written is written the new way.
    written = c.put_session("a", "two").send_resp(200, "").resp_cookies["app"]["value"]
    assert request(Session(store=old, key="app"), written).get_session() == {}
    assert request(plug("new"), written).get_session("a") == "two"


@pytest.mark.parametrize(("log", "levels"), [("info", ["INFO"]), (None, [])])
def test_a_cookie_that_is_not_accepted_is_logged(
    caplog: pytest.LogCaptureFixture, log: str | None, levels: list[str]
) -> None:
    store = CookieStore(signing_salt=SALT, log=log)
    with caplog.at_level("DEBUG"):
        request(Session(store=store, key="app"), "secret-cookie")
    assert [record.levelname for record in caplog.records] == levels
    assert "secret-cookie" not in caplog.text
