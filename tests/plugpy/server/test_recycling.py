"""max-requests and max-rss: the limits of a worker and their jitter."""

import itertools
import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.server.recycling import Limits, jittered, resident_size

SETTINGS = {"max_requests": 0, "max_requests_jitter": 0, "max_rss": 0, "max_rss_jitter": 0}


def limits(start: int = 1, resident: int | None = 50_000_000, **settings: int) -> Limits:
    return Limits({**SETTINGS, **settings}, start, resident)


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(1, 10**6))
def test_a_limit_is_within_its_jitter_and_the_same_each_time(
    limit: int, jitter: int, start: int
) -> None:
    assert limit <= jittered(limit, jitter, start) <= limit + jitter
    assert jittered(limit, jitter, start) == jittered(limit, jitter, start)
    assert jittered(0, jitter, start) == 0


def test_the_jitter_is_spread_evenly() -> None:
    tenths = [0] * 10
    for start in range(1, 1001):
        tenths[jittered(1, 999, start) * 10 // 1001] += 1
    assert all(97 <= count <= 103 for count in tenths), tenths


@given(st.integers(1, 10**6))
def test_of_four_workers_that_start_together_no_two_are_close(first: int) -> None:
    found = sorted(jittered(1000, 7000, first + number) for number in range(4))
    assert min(b - a for a, b in itertools.pairwise(found)) >= 1000


@pytest.mark.parametrize(
    ("settings", "requests", "resident", "reached"),
    [
        ({}, 10**9, 10**12, None),
        ({"max_requests": 100}, 99, None, None),
        ({"max_requests": 100}, 100, None, "100 requests served, the limit is 100"),
        ({"max_rss": 90_000_000}, 10**9, 89_999_999, None),
        ({"max_rss": 90_000_000}, 0, 95_500_000, "95.5 MB resident, the limit is 90.0 MB"),
        ({"max_rss": 90_000_000}, 0, None, None),
    ],
)
def test_when_a_limit_is_reached(
    settings: dict[str, int], requests: int, resident: int | None, reached: str | None
) -> None:
    assert limits(**settings).reached(requests, resident) == reached


@pytest.mark.parametrize("resident", [None, 90_000_000, 100_000_000])
def test_a_limit_that_can_not_be_kept_is_off(resident: int | None) -> None:
    found = limits(resident=resident, max_rss=90_000_000)
    assert found.complaint() is not None
    assert found.reached(0, 10**12) is None
    assert limits(resident=80_000_000, max_rss=90_000_000).complaint() is None
    assert limits().complaint() is None


def test_the_size_of_this_process_is_known() -> None:
    before = resident_size()
    if before is None:
        pytest.skip("nobody tells")
    # Not an object: the allocator might have had the room already.
    with mmap.mmap(-1, 50_000_000) as kept:
        kept.write(b"x" * 50_000_000)
        after = resident_size()
    assert after is not None
    assert after - before > 40_000_000
