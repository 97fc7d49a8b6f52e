"""Slow, many, broken: what clients do to a server, and what the others notice of it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import ssl

import pytest
import trustme

from acceptors import drain
from acceptors.otp import exit as exit_signal
from plugpy.conn import Conn
from plugpy.http import lifetime
from plugpy.http.runtime import ENDS, LINE_TIME, SLICE

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: x\r\n"


def hello(conn: Conn) -> Conn:
    return conn.send_resp(200, "hello")


async def echo(conn: Conn) -> Conn:
    return conn.send_resp(200, await conn.body())


class Gate:
    """An application that waits, and notes how it ended."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.ended: list[str] = []

    async def __call__(self, conn: Conn) -> Conn:
        if conn.request_path != "/":
            return conn.send_resp(200, "hello")
        self.entered.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError as error:
            self.ended.append(str(error))
            raise
        return conn.send_resp(200, "done")


def idle_for(connection, seconds: float) -> None:
    """Let a connection look as if its last request came so long ago."""
    connection.since = asyncio.get_running_loop().time() - seconds
    connection.runtime.now = asyncio.get_running_loop().time()


# broken ---------------------------------------------------------------------------------------

STATES = {
    "nothing was sent": b"",
    "half a head": b"GET / HT",
    "a request is served": GET,
    "requests wait behind it": GET * 3,
    "half a body": POST + b"content-length: 10\r\n\r\nhello",
    "half a chunk": POST + b"transfer-encoding: chunked\r\n\r\nff\r\nhello",
    "it was answered": b"GET /quick HTTP/1.1\r\nhost: x\r\n\r\n",
    "it was answered, the body comes": (
        b"POST /quick HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhello"
    ),
    "it was refused": b"nonsense\r\n\r\n",
}


@pytest.mark.parametrize("state", STATES)
async def test_a_reset_in_any_state_is_the_end_of_that_connection_only(serve, state, caplog):
    gate = Gate()

    async def application(conn: Conn) -> Conn:
        if conn.method == "POST" and conn.request_path == "/":
            return conn.send_resp(200, await conn.body())
        return await gate(conn)

    server = await serve(application)
    other = await server.connect()
    client = await server.connect()
    await client.send(STATES[state])
    if b"/quick" in STATES[state] or b"nonsense" in STATES[state]:
        await client.response()
    elif STATES[state]:
        await server.until(
            lambda: server.connection.conn is not None or server.connection._buffer is not None
        )
    client.reset()
    await server.until(lambda: server.connection.transport is None)
    await server.until(lambda: server.connection.conn is None)
    assert not server.connection.alive
    assert (await other.get("/quick")).status == 200
    loud = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert loud == []


async def test_a_client_that_leaves_behind_its_own_flood_is_noticed(serve):
    """Reading is paused by what it has pipelined, so the end of it is not read either."""
    gate = Gate()
    server = await serve(gate, read_buffer=1000)
    client = await server.connect()
    await client.send(GET)
    await gate.entered.wait()
    await client.send(GET * 1000)
    await server.until(lambda: server.connection._read_paused)
    server.advance(1)
    assert server.connection._task is not None  # it waits for its answer
    client.close()
    await server.until(lambda: server.advance(1) or server.connection.transport is None)
    await server.until(lambda: server.connection.conn is None)
    assert gate.ended == ["the client went away"]


async def test_a_compressed_body_is_handed_over_as_it_came(serve):
    """Nothing inflates request bodies, so a small one can't become a large one."""
    bomb = gzip.compress(bytes(10_000_000))
    server = await serve(echo, max_body=20_000)
    client = await server.connect()
    response = await client.request(
        POST + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb) + bomb
    )
    assert response.body == bomb


async def test_a_flood_of_tiny_chunks_is_no_flood_of_objects(serve):
    gate = Gate()

    async def application(conn: Conn) -> Conn:
        await gate.open.wait()
        return conn.send_resp(200, await conn.body())

    server = await serve(application, read_buffer=10_000)
    client = await server.connect()
    body = b"1\r\nx\r\n" * 50_000
    sending = asyncio.ensure_future(
        client.send(POST + b"transfer-encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n")
    )
    await server.until(lambda: server.connection._body is not None)
    await server.until(lambda: server.connection._read_paused)
    body_of = server.connection._body
    assert len(body_of.pieces) <= 10_000  # a piece a read, not one a chunk
    assert body_of.held <= 10_000 + 262_144 // 6
    gate.open.set()
    assert (await client.response("POST")).body == b"x" * 50_000
    await sending


# lingering ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_an_early_answer_is_not_lost_to_a_reset(serve, authority, tls):
    """The client sends a body that nobody reads and looks for the answer only when it is done."""
    transport, client_side = {}, None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        transport["ssl"] = context
        client_side = ssl.create_default_context()
        authority.configure_trust(client_side)
    server = await serve(hello, transport=transport, max_skip_body=1000)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1",
        server.port,
        ssl=client_side,
        server_hostname="localhost" if tls else None,
    )
    writer.write(POST + b"content-length: 3000000\r\n\r\n")
    for _ in range(30):
        writer.write(b"x" * 100_000)
        await writer.drain()
    answer = await reader.readuntil(b"hello")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nconnection: close\r\n" in answer
    # Who stays is thrown out when `linger_timeout` is over.
    connection = server.connection
    assert connection.activity == "closing"
    server.advance(server.options.linger_timeout + 1)
    if tls:
        server.advance(server.options.linger_timeout + 1)
    await server.until(lambda: connection.transport is None)
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


# many -----------------------------------------------------------------------------------------


async def test_an_idle_connection_is_closed_for_a_new_one(serve):
    gate = Gate()
    server = await serve(gate, transport={"max_connections": 2})
    busy = await server.connect()
    await busy.send(GET)
    await gate.entered.wait()
    idle = await server.connect()
    assert (await idle.get("/quick")).status == 200
    new = await server.dial()
    assert (await new.get("/quick")).status == 200
    assert await idle.closed()
    gate.open.set()
    assert (await busy.response()).body == b"done"


async def test_what_may_be_closed_to_make_room(serve):
    gate = Gate()
    server = await serve(gate)
    client = await server.connect()
    connection = server.connection
    assert connection.idle_since() is None  # new: its request may be on its way
    server.advance(lifetime.SILENCE)
    assert connection.idle_since() is not None
    await client.send(b"GET /quick HT")
    await server.until(lambda: connection._buffer is not None)
    assert connection.idle_since() is None
    await client.send(b"TP/1.1\r\nhost: x\r\n\r\n")
    assert (await client.response()).status == 200
    assert connection.idle_since() is not None
    await client.send(GET)
    await gate.entered.wait()
    assert connection.idle_since() is None
    assert not connection.shed()
    gate.open.set()
    await client.response()
    # A request that has arrived and was not read yet keeps the connection.
    client.sock.setblocking(True)
    client.sock.sendall(b"GET /quick HTTP/1.1\r\nhost: x\r\n\r\n")
    client.sock.setblocking(False)
    assert not connection.shed()
    assert (await client.response()).body == b"hello"
    assert connection.shed()
    assert not connection.shed()
    assert await client.closed()


async def test_deadlines_of_many_are_looked_at_in_slices(serve):
    server = await serve(hello)
    await server.connect()
    runtime = server.connection.runtime
    looks: list[int] = []

    class Watched:
        def check_deadlines(self, now: float) -> bool:
            looks.append(turn)
            return False

    turn = 0
    many = [Watched() for _ in range(2 * SLICE + 5)]
    runtime._sweep_on(many, 0)
    while len(looks) < len(many):
        turn += 1
        await asyncio.sleep(0)
        assert turn < len(many)
    # Fewer where the machine is slow: the time of a turn is bounded too.
    assert all(1 <= looks.count(number) <= SLICE for number in set(looks))
    await asyncio.sleep(0)
    assert len(looks) == len(many)  # each was asked once


async def test_connections_that_are_late_together_end_one_after_the_other(serve):
    server = await serve(hello)
    clients = [await server.connect() for _ in range(3 * ENDS + 1)]
    for client in clients:
        await client.get()
    for connection in server.connections:
        idle_for(connection, 1000)
    runtime = server.connection.runtime

    def ended() -> int:
        return sum(connection.activity == "closing" for connection in server.connections)

    runtime._tick()
    runtime._timer.cancel()
    assert 1 <= ended() <= ENDS
    runtime._tick()  # a second has passed and not all were asked: nobody is asked twice
    runtime._timer.cancel()
    assert 1 <= ended() <= ENDS
    before = ended()
    while before < len(clients):
        await asyncio.sleep(0)
        now = ended()
        assert now - before <= ENDS
        before = now
    assert all([await client.closed() for client in clients])
    # The next tick finds the line at its end.
    late = await server.connect()
    await late.get()
    idle_for(server.connection, 1000)
    runtime._tick()
    runtime._timer.cancel()
    assert server.connection.activity == "closing"


async def test_slow_bodies_that_are_late_together_are_refused_one_after_the_other(wired):
    async def size(conn: Conn) -> Conn:
        return conn.send_resp(200, str(len(await conn.body())))

    pairs = [wired(size, body_grace=2.0) for _ in range(3 * ENDS)]
    runtime = pairs[0][0].runtime
    for connection, _ in pairs:
        connection.runtime = runtime
        connection.data_received(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nx")
    connections = [connection for connection, _ in pairs]

    def refused() -> int:
        return sum(wire.sent.startswith(b"HTTP/1.1 408 ") for _, wire in pairs)

    await asyncio.sleep(0)
    runtime.sweep(connections)
    runtime.sweep(connections)
    assert refused() == 0
    runtime._sweep_on(connections, 0)
    before = 0
    async with asyncio.timeout(10):
        while before < len(pairs):
            await asyncio.sleep(0)
            now = refused()
            assert now - before <= ENDS
            before = now
    assert all(wire.ended for _, wire in pairs)


# draining -------------------------------------------------------------------------------------


async def test_a_drain_closes_at_once_what_was_idle_for_long(serve):
    server = await serve(hello)
    client = await server.connect()
    await client.get()
    idle_for(server.connection, 60)
    server.connection.drain()
    assert server.connection.activity == "closing"
    assert await client.closed()


async def test_a_drain_waits_for_the_next_request_of_a_busy_client(serve):
    server = await serve(hello)
    client = await server.connect()
    await client.get()
    idle_for(server.connection, 0)
    assert drain(server.ref) == server.connections
    assert server.connection.activity == "idle"
    response = await client.get()
    assert (response.status, response.closes) == (200, True)
    assert await client.closed()


async def test_a_drain_answers_what_has_arrived_already(serve):
    server = await serve(hello)
    client = await server.connect()
    await client.get()
    idle_for(server.connection, 60)
    client.sock.setblocking(True)
    client.sock.sendall(GET)
    client.sock.setblocking(False)
    server.connection.drain()
    response = await client.response()
    assert (response.status, response.closes) == (200, True)


async def test_time_is_up_the_handler_is_cancelled_and_the_client_told(serve):
    gate = Gate()
    server = await serve(gate)
    client = await server.connect()
    await client.send(GET)
    await gate.entered.wait()
    drain(server.ref, timeout=0.0)
    response = await client.response()
    assert (response.status, response.closes) == (503, True)
    assert b"stopping" in response.body
    assert gate.ended == ["the server is stopping"]
    assert await client.closed()
    await server.until(lambda: server.connection.transport is None)  # nobody lingers now


async def test_a_handler_that_ignores_its_cancellation_is_killed(serve):
    entered, ended = asyncio.Event(), []

    async def stubborn(conn: Conn) -> Conn:
        entered.set()
        try:
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    ended.append("ignored")
        finally:
            ended.append("closed")
        return conn

    server = await serve(stubborn)
    client = await server.connect()
    await client.send(GET)
    await entered.wait()
    connection = server.connection
    task = connection._task
    assert connection.cancel("shutdown")
    await server.until(lambda: ended == ["ignored"])
    exit_signal(connection, "kill")
    assert ended == ["ignored", "closed"]
    assert await client.closed()
    await server.until(task.done)
    assert connection.exit_reason == "killed"


async def test_a_selection_is_drained(serve):
    server = await serve(hello)
    clients = [await server.connect() for _ in range(3)]
    for client in clients:
        await client.get()
    chosen = server.connections[1]
    assert drain(server.ref, lambda connection: connection is chosen) == [chosen]
    response = await clients[1].get()
    assert response.closes
    for client in (clients[0], clients[2]):
        assert not (await client.get()).closes


# the line -------------------------------------------------------------------------------------


async def test_all_that_stand_in_line_share_a_bit_of_each_turn(serve, monkeypatch, caplog):
    server = await serve(hello)
    await server.connect()
    runtime = server.connection.runtime
    now, turn = 0.0, 0
    monkeypatch.setattr("plugpy.http.runtime.perf_counter", lambda: now)
    done: list[tuple[int, str]] = []

    def work(name: str, again: int) -> None:
        nonlocal now
        now += LINE_TIME / 2
        done.append((turn, name))
        if again:
            runtime.stand_in_line(lambda: work(name, again - 1))

    def broken() -> None:
        raise RuntimeError("no")

    runtime.stand_in_line(broken)
    for name in "abc":
        runtime.stand_in_line(lambda name=name: work(name, 1))
    while len(done) < 6:
        turn += 1
        await asyncio.sleep(0)
    # Two halves of the time a turn, and each in its turn.
    assert [name for _, name in done] == list("abcabc")
    turns = [number for number, _ in done]
    assert max(map(turns.count, turns)) == 2
    assert "failed" in caplog.text
    runtime.stand_in_line(lambda: work("alone", 0))  # the line is served again
    await server.until(lambda: done[-1][1] == "alone")


@pytest.mark.parametrize(
    "flood",
    [
        GET * 20_000,
        (GET[:-2] + b"x: %b\r\n" % (b"y" * 8000) * 7 + b"\r\n") * 10,
        POST + b"transfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 50_000,
        POST + b"content-length: 900000\r\n\r\n" + b"x" * 900_000,
    ],
    ids=["pipelining", "large heads", "tiny chunks", "large body"],
)
async def test_others_are_served_between_the_parts_of_a_flood(serve, flood):
    """However much waits of one client, another gets its answer after a few turns of the loop."""
    served: list[str] = []

    def application(conn: Conn) -> Conn:
        served.append(conn.request_path)
        return conn.send_resp(200, "hello")

    server = await serve(application)
    other = await server.connect()
    attacker = await server.connect()
    sending = asyncio.ensure_future(attacker.send_some(flood))
    reading = asyncio.ensure_future(attacker.read_to_end())
    await server.until(lambda: server.connection.runtime._serving)
    for _ in range(3):
        before = len(served)
        assert (await other.get("/good")).status == 200
        assert len(served) - before < 3000  # of 20,000
    attacker.close()
    for task in (sending, reading):
        task.cancel()
    await asyncio.gather(sending, reading, return_exceptions=True)
