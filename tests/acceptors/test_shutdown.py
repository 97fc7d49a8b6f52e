"""Stopping: accepting ends first, connections finish in their time, then they are killed."""

from __future__ import annotations

import asyncio
import socket

import pytest

import acceptors
from acceptors import otp


class Stubborn(acceptors.Connection):
    """Finishes when it is asked for the second time."""

    __slots__ = ("asked",)

    def __init__(self, connections, options):
        super().__init__(connections, options)
        self.asked = False

    def data_received(self, data):
        if data == b"finish":
            self.transport.write(b"bye")
            self.transport.close()
        else:
            self.transport.write(data)

    def drain(self):
        self.asked = True


async def asked(ref, turns):
    listener = acceptors.listener.find(ref)
    while not all(one.asked for one in listener.connections.children.values()):
        await turns(1)


@pytest.mark.parametrize("shutdown", [5.0, "infinity"])
async def test_connections_finish(listen, connect, clock, turns, shutdown):
    ref = await listen(Stubborn, shutdown=shutdown)
    clients = [await connect(ref) for _ in range(3)]
    for client in clients:
        assert await client.echo(b"x")
    address = acceptors.get_addr(ref)
    stopping = asyncio.ensure_future(acceptors.stop_listener(ref))
    await asked(ref, turns)
    with pytest.raises(ConnectionRefusedError):
        await connect(address)  # accepting has ended
    for client in clients:
        assert await client.echo(b"still served")
    await clock.advance(4.9)
    for client in clients:
        client.send(b"finish")
        assert await client.receive() == b"bye"
        assert not stopping.done() or client is clients[-1]
    async with asyncio.timeout(5):
        await stopping


async def test_those_that_do_not_finish_are_killed(listen, connect, clock, turns, caplog):
    ref = await listen(Stubborn, shutdown=5.0)
    clients = [await connect(ref) for _ in range(3)]
    for client in clients:
        assert await client.echo(b"x")
    reasons: list[object] = []
    for one in acceptors.procs(ref, "connections"):
        one.watch(reasons.append)
    stopping = asyncio.ensure_future(acceptors.stop_listener(ref))
    await asked(ref, turns)
    await clock.advance(4.9)
    assert not stopping.done()
    assert await clients[0].echo(b"in time")
    await clock.advance(0.2)
    async with asyncio.timeout(5):
        await stopping
    assert [await client.receive() for client in clients] == [b""] * 3
    assert reasons == ["killed"] * 3
    said = [r.getMessage() for r in caplog.records if r.name == "acceptors"]
    assert said == [f"listener {ref!r}: 3 connections have not finished in 5.0 s; they are killed"]


async def test_infinity_waits(listen, connect, clock, turns):
    ref = await listen(Stubborn, shutdown="infinity")
    client = await connect(ref)
    assert await client.echo(b"x")
    stopping = asyncio.ensure_future(acceptors.stop_listener(ref))
    await asked(ref, turns)
    await clock.advance(100_000)
    assert not stopping.done()
    client.send(b"finish")
    assert await client.receive() == b"bye"
    await stopping


async def test_brutal_kill(listen, connect, clock, caplog):
    ref = await listen(Stubborn, shutdown="brutal_kill")
    client = await connect(ref)
    assert await client.echo(b"x")
    (connection,) = acceptors.procs(ref, "connections")
    async with asyncio.timeout(5):
        await acceptors.stop_listener(ref)
    assert connection.exit_reason == "killed"
    assert not connection.asked
    assert not [r for r in caplog.records if r.name == "acceptors"]


async def test_shutdown_can_be_changed_live(listen, connect, clock):
    ref = await listen(Stubborn, shutdown="infinity")
    client = await connect(ref)
    assert await client.echo(b"x")
    acceptors.set_transport_options(ref, {"shutdown": "brutal_kill"})
    async with asyncio.timeout(5):
        await acceptors.stop_listener(ref)


async def test_queued_requests_are_answered(listen, turns):
    """What the kernel has queued is accepted, and its first request is in flight, before the order
    to finish comes."""

    class Polite(acceptors.Connection):
        """Answers a request; closes at once where it is asked to finish without one."""

        __slots__ = ()

        def data_received(self, data):
            self.transport.write(b"answer")
            self.transport.close()

    ref = await listen(Polite, shutdown=5.0)
    queued = [socket.create_connection(acceptors.get_addr(ref)) for _ in range(30)]
    for one in queued:
        one.sendall(b"request")
        one.setblocking(False)
    async with asyncio.timeout(5):
        await acceptors.stop_listener(ref)
        for one in queued:
            assert await asyncio.get_running_loop().sock_recv(one, 100) == b"answer"
            one.close()


async def test_stop_of_a_thousand(listen, connect, wait_for):
    ref = await listen(shutdown=5.0)
    clients = [await connect(ref) for _ in range(600)]
    await wait_for(ref, "==", 600)
    async with asyncio.timeout(5):
        await acceptors.stop_listener(ref)
    assert [await client.receive() for client in clients] == [b""] * 600
    assert list(otp.processes()) == []


async def test_two_stops_at_once(listen, connect):
    ref = await listen()
    await connect(ref)
    async with asyncio.timeout(5):
        await asyncio.gather(
            acceptors.stop_listener(ref), acceptors.stop_listener(ref), return_exceptions=True
        )
    assert acceptors.info() == {}


async def test_flood_of_new_connections_does_not_starve_the_served(listen, connect, turns):
    """At most a batch is accepted in one turn of the loop."""
    order: list[str] = []

    class Noting(acceptors.Connection):
        __slots__ = ()

        def connection_made(self, transport):
            super().connection_made(transport)
            order.append("new")

        def data_received(self, data):
            order.append("served")
            self.transport.write(data)

    ref = await listen(Noting)
    client = await connect(ref)
    assert await client.echo(b"x")
    order.clear()
    flood = [socket.create_connection(acceptors.get_addr(ref)) for _ in range(500)]
    for _ in range(20):
        assert await client.echo(b"x")
    while order.count("new") < 500:
        await turns(1)
    # Between one answer and the next no more than the batches of the few turns that a round trip
    # takes were accepted.
    runs = "".join("n" if one == "new" else "s" for one in order).split("s")
    assert order.count("served") == 20
    assert max(map(len, runs[:-1])) <= 64
    for one in flood:
        one.close()
