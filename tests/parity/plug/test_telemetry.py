"""The cases of Plug's test/plug/telemetry_test.exs."""

from collections.abc import Iterator
from typing import Any

import pytest

from plugpy.conn import Conn
from plugpy.pipeline import Pipeline
from plugpy.plugs import Telemetry
from plugpy.telemetry import attach, detach
from plugpy.testing import call, conn

Event = tuple[str, dict[str, Any], dict[str, Any]]


@pytest.fixture
def events() -> Iterator[list[Event]]:
    """What was sent, with the state of the conn at that time."""
    seen: list[Event] = []

    def keep(event: str, numbers: Any, about: Any) -> None:
        seen.append((event, dict(numbers), {**about, "state": about["conn"].state}))

    attach("parity-start", "parity.start", keep)
    attach("parity-stop", "parity.stop", keep)
    yield seen
    detach("parity-start")
    detach("parity-stop")


def answer(c: Conn) -> Conn:
    return c.send_resp(200, "answer")


def test_emits_an_event_before_the_pipeline_and_before_sending_the_response(
    events: list[Event],
) -> None:
    plug = Telemetry(event_prefix="parity", metadata={"more": "hello"})
    c = call(Pipeline([plug, answer]), conn("GET", "/"))
    start, stop = events
    assert (start[0], stop[0]) == ("parity.start", "parity.stop")
    assert list(start[1]) == ["system_time"]
    assert start[1]["system_time"] > 0
    assert start[2] == {"conn": c, "more": "hello", "state": "unset"}
    assert list(stop[1]) == ["duration"]
    assert stop[1]["duration"] >= 0
    assert stop[2] == {"conn": c, "more": "hello", "state": "set"}
    assert c.status == 200


def test_doesn_t_emit_a_stop_event_if_the_response_is_not_sent(events: list[Event]) -> None:
    Telemetry(event_prefix="parity")(conn("GET", "/"))
    assert [name for name, _, _ in events] == ["parity.start"]


def test_raises_if_event_prefix_is_not_provided() -> None:
    with pytest.raises(TypeError, match="event_prefix"):
        Telemetry()  # type: ignore[call-arg]


@pytest.mark.parametrize("prefix", [1, ["a", "b"], "", "a..b", "a b"])
def test_raises_if_event_prefix_is_not_a_list_of_atoms(prefix: Any) -> None:
    with pytest.raises(ValueError, match="event_prefix is names with dots"):
        Telemetry(event_prefix=prefix)


def test_doesn_t_emit_a_stop_event_when_the_pipeline_crashes(events: list[Event]) -> None:
    def crash(c: Conn) -> Conn:
        raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        call(Pipeline([Telemetry(event_prefix="parity"), crash, answer]), conn("GET", "/"))
    assert [name for name, _, _ in events] == ["parity.start"]
