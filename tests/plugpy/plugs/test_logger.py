"""Logger (Plug.Logger)."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest

from plugpy.plugs import Logger
from plugpy.testing import conn


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.DEBUG, "plugpy.plugs.logger")
    return lambda: [(record.levelname, record.getMessage()) for record in caplog.records]


def test_two_lines(lines):
    Logger()(conn("GET", "/a?token=secret")).send_resp(200, "")
    (one, two) = lines()
    assert one == ("INFO", "GET /a")
    assert two[0] == "INFO"
    assert re.fullmatch(r"Sent 200 in \d+(us|ms)", two[1])


def test_a_chunked_response(lines):
    async def stream():
        sent = Logger()(conn("GET", "/")).send_chunked(200)
        await sent.chunk("x")

    asyncio.run(stream())
    assert lines()[1][1].startswith("Chunked 200 in ")


@pytest.mark.parametrize(
    ("log", "level"),
    [("debug", "DEBUG"), (lambda conn: "error", "ERROR"), (lambda conn: None, None)],
)
def test_the_level(lines, log, level):
    Logger(log=log)(conn("GET", "/")).send_resp(200, "")
    assert {level for level, _ in lines()} == ({level} if level else set())


def test_nobody_hears_it(caplog):
    caplog.set_level(logging.WARNING, "plugpy.plugs.logger")
    sent = Logger()(conn("GET", "/"))
    assert sent._before_send is None
    assert caplog.records == []


def test_an_unknown_level():
    with pytest.raises(ValueError, match="loud"):
        Logger(log="loud")
