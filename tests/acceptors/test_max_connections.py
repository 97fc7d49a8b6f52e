"""max_connections: one limit for a listener, hard or soft, and what happens at it; alarms."""

from __future__ import annotations

import asyncio
import logging

import pytest

import acceptors
from acceptors import Alarm


class Refusing(acceptors.Connection):
    __slots__ = ()

    @classmethod
    def refusal(cls, options):
        return b"full: " + options

    def data_received(self, data):
        self.transport.write(data)


async def test_hard_limit_waits_in_the_backlog(listen, connect, wait_for, turns):
    ref = await listen(max_connections=3, num_acceptors=10)
    clients = [await connect(ref) for _ in range(5)]  # the kernel completes them all
    for client in clients:
        client.send(b"x")
    await wait_for(ref, "==", 3)
    await turns()
    assert len(acceptors.procs(ref, "connections")) == 3
    assert [await client.receive() for client in clients[:3]] == [b"x"] * 3
    await clients[0].close()
    assert await clients[3].receive() == b"x"
    assert len(acceptors.procs(ref, "connections")) == 3
    await clients[1].close()
    assert await clients[4].receive() == b"x"


async def test_soft_limit_is_exceeded_by_the_acceptors(listen, connect, wait_for, turns):
    ref = await listen(max_connections=3, max_connections_limit="soft", num_acceptors=2)
    clients = [await connect(ref) for _ in range(7)]
    await wait_for(ref, ">=", 4)
    await turns()
    # 3, of which the third keeps its acceptor, and one more by the other acceptor.
    assert len(acceptors.procs(ref, "connections")) == 4
    assert [one.sleeping for one in acceptors.procs(ref, "acceptors")] == [True, True]
    for client in clients[:4]:
        await client.close()
    assert all([await client.echo(b"x") for client in clients[4:]])


@pytest.mark.parametrize(("policy", "answer"), [("refuse", b"full: sorry"), ("close", b"")])
async def test_refuse_and_close(listen, connect, policy, answer):
    ref = await listen(Refusing, b"sorry", max_connections=1, max_connections_policy=policy)
    first = await connect(ref)
    assert await first.echo(b"served")
    for _ in range(3):
        second = await connect(ref)
        second.send(b"a request that nobody reads, and that must not turn the answer into a reset")
        assert await second.receive() == answer
        assert await second.receive() == b""
    assert await first.echo(b"still served")
    await first.close()
    async with asyncio.timeout(5):
        while not await (await connect(ref)).echo(b"there is room"):
            pass


async def test_limit_can_be_changed_live(listen, connect, wait_for, turns):
    ref = await listen(max_connections=1)
    clients = [await connect(ref) for _ in range(4)]
    await wait_for(ref, "==", 1)
    acceptors.set_max_connections(ref, 3)
    assert acceptors.get_max_connections(ref) == 3
    await wait_for(ref, "==", 3)
    acceptors.set_max_connections(ref, 1)
    await turns()
    assert len(acceptors.procs(ref, "connections")) == 3  # those over it live on
    await clients[0].close()
    await wait_for(ref, "==", 2)
    await turns()
    assert len(acceptors.procs(ref, "connections")) == 2
    acceptors.set_max_connections(ref, "infinity")
    await wait_for(ref, "==", 3)
    with pytest.raises(acceptors.OptionError, match="max_connections"):
        acceptors.set_max_connections(ref, -1)


async def test_removed_connection_does_not_count(listen, connect, wait_for):
    ref = await listen(max_connections=1)
    first = await connect(ref)
    second = await connect(ref)
    assert await first.echo(b"x")
    connection = acceptors.procs(ref, "connections")[0]
    acceptors.remove_connection(connection)
    acceptors.remove_connection(connection)  # idempotent
    assert await second.echo(b"the acceptor was woken")
    info = acceptors.info(ref)
    assert (info["active_connections"], info["all_connections"]) == (1, 2)
    await first.close()
    async with asyncio.timeout(5):
        while acceptors.info(ref)["all_connections"] == 2:
            await asyncio.sleep(0)
    assert acceptors.info(ref)["active_connections"] == 1  # it was taken out of the count once
    await second.close()
    await wait_for(ref, "==", 0)
    assert acceptors.info(ref)["active_connections"] == 0
    acceptors.remove_connection(connection)  # dead: nothing
    assert acceptors.info(ref)["active_connections"] == 0


async def test_alarm_on_again_and_off(listen, connect, wait_for, clock, turns):
    events = []
    alarm = Alarm(
        threshold=2,
        callback=lambda ref, name, number: events.append(("on", ref, name, number)),
        off=lambda ref, name, number: events.append(("off", ref, name, number)),
        cooldown=5.0,
    )
    ref = await listen(alarms={"many": alarm})
    first = await connect(ref)
    await wait_for(ref, "==", 1)
    await turns(3)
    assert events == []
    second = await connect(ref)
    await connect(ref)
    await wait_for(ref, "==", 3)
    await turns(3)
    assert events == [("on", ref, "many", 2)]
    await clock.advance(4.9)
    await turns(3)
    assert len(events) == 1
    await clock.advance(0.2)
    await turns(3)
    assert events[1:] == [("on", ref, "many", 3)]
    await first.close()
    await second.close()
    await wait_for(ref, "==", 1)
    await turns(3)
    assert events[2:] == [("off", ref, "many", 1)]
    await clock.advance(60)
    await turns(3)
    assert len(events) == 3


async def test_alarm_can_be_added_live_and_may_raise(listen, connect, wait_for, caplog, turns):
    caplog.set_level(logging.CRITICAL, logger="asyncio")
    events = []

    def boom(ref, name, number):
        events.append(number)
        raise RuntimeError("the alarm is broken")

    ref = await listen()
    client = await connect(ref)
    await wait_for(ref, "==", 1)
    acceptors.set_transport_options(ref, {"alarms": {"x": Alarm(threshold=1, callback=boom)}})
    await turns(3)
    assert events == [1]
    assert await client.echo(b"untouched")
