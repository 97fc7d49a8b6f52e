"""The cases of Plug's test/plug/head_test.exs."""

from plugpy.pipeline import Pipeline
from plugpy.plugs import Head
from plugpy.testing import call, conn


def test_converts_head_requests_to_get_requests() -> None:
    assert Head()(conn("HEAD", "/")).method == "GET"


def test_head_responses_have_headers_but_do_not_have_a_body() -> None:
    def answer(c):
        return c.put_resp_header("x-here", "yes").send_resp(200, "a body")

    c = call(Pipeline([Head, answer]), conn("HEAD", "/"))
    assert (c.method, c.status, c.get_resp_header("x-here")) == ("GET", 200, ["yes"])
    assert c.adapter.sent_body == b""


def test_if_the_request_is_different_from_head_conn_must_be_returned_as_is() -> None:
    c = conn("GET", "/")
    assert Head()(c) is c
    assert c.method == "GET"
