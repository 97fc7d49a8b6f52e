"""Signed URLs, and what attackers do to them."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plugpy.signed_urls
from plugpy.conn import ConnError, UnfetchedError
from plugpy.pipeline import Pipeline
from plugpy.plugs import Head, MethodOverride, SignedURL
from plugpy.router import Router
from plugpy.signed_urls import (
    ExpiredSignedURLError,
    InvalidSignedURLError,
    sign_path,
    verify_path,
    verify_url,
)
from plugpy.testing import call, conn

SECRET = "s" * 64
OTHER = "o" * 64
NOW = 1_700_000_000.0


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """The time, which stands still."""

    class Clock:
        now = NOW

        def time(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(plugpy.signed_urls, "time", clock)
    return clock


def invalid(path, **options):
    with pytest.raises(InvalidSignedURLError):
        verify_path(SECRET, path, **options)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/files/7",
        "/files/7?as=pdf",
        "/a/b/?x=1&x=2&y=%20+&z",
        "/ä".encode().decode("latin-1").replace("Ã¤", "%C3%A4"),
        "/~a.b-c_d!$&'()*+,;=:@",
        "/a//b?",
        "/?a=x_signature=1",
        "/?next=/files?page=2",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_signed_path_is_accepted(path, method):
    signed = sign_path(SECRET, path, method=method, salt="files")
    assert signed.startswith(path.rstrip("?"))
    assert verify_path(SECRET, signed, method=method, salt="files") is None
    assert verify_url(conn(method, signed, secret_key_base=SECRET), salt="files").path_info == [
        segment for segment in path.partition("?")[0].split("/") if segment
    ]


def test_what_it_looks_like():
    assert re.fullmatch(
        r"/files/7\?as=pdf&_expires=1700000600&_signature=[A-Za-z0-9_-]{43}",
        sign_path(SECRET, "/files/7?as=pdf", max_age=600),
    )


def test_it_ends(clock):
    signed = sign_path(SECRET, "/files/7", max_age=600)
    clock.now = NOW + 599.9
    verify_path(SECRET, signed)
    clock.now = NOW + 600
    with pytest.raises(ExpiredSignedURLError) as caught:
        verify_path(SECRET, signed)
    assert caught.value.status == 410
    # That it is too old is told to nobody who has not had it.
    invalid(signed.replace("7", "8", 1))
    with pytest.raises(ExpiredSignedURLError):
        verify_path(SECRET, sign_path(SECRET, "/", max_age=600, signed_at=NOW - 600))


def test_a_day_or_for_ever(clock):
    day, ever = sign_path(SECRET, "/"), sign_path(SECRET, "/", max_age="infinity")
    clock.now = NOW + 86_399
    verify_path(SECRET, day)
    clock.now = NOW + 86_400
    with pytest.raises(ExpiredSignedURLError):
        verify_path(SECRET, day)
    clock.now = NOW * 100
    verify_path(SECRET, ever)


def attacks():
    signed = sign_path(SECRET, "/files/7?a=1&b=two", max_age=600)
    path, _, query = signed.partition("?")
    first, second, expires, signature = query.split("&")
    value = signature.partition("=")[2]

    def with_query(*parts):
        return f"{path}?{'&'.join(parts)}"

    last = string.ascii_letters + string.digits + "-_"
    # Of the last letter's six bits two say nothing: a decoder would take four letters for one.
    twin = last[(last.index(value[-1]) + 1) % len(last)]
    return {
        "unsigned": "/files/7?a=1&b=two",
        "no query": "/files/7",
        "other path": signed.replace("/files/7", "/files/8"),
        "longer path": signed.replace("/files/7", "/files/7/"),
        "double slash": signed.replace("/files/7", "//files/7"),
        "encoded letter": signed.replace("/files", "/%66iles"),
        "encoded digit": signed.replace("a=1", "a=%31"),
        "dot segment": signed.replace("/files/7", "/files/./7"),
        "upper case": signed.replace("/files", "/Files"),
        "changed value": signed.replace("b=two", "b=three"),
        "changed name": signed.replace("b=two", "c=two"),
        "order": with_query(second, first, expires, signature),
        "order of ours": with_query(first, second, signature, expires),
        "ours first": with_query(expires, signature, first, second),
        "left out": with_query(first, expires, signature),
        "repeated": with_query(first, first, second, expires, signature),
        "another at the front": with_query("a=2", first, second, expires, signature),
        "another before ours": with_query(first, second, "a=2", expires, signature),
        "another at the end": with_query(first, second, expires, signature, "a=2"),
        "another between": with_query(first, second, expires, "a=2", signature),
        "empty pair": with_query(first, "", second, expires, signature),
        "empty pair at the end": signed + "&",
        "semicolons": signed.replace("&", ";"),
        "later end": signed.replace("1700000600", "1700009999"),
        "no end": with_query(first, second, signature),
        "never": with_query(first, second, "_expires=never", signature),
        "two ends": with_query(first, second, expires, "_expires=never", signature),
        "two ends, ours last": with_query(first, second, "_expires=never", expires, signature),
        "end with a sign": signed.replace("1700000600", "+1700000600"),
        "end with a zero": signed.replace("1700000600", "01700000600"),
        "encoded name of the end": signed.replace("_expires", "%5Fexpires"),
        "encoded name of ours": signed.replace("_signature", "%5fsignature"),
        "no signature": with_query(first, second, expires, "_signature="),
        "short": signed[:-1],
        "long": signed + "A",
        "padded": signed + "=",
        "twin": signed[:-1] + twin,
        "other alphabet": with_query(first, second, expires, f"_signature={value[:-1]}+"),
        "not ASCII": with_query(first, second, expires, f"_signature={value[:-1]}é"),
        "surrogate": with_query(first, second, expires, f"_signature={value[:-1]}\ud800"),
        "two signatures": f"{signed}&{signature}",
        "two signatures, ours first": f"{signed}&_signature=A",
        "as a part": with_query(first, second, expires, f"x{signature}"),
        "as an array": signed.replace("_signature=", "_signature[]="),
        "question mark": signed.replace("&_expires", "?_expires"),
        "moved into the path": signed.replace("?", "%3F", 1),
        "line break": signed.replace("?", "\n", 1),
        "only a signature": f"/?{signature}",
    }


@pytest.mark.parametrize("attack", attacks())
def test_what_was_changed_is_not_accepted(attack):
    attacked = attacks()[attack]
    invalid(attacked)
    with pytest.raises(InvalidSignedURLError) as caught:
        verify_url(conn("GET", attacked, secret_key_base=SECRET))
    assert caught.value.status == 403


@given(st.data())
def test_no_letter_can_be_changed(data):
    signed = sign_path(SECRET, "/files/7?a=1", max_age="infinity")
    position = data.draw(st.integers(0, len(signed) - 1))
    letter = data.draw(st.characters().filter(lambda letter: letter != signed[position]))
    change = data.draw(st.sampled_from(["replace", "insert", "delete"]))
    if change == "replace":
        changed = signed[:position] + letter + signed[position + 1 :]
    elif change == "insert":
        changed = signed[:position] + letter + signed[position:]
    else:
        changed = signed[:position] + signed[position + 1 :]
    invalid(changed)


def test_for_one_method():
    signed = sign_path(SECRET, "/files/7")
    verify_path(SECRET, signed, method="GET")
    verify_path(SECRET, signed, method="HEAD")
    for method in ("POST", "DELETE", "get", "GET\n", ""):
        invalid(signed, method=method)
    invalid(sign_path(SECRET, "/files/7", method="POST"))


def test_for_one_purpose():
    invalid(sign_path(SECRET, "/files/7", salt="files"))
    invalid(sign_path(SECRET, "/files/7", salt="files"), salt="mails")
    invalid(sign_path(SECRET, "/files/7"), salt="files")


def test_of_one_secret_or_one_of_before():
    old = sign_path(OTHER, "/files/7")
    invalid(old)
    verify_path([SECRET, OTHER], old)
    verify_path([SECRET, OTHER], sign_path(SECRET, "/files/7"))
    invalid_for_none = sign_path("n" * 64, "/files/7")
    with pytest.raises(InvalidSignedURLError):
        verify_path([SECRET, OTHER], invalid_for_none)
    with pytest.raises(InvalidSignedURLError):
        verify_path([], old)


@pytest.mark.parametrize(
    "path",
    [
        "files/7",
        "",
        "//evil.example/",
        "https://example.com/",
        "/a b",
        "/ä",
        "/a#fragment",
        "/a?b#fragment",
        "/a%2",
        "/a%zz",
        "/a?b=%",
        "/a?b c",
        "/a\n",
        "/a?b\n",
        "/a/../b",
        "/a/%2e%2E/b",
        "/a/.",
        "/?_expires=never",
        "/?_signature=x",
        "/?a=1&%5Fsignature=x",
        "/?a&_expires",
    ],
)
def test_what_can_not_be_signed(path):
    with pytest.raises(ValueError, match=r"sign|browsers"):
        sign_path(SECRET, path)


@pytest.mark.parametrize("max_age", [0, -1, float("inf"), float("nan")])
def test_an_end_that_is_none(max_age):
    with pytest.raises(ValueError, match="max_age"):
        sign_path(SECRET, "/", max_age=max_age)


def test_short_secrets():
    for attempt in (
        lambda: sign_path("short", "/"),
        lambda: verify_path("short", "/"),
        lambda: SignedURL(secret_key_base="short"),
        lambda: SignedURL(rotating=["short"]),
        lambda: SignedURL(rotating=SECRET),
    ):
        with pytest.raises(ValueError, match="secret"):
            attempt()
    with pytest.raises(UnfetchedError, match="PLUGPY_SECRET_KEY_BASE"):
        verify_url(conn("GET", "/"))


# the plug ---------------------------------------------------------------------------------------


def test_the_plug_takes_the_secret_of_the_server():
    plug = SignedURL(salt="files", rotating=[OTHER])
    for secret in (SECRET, OTHER):
        signed = sign_path(secret, "/files/7", salt="files")
        assert plug(conn("GET", signed, secret_key_base=SECRET)).sent is False
    with pytest.raises(InvalidSignedURLError):
        plug(conn("GET", sign_path(SECRET, "/files/7"), secret_key_base=SECRET))
    assert SECRET not in repr(SignedURL(secret_key_base=SECRET))


def test_on_one_route_below_a_forward():
    files = Router()
    files.get(
        "/:id",
        lambda conn: f"file {conn.path_params['id']}",
        plugs=[SignedURL(secret_key_base=SECRET)],
    )
    router = Router()
    router.forward("/files", files)
    signed = sign_path(SECRET, "/files/7?as=pdf")
    assert call(router, conn("GET", signed)).adapter.sent_body == b"file 7"
    assert call(router, conn("HEAD", signed)).status == 200
    for path in ("/files/7", signed.replace("7", "8", 1)):
        with pytest.raises(ConnError) as caught:
            call(router, conn("GET", path))
        assert caught.value.status == 403


def test_with_head_and_wrong_orders():
    signed = sign_path(SECRET, "/x")
    plug = SignedURL(secret_key_base=SECRET)
    assert call(Pipeline([Head, plug]), conn("HEAD", signed)).method == "GET"
    for other in (Head, MethodOverride):
        with pytest.raises(ValueError, match="wrong order"):
            Pipeline([plug, other]).compile()


def test_nothing_signed_can_be_read_from_the_debugger():
    from plugpy.debugging import Redaction

    signed = sign_path(SECRET, "/x")
    assert signed.rpartition("=")[2] not in Redaction().text(signed)
