"""Stopping: accepting ends first, connections finish in their time, then they are killed."""

from __future__ import annotations

import asyncio
import socket

import pytest

import acceptors
from acceptors import otp
from acceptors.connections import CANCEL_GRACE


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
    assert said == [f"listener {ref!r}: 3 connections have not finished in 5.0 s; they are ended"]


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


class Worker(acceptors.Connection):
    """Can be cancelled: then it cleans up until it is told b"cleaned"."""

    __slots__ = ("cancelled", "drained")

    def __init__(self, connections, options):
        super().__init__(connections, options)
        self.drained = self.cancelled = False

    def data_received(self, data):
        if data == b"cleaned":
            self.transport.close()
        else:
            self.transport.write(data)

    def drain(self):
        self.drained = True

    def cancel(self, reason):
        self.cancelled = True
        if self.connections.listener.protocol_options == "broken":
            raise RuntimeError("no")
        return True


@pytest.mark.parametrize("kind", ["whole", "selection"])
async def test_cancelled_then_killed(listen, connect, clock, turns, caplog, kind):
    ref = await listen(Worker, shutdown=5.0)
    clients = [await connect(ref) for _ in range(3)]
    for client in clients:
        assert await client.echo(b"x")
    processes = acceptors.procs(ref, "connections")
    stopping = None
    if kind == "whole":
        stopping = asyncio.ensure_future(acceptors.stop_listener(ref))
        while not all(one.drained for one in processes):
            await turns(1)
    else:
        assert acceptors.drain(ref, timeout=5.0) == processes
    await clock.advance(4.9)
    assert [one.cancelled for one in processes] == [False] * 3
    await clock.advance(0.2)
    assert [one.cancelled for one in processes] == [True] * 3
    assert await clients[0].echo(b"cleaning up")
    clients[0].send(b"cleaned")
    assert await clients[0].receive() == b""
    await clock.advance(CANCEL_GRACE - 0.2)
    assert [one.alive for one in processes] == [False, True, True]
    await clock.advance(0.2)
    assert [one.exit_reason for one in processes] == ["shutdown", "killed", "killed"]
    if stopping is not None:
        async with asyncio.timeout(5):
            await stopping
    said = [r.getMessage() for r in caplog.records if r.name == "acceptors"]
    killed = f"listener {ref!r}: 2 connections have not ended 2.0 s after they were cancelled; "
    assert killed + "they are killed" in said


async def test_a_connection_that_fails_to_cancel_is_killed(listen, connect, clock, caplog):
    ref = await listen(Worker, "broken")
    client = await connect(ref)
    assert await client.echo(b"x")
    acceptors.drain(ref, timeout=0.0)
    await clock.advance(0.1)
    assert await client.receive() == b""
    assert "could not be cancelled" in caplog.text


async def test_a_selection_is_drained_while_the_others_live(listen, connect, wait_for, clock):
    ref = await listen(Worker)
    clients = [await connect(ref) for _ in range(4)]
    for client in clients:
        assert await client.echo(b"x")
    chosen = acceptors.procs(ref, "connections")[1:3]
    assert acceptors.drain(ref, lambda connection: connection in chosen) == chosen
    assert [one.drained for one in acceptors.procs(ref, "connections")] == [
        False,
        True,
        True,
        False,
    ]
    for client in clients[1:3]:
        client.send(b"cleaned")
    await wait_for(ref, "==", 2)
    assert await clients[0].echo(b"served")
    assert await (await connect(ref)).echo(b"accepted")
    assert acceptors.drain(ref, lambda connection: False) == []


async def test_nothing_is_accepted_while_there_is_no_supervisor(listen, connect, turns):
    """A connection supervisor is killed: who connects before it is back waits in the backlog."""
    ref = await listen()
    first = await connect(ref)
    assert await first.echo(b"x")
    listener = acceptors.listener.find(ref)
    address = acceptors.get_addr(ref)
    queued = [socket.create_connection(address) for _ in range(3)]
    otp.exit(listener.connections, "kill")
    queued += [socket.create_connection(address) for _ in range(3)]
    for one in queued:
        one.setblocking(False)
        one.sendall(b"hello")
    async with asyncio.timeout(5):
        for one in queued:
            assert await asyncio.get_running_loop().sock_recv(one, 100) == b"hello"
            one.close()
    assert await first.receive() == b""
