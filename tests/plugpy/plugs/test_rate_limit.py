"""RateLimit."""

from __future__ import annotations

import pytest

from plugpy.conn import PeerData
from plugpy.plugs import RateLimit
from plugpy.testing import conn


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def ask(guard, address="10.0.0.1"):
    return guard(conn("GET", "/", peer=PeerData(address, 1)))


def header(sent, name):
    (value,) = sent.get_resp_header(name)
    return value


def test_so_many_at_once_and_then_one_by_one(clock):
    guard = RateLimit(limit=3, window=30, clock=clock)
    assert [ask(guard).status for _ in range(5)] == [None, None, None, 429, 429]
    clock.now = 9.9
    assert ask(guard).status == 429
    clock.now = 10.0
    assert [ask(guard).status for _ in range(2)] == [None, 429]
    clock.now = 1000.0
    assert [ask(guard).status for _ in range(4)] == [None, None, None, 429]


def test_what_a_client_is_told(clock):
    guard = RateLimit(limit=2, window=60, name="api", clock=clock)
    first, second, third = (ask(guard) for _ in range(3))
    assert header(first, "ratelimit-policy") == '"api";q=2;w=60'
    assert header(first, "ratelimit") == '"api";r=1;t=30'
    assert header(second, "ratelimit") == '"api";r=0;t=60'
    assert header(third, "ratelimit") == '"api";r=0;t=30'
    assert header(third, "retry-after") == "30"
    assert third.halted
    assert not first.halted


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_who_is_one_client(clock, one, other, same):
    guard = RateLimit(limit=1, clock=clock)
    ask(guard, one)
    assert (ask(guard, other).status == 429) is same


def test_a_key_of_ones_own(clock):
    guard = RateLimit(limit=1, clock=clock, key=lambda conn: None)
    assert [ask(guard).status for _ in range(3)] == [None] * 3


def test_the_number_of_clients_is_bounded(clock):
    guard = RateLimit(limit=1, max_keys=2, clock=clock)
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        ask(guard, address)
    assert ask(guard, "10.0.0.3").status == 429
    assert ask(guard, "10.0.0.1").status is None


@pytest.mark.parametrize(
    "options", [{"limit": 0}, {"limit": 1, "window": 0}, {"limit": 1, "name": "a b"}]
)
def test_options_are_checked(options):
    with pytest.raises(ValueError, match=r"."):
        RateLimit(**options)
