"""CSRFProtection (Plug.CSRFProtection)."""

from __future__ import annotations

import pytest

from plugpy.conn import PlugError, UnfetchedError
from plugpy.plugs import CSRFProtection, Session
from plugpy.plugs.csrf_protection import (
    InvalidCrossOriginRequestError,
    InvalidCSRFTokenError,
    delete_csrf_token,
    get_csrf_token,
    get_csrf_token_for,
)
from plugpy.plugs.session import MemoryStore
from plugpy.testing import conn


class Browser:
    """One user: keeps the session cookie."""

    def __init__(self, plug=None):
        self.session = Session(store=MemoryStore(), key="_app")
        self.plug = plug or CSRFProtection()
        self.cookie = None

    def ask(self, method="GET", params=None, headers=None, private=None, host="www.example.com"):
        sent = dict(headers or {}, host=host)
        if self.cookie:
            sent["cookie"] = f"_app={self.cookie}"
        asked = self.session(conn(method, "/", headers=sent))
        if params is not None:
            asked.body_params = params
        asked.private.update(private or {})
        return self.plug(asked)

    def answer(self, asked, **headers):
        for name, value in headers.items():
            asked.put_resp_header(name.replace("_", "-"), value)
        asked.send_resp(200, "")
        if "_app" in asked.resp_cookies:
            self.cookie = asked.resp_cookies["_app"]["value"]
        return asked

    def token(self, make=get_csrf_token):
        asked = self.ask()
        token = make(asked)
        self.answer(asked)
        return token


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_safe_methods_need_no_token(method):
    assert not Browser().ask(method).halted


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "BREW"])
@pytest.mark.parametrize("params", [None, {}, {"_csrf_token": "wrong"}, {"_csrf_token": ["a"]}])
def test_others_do(method, params):
    browser = Browser()
    browser.token()
    with pytest.raises(InvalidCSRFTokenError) as caught:
        browser.ask(method, params)
    assert caught.value.status == 403


def test_the_token_in_the_body_or_in_a_header():
    browser = Browser()
    token = browser.token()
    assert browser.ask("POST", {"_csrf_token": token})
    assert browser.ask("POST", headers={"x-csrf-token": token})
    assert browser.ask("POST", {"_csrf_token": "wrong"}, {"x-csrf-token": token})


def test_the_query_does_not_count():
    browser = Browser()
    token = browser.token()
    asked = browser.session(
        conn("POST", f"/?_csrf_token={token}", headers={"cookie": f"_app={browser.cookie}"})
    )
    with pytest.raises(InvalidCSRFTokenError):
        browser.plug(asked)


def test_tokens_look_different_and_all_hold():
    browser = Browser()
    tokens = {browser.token() for _ in range(20)}
    assert len(tokens) == 20
    for token in tokens:
        assert browser.ask("POST", {"_csrf_token": token})


def test_the_token_of_another_session_is_worth_nothing():
    browser, other = Browser(), Browser()
    browser.token()
    with pytest.raises(InvalidCSRFTokenError):
        browser.ask("POST", {"_csrf_token": other.token()})


def test_a_session_without_a_token_takes_none():
    token = Browser().token()
    with pytest.raises(InvalidCSRFTokenError):
        Browser().ask("POST", {"_csrf_token": token})


@pytest.mark.parametrize(
    "change", [lambda t: t[:-2] + "xx", lambda t: t[1:], lambda t: t + "A" * 4]
)
def test_a_changed_token(change):
    browser = Browser()
    with pytest.raises(InvalidCSRFTokenError):
        browser.ask("POST", {"_csrf_token": change(browser.token())})


def test_an_empty_session_instead_of_an_error():
    browser = Browser(CSRFProtection(with_="clear_session"))
    asked = browser.ask()
    asked.put_session("user", 7)
    browser.answer(asked)
    before = browser.cookie
    asked = browser.ask("POST")
    assert asked.get_session() == {}
    browser.answer(asked)
    assert browser.cookie != before


def test_called_twice_it_keeps_the_token():
    browser = Browser()
    token = browser.token()
    assert browser.plug(browser.ask("POST", {"_csrf_token": token}))


def test_a_deleted_token():
    browser = Browser()
    token = browser.token()
    asked = browser.ask("POST", {"_csrf_token": token})
    delete_csrf_token(asked)
    browser.answer(asked)
    with pytest.raises(InvalidCSRFTokenError):
        browser.ask("POST", {"_csrf_token": token})
    assert browser.ask("POST", {"_csrf_token": browser.token()})


def test_no_cookie_without_a_form():
    browser = Browser()
    browser.answer(browser.ask())
    assert browser.cookie is None


@pytest.mark.parametrize(
    ("site", "served"),
    [("same-origin", True), ("same-site", True), ("none", True), ("cross-site", False)],
)
def test_what_the_browser_says_of_the_page(site, served):
    browser = Browser()
    token = browser.token()
    headers = {"sec-fetch-site": site}
    if served:
        assert browser.ask("POST", {"_csrf_token": token}, headers)
    else:
        with pytest.raises(InvalidCSRFTokenError):
            browser.ask("POST", {"_csrf_token": token}, headers)
        browser.plug = CSRFProtection(fetch_metadata=False)
        assert browser.ask("POST", {"_csrf_token": token}, headers)


# tokens for other hosts -----------------------------------------------------------------------


def for_host(url):
    return lambda asked: get_csrf_token_for(asked, url)


@pytest.mark.parametrize("url", ["/path", "https://www.example.com/x", "x"])
def test_a_token_for_ourselves(url):
    browser = Browser()
    assert browser.ask("POST", {"_csrf_token": browser.token(for_host(url))})


def test_a_token_for_another_host_holds_there_only():
    browser = Browser()
    token = browser.token(for_host("https://pay.example.com:8443/x"))
    with pytest.raises(InvalidCSRFTokenError):
        browser.ask("POST", {"_csrf_token": token})
    assert browser.ask("POST", {"_csrf_token": token}, host="pay.example.com:8443")
    forged = token.partition(".")[0] + "." + "d3d3LmV4YW1wbGUuY29t"  # www.example.com
    with pytest.raises(InvalidCSRFTokenError):
        browser.ask("POST", {"_csrf_token": forged})


@pytest.mark.parametrize(
    ("allowed", "holds"),
    [(["pay.example.com"], True), ([".example.com"], True), ([".ample.com"], False), ([], False)],
)
def test_hosts_whose_tokens_hold_here_too(allowed, holds):
    browser = Browser(CSRFProtection(allow_hosts=allowed))
    token = browser.token(for_host("https://pay.example.com/"))
    if holds:
        assert browser.ask("POST", {"_csrf_token": token})
    else:
        with pytest.raises(InvalidCSRFTokenError):
            browser.ask("POST", {"_csrf_token": token})


# JavaScript -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["text/javascript", "application/javascript; charset=utf-8", "text/x-javascript"]
)
def test_javascript_is_not_for_other_sites(kind):
    browser = Browser()
    with pytest.raises(InvalidCrossOriginRequestError):
        browser.answer(browser.ask(), content_type=kind)
    browser.answer(browser.ask(headers={"x-requested-with": "XMLHttpRequest"}), content_type=kind)
    browser.answer(browser.ask(private={"plug_skip_csrf_protection": True}), content_type=kind)
    skipped = browser.ask()
    skipped.private["plug_skip_csrf_protection"] = True
    browser.answer(skipped, content_type=kind)


def test_other_answers_are():
    browser = Browser()
    browser.answer(browser.ask(), content_type="application/json")


# how it is used -------------------------------------------------------------------------------


def test_requests_that_are_skipped():
    assert Browser().ask("POST", private={"plug_skip_csrf_protection": True})


def test_without_a_session():
    with pytest.raises(UnfetchedError):
        CSRFProtection()(conn("POST", "/"))


def test_without_the_plug_there_is_no_token():
    with pytest.raises(PlugError, match="CSRFProtection"):
        get_csrf_token(Session(store=MemoryStore(), key="a")(conn("GET", "/")))


@pytest.mark.parametrize("options", [{"with_": "nothing"}, {"allow_hosts": "example.com"}])
def test_options_are_checked(options):
    with pytest.raises(ValueError, match=r"."):
        CSRFProtection(**options)
