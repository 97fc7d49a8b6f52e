"""Restart intensity, backoff, and the number of CPUs."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.server.cpus import available_cpus
from plugpy.server.intensity import LONGEST_DELAY, Intensity, backoff


def test_the_first_restart_is_at_once_and_later_ones_wait_twice_as_long() -> None:
    assert [backoff(failures) for failures in range(1, 6)] == [0.0, 0.1, 0.2, 0.4, 0.8]


@given(st.integers(1, 10_000))
def test_a_restart_never_waits_longer_than_the_longest_delay(failures: int) -> None:
    assert 0.0 <= backoff(failures) <= backoff(failures + 1) <= LONGEST_DELAY


def test_the_intensity_is_exceeded_by_one_restart_too_many_in_the_window() -> None:
    intensity = Intensity(2, 5.0)
    assert not intensity.exceeded(0.0)
    assert not intensity.exceeded(1.0)
    assert intensity.exceeded(4.9)


def test_restarts_out_of_the_window_are_forgotten() -> None:
    intensity = Intensity(2, 5.0)
    assert not any(intensity.exceeded(moment) for moment in (0.0, 3.0, 6.0, 9.0, 12.0))


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(0, 5))
def test_intensity_agrees_with_counting(gaps: list[float], limit: int) -> None:
    intensity, moments, now = Intensity(limit, 5.0), list[float](), 0.0
    for gap in gaps:
        now += gap
        moments.append(now)
        recent = [moment for moment in moments if moment >= now - 5.0]
        assert intensity.exceeded(now) == (len(recent) > limit)


@pytest.mark.parametrize(
    ("quota", "count"),
    [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None), ("nonsense", None)],
)
def test_a_quota_of_the_control_group_counts(tmp_path: Path, quota: str, count: int | None) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")
    without = available_cpus(str(tmp_path / "missing"))
    assert without >= 1
    assert available_cpus(str(tmp_path / "cpu.max")) == (without if count is None else count)
