"""Limits on one address, and on the rate of accepting: off unless asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import acceptors
from acceptors.peer_limits import FEWEST, Bucket, PeerLimits, key_of


class Refusing(acceptors.Connection):
    __slots__ = ()

    @classmethod
    def refusal(cls, options):
        return b"too many"

    def data_received(self, data):
        self.transport.write(data)


@pytest.mark.parametrize(
    ("policy", "answer"), [("wait", b""), ("close", b""), ("refuse", b"too many")]
)
async def test_connections_of_one_address(listen, connect, wait_for, policy, answer, caplog):
    ref = await listen(Refusing, max_connections_per_ip=2, max_connections_policy=policy)
    clients = [await connect(ref) for _ in range(2)]
    for client in clients:
        assert await client.echo(b"x")
    for _ in range(3):
        late = await connect(ref)
        late.send(b"y")
        assert await late.receive() == answer
    assert await clients[0].echo(b"not disturbed")
    await clients[0].close()
    await wait_for(ref, "==", 1)
    assert await (await connect(ref)).echo(b"there is room")
    said = [r.getMessage() for r in caplog.records if r.name == "acceptors"]
    assert said == [
        f"listener {ref!r}: 127.0.0.1 has more than 2 connections, a further one is turned away"
    ]


async def test_unix_sockets_have_no_address(listen, connect, tmp_path):
    ref = await listen(
        uds=str(tmp_path / "socket"), max_connections_per_ip=1, accept_rate_per_ip=0.001
    )
    clients = [await connect(ref) for _ in range(3)]
    assert all([await client.echo(b"x") for client in clients])


async def test_connections_a_second_of_one_address(listen, connect, clock):
    ref = await listen(accept_rate_per_ip=2)
    for _ in range(2):
        assert await (await connect(ref)).echo(b"x")
    assert not await (await connect(ref)).echo(b"too soon")
    await clock.advance(0.5)
    assert await (await connect(ref)).echo(b"x")
    assert not await (await connect(ref)).echo(b"too soon")


async def test_connections_a_second_wait_in_the_backlog(listen, connect, clock, wait_for, turns):
    ref = await listen(accept_rate=2)
    clients = [await connect(ref) for _ in range(4)]
    for client in clients:
        client.send(b"x")
    await wait_for(ref, "==", 2)
    await turns()
    assert acceptors.info(ref)["metrics"]["accept"] == 2
    for client in clients[:2]:
        assert await client.receive() == b"x"
    await clock.advance(0.5)
    assert await clients[2].receive() == b"x"
    assert acceptors.info(ref)["metrics"]["accept"] == 3
    await clock.advance(0.5)
    assert await clients[3].receive() == b"x"


async def test_limits_can_be_changed_live(listen, connect, wait_for):
    ref = await listen()
    connections = acceptors.listener.find(ref).connections
    assert connections.peer_limits is None  # what is off costs nothing
    first = await connect(ref)
    assert await first.echo(b"x")
    acceptors.set_transport_options(ref, {"max_connections_per_ip": 1})
    second = await connect(ref)
    assert await second.echo(b"who came before is not counted")
    assert not await (await connect(ref)).echo(b"too many")
    acceptors.set_transport_options(ref, {"max_connections_per_ip": "infinity"})
    assert await (await connect(ref)).echo(b"any number")


async def test_an_address_that_a_proxy_tells(listen, connect, wait_for):
    ref = await listen(max_connections_per_ip=1)
    connections = acceptors.listener.find(ref).connections
    limits = connections.peer_limits
    limits.deferred = True
    clients = [await connect(ref) for _ in range(3)]
    assert all([await client.echo(b"x") for client in clients])
    first, second, third = acceptors.procs(ref, "connections")
    assert limits.admit(first, "192.0.2.1")
    assert not limits.admit(second, "192.0.2.1")
    assert limits.admit(second, "2001:db8::1")
    assert not limits.admit(third, "2001:db8::2")
    await clients[0].close()
    await wait_for(ref, "==", 2)
    assert limits.admit(third, "::ffff:192.0.2.1")


def test_what_an_address_counts_as():
    assert key_of("192.0.2.1") == key_of("::ffff:192.0.2.1") == key_of("::ffff:c000:201")
    assert key_of("192.0.2.1") != key_of("192.0.2.2")
    assert key_of("2001:db8:0:1::1") == key_of("2001:db8:0:1:ffff::9") == key_of("2001:db8:0:1::%1")
    assert key_of("2001:db8:0:1::1") != key_of("2001:db8:0:2::1")
    assert key_of("fe80::1%eth0") == key_of("fe80::2")


@given(st.ip_addresses())
def test_every_address_counts_as_something(address):
    assert key_of(str(address)) == key_of(str(address))
    assert len(key_of(str(address))) >= 7


@given(
    st.floats(0.01, 1000),
    st.lists(st.floats(0, 10), min_size=1, max_size=50),
)
def test_a_bucket_gives_its_rate_and_no_more(rate, gaps):
    now, taken = 0.0, 0
    bucket = Bucket(rate, now)
    for gap in gaps:
        now += gap
        taken += bucket.take(rate, now)
        assert taken <= max(rate, 1.0) + rate * now + 1e-6


def test_quiet_addresses_are_forgotten(clock):
    limits = PeerLimits("test")
    limits.change(acceptors.TransportOptions(accept_rate_per_ip=10))
    for number in range(FEWEST):
        assert not limits.turns_away((f"10.0.{number >> 8}.{number & 255}", 1))
    assert len(limits._buckets) == FEWEST
    clock._now += 10
    assert not limits.turns_away(("192.0.2.1", 1))
    assert len(limits._buckets) == 1
