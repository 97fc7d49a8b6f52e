"""The life of a listener: its tree, Ranch's functions, suspending, changing, ending."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

import acceptors
from acceptors import otp

REF = "test"


async def test_serves(listen, connect):
    ref = await listen()
    one, two = await connect(ref), await connect(ref)
    assert await one.echo(b"hello")
    assert await two.echo(b"x" * 300_000)


async def test_tree_and_procs(listen, connect, wait_for):
    ref = await listen(num_acceptors=2)
    clients = [await connect(ref) for _ in range(5)]
    await wait_for(ref, "==", 5)
    listener = next(p for p in otp.processes() if isinstance(p, acceptors.Listener))
    assert [child[0] for child in listener.which_children()] == ["connections", "acceptors"]
    workers = acceptors.procs(ref, "acceptors")
    served = acceptors.procs(ref, "connections")
    assert len(workers) == 2
    assert len(served) == 5
    assert all(isinstance(one, acceptors.Acceptor) for one in workers)
    assert {one.parent for one in served} == {listener.connections}
    assert listener in served[0].ancestors()
    assert await clients[4].echo(b"all are served")
    with pytest.raises(ValueError, match='"acceptors" or "connections", got \'acceptor\''):
        acceptors.procs(ref, "acceptor")


async def test_thousand_connections_by_two_acceptors(listen, connect, wait_for):
    ref = await listen(num_acceptors=2, max_connections="infinity")
    clients = await asyncio.gather(*(connect(ref) for _ in range(300)))
    await wait_for(ref, "==", 300)
    assert len(acceptors.procs(ref, "acceptors")) == 2
    assert all(await asyncio.gather(*(client.echo(b"in progress") for client in clients)))


async def test_info(listen, connect, wait_for, echo):
    ref = await listen(options={"x": 1}, num_acceptors=3, max_connections=7)
    client = await connect(ref)
    await wait_for(ref, "==", 1)
    info = acceptors.info(ref)
    assert info["status"] == "running"
    assert (info["ip"], info["port"]) == acceptors.get_addr(ref)
    assert (info["max_connections"], info["acceptors"]) == (7, 3)
    assert (info["active_connections"], info["all_connections"]) == (1, 1)
    assert info["transport"] == "tcp"
    assert (info["protocol"], info["protocol_options"]) == (echo, {"x": 1})
    assert info["transport_options"]["num_acceptors"] == 3
    assert info["metrics"] == {"accept": 1, "terminate": 0}
    await client.close()
    await wait_for(ref, "==", 0)
    assert acceptors.info(ref)["metrics"] == {"accept": 1, "terminate": 1}
    assert acceptors.info() == {ref: acceptors.info(ref)}


async def test_unknown_and_double_names(listen):
    ref = await listen()
    for call in (acceptors.get_port, acceptors.info, acceptors.get_status):
        with pytest.raises(acceptors.NoListenerError, match=f"no listener 'gone'.*known: '{ref}'"):
            call("gone")
    with pytest.raises(acceptors.AlreadyStartedError, match=f"'{ref}' runs already"):
        await acceptors.start_listener(ref, {}, acceptors.Connection)
    assert acceptors.get_status(ref) == "running"


async def test_stop(listen, connect):
    ref = await listen()
    client = await connect(ref)
    assert await client.echo(b"x")
    address = acceptors.get_addr(ref)
    await acceptors.stop_listener(ref)
    assert await client.receive() == b""
    with pytest.raises(ConnectionRefusedError):
        await connect(address)
    with pytest.raises(acceptors.NoListenerError):
        await acceptors.stop_listener(ref)


async def test_repeated_start_and_stop_on_one_port(listen, connect):
    ref = await listen()
    port = acceptors.get_port(ref)
    for _ in range(20):
        client = await connect(ref)
        assert await client.echo(b"again")
        await acceptors.stop_listener(ref)
        ref = await listen(port=port)


# suspend and resume


async def test_suspend_and_resume(listen, connect):
    ref = await listen()
    client = await connect(ref)
    assert await client.echo(b"before")
    address = acceptors.get_addr(ref)
    await acceptors.suspend_listener(ref)
    await acceptors.suspend_listener(ref)
    assert acceptors.get_status(ref) == "suspended"
    assert (acceptors.get_addr(ref), acceptors.get_port(ref)) == (None, None)
    assert acceptors.procs(ref, "acceptors") == []
    with pytest.raises(ConnectionRefusedError):
        await connect(address)
    assert await client.echo(b"connections live on")
    await acceptors.resume_listener(ref)
    await acceptors.resume_listener(ref)
    assert acceptors.get_status(ref) == "running"
    assert acceptors.get_addr(ref) == address
    assert await (await connect(ref)).echo(b"after")
    assert await client.echo(b"still")


async def test_suspend_takes_what_the_kernel_has_queued(listen, connect):
    ref = await listen()
    pool = next(p for p in otp.processes() if isinstance(p, acceptors.AcceptorPool))
    otp.exit(acceptors.procs(ref, "acceptors")[0], "normal")  # harmless
    # Nothing is accepted while this test does not wait: the connections are in the backlog.

    queued = [socket.create_connection(acceptors.get_addr(ref)) for _ in range(50)]
    for one in queued:
        one.sendall(b"queued")
    assert len(acceptors.procs(ref, "connections")) == 0
    assert pool.alive
    await acceptors.suspend_listener(ref)
    assert len(acceptors.procs(ref, "connections")) == 50
    loop = asyncio.get_running_loop()
    for one in queued:
        one.setblocking(False)
        async with asyncio.timeout(10):
            assert await loop.sock_recv(one, 100) == b"queued"
        one.close()


async def test_resume_that_fails_stays_suspended(listen, connect):
    ref = await listen()
    port = acceptors.get_port(ref)
    await acceptors.suspend_listener(ref)
    other = await listen(port=port)
    with pytest.raises(OSError, match=f"in use .*127.0.0.1 port {port}"):
        await acceptors.resume_listener(ref)
    assert acceptors.get_status(ref) == "suspended"
    await acceptors.stop_listener(other)
    await acceptors.resume_listener(ref)
    assert await (await connect(ref)).echo(b"x")


async def test_suspended_listener_stays_so_when_connections_restart(listen, turns):
    ref = await listen()
    await acceptors.suspend_listener(ref)
    otp.exit(next(p for p in otp.processes() if isinstance(p, acceptors.Connections)), "kill")
    await turns()
    assert acceptors.get_status(ref) == "suspended"
    assert acceptors.procs(ref, "acceptors") == []
    await acceptors.resume_listener(ref)
    assert len(acceptors.procs(ref, "acceptors")) == 100


# changing


async def test_acceptors_grow_and_shrink_live(listen, connect):
    ref = await listen(num_acceptors=2)
    client = await connect(ref)
    assert await client.echo(b"x")
    for number in (7, 1, 3):
        acceptors.set_transport_options(ref, {"num_acceptors": number})
        assert len(acceptors.procs(ref, "acceptors")) == number
        assert await (await connect(ref)).echo(b"y")
    assert await client.echo(b"z")
    assert acceptors.get_transport_options(ref).num_acceptors == 3


async def test_protocol_options_reach_the_next_connections(listen, connect):
    class Greeter(acceptors.Connection):
        __slots__ = ("options",)

        def __init__(self, connections, options):
            super().__init__(connections, options)
            self.options = options

        def connection_made(self, transport):
            super().connection_made(transport)
            transport.write(self.options)

    ref = await listen(Greeter, b"one")
    assert await (await connect(ref)).receive() == b"one"
    assert acceptors.get_protocol_options(ref) == b"one"
    acceptors.set_protocol_options(ref, b"two")
    assert await (await connect(ref)).receive() == b"two"


async def test_socket_options_change_at_resume(listen, connect):
    seen = []
    ref = await listen()
    acceptors.set_transport_options(ref, {"post_listen_callback": seen.extend, "backlog": 5})
    assert not seen
    await acceptors.suspend_listener(ref)
    await acceptors.resume_listener(ref)
    assert len(seen) == 1


async def test_bad_change_changes_nothing(listen):
    ref = await listen(max_connections=5)
    with pytest.raises(acceptors.OptionError, match="max_connections: expected"):
        acceptors.set_transport_options(ref, {"num_acceptors": 3, "max_connections": -1})
    assert acceptors.get_max_connections(ref) == 5
    assert len(acceptors.procs(ref, "acceptors")) == 100


# waiting and removing


@pytest.mark.parametrize(
    ("comparison", "number"), [(">", 1), (">=", 2), ("==", 2), ("=<", 2), ("<=", 2), ("<", 3)]
)
async def test_wait_for_connections(listen, connect, wait_for, comparison, number):
    ref = await listen()
    await connect(ref)
    await connect(ref)
    await wait_for(ref, "==", 2)
    await wait_for(ref, comparison, number)


async def test_wait_for_connections_ends_with_the_listener(listen):
    ref = await listen()
    waiting = asyncio.ensure_future(acceptors.wait_for_connections(ref, ">", 5))
    await asyncio.sleep(0)
    await acceptors.stop_listener(ref)
    async with asyncio.timeout(10):
        await waiting
    with pytest.raises(ValueError, match="comparison is one of"):
        await acceptors.wait_for_connections(ref, "!=", 5)


# supervision


async def test_acceptor_that_dies_is_replaced(listen, connect, caplog):
    ref = await listen(num_acceptors=2)
    client = await connect(ref)
    assert await client.echo(b"before")
    old = acceptors.procs(ref, "acceptors")
    otp.exit(old[0], "kill")
    new = acceptors.procs(ref, "acceptors")
    assert len(new) == 2
    assert old[0] not in new
    assert old[1] in new
    assert await client.echo(b"untouched")
    assert await (await connect(ref)).echo(b"accepted by the new one")
    assert "is replaced" in caplog.text


async def test_acceptors_that_keep_dying_are_all_started_anew(listen, connect, turns):
    ref = await listen(num_acceptors=2)
    client = await connect(ref)
    assert await client.echo(b"before")
    address = acceptors.get_addr(ref)
    for _ in range(4):
        otp.exit(acceptors.procs(ref, "acceptors")[0], "kill")
    await turns()
    assert len(acceptors.procs(ref, "acceptors")) == 2
    assert acceptors.get_addr(ref) == address
    assert await client.echo(b"untouched")
    assert await (await connect(ref)).echo(b"x")


async def test_connection_supervisor_that_dies_takes_the_acceptors_with_it(listen, connect, turns):
    ref = await listen(num_acceptors=2)
    client = await connect(ref)
    assert await client.echo(b"x")
    workers = acceptors.procs(ref, "acceptors")
    otp.exit(next(p for p in otp.processes() if isinstance(p, acceptors.Connections)), "kill")
    assert await client.receive() == b""
    await turns()
    assert not set(workers) & set(acceptors.procs(ref, "acceptors"))
    assert await (await connect(ref)).echo(b"the listener works again")


async def test_listener_as_a_child(connect, caplog, echo):
    spec = acceptors.child_spec(REF, {"num_acceptors": 2}, echo)
    caplog.set_level(logging.WARNING)
    supervisor = await otp.Supervisor.start([spec])
    client = await connect(REF)
    assert await client.echo(b"x")
    old = supervisor.which_child(spec.id)
    otp.exit(old, "kill")
    assert await client.receive() == b""
    async with asyncio.timeout(10):
        while supervisor.which_child(spec.id) in (None, old):
            await asyncio.sleep(0)
    assert await (await connect(REF)).echo(b"started again")
    warned = [r for r in caplog.records if "may be killed" in r.getMessage()]
    assert not warned
    await supervisor.stop()
    assert acceptors.info() == {}


async def test_exit_signal_to_the_listener_stops_it(listen, connect):
    spec = acceptors.child_spec(REF, {}, acceptors.Connection)
    supervisor = await otp.Supervisor.start([spec])
    await supervisor.terminate_child(spec.id)
    assert acceptors.info() == {}
    await supervisor.restart_child(spec.id)
    assert list(acceptors.info()) == [REF]
    await supervisor.stop()


async def test_info_leaves_out_a_listener_that_is_starting(listen):
    """As when two start at the same time: a worker that took over two sockets did that."""
    ref = await listen()
    seen = []
    options = {"post_listen_callback": lambda sockets: seen.append(acceptors.info())}
    other = asyncio.ensure_future(acceptors.start_listener("other", options, acceptors.Connection))
    while not other.done():
        assert acceptors.info()[ref]["status"] == "running"
        await asyncio.sleep(0)
    assert ref in seen[0]
    assert set(acceptors.info()) == {ref, "other"}
    await acceptors.stop_listener("other")
