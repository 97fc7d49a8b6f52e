"""What a protocol does wrong costs its own connection and nothing else."""

from __future__ import annotations

import logging

import pytest

import acceptors
from acceptors import otp


@pytest.fixture(autouse=True)
def quiet_loop(monkeypatch):
    # Event loops log what protocols raise, too.
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", True)


class Once(acceptors.Connection):
    """Fails at the first connection at one place, and echoes at the others."""

    __slots__ = ("bad",)
    place = ""
    failed = False

    def __init__(self, connections, options):
        self.bad = not type(self).failed
        type(self).failed = True
        self.fail("before")
        super().__init__(connections, options)
        self.fail("init")

    def fail(self, place):
        if self.bad and self.place == place:
            raise RuntimeError(f"broken in {place}")

    def connection_made(self, transport):
        super().connection_made(transport)
        self.fail("made")

    def data_received(self, data):
        self.fail("data")
        self.transport.write(data)

    def eof_received(self):
        self.fail("eof")

    def connection_lost(self, exc):
        super().connection_lost(exc)
        self.fail("lost")


@pytest.mark.parametrize("place", ["before", "init", "made", "data"])
async def test_failure_costs_one_connection(listen, connect, wait_for, caplog, place):
    protocol = type("Failing", (Once,), {"__slots__": (), "place": place})
    ref = await listen(protocol, num_acceptors=1, max_connections=1)
    workers = acceptors.procs(ref, "acceptors")
    first = await connect(ref)
    first.send(b"x")
    assert await first.receive() == b""
    await wait_for(ref, "==", 0)
    second = await connect(ref)
    assert await second.echo(b"the next one is served, by the same acceptor")
    assert acceptors.procs(ref, "acceptors") == workers
    assert acceptors.info(ref)["active_connections"] == 1
    reports = [r for r in caplog.records if r.name == "acceptors" and r.exc_info]
    assert len(reports) == 1
    assert f"broken in {place}" in str(reports[0].exc_info[1])
    assert repr(ref) in reports[0].getMessage()


async def test_peers_that_leave_are_not_reported(listen, connect, wait_for, caplog):
    ref = await listen()
    client = await connect(ref)
    assert await client.echo(b"x")
    client.writer.transport.abort()
    await wait_for(ref, "==", 0)
    assert not [r for r in caplog.records if r.name == "acceptors"]


async def test_exit_signals_to_a_connection(listen, connect, wait_for):
    ref = await listen()
    clients = [await connect(ref) for _ in range(3)]
    await wait_for(ref, "==", 3)
    drained, killed, left = acceptors.procs(ref, "connections")
    monitors = [drained.watch(lambda r: reasons.append(("drained", r)))]
    monitors.append(killed.watch(lambda r: reasons.append(("killed", r))))
    reasons: list[object] = []
    otp.exit(drained, "shutdown")
    otp.exit(killed, "kill")
    assert reasons == [("killed", "killed")]
    assert not killed.alive
    await wait_for(ref, "==", 1)
    assert reasons == [("killed", "killed"), ("drained", "shutdown")]
    ends = [await client.receive() for client in clients[:2]]
    assert ends == [b"", b""]
    assert await clients[2].echo(b"the third lives")
    assert left.alive


async def test_connection_told_to_end_in_its_constructor(listen, connect, wait_for):
    class Unwilling(acceptors.Connection):
        __slots__ = ()

        def __init__(self, connections, options):
            super().__init__(connections, options)
            otp.exit(self, options)

    for reason in ("shutdown", "kill"):
        ref = await listen(Unwilling, reason)
        assert await (await connect(ref)).receive() == b""
        await wait_for(ref, "==", 0)


async def test_snapshot(listen, connect, wait_for):
    ref = await listen(num_acceptors=1)
    await connect(ref)
    await wait_for(ref, "==", 1)
    connection = acceptors.procs(ref, "connections")[0].snapshot()
    acceptor = acceptors.procs(ref, "acceptors")[0].snapshot()
    assert connection["kind"] == "Echo"
    assert connection["peer"].startswith("127.0.0.1:")
    assert (acceptor["accepted"], acceptor["activity"]) == (1, "waiting")
