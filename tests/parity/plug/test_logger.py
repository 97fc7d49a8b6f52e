"""The cases of Plug's test/plug/logger_test.exs."""

import logging
import re
from typing import Any

import pytest

from plugpy.conn import Conn
from plugpy.pipeline import Pipeline
from plugpy.plugs import Logger
from plugpy.testing import call, conn


def answer(c: Conn) -> Conn:
    return c.send_resp(200, "answer")


def lines(caplog: pytest.LogCaptureFixture, plugs: Any, path: str = "/") -> list[tuple[str, str]]:
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        call(plugs, conn("GET", path))
    return [(record.levelname, record.getMessage()) for record in caplog.records]


@pytest.mark.parametrize("path", ["/", "/hello/world"])
def test_logs_proper_message_to_console(caplog: pytest.LogCaptureFixture, path: str) -> None:
    first, second = lines(caplog, Pipeline([Logger(), answer]), path)
    assert first == ("INFO", f"GET {path}")
    assert second[0] == "INFO"
    assert re.fullmatch(r"Sent 200 in \d+[um]s", second[1])


def test_logs_paths_with_double_slashes_and_trailing_slash(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, _ = lines(caplog, Pipeline([Logger(), answer]), "/hello//world/")
    assert first == ("INFO", "GET /hello//world/")


def test_logs_chunked_if_chunked_reply(caplog: pytest.LogCaptureFixture) -> None:
    def begin(c: Conn) -> Conn:
        return c.send_chunked(200)

    _, second = lines(caplog, Pipeline([Logger(), begin]))
    assert re.fullmatch(r"Chunked 200 in \d+[um]s", second[1])


def test_logs_halted_connections_if_log_on_halt_is_true(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def halter(c: Conn) -> Conn:
        return c.halt()

    (line,) = lines(caplog, Pipeline([halter], log_on_halt="debug"))
    assert line[0] == "DEBUG"
    assert "halted" in line[1]
    assert "halter" in line[1]


def test_logs_proper_log_level_to_console(caplog: pytest.LogCaptureFixture) -> None:
    both = lines(caplog, Pipeline([Logger(log="debug"), answer]))
    assert [level for level, _ in both] == ["DEBUG", "DEBUG"]
    assert lines(caplog, Pipeline([Logger(log=lambda c: None), answer])) == []
