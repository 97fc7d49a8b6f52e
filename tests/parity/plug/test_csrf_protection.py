"""The cases of Plug's test/plug/csrf_protection_test.exs, with the session in a cookie."""

import asyncio
from typing import Any

import pytest

from plugpy.conn import Conn, PlugError
from plugpy.plugs import CSRFProtection, Session
from plugpy.plugs.csrf_protection import (
    InvalidCrossOriginRequestError,
    InvalidCSRFTokenError,
    delete_csrf_token,
    get_csrf_token,
    get_csrf_token_for,
    valid_csrf_token,
)
from plugpy.plugs.session import CookieStore
from plugpy.testing import conn

SESSION = Session(
    store=CookieStore(signing_salt="signing", encryption_salt="encryption"), key="app"
)
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
JAVASCRIPT = "text/javascript; charset=utf-8"


def begin(
    method: str = "GET", before: Conn | None = None, sent: Any = None, token: str | None = None
) -> Conn:
    """A conn with a session, that of the answer before; the token as a field of a form."""
    headers = dict(sent or {})
    if before is not None:
        headers["cookie"] = f"app={before.resp_cookies['app']['value']}"
    c = SESSION(conn(method, "/", headers=headers, secret_key_base="s" * 64))
    c.body_params = {} if token is None else {"_csrf_token": token}
    return c.put_session("key", "value")


def ask(*about: Any, plug: CSRFProtection | None = None, **more: Any) -> Conn:
    return (plug or CSRFProtection())(begin(*about, **more))


def answered() -> Conn:
    """What a browser got: a session without a token."""
    return ask().send_resp(200, "")


def form(url: str | None = None) -> tuple[Conn, str]:
    """What a browser got: a session, and a form with a token."""
    c = ask()
    token = get_csrf_token(c) if url is None else get_csrf_token_for(c, url)
    return c.send_resp(200, token), token


def is_refused(*about: Any, **more: Any) -> None:
    with pytest.raises(InvalidCSRFTokenError) as caught:
        ask(*about, **more)
    assert caught.value.status == 403


def is_allowed(before: Conn, **more: Any) -> None:
    for method in UNSAFE:
        assert not ask(method, before, **more).halted


def test_token_has_no_padding() -> None:
    assert not any("=" in form(url)[1] for url in (None, "//other.example.com"))


def test_token_is_stored_in_process_dictionary() -> None:
    c = ask()
    first = get_csrf_token(c)
    kept = c.get_session("_csrf_token")
    get_csrf_token(c)
    assert c.get_session("_csrf_token") == kept
    delete_csrf_token(c)
    get_csrf_token(c)
    assert c.get_session("_csrf_token") != kept
    assert not valid_csrf_token(c.get_session("_csrf_token"), first)


def test_token_is_stored_in_process_dictionary_per_host() -> None:
    c = ask()
    get_csrf_token(c)
    kept = c.get_session("_csrf_token")
    for here in ("/", "/a", "//www.example.com", "http://www.example.com/a"):
        assert valid_csrf_token(kept, get_csrf_token_for(c, here))
    for there in ("//other.example.com", "https://other.example.com/a", "http://[::1]/"):
        token = get_csrf_token_for(c, there)
        assert not valid_csrf_token(kept, token)
        assert not valid_csrf_token(kept, token.partition(".")[0])


def test_cannot_generate_token_from_missing_host_in_process() -> None:
    with pytest.raises(PlugError, match="put CSRFProtection before"):
        get_csrf_token_for(begin(), "http://other.example.com")


def test_raise_error_for_missing_authenticity_token_in_session() -> None:
    is_refused("POST")
    is_refused("POST", token="foo")


def test_raise_error_for_invalid_authenticity_token_in_params() -> None:
    is_refused("POST", answered())
    is_refused("POST", answered(), token="foo")
    before, _ = form()
    is_refused("POST", before)
    for token in ("", "foo", form()[1]):
        is_refused("POST", before, token=token)


def test_error_is_raised_when_csrf_token_payload_is_not_a_base64_encoded_string() -> None:
    before, token = form("//www.example.com")
    for bad in ("a", "!" + token[1:], token[:-1] + "ä", token + ".a", token + ".!"):
        is_refused("POST", before, token=bad)


def test_raise_error_when_unrecognized_option_is_sent() -> None:
    with pytest.raises(ValueError, match="with_ is"):
        CSRFProtection(with_="unknown")  # type: ignore[arg-type]


CLEARING = CSRFProtection(with_="clear_session")


def test_clear_session_for_missing_authenticity_token_in_session() -> None:
    assert ask("POST", plug=CLEARING).get_session("key") is None
    assert ask("POST", token="foo", plug=CLEARING).get_session("key") is None


def test_clear_session_for_invalid_authenticity_token_in_params() -> None:
    before, _ = form()
    assert ask("POST", before, token="foo", plug=CLEARING).get_session("key") is None
    assert ask("POST", before, plug=CLEARING).get_session("key") is None


def test_clear_session_only_for_the_current_running_connection() -> None:
    before, token = form()
    assert ask("POST", before, plug=CLEARING).get_session("key") is None
    # In its stead a new session begins; who has the page of before, has its session too.
    c = ask("POST", before, sent={"x-csrf-token": token}, plug=CLEARING)
    assert c.get_session("key") == "value"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_unprotected_requests_are_always_valid(method: str) -> None:
    c = ask(method)
    assert not c.halted
    assert c.get_session("_csrf_token") is None


def test_tokens_are_generated_and_deleted_on_demand() -> None:
    before, _ = form()
    c = ask("GET", before)
    assert c.get_session("_csrf_token")
    delete_csrf_token(c)
    assert c.get_session("_csrf_token") is None


def test_tokens_are_generated_and_deleted_with_custom_key() -> None:
    plug = CSRFProtection(session_key="my_token")
    c = ask(plug=plug)
    token = get_csrf_token(c)
    assert (c.get_session("_csrf_token"), len(token)) == (None, 48)
    assert c.get_session("my_token")
    assert not ask("POST", c.send_resp(200, ""), token=token, plug=plug).halted
    c = ask("GET", c, plug=plug)
    delete_csrf_token(c)
    assert c.get_session("my_token") is None


def test_tokens_are_ignored_when_invalid_and_deleted_on_demand() -> None:
    for kept in ("invalid", "", 42, ["a"]):
        c = ask().put_session("_csrf_token", kept)
        assert valid_csrf_token(c.get_session("_csrf_token"), "foo") is False
        token = get_csrf_token(c)
        assert valid_csrf_token(c.get_session("_csrf_token"), token)


def test_generated_tokens_are_always_masked() -> None:
    c = ask()
    one, two = get_csrf_token(c), get_csrf_token(c)
    assert one != two
    assert all(valid_csrf_token(c.get_session("_csrf_token"), token) for token in (one, two))
    assert c.get_session("_csrf_token") not in (one, two)


def test_valid_state_and_csrf_token_does_not_return_truthy_value_when_given_no_base64() -> None:
    c = ask()
    token = get_csrf_token(c)
    assert not valid_csrf_token(c.get_session("_csrf_token"), "!" + token[1:])
    assert not valid_csrf_token(None, token)


def test_protected_requests_with_token_from_another_process_in_params_are_allowed() -> None:
    c = ask()

    async def in_another() -> str:
        return await asyncio.to_thread(get_csrf_token, c)

    token = asyncio.run(in_another())
    is_allowed(c.send_resp(200, ""), token=token)


def test_protected_requests_with_valid_host_token_in_params_are_allowed() -> None:
    before, token = form("//www.example.com")
    is_allowed(before, token=token)


FOREIGN = "//www.evil.example"


def test_protected_requests_with_invalid_host_token_in_params_are_not_allowed() -> None:
    before, token = form(FOREIGN)
    for method in UNSAFE:
        is_refused(method, before, token=token)
    for hosts in ([".another.example"], ["evil.example"], ["ww.evil.example"]):
        is_refused("POST", before, token=token, plug=CSRFProtection(allow_hosts=hosts))


def test_protected_requests_with_invalid_host_token_when_explicitly_allowed() -> None:
    before, token = form(FOREIGN)
    for host in (".evil.example", "www.evil.example"):
        is_allowed(before, token=token, plug=CSRFProtection(allow_hosts=[host]))


def test_protected_requests_with_valid_token_in_params_are_allowed() -> None:
    before, token = form()
    is_allowed(before, token=token)


def test_protected_requests_with_valid_token_in_header_are_allowed() -> None:
    before, token = form()
    is_allowed(before, sent={"x-csrf-token": token})


@pytest.mark.parametrize(
    "kind", [JAVASCRIPT, "application/javascript", "application/x-javascript", "text/ecmascript"]
)
def test_non_xhr_javascript_get_requests_are_forbidden(kind: str) -> None:
    c = ask().put_resp_header("content-type", kind)
    with pytest.raises(InvalidCrossOriginRequestError) as caught:
        c.send_resp(200, "alert(1)")
    assert caught.value.status == 403


def test_only_xhr_javascript_get_requests_are_allowed() -> None:
    c = ask(sent={"x-requested-with": "XMLHttpRequest"})
    c.put_resp_header("content-type", JAVASCRIPT).send_resp(200, "alert(1)")
    assert c.adapter.sent_body == b"alert(1)"


def test_is_skipped_when_plug_skip_csrf_protection_is_true() -> None:
    for method in ("GET", "POST"):
        c = begin(method).put_private("plug_skip_csrf_protection", True)
        CSRFProtection()(c)
        assert get_csrf_token(c)
        c.put_resp_header("content-type", JAVASCRIPT).send_resp(200, "")
        assert c.status == 200


def test_does_not_delete_token_if_the_plug_is_invoked_twice() -> None:
    before, _ = form()
    c = CSRFProtection()(ask("GET", before))
    kept = c.get_session("_csrf_token")
    get_csrf_token(c)
    assert kept
    assert c.get_session("_csrf_token") == kept
