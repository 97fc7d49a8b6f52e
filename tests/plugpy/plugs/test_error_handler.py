"""ErrorHandler (Plug.ErrorHandler)."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from plugpy.conn import MethodNotAllowedError, NoRouteError
from plugpy.pipeline import Pipeline, wrap
from plugpy.plugs import ErrorHandler
from plugpy.router import Router, forward, post
from plugpy.testing import call, conn, serving


def crash(conn):
    raise RuntimeError("secret")


async def crash_later(conn):
    await asyncio.sleep(0)
    raise RuntimeError("secret")


def apologize(conn, error):
    return conn.json({"error": type(error).__name__})


async def apologize_later(conn, error):
    await asyncio.sleep(0)
    return apologize(conn, error)


@pytest.mark.parametrize("plug", [crash, crash_later])
@pytest.mark.parametrize("handler", [apologize, apologize_later])
def test_a_crash_is_answered_and_goes_on(plug, handler):
    sent = conn("GET", "/")
    with pytest.raises(RuntimeError, match="secret"):
        call(Pipeline([wrap(ErrorHandler, handle_errors=handler), plug]), sent)
    assert sent.status == 500
    assert sent.adapter.sent_body == b'{"error":"RuntimeError"}'


def test_the_status_is_that_of_the_error():
    def missing(conn):
        raise NoRouteError

    sent = conn("GET", "/")
    with pytest.raises(NoRouteError):
        Pipeline([wrap(ErrorHandler), missing])(sent)
    assert sent.status == 404
    assert sent.adapter.sent_body == b"Something went wrong"


def test_a_response_that_has_begun_is_left_alone():
    def late(conn):
        conn.send_resp(200, "fine")
        raise RuntimeError

    sent = conn("GET", "/")
    with pytest.raises(RuntimeError):
        Pipeline([wrap(ErrorHandler, handle_errors=apologize), late])(sent)
    assert sent.adapter.sent_body == b"fine"


@pytest.mark.parametrize("is_async", [True, False])
def test_nothing_happens_without_an_error(is_async):
    async def later(conn):
        return conn.send_resp(200, "fine")

    plug = later if is_async else lambda conn: conn.send_resp(200, "fine")
    assert call(Pipeline([wrap(ErrorHandler), plug]), conn("GET", "/")).status == 200


def test_it_goes_around_plugs():
    with pytest.raises(TypeError):
        Pipeline([ErrorHandler]).compile()


def test_a_405_says_what_is_allowed():
    router = Router(not_found=False)
    router.wrap(ErrorHandler, handle_errors=apologize)
    router.post("/")(lambda conn: conn.text("made"))
    sent = conn("GET", "/")
    with pytest.raises(MethodNotAllowedError):
        router(sent)
    assert (sent.status, sent.get_resp_header("allow")) == (405, ["POST, OPTIONS"])


@pytest.mark.parametrize("handler", [apologize, apologize_later])
@pytest.mark.parametrize("has_more", [True, False])
async def test_below_a_forward_it_answers_and_nobody_answers_again(caplog, handler, has_more):
    """As in Plug: to the handler of a router below, that there is no route is an error."""

    class Below(Router):
        wrap(ErrorHandler, handle_errors=handler)

        @post("/made")
        def made(self, conn):
            return conn.text("made")

    top = Router(routes=[forward("/below", to=Below)])
    if has_more:
        top.wrap(ErrorHandler, handle_errors=lambda conn, error: conn.text("the top"))
        for status in (404, 405):
            top.error(status)(lambda conn, error: "the top")
    async with serving(top) as server, httpx.AsyncClient(base_url=server.url) as http:
        answer = await http.get("/below/nowhere")
        assert (answer.status_code, answer.json()) == (404, {"error": "NoRouteError"})
        answer = await http.get("/below/made")
        assert (answer.status_code, answer.json()) == (405, {"error": "MethodNotAllowedError"})
        assert answer.headers["allow"] == "POST, OPTIONS"
        assert (await http.post("/below/made")).text == "made"
        assert (await http.get("/nowhere")).status_code == 404
    assert [record for record in caplog.records if record.name.startswith("plugpy")] == []
