"""ErrorHandler (Plug.ErrorHandler)."""

from __future__ import annotations

import asyncio

import pytest

from plugpy.conn import NoRouteError
from plugpy.pipeline import Pipeline, wrap
from plugpy.plugs import ErrorHandler
from plugpy.testing import call, conn


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
