"""The figures of a run and how they are shown."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugpy.load import LoadOptions, LoadReport
from plugpy.load.pacing import ClosedLoop, OpenLoop
from plugpy.load.plot import NINES, ROWS, percentile_plot
from plugpy.load.tally import Tally


def report_of(tally: Tally, **options: Any) -> LoadReport:
    return LoadReport(
        LoadOptions(url="http://a/", **options),
        tally,
        sent=sum(tally.statuses.values()) + sum(tally.errors.values()),
        in_flight=0,
        seconds=2.0,
        client_cpu=0.5,
    )


class TestTally:
    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.floats(0, 4000), min_size=1, max_size=200))
    def test_percentiles_are_right_to_three_figures(self, seconds: list[float]) -> None:
        tally = Tally()
        for each in seconds:
            tally.answer(200, each)
        report = report_of(tally)
        ordered = sorted(min(max(each, 1e-6), 3600) for each in seconds)
        for point in (50.0, 99.0, 100.0):
            expected = ordered[max(math.ceil(len(ordered) * point / 100 - 1e-9) - 1, 0)]
            assert report.percentiles((point,))[point] == pytest.approx(
                expected, rel=2e-3, abs=2e-6
            )

    def test_many_distinct_latencies_take_bounded_memory(self) -> None:
        tally = Tally()
        for number in range(0, 10_000_000, 97):
            tally.latency((number + 0.5) / 1e6)
        assert len(tally._latencies) < 24_000
        assert tally.histogram.get_total_count() == 10_000_000 // 97 + 1


class TestDict:
    def test_shape(self) -> None:
        tally = Tally()
        for _ in range(99):
            tally.answer(200, 0.010)
        tally.answer(503, 0.100)
        tally.error("timeout")
        tally.error("reset", "Connection reset by peer")
        figures = report_of(tally, connections=7, requests=102).as_dict()
        assert figures["requests"] == {"sent": 102, "answered": 100, "failed": 3, "in_flight": 0}
        assert figures["statuses"] == {"200": 99, "503": 1}
        assert figures["errors"] == {
            "reset": {"count": 1, "message": "Connection reset by peer"},
            "timeout": {"count": 1, "message": "no answer in time"},
        }
        assert (figures["mode"], figures["rate"], figures["connections"]) == ("closed", None, 7)
        assert figures["requests_per_second"] == 50
        assert figures["latency_ms"]["max"] == pytest.approx(100, rel=1e-3)
        assert figures["latency_ms"]["percentiles"]["50"] == pytest.approx(10, rel=1e-3)
        assert list(figures["latency_ms"]["percentiles"])[-1] == "99.99"
        assert figures["client_cpu"] == 0.25

    def test_without_an_answer_there_is_no_latency(self) -> None:
        assert report_of(Tally(), rate=5).as_dict()["latency_ms"] is None
        assert "Latency" not in report_of(Tally()).as_text()


class TestText:
    def test_says_from_when_latencies_count(self) -> None:
        tally = Tally()
        tally.answer(200, 0.001)
        assert "from the sending of each request" in report_of(tally).as_text()
        assert "was due, at 1,000/s" in report_of(tally, rate=1000).as_text()
        assert "from the connect" in report_of(tally, keep_alive=False).as_text()

    def test_says_when_the_client_is_the_bottleneck(self) -> None:
        tally = Tally()
        tally.answer(200, 0.001)
        report = report_of(tally)
        assert "whole core" not in report.as_text()
        report.client_cpu = 1.9
        assert "whole core" in report.as_text()

    def test_groups_numbers_and_names_errors(self) -> None:
        tally = Tally()
        tally.error("connect", "Cannot assign requested address", 1234)
        words = " ".join(report_of(tally).as_text().split())
        assert "Failed 1,234 connection failed (Cannot assign requested address)" in words


class TestPlot:
    def test_grows_to_the_highest_value_and_never_falls(self) -> None:
        def percentiles(points: tuple[float, ...]) -> dict[float, float]:
            assert points[0] == 0
            assert points[-1] == pytest.approx(100 - 10 ** (2 - NINES))
            return {point: 0.001 + point / 1000 for point in points}

        lines = percentile_plot(percentiles, width=80)
        assert len(lines) == ROWS + 2
        assert max(len(line) for line in lines) <= 80
        columns = list(zip(*(line.ljust(80)[13:] for line in lines[:ROWS]), strict=True))
        heights = [sum(" ▁▂▃▄▅▆▇█".index(block) for block in column) for column in columns]
        while heights[-1] == 0:
            heights.pop()
        assert heights == sorted(heights)
        assert heights[-1] == ROWS * 8
        assert heights[0] >= 1
        assert "99.9 %" in lines[-1]

    def test_in_ascii(self) -> None:
        lines = percentile_plot(
            lambda points: dict.fromkeys(points, 0.5), width=40, ascii_only=True
        )
        assert "\n".join(lines).isascii()


def test_plot_of_nothing_but_zeros() -> None:
    assert percentile_plot(lambda points: dict.fromkeys(points, 0.0), width=10)


class TestPacing:
    def test_closed_loop_ends_by_number_or_by_time(self) -> None:
        pacing = ClosedLoop(2, None)
        pacing.start(10.0)
        assert [pacing.take(11.0), pacing.take(12.0), pacing.take(13.0)] == [11.0, 12.0, None]
        assert pacing.exhausted(13.0)
        pacing = ClosedLoop(None, 5.0)
        pacing.start(10.0)
        assert pacing.take(14.9) == 14.9
        assert not pacing.exhausted(14.9)
        assert pacing.take(15.0) is None
        assert pacing.exhausted(15.0)

    @given(
        rate=st.floats(0.5, 1e5),
        requests=st.integers(1, 300),
        waits=st.lists(st.floats(0, 10), max_size=50),
    )
    def test_open_loop_hands_out_each_moment_once_and_never_early(
        self, rate: float, requests: int, waits: list[float]
    ) -> None:
        pacing = OpenLoop(rate, requests, None)
        pacing.start(100.0)
        now, taken = 100.0, []
        for wait in waits:
            now += wait
            due = pacing.overdue(now)
            while (moment := pacing.take(now)) is not None:
                assert moment <= now
                taken.append(moment)
                due -= 1
            # Rounding may move the last one over the edge.
            assert abs(due) <= 1
        assert taken == [100.0 + k / rate for k in range(len(taken))]
        assert pacing.issued == len(taken) <= requests
