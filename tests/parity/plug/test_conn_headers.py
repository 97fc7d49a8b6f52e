"""The cases of Plug's test/plug/conn_test.exs on headers of the response and of the request."""

from collections.abc import Callable
from typing import Any

import pytest

from plugpy.conn import AlreadySentError, Conn, InvalidHeaderError
from plugpy.testing import conn

BAD_KEYS = ["foo\r", "foo\n", "fo:o", "foo\0", "foo ", ""]
BAD_VALUES = ["one\rTWO", "one\n\nTWO", "one\0", "one\r\nset-cookie: a=b"]

Change = Callable[[Conn], Any]


def sent() -> Conn:
    return conn("GET", "/").send_resp(200, "one")


def chunked() -> Conn:
    return conn("GET", "/").send_chunked(200)


def raises_already_sent(c: Conn, change: Change) -> None:
    before = list(c.resp_headers)
    with pytest.raises(AlreadySentError):
        change(c)
    assert c.resp_headers == before


def raises_invalid_header(change: Change) -> None:
    c = conn("GET", "/")
    before = list(c.resp_headers)
    with pytest.raises(InvalidHeaderError):
        change(c)
    assert c.resp_headers == before


# response: put -----------------------------------------------------------------------------------


def test_put_resp_header() -> None:
    c = conn("GET", "/").put_resp_header("x-a", "one")
    assert c.get_resp_header("x-a") == ["one"]
    size = len(c.resp_headers)
    assert c.put_resp_header("x-a", "two").get_resp_header("x-a") == ["two"]
    assert len(c.resp_headers) == size


def test_put_resp_header_raises_when_the_conn_was_already_been_sent() -> None:
    raises_already_sent(sent(), lambda c: c.put_resp_header("x-a", "one"))


def test_put_resp_header_raises_when_the_conn_is_chunked() -> None:
    raises_already_sent(chunked(), lambda c: c.put_resp_header("x-a", "one"))


def test_put_resp_header_raises_when_non_normalized_header_key_given() -> None:
    raises_invalid_header(lambda c: c.put_resp_header("X-A", "one"))


@pytest.mark.parametrize("key", BAD_KEYS)
def test_put_resp_header_raises_when_invalid_header_key_given(key: str) -> None:
    raises_invalid_header(lambda c: c.put_resp_header(key, "one"))


@pytest.mark.parametrize("value", BAD_VALUES)
def test_put_resp_header_raises_when_invalid_header_value_given(value: str) -> None:
    raises_invalid_header(lambda c: c.put_resp_header("x-a", value))


# response: prepend -------------------------------------------------------------------------------


def test_prepend_resp_headers() -> None:
    c = conn("GET", "/").prepend_resp_headers([("x-a", "one")])
    assert c.get_resp_header("x-a") == ["one"]
    c.prepend_resp_headers([("x-a", "two"), ("x-b", "three")])
    assert c.get_resp_header("x-a") == ["two", "one"]
    assert c.resp_headers[:3] == [("x-a", "two"), ("x-b", "three"), ("x-a", "one")]


def test_prepend_resp_headers_raises_when_the_conn_was_already_been_sent() -> None:
    raises_already_sent(sent(), lambda c: c.prepend_resp_headers([("x-a", "one")]))


def test_prepend_resp_headers_raises_when_the_conn_is_chunked() -> None:
    raises_already_sent(chunked(), lambda c: c.prepend_resp_headers([("x-a", "one")]))


def test_prepend_resp_headers_raises_when_non_normalized_header_key_given() -> None:
    raises_invalid_header(lambda c: c.prepend_resp_headers([("x-b", "one"), ("X-A", "one")]))


@pytest.mark.parametrize("value", BAD_VALUES)
def test_prepend_resp_headers_raises_when_invalid_header_value_given(value: str) -> None:
    raises_invalid_header(lambda c: c.prepend_resp_headers([("x-b", "one"), ("x-a", value)]))


@pytest.mark.parametrize("key", BAD_KEYS)
def test_prepend_resp_headers_raises_when_invalid_header_key_given(key: str) -> None:
    raises_invalid_header(lambda c: c.prepend_resp_headers([(key, "one")]))


# response: merge, delete, update -----------------------------------------------------------------


@pytest.mark.parametrize("value", BAD_VALUES)
def test_merge_resp_headers_raises_when_invalid_header_value_given(value: str) -> None:
    raises_invalid_header(lambda c: c.merge_resp_headers([("x-a", value)]))


def test_merge_resp_headers() -> None:
    c = conn("GET", "/").merge_resp_headers({"x-a": "one", "x-b": "two"})
    assert (c.get_resp_header("x-a"), c.get_resp_header("x-b")) == (["one"], ["two"])
    size = len(c.resp_headers)
    c.merge_resp_headers({"x-a": "new"})
    assert (c.get_resp_header("x-a"), c.get_resp_header("x-b")) == (["new"], ["two"])
    assert len(c.resp_headers) == size


def test_delete_resp_header() -> None:
    c = conn("GET", "/").prepend_resp_headers([("x-a", "one"), ("x-a", "two")])
    assert c.delete_resp_header("x-a").get_resp_header("x-a") == []


def test_delete_resp_header_raises_when_the_conn_was_already_been_sent() -> None:
    raises_already_sent(sent(), lambda c: c.delete_resp_header("cache-control"))


def test_update_resp_header() -> None:
    c = conn("GET", "/").put_resp_header("x-a", "one")
    size = len(c.resp_headers)
    c.update_resp_header("x-a", "initial", lambda value: value + ", two")
    assert c.get_resp_header("x-a") == ["one, two"]
    assert len(c.resp_headers) == size

    c = conn("GET", "/").update_resp_header("x-a", "initial", str.upper)
    assert c.get_resp_header("x-a") == ["initial"]

    c = conn("GET", "/")
    c.resp_headers = [("x-a", "one"), ("x-a", "two")]
    c.update_resp_header("x-a", "initial", str.upper)
    assert c.get_resp_header("x-a") == ["ONE", "two"]


def test_update_resp_header_raises_when_the_conn_was_already_been_sent() -> None:
    raises_already_sent(sent(), lambda c: c.update_resp_header("x-a", "initial", str.upper))


def test_update_resp_header_raises_when_the_conn_is_chunked() -> None:
    raises_already_sent(chunked(), lambda c: c.update_resp_header("x-a", "initial", str.upper))


def test_put_resp_content_type() -> None:
    c = conn("GET", "/").put_resp_content_type("text/html")
    assert c.get_resp_header("content-type") == ["text/html; charset=utf-8"]
    c.put_resp_content_type("text/html", "iso-8859-1")
    assert c.get_resp_header("content-type") == ["text/html; charset=iso-8859-1"]
    c.put_resp_content_type("text/html", None)
    assert c.get_resp_header("content-type") == ["text/html"]


# request -----------------------------------------------------------------------------------------


def test_get_req_header_put_req_header_and_delete_req_header() -> None:
    c = conn("GET", "/")
    assert c.get_req_header("x-a") == []
    assert c.put_req_header("x-a", "one").get_req_header("x-a") == ["one"]
    assert c.put_req_header("x-a", "two").get_req_header("x-a") == ["two"]
    assert c.delete_req_header("x-a").get_req_header("x-a") == []


def test_merge_req_headers() -> None:
    c = conn("GET", "/").merge_req_headers({"x-a": "one", "x-b": "two"})
    assert (c.get_req_header("x-a"), c.get_req_header("x-b")) == (["one"], ["two"])
    size = len(c.req_headers)
    c.merge_req_headers({"x-a": "new"})
    assert (c.get_req_header("x-a"), c.get_req_header("x-b")) == (["new"], ["two"])
    assert len(c.req_headers) == size


def test_prepend_req_headers() -> None:
    c = conn("GET", "/").prepend_req_headers([("x-a", "one")])
    assert c.get_req_header("x-a") == ["one"]
    c.prepend_req_headers([("x-a", "two")])
    assert c.get_req_header("x-a") == ["two", "one"]


def test_put_req_header() -> None:
    c = conn("GET", "/", headers=[("X-A", "one"), ("x-b", "two")])
    size = len(c.req_headers)
    assert c.put_req_header("x-a", "new").get_req_header("x-a") == ["new"]
    assert len(c.req_headers) == size


@pytest.mark.parametrize("key", ["X-A", "Host", "x a", "x\r"])
def test_put_req_header_raises_when_non_normalized_header_key_given(key: str) -> None:
    raises_invalid_header(lambda c: c.put_req_header(key, "one"))


def test_prepend_req_headers_raises_when_non_normalized_header_key_given() -> None:
    raises_invalid_header(lambda c: c.prepend_req_headers([("X-A", "one")]))


def test_put_req_header_raises_when_trying_to_set_the_host_header() -> None:
    for change in (
        lambda c: c.put_req_header("host", "evil"),
        lambda c: c.prepend_req_headers([("host", "evil")]),
        lambda c: c.merge_req_headers({"host": "evil"}),
    ):
        c = conn("GET", "/")
        with pytest.raises(InvalidHeaderError, match=r"conn\.host"):
            change(c)
        assert c.get_req_header("host") == ["www.example.com"]


def test_delete_req_header() -> None:
    c = conn("GET", "/", headers=[("x-a", "one"), ("x-a", "two")])
    assert c.delete_req_header("x-a").get_req_header("x-a") == []
    assert c.delete_req_header("x-a").get_req_header("host") == ["www.example.com"]


def test_update_req_header() -> None:
    c = conn("GET", "/", headers={"x-a": "one"})
    size = len(c.req_headers)
    c.update_req_header("x-a", "initial", lambda value: value + ", two")
    assert c.get_req_header("x-a") == ["one, two"]
    assert len(c.req_headers) == size

    c = conn("GET", "/").update_req_header("x-a", "initial", str.upper)
    assert c.get_req_header("x-a") == ["initial"]

    c = conn("GET", "/", headers=[("x-a", "one"), ("x-a", "two")])
    c.update_req_header("x-a", "initial", str.upper)
    assert c.get_req_header("x-a") == ["ONE", "two"]


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.put_req_header("x-a", "one"),
        lambda c: c.prepend_req_headers([("x-a", "one")]),
        lambda c: c.merge_req_headers({"x-a": "one"}),
        lambda c: c.update_req_header("x-a", "one", str.upper),
        lambda c: c.delete_req_header("x-a").put_req_header("x-a", "one"),
    ],
)
def test_request_headers_may_be_changed_after_the_response_was_sent(change: Change) -> None:
    """On purpose unlike Plug: callbacks, loggers and error pages run then and may rewrite them."""
    for c in (sent(), chunked()):
        change(c)
        assert c.get_req_header("x-a") == ["one"]
