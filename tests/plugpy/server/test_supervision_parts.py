"""Backoff, and the number of CPUs."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.server.backoff import LONGEST_DELAY, backoff
from plugpy.server.cpus import available_cpus


def test_the_first_restart_is_at_once_and_later_ones_wait_twice_as_long() -> None:
    assert [backoff(failures) for failures in range(1, 6)] == [0.0, 0.1, 0.2, 0.4, 0.8]


@given(st.integers(1, 10_000))
def test_a_restart_never_waits_longer_than_the_longest_delay(failures: int) -> None:
    assert 0.0 <= backoff(failures) <= backoff(failures + 1) <= LONGEST_DELAY


@pytest.mark.parametrize(
    ("quota", "count"),
    [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None), ("nonsense", None)],
)
def test_a_quota_of_the_control_group_counts(tmp_path: Path, quota: str, count: int | None) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")
    without = available_cpus(str(tmp_path / "missing"))
    assert without >= 1
    assert available_cpus(str(tmp_path / "cpu.max")) == (without if count is None else count)
