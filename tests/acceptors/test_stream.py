"""StreamConnection: a protocol as one coroutine."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

import acceptors
from acceptors import otp
from acceptors.stream import READ_LIMIT


async def test_echo(listen, connect):
    class Echo(acceptors.StreamConnection):
        __slots__ = ()

        async def run(self):
            assert otp.self() is self
            while data := await self.receive():
                await self.send(data)

    ref = await listen(Echo)
    client = await connect(ref)
    assert await client.echo(b"x" * 1_000_000)
    client.writer.write_eof()
    assert await client.receive() == b""


async def test_lines(listen, connect):
    class Lines(acceptors.StreamConnection):
        __slots__ = ()

        async def run(self):
            while line := await self.receive_line(self.options):
                await self.send(b"<" + line + b">")

    ref = await listen(Lines, 10)
    client = await connect(ref)
    for byte in b"ab\ncd\n\n":
        client.send(bytes([byte]))
    client.send(b"last")
    client.writer.write_eof()
    got = b""
    while data := await client.receive():
        got += data
    assert got == b"<ab\n><cd\n><\n><last>"


@pytest.mark.parametrize("line", [b"12345678901", b"12345678901\n", b"1234567890\n"])
async def test_line_that_is_too_long(listen, connect, wait_for, caplog, line):
    class Lines(acceptors.StreamConnection):
        __slots__ = ()

        async def run(self):
            await self.receive_line(10)

    ref = await listen(Lines)
    client = await connect(ref)
    client.send(line)
    assert await client.receive() == b""
    await wait_for(ref, "==", 0)
    assert "a line is longer than 10 bytes" in caplog.text


async def test_fast_peer_is_held_back(listen, connect, wait_for, turns):
    go_on = asyncio.Event()
    total = 0

    class Slow(acceptors.StreamConnection):
        __slots__ = ()

        async def run(self):
            nonlocal total
            await go_on.wait()
            while data := await self.receive():
                total += len(data)

    ref = await listen(Slow)
    client = await connect(ref)
    client.send(b"x" * 20_000_000)
    await turns()
    (connection,) = acceptors.procs(ref, "connections")
    assert READ_LIMIT < len(connection._buffer) < READ_LIMIT + 1_000_000
    go_on.set()
    client.writer.write_eof()
    assert await client.receive() == b""
    await wait_for(ref, "==", 0)
    assert total == 20_000_000


async def test_slow_peer_holds_send_back(listen, connect, turns):
    sent = 0

    class Flood(acceptors.StreamConnection):
        __slots__ = ()

        async def run(self):
            nonlocal sent
            while True:
                await self.send(b"x" * 100_000)
                sent += 100_000

    ref = await listen(Flood)
    client = await connect(ref)
    client.reader._transport.pause_reading()
    await turns()
    before = sent
    await turns()
    assert sent == before < 50_000_000
    client.reader._transport.resume_reading()
    assert await client.receive()
    client.writer.transport.abort()


async def test_peer_that_breaks_the_connection_cancels(listen, connect, wait_for):
    events = []

    class Sleeps(acceptors.StreamConnection):
        __slots__ = ()

        async def run(self):
            events.append("runs")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                events.append("cancelled")
                raise

    ref = await listen(Sleeps)
    client = await connect(ref)
    await wait_for(ref, "==", 1)
    # A reset, not an orderly end.
    client.writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    client.writer.transport.abort()
    await wait_for(ref, "==", 0)
    assert events == ["runs", "cancelled"]


async def test_shutdown_ends_receiving_and_lets_it_finish(listen, connect):
    class Polite(acceptors.StreamConnection):
        __slots__ = ()

        async def run(self):
            while await self.receive():
                pass
            await self.send(b"bye")

    ref = await listen(Polite, shutdown=5.0)
    client = await connect(ref)
    client.send(b"x")
    await acceptors.wait_for_connections(ref, "==", 1)
    async with asyncio.timeout(5):
        await acceptors.stop_listener(ref)
    assert await client.receive() == b"bye"


async def test_crash_is_reported(listen, connect, wait_for, caplog):
    class Crash(acceptors.StreamConnection):
        __slots__ = ()

        async def run(self):
            await self.receive()
            raise RuntimeError("broken in run")

    ref = await listen(Crash)
    client = await connect(ref)
    client.send(b"x")
    assert await client.receive() == b""
    await wait_for(ref, "==", 0)
    assert "broken in run" in caplog.text
    assert await (await connect(ref)).echo(b"") is True


async def test_kill(listen, connect, wait_for):
    class Hangs(acceptors.StreamConnection):
        __slots__ = ()

        async def run(self):
            await asyncio.Event().wait()

    ref = await listen(Hangs)
    client = await connect(ref)
    await wait_for(ref, "==", 1)
    otp.exit(acceptors.procs(ref, "connections")[0], "kill")
    assert await client.receive() == b""
    await wait_for(ref, "==", 0)
