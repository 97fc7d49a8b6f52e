"""assert_error_sent (Phoenix.ConnTest)."""

import pytest

from plugpy import Router, error, get
from plugpy.conn import Conn
from plugpy.plugs import ErrorHandler
from plugpy.testing import acall, assert_error_sent, assert_error_sent_async, call, conn


class Plain(Router):
    @get("/broken")
    def broken(self, conn: Conn) -> Conn:
        raise LookupError("secret")

    @get("/later")
    async def later(self, conn: Conn) -> Conn:
        raise LookupError("secret")

    @get("/fine")
    def fine(self, conn: Conn) -> Conn:
        return conn.send_resp(200, "")


class Answering(Plain):
    @error(LookupError)
    def missing(self, conn: Conn, error: LookupError) -> Conn:
        return conn.send_resp(404, "gone")


def test_an_error_that_nobody_answers():
    sent = assert_error_sent(500, lambda: Plain()(conn("GET", "/broken")))
    assert sent.body == b"500 Internal Server Error\n"
    assert assert_error_sent("not_found", lambda: call(Plain, conn("GET", "/x"))).status == 404


def test_an_error_that_a_router_answers():
    sent = assert_error_sent(404, lambda: Answering()(conn("GET", "/broken")))
    assert sent.body == b"gone"
    made = conn("GET", "/broken")  # made before
    assert assert_error_sent(404, lambda: Answering()(made)).body == b"gone"


def test_an_error_that_is_answered_and_raised_again():
    handled = ErrorHandler(Plain())
    made = conn("GET", "/broken")
    sent = assert_error_sent(500, lambda: call(handled, made))
    assert sent.body == b"Something went wrong"
    assert made.sent


def test_async_handlers():
    assert assert_error_sent(500, lambda: Plain()(conn("GET", "/later"))).status == 500
    assert assert_error_sent(404, lambda: Answering()(conn("GET", "/later"))).body == b"gone"


async def test_in_an_event_loop():
    sent = await assert_error_sent_async(404, lambda: acall(Answering, conn("GET", "/later")))
    assert sent.body == b"gone"
    sent = await assert_error_sent_async(500, lambda: Plain()(conn("GET", "/broken")))
    assert sent.status == 500
    with pytest.raises(AssertionError, match="none happened"):
        await assert_error_sent_async(404, lambda: None)


def test_another_status():
    with pytest.raises(AssertionError, match=r"404, got 500 for LookupError\('secret'\)") as caught:
        assert_error_sent(404, lambda: Plain()(conn("GET", "/broken")))
    assert isinstance(caught.value.__cause__, LookupError)


def test_no_error():
    with pytest.raises(AssertionError, match="got 200"):
        assert_error_sent(200, lambda: Plain()(conn("GET", "/fine")))
    with pytest.raises(AssertionError, match="none happened"):
        assert_error_sent(404, lambda: None)
