"""Clients that leave: seen at once, at every stage; stale Conns that can harm nobody."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from plugpy.conn import ClientDisconnected, Conn

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture
def leave(request):
    """Both ways to leave."""
    return {"close": lambda client: client.close(), "reset": lambda client: client.reset()}


@pytest.mark.parametrize("way", ["close", "reset"])
async def test_leaving_cancels_the_handler_at_once(serve, leave, way, caplog):
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def application(conn: Conn) -> Conn:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return conn

    logged = []
    server = await serve(application, access_log=lambda *facts: logged.append(facts))
    client = await server.connect()
    await client.send(GET)
    await entered.wait()
    leave[way](client)
    await cancelled.wait()
    await server.until(lambda: server.connection.conn is None)
    assert not server.connection.alive
    assert len(logged) == 1
    assert logged[0][0].remote_ip == "127.0.0.1"
    assert [record for record in caplog.records if record.name.startswith("plugpy")] == []


async def test_a_route_may_opt_out(serve):
    entered, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def application(conn: Conn) -> Conn:
        conn.route = SimpleNamespace(cancel_on_disconnect=False)
        entered.set()
        await go_on.wait()
        conn.send_resp(200, "to nobody")
        done.set()
        return conn

    server = await serve(application)
    client = await server.connect()
    await client.send(GET)
    await entered.wait()
    client.close()
    await server.until(lambda: server.connection.transport is None)
    go_on.set()
    await done.wait()
    await server.until(lambda: server.connection.conn is None)


async def test_chunk_raises_once_the_client_is_gone(serve):
    entered, go_on = asyncio.Event(), asyncio.Event()
    raised = asyncio.get_running_loop().create_future()

    async def application(conn: Conn) -> Conn:
        conn.route = SimpleNamespace(cancel_on_disconnect=False)
        conn.send_chunked(200)
        entered.set()
        await go_on.wait()
        try:
            await conn.chunk("x")
        except ClientDisconnected as error:
            raised.set_result(error)
            raise
        return conn

    server = await serve(application)
    client = await server.connect()
    await client.send(GET)
    await entered.wait()
    client.close()
    await server.until(lambda: server.connection.transport is None)
    go_on.set()
    assert (await raised).status == 499


async def test_a_chunk_that_waits_is_woken(serve):
    ended = asyncio.get_running_loop().create_future()

    async def application(conn: Conn) -> Conn:
        conn.route = SimpleNamespace(cancel_on_disconnect=False)
        conn.send_chunked(200)
        try:
            while True:
                await conn.chunk(b"x" * 65_536)
        except ClientDisconnected as error:
            ended.set_result(error)
            raise

    server = await serve(application)
    client = await server.connect(receive_buffer=4096)
    await client.send(GET)
    await server.until(lambda: server.connection._write_waiter is not None)
    client.reset()
    assert isinstance(await ended, ClientDisconnected)


@pytest.mark.parametrize("opt_out", [False, True])
async def test_leaving_in_the_middle_of_the_body(serve, opt_out):
    ended = asyncio.get_running_loop().create_future()
    entered = asyncio.Event()

    async def application(conn: Conn) -> Conn:
        conn.route = SimpleNamespace(cancel_on_disconnect=not opt_out)
        entered.set()
        try:
            await conn.body()
        except BaseException as error:
            ended.set_result(error)
            raise
        return conn

    server = await serve(application)
    client = await server.connect()
    await client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
    await entered.wait()
    client.close()
    expected = ClientDisconnected if opt_out else asyncio.CancelledError
    assert isinstance(await ended, expected)


async def test_a_crash_after_the_client_has_left_is_logged(serve, caplog):
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def application(conn: Conn) -> Conn:
        conn.route = SimpleNamespace(cancel_on_disconnect=False)
        entered.set()
        await go_on.wait()
        raise RuntimeError("a bug")

    server = await serve(application)
    client = await server.connect()
    await client.send(GET)
    await entered.wait()
    client.close()
    await server.until(lambda: server.connection.transport is None)
    go_on.set()
    await server.until(lambda: server.connection.conn is None)
    assert "a bug" in caplog.text


async def test_leaving_before_anything(serve):
    server = await serve(lambda conn: conn.send_resp(200, ""))
    client = await server.connect()
    client.close()
    await server.until(lambda: server.connection.transport is None)
    assert not server.connection.alive


# stale Conns ------------------------------------------------------------------------------------


async def test_a_stale_conn_cannot_write_into_another_response(serve):
    stale: list[Conn] = []
    go_on, second = asyncio.Event(), asyncio.Event()
    raised: list[BaseException] = []

    async def outlives(conn: Conn) -> None:
        await second.wait()
        conn.state = "unset"  # as if it had never been sent: only the adapter protects now
        conn.send_resp(200, "STALE")
        conn.state = "unset"
        conn.inform(103, {"x-stale": "STALE"})
        conn.send_file(200, __file__)
        conn.state = "unset"
        conn.send_chunked(200)
        for attempt in (conn.chunk("STALE"), conn.read_body()):
            try:
                await attempt
            except ClientDisconnected as error:
                raised.append(error)
        go_on.set()

    async def application(conn: Conn) -> Conn:
        if conn.request_path == "/first":
            stale.append(conn)
            tasks.append(asyncio.ensure_future(outlives(conn)))
            return conn.send_resp(200, "first")
        second.set()
        await go_on.wait()
        return conn.send_resp(200, "second")

    tasks: list[asyncio.Future] = []
    server = await serve(application)
    client = await server.connect()
    assert (await client.get("/first")).body == b"first"
    response = await client.get("/second")
    await tasks[0]
    assert response.body == b"second"
    assert response.informs == []
    assert len(raised) == 2
    assert (await client.get("/first")).body == b"first"
    tasks[1].cancel()


async def test_a_stale_reader_gets_no_bytes_of_the_next_body(serve):
    results: list[object] = []

    async def read_on(conn: Conn) -> None:
        try:
            results.append(await conn.body())
        except ClientDisconnected as error:
            results.append(error)

    async def application(conn: Conn) -> Conn:
        if conn.request_path == "/1":
            tasks.append(asyncio.ensure_future(read_on(conn)))
            await asyncio.sleep(0)  # it waits for the body now
            return conn.send_resp(200, "1")
        return conn.send_resp(200, await conn.body())

    tasks: list[asyncio.Future] = []
    server = await serve(application)
    client = await server.connect()
    await client.send(b"POST /1 HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n")
    assert (await client.response("POST")).body == b"1"
    await client.send(b"abcPOST /2 HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\ndef")
    assert (await client.response("POST")).body == b"def"
    await tasks[0]
    assert isinstance(results[0], ClientDisconnected)
