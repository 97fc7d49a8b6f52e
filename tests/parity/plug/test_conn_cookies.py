"""The cases of Plug's test/plug/conn_test.exs on cookies: plain, signed, encrypted."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from plugpy.conn import (
    AlreadySentError,
    Conn,
    CookieOverflowError,
    InvalidHeaderError,
    UnfetchedError,
)
from plugpy.testing import conn, delete_req_cookie, put_req_cookie

SECRET = "0123456789abcdef" * 4
TOKEN = re.compile(r"[\w.-]+")

both = pytest.mark.parametrize(
    ("protect", "fetch"), [("sign", "signed"), ("encrypt", "encrypted")], ids=["sign", "encrypt"]
)


def secret_conn(cookie: str = "") -> Conn:
    headers = {"cookie": cookie} if cookie else {}
    return conn("GET", "/", headers=headers, secret_key_base=SECRET)


def recycled(sent: Conn) -> Conn:
    """The next request of a client that keeps the cookies that `sent` has set."""
    pairs = [
        value.partition(";")[0] for name, value in sent.adapter.sent_headers if name == "set-cookie"
    ]
    return secret_conn("; ".join(pairs))


def set_cookies(c: Conn) -> list[str]:
    """The set-cookie headers that leave when `c` is sent."""
    c.send_resp(200, "")
    return [value for name, value in c.adapter.sent_headers if name == "set-cookie"]


def test_req_cookies_and_fetch_cookies() -> None:
    c = conn("GET", "/", headers={"cookie": "a=one; b=two"})
    assert c.fetch_cookies() is c
    assert c.req_cookies == {"a": "one", "b": "two"}
    assert conn("GET", "/").fetch_cookies().req_cookies == {}


def test_put_req_cookie_and_delete_req_cookie() -> None:
    c = conn("GET", "/")
    assert c.get_req_header("cookie") == []
    assert put_req_cookie(c, "foo", "bar").get_req_header("cookie") == ["foo=bar"]
    assert delete_req_cookie(c, "foo").get_req_header("cookie") == []
    put_req_cookie(put_req_cookie(c, "foo", "bar"), "baz", "bat")
    assert c.req_cookies == {"foo": "bar", "baz": "bat"}
    # Also once they were fetched.
    assert put_req_cookie(c, "foo", "new").req_cookies == {"foo": "new", "baz": "bat"}


def test_cookies_of_several_headers() -> None:
    c = conn("GET", "/", headers=[("cookie", "a=one"), ("cookie", "b=two")])
    assert c.get_req_header("cookie") == ["a=one", "b=two"]
    assert c.req_cookies == {"a": "one", "b": "two"}


def test_put_resp_cookie_and_delete_resp_cookie() -> None:
    assert set_cookies(conn("GET", "/")) == []

    c = conn("GET", "/").put_resp_cookie("a", "one", path="/in")
    assert set_cookies(c) == ["a=one; path=/in; HttpOnly"]
    assert c.get_resp_cookies()["a"].items() >= {"value": "one", "path": "/in"}.items()

    c = conn("GET", "/").put_resp_cookie("a", "one").delete_resp_cookie("a", path="/in")
    assert c.get_resp_cookies()["a"].items() >= {"max_age": 0, "path": "/in"}.items()
    expires = "expires=Thu, 01 Jan 1970 00:00:00 GMT"
    assert set_cookies(c) == [f"a=; path=/in; {expires}; max-age=0; HttpOnly"]


def test_put_resp_cookie_raises_when_over_4096_bytes() -> None:
    c = conn("GET", "/")
    with pytest.raises(CookieOverflowError) as caught:
        c.put_resp_cookie("a", "x" * 4095).send_resp(200, "")
    assert "xxx" not in str(caught.value)
    # The conn that remains is the one that the error page is sent with.
    assert not c.sent
    assert set_cookies(c) == []


def test_put_resp_cookie_raises_on_new_line() -> None:
    c = conn("GET", "/")
    with pytest.raises(InvalidHeaderError):
        c.put_resp_cookie("a", "one\ntwo")
    assert set_cookies(c) == []


@pytest.mark.parametrize("option", ["domain", "path"])
def test_put_resp_cookie_raises_on_a_semicolon_in_an_attribute(option: str) -> None:
    """Of Plug 1.20.3, CVE-2026-56813."""
    c = conn("GET", "/")
    with pytest.raises(InvalidHeaderError):
        c.put_resp_cookie("a", "one", **{option: "x; domain=evil"})
    assert set_cookies(c) == []


def test_put_resp_cookie_is_secure_on_https() -> None:
    c = conn("GET", "/", scheme="https").put_resp_cookie("a", "one")
    assert c.get_resp_cookies()["a"]["secure"] is True
    assert set_cookies(c) == ["a=one; path=/; secure; HttpOnly"]

    c = conn("GET", "/", scheme="https").put_resp_cookie("a", "one", secure=False)
    assert c.get_resp_cookies()["a"]["secure"] is False
    assert set_cookies(c) == ["a=one; path=/; HttpOnly"]


def test_delete_resp_cookie_ignores_max_age_and_universal_time() -> None:
    """universal_time is no option of ours: it is refused by its name."""
    c = conn("GET", "/").delete_resp_cookie("a", path="/in", max_age=1000)
    assert c.get_resp_cookies()["a"]["max_age"] == 0
    (cookie,) = set_cookies(c)
    assert "expires=Thu, 01 Jan 1970 00:00:00 GMT; max-age=0" in cookie
    with pytest.raises(TypeError, match="universal_time"):
        conn("GET", "/").delete_resp_cookie("a", universal_time=10**10)


def test_delete_resp_cookie_uses_connection_scheme_to_detect_secure() -> None:
    c = conn("GET", "/", scheme="https").delete_resp_cookie("a")
    assert c.get_resp_cookies()["a"]["secure"] is True
    (cookie,) = set_cookies(c)
    assert "max-age=0; secure" in cookie


def raise_when_sent(send: Callable[[Conn], Conn]) -> None:
    c = send(conn("GET", "/"))
    with pytest.raises(AlreadySentError):
        c.put_resp_cookie("a", "one")
    with pytest.raises(AlreadySentError):
        c.delete_resp_cookie("a")
    assert c.get_resp_cookies() == {}


def test_put_resp_cookie_and_delete_resp_cookie_raise_when_the_connection_was_already_sent():
    raise_when_sent(lambda c: c.send_resp(200, ""))


def test_put_resp_cookie_and_delete_resp_cookie_raise_when_the_connection_is_chunked() -> None:
    raise_when_sent(lambda c: c.send_chunked(200))


def test_recycle_cookies() -> None:
    """What a client sends next: what it had, with what the response put and deleted."""
    c = conn("GET", "/", headers={"cookie": "kept=kept; gone=gone; over=old"})
    c.put_resp_cookie("over", "new").put_resp_cookie("fresh", "fresh").delete_resp_cookie("gone")
    assert c.get_cookies() == {"kept": "kept", "over": "new", "fresh": "fresh"}


def test_fetch_cookies_loaded_early() -> None:
    """get_cookies fetches by itself."""
    c = conn("GET", "/", headers={"cookie": "a=one"})
    assert c.get_cookies() == {"a": "one"}
    assert c.put_resp_cookie("b", "two").get_cookies()["b"] == "two"
    assert c.put_resp_cookie("a", "new").get_cookies()["a"] == "new"
    assert "a" not in c.delete_resp_cookie("a").get_cookies()
    assert c.req_cookies == {"a": "one"}


def test_fetch_cookies_loaded_late() -> None:
    c = conn("GET", "/", headers={"cookie": "a=one; b=two"})
    c.put_resp_cookie("a", "new").put_resp_cookie("c", "three").delete_resp_cookie("b")
    assert c.fetch_cookies().get_cookies() == {"a": "new", "c": "three"}


# signed and encrypted ----------------------------------------------------------------------------


def assert_round_trip(protect: str, fetch: str, **options: Any) -> None:
    value = {"user": 42, "roles": ["admin"]}
    c = secret_conn().put_resp_cookie("a", value, **{protect: True}, **options)
    c.send_resp(200, "")

    # The value is what the application put, the response has the token.
    assert c.get_cookies()["a"] == value
    token = c.get_resp_cookies()["a"]["value"]
    assert TOKEN.fullmatch(token)
    assert f"a={token}" in dict(c.adapter.sent_headers)["set-cookie"]

    late = recycled(c)
    assert late.req_cookies["a"] == token
    assert late.get_cookies()["a"] == token
    assert late.fetch_cookies(**{fetch: ["a"]}).get_cookies()["a"] == value

    upfront = recycled(c).fetch_cookies(**{fetch: ["a"]})
    assert upfront.req_cookies["a"] == token
    assert upfront.get_cookies()["a"] == value


def assert_expired(protect: str, fetch: str) -> None:
    c = secret_conn().put_resp_cookie("a", {"user": 42}, **{protect: True}, max_age=0)
    c.send_resp(200, "")
    assert c.get_cookies()["a"] == {"user": 42}
    token = c.get_resp_cookies()["a"]["value"]
    late = recycled(c)
    assert late.get_cookies()["a"] == token
    late.fetch_cookies(**{fetch: ["a"]})
    assert "a" not in late.get_cookies()
    assert late.req_cookies["a"] == token


def test_signed_and_encrypted_cookies_put_resp_cookie_with_sign_true() -> None:
    assert_round_trip("sign", "signed")


def test_signed_and_encrypted_cookies_put_resp_cookie_with_encrypt_true() -> None:
    assert_round_trip("encrypt", "encrypted")


def test_signed_and_encrypted_cookies_put_resp_cookie_with_sign_true_and_max_age_0() -> None:
    assert_expired("sign", "signed")


def test_signed_and_encrypted_cookies_put_resp_cookie_with_sign_true_and_max_age_nil() -> None:
    assert_round_trip("sign", "signed", max_age=None)


def test_signed_and_encrypted_cookies_put_resp_cookie_with_encrypt_true_and_max_age_0() -> None:
    assert_expired("encrypt", "encrypted")


@both
def test_a_changed_or_foreign_token_is_dropped_from_cookies(protect: str, fetch: str) -> None:
    """What Plug.Conn.fetch_cookies/2 documents."""
    c = secret_conn().put_resp_cookie("a", "one", **{protect: True})
    token = c.get_resp_cookies()["a"]["value"]
    for cookie in (f"a=x{token}", f"b={token}", "a=plain", "a="):
        name = cookie[0]
        late = secret_conn(cookie).fetch_cookies(**{fetch: [name]})
        assert name not in late.get_cookies()
        assert late.req_cookies[name] == cookie[2:]


@both
def test_sign_or_encrypt_needs_a_secret_key_base(protect: str, fetch: str) -> None:
    c = conn("GET", "/", headers={"cookie": "a=token"})
    with pytest.raises(UnfetchedError, match="secret_key_base"):
        c.put_resp_cookie("a", "one", **{protect: True})
    with pytest.raises(UnfetchedError, match="secret_key_base"):
        c.fetch_cookies(**{fetch: ["a"]})
    c.secret_key_base = "short"
    with pytest.raises(ValueError, match="at least 64"):
        c.put_resp_cookie("a", "one", **{protect: True})


def test_sign_and_encrypt_together_raise() -> None:
    with pytest.raises(ValueError, match="not both"):
        secret_conn().put_resp_cookie("a", "one", sign=True, encrypt=True)


def test_a_value_that_is_not_text_must_be_signed_or_encrypted() -> None:
    with pytest.raises(ValueError, match="sign=True"):
        conn("GET", "/").put_resp_cookie("a", {"user": 42})


def put_protected_req_cookie(protect: str, fetch: str) -> None:
    c = put_req_cookie(secret_conn(), "foo", "secret bar", **{protect: True})
    (cookie,) = c.get_req_header("cookie")
    assert re.fullmatch(r"foo=[\w.=-]+", cookie)
    assert c.fetch_cookies(**{fetch: ["foo"]}).cookies == {"foo": "secret bar"}


def test_signed_and_encrypted_cookies_put_req_cookie_with_sign_true() -> None:
    put_protected_req_cookie("sign", "signed")


def test_signed_and_encrypted_cookies_put_req_cookie_with_encrypt_true() -> None:
    put_protected_req_cookie("encrypt", "encrypted")
