"""Flash (Phoenix.Controller.fetch_flash/2 and its kin)."""

from __future__ import annotations

import pytest

from plugpy.conn import AlreadySentError, UnfetchedError
from plugpy.pipeline import Pipeline
from plugpy.plugs import Flash, Session, clear_flash, get_flash, put_flash
from plugpy.plugs.session import CookieStore, MemoryStore
from plugpy.testing import conn

SECRET = "x" * 64


class Browser:
    """Keeps the cookie between requests."""

    def __init__(self, store=None, **options):
        self.plugs = [Session(store=store or MemoryStore(), key="_app", **options), Flash()]
        self.cookies = {}
        self.sent_cookie = False

    def __call__(self, handler, method="GET"):
        """What `get_flash` was when the request came in."""
        seen = []

        def plug(conn):
            seen.append(get_flash(conn))
            return handler(conn)

        header = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
        headers = {"cookie": header} if header else {}
        sent = Pipeline([*self.plugs, plug])(
            conn(method, "/", headers=headers, secret_key_base=SECRET)
        )
        self.sent_cookie = bool(sent.resp_cookies)
        for key, cookie in sent.resp_cookies.items():
            self.cookies[key] = cookie["value"]
        return seen[0]


def save(conn):
    return put_flash(conn, "info", "Saved.").redirect("/")


def page(conn):
    return conn.html("page")


@pytest.mark.parametrize("store", [MemoryStore(), CookieStore(signing_salt="a salt")])
def test_a_message_is_shown_once_after_a_redirect(store):
    browser = Browser(store)
    assert browser(save, "POST") == {}
    assert browser(page) == {"info": "Saved."}
    assert browser(page) == {}
    assert not browser.sent_cookie


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 101])
def test_it_outlives_answers_that_show_nothing(status):
    browser = Browser()
    browser(save)
    assert browser(lambda conn: conn.send_resp(status, "")) == {"info": "Saved."}
    assert not browser.sent_cookie  # nothing has changed
    assert browser(page) == {"info": "Saved."}
    assert browser(page) == {}


@pytest.mark.parametrize("status", [200, 204, 404, 422, 500, 299, 309])
def test_it_is_gone_after_any_other_answer(status):
    browser = Browser()
    browser(save)
    browser(lambda conn: conn.send_resp(status, ""))
    assert browser(page) == {}


def test_messages_gather_over_redirects():
    browser = Browser()
    browser(save)
    browser(lambda conn: put_flash(conn, "error", "But!").redirect("/"))
    assert browser(page) == {"info": "Saved.", "error": "But!"}


def test_a_message_in_the_same_response_is_not_kept():
    browser = Browser()
    seen = []
    browser(lambda conn: page(put_flash(conn, "info", "now")))
    assert not browser.sent_cookie
    assert browser(lambda conn: page(conn)) == {}
    browser(lambda conn: seen.append(get_flash(put_flash(conn, "info", "x"), "info")) or page(conn))
    assert seen == ["x"]


def test_the_last_message_of_a_kind_counts():
    browser = Browser()
    browser(lambda conn: put_flash(put_flash(conn, "info", 1), "info", {"of": 2}).redirect("/"))
    assert browser(page) == {"info": {"of": 2}}


def test_clear_flash_forgets_all():
    browser = Browser()
    browser(save)
    browser(lambda conn: clear_flash(put_flash(conn, "error", "x")).redirect("/"))
    assert browser(page) == {}


def test_one_message():
    ready = Pipeline(Browser().plugs)(conn("GET", "/"))
    put_flash(ready, "info", "Saved.")
    assert get_flash(ready, "info") == "Saved."
    assert get_flash(ready, "error") is None
    get_flash(ready)["info"] = "changed"  # a copy
    assert get_flash(ready, "info") == "Saved."


def test_no_message_no_cookie():
    browser = Browser()
    browser(page)
    assert not browser.sent_cookie


def test_a_session_that_is_dropped_takes_them_along():
    browser = Browser()
    browser(save)
    browser(lambda conn: conn.configure_session(drop=True).redirect("/"))
    assert browser(page) == {}


def test_the_rest_of_the_session_stays():
    browser = Browser()
    browser(lambda conn: save(conn.put_session("user", 7)))
    browser(page)
    seen = []
    browser(lambda conn: seen.append(conn.get_session()) or page(conn))
    assert seen == [{"user": 7}]


def test_a_session_that_is_not_fetched_yet_is():
    browser = Browser(fetch=False)
    browser(save)
    assert browser(page) == {"info": "Saved."}


def test_twice_is_once():
    ready = Pipeline(Browser().plugs)(conn("GET", "/"))
    put_flash(ready, "info", "Saved.")
    assert get_flash(Flash()(ready)) == {"info": "Saved."}


@pytest.mark.parametrize("kept", ["text", ["list"], 7])
def test_what_is_no_dict_counts_as_none(kept):
    browser = Browser()
    browser(lambda conn: page(conn.put_session("_flash", kept)))
    assert browser(page) == {}
    seen = []
    browser(lambda conn: seen.append(conn.get_session()) or page(conn))
    assert seen == [{}]


def test_a_key_of_ones_own():
    browser = Browser()
    browser.plugs[1] = Flash(session_key="messages")
    seen = []
    browser(save)
    browser(lambda conn: seen.append(conn.get_session("messages")) or page(conn))
    assert seen == [{"info": "Saved."}]
    with pytest.raises(ValueError, match="session_key"):
        Flash(session_key="")


def test_without_the_plug():
    for function in (get_flash, clear_flash, lambda conn: put_flash(conn, "info", "x")):
        with pytest.raises(UnfetchedError, match="put the plug Flash before"):
            function(conn("GET", "/"))
    with pytest.raises(UnfetchedError, match="Session"):
        Flash()(conn("GET", "/"))


def test_after_the_response_they_stay_as_they_are():
    ready = Pipeline([*Browser().plugs, page])(conn("GET", "/"))
    for function in (clear_flash, lambda conn: put_flash(conn, "info", "x")):
        with pytest.raises(AlreadySentError):
            function(ready)


def test_wrong_order():
    session = Session(store=MemoryStore(), key="_app")
    with pytest.raises(ValueError, match="Flash needs Session before it"):
        Pipeline([Flash(), session]).compile()
