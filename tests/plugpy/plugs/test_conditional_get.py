"""ConditionalGet and ETag."""

from __future__ import annotations

import pytest

from plugpy.pipeline import Pipeline, compile_pipeline
from plugpy.plugs import ConditionalGet, ETag
from plugpy.plugs.conditional_get import fresh
from plugpy.testing import conn

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
BOTH = [ConditionalGet, ETag]


def page(body="page", status=200, **headers):
    def plug(conn):
        for name, value in headers.items():
            conn.put_resp_header(name.replace("_", "-"), value)
        return conn.send_resp(status, body)

    return plug


def ask(*plugs, method="GET", **headers):
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Pipeline(list(plugs))(conn(method, "/", headers=sent))


def etag_of(sent):
    (value,) = sent.get_resp_header("etag")
    return value


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_the_page_gets_a_304(method):
    first = ask(*BOTH, page())
    second = ask(*BOTH, page(vary="accept"), method=method, if_none_match=etag_of(first))
    assert first.status == 200
    assert second.status == 304
    assert second.adapter.sent_body == b""
    assert etag_of(second) == etag_of(first)
    assert second.get_resp_header("vary") == ["accept"]
    assert ask(*BOTH, page("other"), if_none_match=etag_of(first)).status == 200


def test_headers_of_the_body_go():
    answered = ask(
        ConditionalGet,
        page(etag='"1"', content_type="text/css", last_modified=DATE, x_own="1"),
        if_none_match='"1"',
    )
    names = {name for name, _ in answered.adapter.sent_headers}
    assert names == {"cache-control", "etag", "x-own"}


def test_by_date():
    assert ask(ConditionalGet, page(last_modified=DATE), if_modified_since=DATE).status == 304


@pytest.mark.parametrize("status", [201, 404, 500])
def test_other_statuses_stay(status):
    answered = ask(*BOTH, page(status=status, etag='"1"'), if_none_match='"1"')
    assert answered.status == status
    assert answered.adapter.sent_body == b"page"


def test_other_methods_stay():
    assert ask(*BOTH, page(etag='"1"'), method="POST", if_none_match='"1"').status == 200


def test_a_precondition_that_fails():
    assert ask(ConditionalGet, page(etag='"1"'), if_match='"2"').status == 412


@pytest.mark.parametrize("body", ["page", b"page", ["pa", b"ge"], iter(["pa", "ge"])])
def test_the_etag_is_of_the_body(body):
    answered = ask(ETag, page(body))
    assert etag_of(answered) == etag_of(ask(ETag, page()))
    assert answered.adapter.sent_body == b"page"


@pytest.mark.parametrize(
    ("plug", "method"),
    [
        (page(status=404), "GET"),
        (page(), "POST"),
        (page(cache_control="private, no-store"), "GET"),
    ],
)
def test_what_gets_no_etag(plug, method):
    assert ask(ETag, plug, method=method).get_resp_header("etag") == []


def test_an_etag_of_the_handler_stays():
    assert etag_of(ask(ETag, page(etag='"mine"'))) == '"mine"'


def test_a_strong_one():
    assert etag_of(ask((ETag, {"weak": False}), page())).startswith('"')


def test_a_wrong_order_is_refused_at_start():
    with pytest.raises(ValueError, match="ETag needs ConditionalGet before it"):
        compile_pipeline([ETag, ConditionalGet])


@pytest.mark.parametrize(
    ("headers", "options", "expected"),
    [
        ({"if-none-match": '"1"'}, {"etag": "1"}, True),
        ({"if-none-match": '"1"'}, {"etag": 'W/"1"'}, True),
        ({"if-none-match": '"1"'}, {"etag": "2"}, False),
        ({"if-modified-since": DATE}, {"last_modified": 784111777.5}, True),
        ({"if-modified-since": DATE}, {"last_modified": 784111778}, False),
        ({}, {"etag": "1"}, False),
    ],
)
def test_a_handler_may_ask_before_it_works(headers, options, expected):
    sent = conn("GET", "/", headers=headers)
    assert fresh(sent, **options) is expected
    assert sent.get_resp_header("etag") or sent.get_resp_header("last-modified") == [
        DATE if expected else "Sun, 06 Nov 1994 08:49:38 GMT"
    ]
