"""Timeout."""

from __future__ import annotations

import asyncio

import pytest

from plugpy.pipeline import Pipeline, wrap
from plugpy.plugs import Timeout
from plugpy.plugs.timeout import PlugTimeoutError
from plugpy.testing import call, conn


async def forever(conn):
    await asyncio.Event().wait()


async def quick(conn):
    return conn.send_resp(200, "")


async def theirs(conn):
    raise TimeoutError("theirs")


@pytest.mark.parametrize(("options", "status"), [({}, 503), ({"status": 504}, 504)])
def test_what_takes_too_long_is_cancelled(options, status):
    with pytest.raises(PlugTimeoutError) as caught:
        call(Pipeline([wrap(Timeout, seconds=0.001, **options), forever]), conn("GET", "/"))
    assert caught.value.status == status


def test_what_is_in_time_is_not():
    assert call(Pipeline([wrap(Timeout, seconds=60), quick]), conn("GET", "/")).status == 200


def test_a_plug_that_is_not_async_needs_no_loop():
    plugs = [wrap(Timeout, seconds=60), lambda conn: conn.send_resp(200, "")]
    assert Pipeline(plugs)(conn("GET", "/")).status == 200


def test_a_timeout_of_theirs_stays_theirs():
    with pytest.raises(TimeoutError, match="theirs"):
        call(Pipeline([wrap(Timeout, seconds=60), theirs]), conn("GET", "/"))


@pytest.mark.parametrize("options", [{"seconds": 0}, {"seconds": 1, "status": 200}])
def test_options_are_checked(options):
    with pytest.raises(ValueError, match=r"."):
        Timeout(quick, **options)
    with pytest.raises(TypeError):
        Timeout(None, seconds=1)
