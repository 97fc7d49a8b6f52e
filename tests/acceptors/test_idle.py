"""A listener that is full closes idle connections first: those idle longest, and no busy one."""

from __future__ import annotations

import itertools

import pytest

import acceptors
from acceptors.idle import LOOK_INTERVAL, MOST, IdleConnections

_ticks = itertools.count()


class Lazy(acceptors.Connection):
    """Idle since its last message; `busy` while that ended with an exclamation mark."""

    __slots__ = ("busy", "since")

    def __init__(self, connections, options):
        super().__init__(connections, options)
        self.busy = False
        self.since = float(next(_ticks))

    @classmethod
    def refusal(cls, options):
        return b"full"

    def data_received(self, data):
        self.busy = data.endswith(b"!")
        self.since = float(next(_ticks))
        self.transport.write(data)

    def idle_since(self):
        return None if self.busy else self.since

    def shed(self):
        self.transport.close()
        return True


async def test_those_idle_longest_go_first(listen, connect):
    ref = await listen(Lazy, max_connections=3)
    clients = [await connect(ref) for _ in range(3)]
    for client, message in zip(clients, (b"a", b"b", b"c"), strict=True):
        assert await client.echo(message)
    assert await clients[0].echo(b"again")  # now it is the second that is idle longest
    late = await connect(ref)
    assert await late.echo(b"there is room")
    assert await clients[1].receive() == b""
    assert await clients[0].echo(b"kept")
    assert await clients[2].echo(b"kept")
    assert acceptors.info(ref)["active_connections"] == 3


async def test_busy_ones_stay_and_the_new_one_waits(listen, connect, clock, turns):
    ref = await listen(Lazy, max_connections=2)
    clients = [await connect(ref) for _ in range(2)]
    for client in clients:
        assert await client.echo(b"work!")
    late = await connect(ref)
    late.send(b"x")
    await turns()
    assert acceptors.info(ref)["metrics"]["accept"] == 2
    # One becomes idle, and nobody tells the acceptors: they look again.
    assert await clients[0].echo(b"done")
    await clock.advance(LOOK_INTERVAL + 0.1)
    assert await late.receive() == b"x"
    assert await clients[0].receive() == b""
    assert await clients[1].echo(b"still here!")


@pytest.mark.parametrize(("policy", "answer"), [("refuse", b"full"), ("close", b"")])
async def test_nobody_is_refused_while_there_is_an_idle_one(listen, connect, policy, answer):
    ref = await listen(Lazy, max_connections=1, max_connections_policy=policy)
    first = await connect(ref)
    assert await first.echo(b"idle now")
    second = await connect(ref)
    assert await second.echo(b"busy!")
    assert await first.receive() == b""
    third = await connect(ref)
    third.send(b"x")
    assert await third.receive() == answer
    assert await second.echo(b"not disturbed!")


async def test_with_the_soft_limit_sleeping_acceptors_are_woken(listen, connect, clock):
    ref = await listen(
        Lazy, max_connections=1, max_connections_limit="soft", num_acceptors=1, num_listen_sockets=1
    )
    first = await connect(ref)
    assert await first.echo(b"work!")  # its acceptor sleeps
    second = await connect(ref)
    assert await first.echo(b"done")
    await clock.advance(LOOK_INTERVAL + 0.1)
    assert await second.echo(b"x")


async def test_a_look_pays_for_many(listen, connect, clock, monkeypatch):
    """Connections are not all asked for each that is accepted."""
    ref = await listen(Lazy, max_connections=200)
    clients = [await connect(ref) for _ in range(200)]
    for client in clients:
        assert await client.echo(b"x")
    asked = 0
    ask = Lazy.idle_since

    def counting(self):
        nonlocal asked
        asked += 1
        return ask(self)

    monkeypatch.setattr(Lazy, "idle_since", counting)
    for _ in range(100):
        assert await (await connect(ref)).echo(b"busy!")
    assert 200 <= asked <= 200 + 100 + 2 * 16
    assert [await client.receive() for client in clients[:100]] == [b""] * 100


async def test_one_that_worked_since_the_look_is_passed_over(listen, connect, clock):
    ref = await listen(Lazy, max_connections="infinity")
    clients = [await connect(ref) for _ in range(3)]
    for client in clients:
        assert await client.echo(b"x")
    idle = IdleConnections(acceptors.listener.find(ref).connections)
    assert idle.shed(1) == 1
    assert await clients[1].echo(b"awake")
    assert idle.shed(5) == 1  # the third; and there is no second look at once
    assert await clients[1].echo(b"awake")
    assert MOST > 100


async def test_default_connections_are_never_shed(listen, connect, turns):
    ref = await listen(max_connections=1)
    first = await connect(ref)
    assert await first.echo(b"x")
    await connect(ref)
    await turns()
    assert await first.echo(b"y")
