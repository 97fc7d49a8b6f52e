"""plugpy.telemetry and the plug Telemetry."""

from __future__ import annotations

import pytest

from plugpy import telemetry
from plugpy.plugs import Telemetry
from plugpy.testing import conn


@pytest.fixture(autouse=True)
def nobody_stays():
    yield
    for one in telemetry.handlers():
        telemetry.detach(one.id)


def listen(event, handler_id="me"):
    seen = []
    telemetry.attach(handler_id, event, lambda *args: seen.append(args))
    return seen


def test_who_listens_is_told():
    seen = listen("a.b")
    telemetry.execute("a.b", {"n": 1}, {"m": 2})
    telemetry.execute("a.b")
    telemetry.execute("a.c")
    assert seen == [("a.b", {"n": 1}, {"m": 2}), ("a.b", {}, {})]


def test_several_listen_until_they_are_detached():
    first, second = listen("a", "1"), listen("a", "2")
    assert telemetry.detach("1")
    assert not telemetry.detach("1")
    telemetry.execute("a")
    assert (len(first), len(second)) == (0, 1)
    assert [one.id for one in telemetry.handlers("a")] == ["2"]
    assert telemetry.handlers("b") == []


def test_an_id_is_taken_once():
    listen("a")
    with pytest.raises(ValueError, match="'me'"):
        listen("b")


def test_a_handler_that_raises_is_detached(caplog):
    def broken(*args):
        raise RuntimeError("no")

    telemetry.attach("broken", "a", broken)
    seen = listen("a")
    telemetry.execute("a")
    telemetry.execute("a")
    assert len(seen) == 2
    assert [record.getMessage() for record in caplog.records] == [
        "the handler 'broken' raised on the event 'a': it is detached"
    ]


def test_a_span():
    start, stop = listen("a.start", "1"), listen("a.stop", "2")
    with telemetry.span("a", {"x": 1}) as more:
        more["y"] = 2
    assert start[0][2] == {"x": 1}
    assert stop[0][2] == {"x": 1, "y": 2}
    assert stop[0][1]["duration"] >= 0


def test_a_span_that_fails():
    stop, failed = listen("a.stop", "1"), listen("a.exception", "2")
    error = RuntimeError("no")
    with pytest.raises(RuntimeError), telemetry.span("a"):
        raise error
    assert stop == []
    assert failed[0][2] == {"reason": error}


# the plug -------------------------------------------------------------------------------------


def test_start_and_stop_of_a_request():
    start, stop = listen("app.start", "1"), listen("app.stop", "2")
    sent = Telemetry(event_prefix="app", metadata={"x": 1})(conn("GET", "/"))
    ((_, numbers, about),) = start
    assert about == {"conn": sent, "x": 1}
    assert numbers["system_time"] > 1_600_000_000
    assert stop == []
    sent.send_resp(201, "")
    ((_, numbers, about),) = stop
    assert about["conn"].status == 201
    assert numbers["duration"] >= 0


@pytest.mark.parametrize("prefix", ["", "a b", ".a", "a."])
def test_the_prefix_is_checked(prefix):
    with pytest.raises(ValueError, match="event_prefix"):
        Telemetry(event_prefix=prefix)
