"""Errors of accept(2): nothing spins, nothing dies."""

from __future__ import annotations

import asyncio
import errno
import re
import subprocess
import sys
import textwrap

import pytest

import acceptors
from acceptors.acceptor_pool import BACK_OFF, EXHAUSTED, LOG_INTERVAL, TRANSIENT


@pytest.mark.parametrize("number", sorted(EXHAUSTED), ids=errno.errorcode.get)
async def test_exhaustion_backs_off_and_logs_once(
    listen, connect, clock, turns, caplog, scripted, number
):
    listening = scripted(*[number] * 3)
    ref = await listen(sockets=[listening])
    client = await connect(ref)
    client.send(b"x")
    for tries in (1, 2, 3):
        await turns(5)
        assert listening.accepts == tries  # and not one more until the time is over
        await clock.advance(BACK_OFF * 0.5)
        await turns(2)
        assert listening.accepts == tries
        await clock.advance(BACK_OFF * 0.5 + 0.001)
    assert await client.receive() == b"x"
    warnings = [r.getMessage() for r in caplog.records if "accept failed" in r.getMessage()]
    assert len(warnings) == 1
    assert f"listener {ref!r}: accept failed: " in warnings[0]
    assert "for 0.1 s" in warnings[0]


async def test_exhaustion_is_logged_again_after_the_interval(
    listen, connect, clock, turns, caplog, scripted
):
    listening = scripted(*[errno.EMFILE] * 55)
    ref = await listen(sockets=[listening])
    client = await connect(ref)
    client.send(b"x")
    await turns(3)
    await clock.advance(LOG_INTERVAL + 10 * BACK_OFF)
    assert await client.receive() == b"x"
    warnings = [r.getMessage() for r in caplog.records if "accept failed" in r.getMessage()]
    assert len(warnings) == 2
    assert "times" not in warnings[0]
    assert re.search("failed [45].? times since", warnings[1])


@pytest.mark.parametrize("number", sorted(TRANSIENT), ids=errno.errorcode.get)
async def test_transient_errors_go_on(listen, connect, clock, caplog, scripted, number):
    listening = scripted(*[number] * 5)
    ref = await listen(sockets=[listening])
    client = await connect(ref)
    assert await client.echo(b"no clock was advanced")
    assert listening.accepts >= 6
    assert "accept failed" not in caplog.text


async def test_unknown_error_does_not_spin(listen, connect, clock, turns, scripted):
    listening = scripted(errno.EXDEV)
    ref = await listen(sockets=[listening])
    client = await connect(ref)
    client.send(b"x")
    await turns(5)
    assert listening.accepts == 1
    await clock.advance(BACK_OFF + 0.01)
    assert await client.receive() == b"x"


async def test_listening_socket_that_was_closed_is_opened_again(listen, connect, turns):
    ref = await listen()
    client = await connect(ref)
    assert await client.echo(b"before")
    listener = acceptors.listener.find(ref)
    address = acceptors.get_addr(ref)
    pool = listener.acceptors
    assert pool is not None
    pool._accept_failed(OSError(errno.EBADF, "closed by somebody"))
    async with asyncio.timeout(5):
        while listener.acceptors in (None, pool):
            await turns(1)
    assert acceptors.get_addr(ref) == address
    assert await client.echo(b"untouched")
    assert await (await connect(ref)).echo(b"after")


PROGRAM = """
import asyncio, logging, os, resource, socket, sys
import acceptors

class Echo(acceptors.Connection):
    def data_received(self, data):
        self.transport.write(data)

async def main():
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    await acceptors.start_listener("real", {"num_acceptors": 3, "shutdown": 0.0}, Echo)
    clients = [socket.create_connection(acceptors.get_addr("real")) for _ in range(12)]
    for client in clients:
        client.sendall(b"x")
        client.setblocking(False)
    # Room for four more descriptors, and not for twelve connections.
    used = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 4, used + 4))
    loop = asyncio.get_running_loop()
    await acceptors.wait_for_connections("real", ">=", 3)
    before = os.times()
    await asyncio.sleep(0.35)
    after = os.times()
    print("spins" if after.user + after.system - before.user - before.system > 0.2 else "rests")
    served = len(acceptors.procs("real", "connections"))
    print("some" if 0 < served < 12 else served)
    for client in clients:
        print((await loop.sock_recv(client, 1)).decode(), end="")
        client.close()  # makes room for the next
    print()
    await acceptors.stop_listener("real")

loop = sys.argv[1]
if loop == "uvloop":
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_real_lack_of_descriptors(loop):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), loop],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if "accept failed" not in line] == ["rests", "some", "x" * 12]
    assert sum("accept failed: Too many open files" in line for line in lines) == 1
