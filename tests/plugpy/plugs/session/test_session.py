"""Session and its stores (Plug.Session, Plug.Session.COOKIE, Plug.Session.ETS)."""

from __future__ import annotations

import logging

import pytest

from plugpy.conn import CookieOverflowError, UnfetchedError
from plugpy.pipeline import compile_pipeline
from plugpy.plugs import CSRFProtection, Session
from plugpy.plugs.session import CookieStore, MemoryStore
from plugpy.testing import conn

SECRET = "s" * 64


def cookies_of(sent):
    """Cookie name -> its whole set-cookie value."""
    found = [value for name, value in sent.adapter.sent_headers if name == "set-cookie"]
    return {value.partition("=")[0]: value for value in found}


def request(cookie=None, **options):
    headers = {} if cookie is None else {"cookie": f"_app={cookie}"}
    return conn("GET", "/", headers=headers, secret_key_base=SECRET, **options)


def value_of(sent, key="_app"):
    return cookies_of(sent)[key].partition("=")[2].partition(";")[0]


STORES = {
    "memory": MemoryStore,
    "signed": lambda: CookieStore(signing_salt="salt"),
    "encrypted": lambda: CookieStore(signing_salt="salt", encryption_salt="more"),
}


@pytest.fixture(params=list(STORES))
def plug(request):
    return Session(store=STORES[request.param](), key="_app")


def test_a_session_comes_back(plug):
    sent = plug(request()).put_session("user", 7).put_session("list", [1]).send_resp(200, "")
    back = plug(request(value_of(sent)))
    assert back.get_session() == {"user": 7, "list": [1]}


def test_no_cookie_where_nothing_was_changed(plug):
    assert cookies_of(plug(request()).send_resp(200, "")) == {}
    sent = plug(request()).put_session("a", 1).send_resp(200, "")
    again = plug(request(value_of(sent)))
    assert again.get_session("a") == 1
    assert cookies_of(again.send_resp(200, "")) == {}


def test_changes_after_the_response_are_refused(plug):
    sent = plug(request()).send_resp(200, "")
    with pytest.raises(Exception, match="already sent"):
        sent.put_session("a", 1)


def test_a_value_that_is_set_in_a_before_send_callback_is_kept(plug):
    sent = plug(request())
    sent.register_before_send(lambda conn: conn.put_session("late", True))
    sent.send_resp(200, "")
    assert plug(request(value_of(sent))).get_session("late") is True


@pytest.mark.parametrize("cookie", ["", "nonsense", "a.b.c", "\xff" * 10, "x" * 3000])
def test_a_cookie_that_cannot_be_trusted_is_no_session(plug, cookie):
    assert plug(request(cookie)).get_session() == {}


def test_dropping_deletes_session_and_cookie(plug):
    first = plug(request()).put_session("a", 1).send_resp(200, "")
    second = plug(request(value_of(first)))
    second.configure_session(drop=True)
    second.send_resp(200, "")
    assert "max-age=0" in cookies_of(second)["_app"]
    if isinstance(plug._store, MemoryStore):
        assert plug(request(value_of(first))).get_session() == {}


def test_dropping_what_never_was_sends_no_cookie(plug):
    sent = plug(request())
    sent.configure_session(drop=True)
    assert cookies_of(sent.send_resp(200, "")) == {}


def test_renewing_keeps_the_data(plug):
    first = plug(request()).put_session("a", 1).send_resp(200, "")
    second = plug(request(value_of(first)))
    second.configure_session(renew=True)
    second.send_resp(200, "")
    assert plug(request(value_of(second))).get_session("a") == 1
    if isinstance(plug._store, MemoryStore):
        assert value_of(second) != value_of(first)
        assert plug(request(value_of(first))).get_session() == {}


def test_ignoring_keeps_no_changes(plug):
    sent = plug(request()).put_session("a", 1)
    sent.configure_session(ignore=True)
    assert cookies_of(sent.send_resp(200, "")) == {}


def test_clearing_sends_the_cookie(plug):
    first = plug(request()).put_session("a", 1).send_resp(200, "")
    second = plug(request(value_of(first))).clear_session().send_resp(200, "")
    assert plug(request(value_of(second))).get_session() == {}


def test_fetched_when_asked_for():
    plug = Session(store=MemoryStore(), key="_app", fetch=False)
    sent = plug(request())
    with pytest.raises(UnfetchedError):
        sent.get_session()
    assert sent.fetch_session().fetch_session().get_session() == {}


def test_the_options_of_the_cookie():
    plug = Session(
        store=MemoryStore(),
        key="_app",
        max_age=60,
        domain="example.com",
        path="/app",
        secure=True,
        same_site="Strict",
        extra="Partitioned",
    )
    (cookie,) = cookies_of(plug(request()).put_session("a", 1).send_resp(200, "")).values()
    rest = cookie.lower()
    for part in (
        "path=/app",
        "domain=example.com",
        "max-age=60",
        "secure",
        "httponly",
        "samesite=strict",
        "partitioned",
    ):
        assert f"; {part}" in rest, part


def test_the_cookie_is_safe_by_default():
    plug = Session(store=MemoryStore(), key="_app")
    http = plug(request()).put_session("a", 1).send_resp(200, "")
    https = plug(request(scheme="https")).put_session("a", 1).send_resp(200, "")
    assert "; HttpOnly" in cookies_of(http)["_app"]
    assert "; SameSite=Lax" in cookies_of(http)["_app"]
    assert "; secure" not in cookies_of(http)["_app"].lower()
    assert "; secure" in cookies_of(https)["_app"].lower()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"store": MemoryStore, "key": "a"}, TypeError),
        ({"store": "cookie", "key": "a"}, TypeError),
        ({"store": MemoryStore(), "key": "a b"}, ValueError),
        ({"store": MemoryStore(), "key": ""}, ValueError),
        ({"store": MemoryStore(), "key": "a", "same_site": "None", "secure": False}, ValueError),
    ],
)
def test_options_are_checked(options, error):
    with pytest.raises(error):
        Session(**options)


def test_csrf_without_its_session_before_is_refused_at_start():
    with pytest.raises(ValueError, match="Session"):
        compile_pipeline([CSRFProtection(), Session(store=MemoryStore(), key="a")])


# the cookie store -----------------------------------------------------------------------------


def session_cookie(store, data=None, **options):
    plug = Session(store=store, key="_app", **options)
    return value_of(plug(request()).put_session("a", data or "secret data").send_resp(200, ""))


def test_signed_can_be_read_and_encrypted_not():
    import base64

    def readable(cookie):
        padded = cookie.partition(".")[0] + "==="
        return b"secret data" in base64.urlsafe_b64decode(padded[: len(padded) // 4 * 4])

    assert readable(session_cookie(CookieStore(signing_salt="s")))
    assert not readable(session_cookie(CookieStore(signing_salt="s", encryption_salt="e")))


@pytest.mark.parametrize(
    "other",
    [
        CookieStore(signing_salt="other"),
        CookieStore(signing_salt="s", encryption_salt="e"),
        CookieStore(signing_salt="s", secret_key_base="t" * 64),
    ],
)
def test_other_keys_do_not_open_it(other, caplog):
    cookie = session_cookie(CookieStore(signing_salt="s"))
    with caplog.at_level(logging.DEBUG, "plugpy.plugs.session"):
        assert Session(store=other, key="_app")(request(cookie)).get_session() == {}
    assert "not accepted" in caplog.text
    assert cookie not in caplog.text


def test_every_changed_byte_is_noticed():
    store = CookieStore(signing_salt="s")
    cookie = session_cookie(store)
    plug = Session(store=store, key="_app")
    for position in range(len(cookie)):
        for new in "A-":
            if cookie[position] != new:
                changed = cookie[:position] + new + cookie[position + 1 :]
                # The last character of base64 has bits that stand for nothing.
                if changed[:-1] != cookie[:-1]:
                    assert plug(request(changed)).get_session() == {}, position


def test_keys_can_be_changed_while_users_are_logged_in():
    old = CookieStore(signing_salt="old", secret_key_base="o" * 64)
    cookie = session_cookie(old)
    new = CookieStore(signing_salt="new", encryption_salt="e", rotating=[old])
    assert Session(store=new, key="_app")(request(cookie)).get_session("a") == "secret data"


def test_a_session_is_too_old_some_time(monkeypatch):
    import time

    store = CookieStore(signing_salt="s")
    cookie = session_cookie(store, max_age=60)
    plug = Session(store=store, key="_app", max_age=60)
    assert plug(request(cookie)).get_session("a")
    now = time.time()
    monkeypatch.setattr("plugpy.conn.crypto.time.time", lambda: now + 61)
    assert plug(request(cookie)).get_session() == {}


def test_a_session_too_large_for_a_cookie():
    sent = Session(store=CookieStore(signing_salt="s"), key="_app")(request())
    with pytest.raises(CookieOverflowError):
        sent.put_session("a", "x" * 4096).send_resp(200, "")


def test_what_is_no_json_cannot_be_kept():
    sent = Session(store=CookieStore(signing_salt="s"), key="_app")(request())
    with pytest.raises(TypeError, match="JSON"):
        sent.put_session("a", object()).send_resp(200, "")


def test_without_a_secret_there_is_a_clear_error():
    sent = Session(store=CookieStore(signing_salt="s"), key="_app")(conn("GET", "/"))
    with pytest.raises(UnfetchedError, match="PLUGPY_SECRET_KEY_BASE"):
        sent.put_session("a", 1).send_resp(200, "")


@pytest.mark.parametrize(
    "options",
    [{"signing_salt": ""}, {"signing_salt": "s", "secret_key_base": "short"}],
)
def test_cookie_store_options_are_checked(options):
    with pytest.raises(ValueError, match=r"."):
        CookieStore(**options)


def test_the_secret_is_not_shown():
    assert SECRET not in repr(CookieStore(signing_salt="s", secret_key_base=SECRET))


# the memory store -----------------------------------------------------------------------------


def test_an_id_that_a_client_has_chosen_is_not_taken():
    plug = Session(store=MemoryStore(), key="_app")
    sent = plug(request("chosen")).put_session("a", 1).send_resp(200, "")
    assert value_of(sent) != "chosen"


def test_what_a_request_changes_counts_once_it_is_written():
    plug = Session(store=MemoryStore(), key="_app")
    cookie = value_of(plug(request()).put_session("list", [1]).send_resp(200, ""))
    plug(request(cookie)).get_session("list").append(2)
    assert plug(request(cookie)).get_session("list") == [1]


def test_old_sessions_are_forgotten():
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    plug = Session(store=store, key="_app", max_age=10)
    cookie = value_of(plug(request()).put_session("a", 1).send_resp(200, ""))
    now[0] = 9.0
    assert plug(request(cookie)).get_session("a") == 1
    now[0] = 18.0  # it was used at 9
    assert plug(request(cookie)).get_session("a") == 1
    now[0] = 29.0
    assert plug(request(cookie)).get_session() == {}
    assert len(store) == 0


def test_the_number_of_sessions_is_bounded():
    store = MemoryStore(max_sessions=2)
    plug = Session(store=store, key="_app")
    cookies = [value_of(plug(request()).put_session("n", n).send_resp(200, "")) for n in range(3)]
    assert [plug(request(cookie)).get_session("n") for cookie in cookies] == [None, 1, 2]
    with pytest.raises(ValueError, match="max_sessions"):
        MemoryStore(max_sessions=0)
