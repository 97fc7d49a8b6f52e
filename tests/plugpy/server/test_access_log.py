"""The access log: its lines, its batches, and readers that are slow or gone."""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from plugpy.conn.head import RequestHead
from plugpy.server.access_log import BATCH, PENDING_LIMIT, AccessLog


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Output:
    """A log that writes into a pipe, and the other end of the pipe."""

    def __init__(self, log_format: str = "text", **options: Any) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.clock = Clock()
        self.log = AccessLog(
            log_format,
            descriptor=self.writing,
            clock=self.clock,
            wall_clock=lambda: 1_795_420_800.25,
            **options,
        )

    def read(self) -> str:
        data = b""
        try:
            while part := os.read(self.reading, 1 << 20):
                data += part
        except BlockingIOError:
            pass
        return data.decode()

    def close(self) -> None:
        for descriptor in (self.reading, self.writing):
            with contextlib.suppress(OSError):
                os.close(descriptor)


@pytest.fixture
def text() -> Iterator[Output]:
    output = Output()
    yield output
    output.close()


@pytest.fixture
def as_json() -> Iterator[Output]:
    output = Output("json")
    yield output
    output.close()


def conn(
    path: str = "/users/42",
    query: str = "",
    *,
    method: str = "GET",
    status: int | None = 200,
    route: Any = None,
    request_id: str | None = None,
) -> Any:
    """What the log takes from a Conn."""
    return SimpleNamespace(
        head=RequestHead(method, path, query, "1.1", "", ""),
        status=status,
        route=route,
        remote_ip="127.0.0.1",
        _resp_headers=[("x-request-id", request_id)] if request_id else None,
    )


def test_a_line_of_text_has_all_its_fields(text: Output) -> None:
    text.log.record(
        conn(query="x=1", route=SimpleNamespace(pattern="/users/:id"), request_id="F8abc"),
        123,
        99.995,
    )
    text.log.close()
    assert text.read() == (
        "2026-11-23T08:00:00.250Z 127.0.0.1 GET /users/42?x=1 200 123B 5.00ms "
        "route=/users/:id request_id=F8abc\n"
    )


def test_a_line_of_json_has_all_its_fields(as_json: Output) -> None:
    as_json.log.record(
        conn(query="x=1", route=SimpleNamespace(pattern="/users/:id"), request_id="F8abc"),
        123,
        99.995,
    )
    as_json.log.close()
    assert json.loads(as_json.read()) == {
        "time": "2026-11-23T08:00:00.250Z",
        "level": "info",
        "logger": "plugpy.access",
        "peer": "127.0.0.1",
        "method": "GET",
        "path": "/users/42",
        "query": "x=1",
        "status": 200,
        "bytes": 123,
        "duration_ms": 5.0,
        "route": "/users/:id",
        "request_id": "F8abc",
    }


HOSTILE = "/a\r\n2026 forged 200\x1b[31m\x9b\u2028"


def test_nothing_from_the_request_can_forge_a_line_of_text(text: Output) -> None:
    text.log.record(conn(HOSTILE, HOSTILE, method="G\nT", request_id="a\nb"), 1, 99.0)
    text.log.close()
    written = text.read()
    assert written.count("\n") == 1
    assert len(written.splitlines()) == 1
    assert "\x1b" not in written


def test_nothing_from_the_request_can_forge_a_line_of_json(as_json: Output) -> None:
    as_json.log.record(conn(HOSTILE + "\ud800", HOSTILE, method="G\nT", request_id="a\nb"), 1, 99.0)
    as_json.log.close()
    written = as_json.read()
    assert written.count("\n") == 1
    assert json.loads(written)["path"] == HOSTILE + "\ud800"


def test_secrets_in_the_query_are_masked(text: Output) -> None:
    text.log.record(conn(query="token=hunter2&x=1"), 1, 99.0)
    text.log.close()
    assert "?token=[masked]&x=1 " in text.read()


def test_colors_are_only_there_when_asked_for() -> None:
    colored, plain = Output(color=True), Output()
    try:
        for output in (colored, plain):
            output.log.record(conn(status=500), 1, 99.0)
            output.log.close()
        assert "\x1b[31m500\x1b[0m" in colored.read()
        assert "\x1b" not in plain.read()
    finally:
        colored.close()
        plain.close()


def test_a_request_that_was_cut_has_no_status(text: Output, as_json: Output) -> None:
    for output in (text, as_json):
        output.log.record(conn(status=None), 0, 99.0)
        output.log.close()
    assert " GET /users/42 - 0B " in text.read()
    assert json.loads(as_json.read())["status"] is None


def test_a_full_batch_is_written_without_waiting(text: Output) -> None:
    for _ in range(BATCH - 1):
        text.log.record(conn(), 1, 99.0)
    assert text.read() == ""
    text.log.record(conn(), 1, 99.0)
    assert text.read().count("\n") == BATCH


async def test_a_few_records_are_written_by_the_timer(loop_output: Output) -> None:
    arrived = asyncio.Event()
    asyncio.get_running_loop().add_reader(loop_output.reading, arrived.set)
    try:
        loop_output.log.record(conn(), 1, 99.0)
        loop_output.log.record(conn("/two"), 1, 99.0)
        await arrived.wait()
    finally:
        asyncio.get_running_loop().remove_reader(loop_output.reading)
    assert loop_output.read().count("\n") == 2


@pytest.fixture
async def loop_output() -> Any:
    output = Output(loop=asyncio.get_running_loop())
    yield output
    output.log.close()
    output.close()


def test_a_slow_reader_never_blocks_and_what_it_misses_is_counted(
    text: Output, caplog: pytest.LogCaptureFixture
) -> None:
    one = conn("/" + "x" * 4000)
    # Far more than the pipe (64 KB) and the pending lines hold; a blocking write would hang here.
    for _ in range(3 * BATCH):
        text.log.record(one, 1, 99.0)
    assert BATCH * 4000 > PENDING_LIMIT
    assert text.log.dropped == 2 * BATCH
    with caplog.at_level(logging.WARNING, "plugpy.access"):
        while text.read():
            text.log.flush()
    assert "were dropped: its reader is slow" in caplog.text
    text.log.record(conn("/after"), 1, 99.0)
    text.log.close()
    assert "/after" in text.read()


def test_a_reader_that_is_gone_ends_the_log_with_one_warning(
    text: Output, caplog: pytest.LogCaptureFixture
) -> None:
    os.close(text.reading)
    with caplog.at_level(logging.WARNING, "plugpy.access"):
        for _ in range(3):
            text.log.record(conn(), 1, 99.0)
            text.log.flush()
    assert caplog.text.count("the access log ends here") == 1


def test_a_flush_without_records_writes_nothing(text: Output) -> None:
    text.log.flush()
    text.log.close()
    assert text.read() == ""
