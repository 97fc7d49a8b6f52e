"""Persistence and pipelining (RFC 9112 section 9)."""

from __future__ import annotations

import asyncio

import pytest

from plugpy.conn import Conn, RequestHead
from plugpy.http.http1 import TURN

GET = b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n"


def hello(conn: Conn) -> Conn:
    return conn.send_resp(200, f"{conn.method} {conn.request_path}")


async def hello_async(conn: Conn) -> Conn:
    await asyncio.sleep(0)
    return conn.send_resp(200, f"{conn.method} {conn.request_path}")


@pytest.mark.parametrize("application", [hello, hello_async])
async def test_a_connection_is_kept(serve, parser, application):
    server = await serve(application, http=parser)
    client = await server.connect()
    for path in ("/a", "/b", "/a", "/a", "/a"):
        response = await client.get(path)
        assert response.status == 200
        assert response.body == f"GET {path}".encode()
        assert response.get("connection") is None
        assert response.get("date")
    assert server.connection.requests == 5


@pytest.mark.parametrize("application", [hello, hello_async])
async def test_connection_close_is_obeyed(serve, application):
    server = await serve(application)
    client = await server.connect()
    response = await client.get("/", "Connection: close")
    assert response.closes
    assert await client.closed()


@pytest.mark.parametrize("application", [hello, hello_async])
async def test_one_that_closes_leaves_the_others_alone(serve, parser, application):
    # llhttp swallowed all heads that followed one with `connection: close`, of any connection.
    server = await serve(application, http=parser, head_memo=0)
    for _ in range(3):
        client = await server.connect()
        assert (await client.get("/", "Connection: close")).status == 200
        other = await server.connect()
        assert (await other.request(b"GET / HTTP/1.0\r\n\r\n")).status == 200
        third = await server.connect()
        assert (await third.get("/")).status == 200
        assert (await third.request(b"GET / HTTP/1.1\r\nhost: x\r\nbad\r\n\r\n")).status == 400


@pytest.mark.parametrize("application", [hello, hello_async])
async def test_http_1_0(serve, application):
    server = await serve(application)
    client = await server.connect()
    response = await client.request(b"GET / HTTP/1.0\r\n\r\n")
    assert response.status == 200
    assert response.closes
    assert await client.closed()

    client = await server.connect()
    for _ in range(3):
        response = await client.request(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
        assert response.get("connection") == "keep-alive"
        assert response.get("content-length") == "5"


@pytest.mark.parametrize("application", [hello, hello_async])
async def test_pipelined_requests_are_answered_in_order(serve, application):
    server = await serve(application)
    client = await server.connect()
    await client.send(b"".join(GET % number for number in range(200)))
    for number in range(200):
        assert (await client.response()).body == b"GET /%d" % number


async def test_slow_and_quick_requests_keep_their_order(serve):
    gates = {f"/{number}": asyncio.Event() for number in range(3)}

    async def application(conn: Conn) -> Conn:
        await gates[conn.request_path].wait()
        return conn.send_resp(200, conn.request_path)

    server = await serve(application)
    client = await server.connect()
    await client.send(b"".join(GET % number for number in range(3)))
    for path in ("/2", "/1", "/0"):  # the later ones could answer at once
        gates[path].set()
    assert [(await client.response()).body for _ in range(3)] == [b"/0", b"/1", b"/2"]


async def test_pipelined_responses_leave_in_one_write(wired):
    connection, wire = wired(hello)
    connection.data_received(b"".join(GET % number for number in range(16)))
    assert len(wire.writes) == 1
    assert wire.sent.count(b"HTTP/1.1 200 OK") == 16


async def test_a_response_is_one_write(wired):
    def application(conn: Conn) -> Conn:
        return conn.put_resp_header("x-a", "b").send_resp(200, "x" * 10_000)

    connection, wire = wired(application)
    connection.data_received(GET % 1)
    connection.data_received(GET % 2)
    assert len(wire.writes) == 2


async def test_a_deep_pipeline_is_served_in_turns(wired):
    # One read may bring thousands of requests: others must not wait for all of them.
    connection, wire = wired(lambda conn: conn.send_resp(200, b"x" * 10_000))
    connection.data_received(b"".join(GET % number for number in range(1000)) + b"GET /rest")
    turns = 0
    while wire.sent.count(b"HTTP/1.1 200 OK") < 1000:
        assert wire.sent.count(b"HTTP/1.1 200 OK") <= (turns + 1) * TURN
        assert not connection.idle
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 1000 // TURN
    assert max(map(len, wire.writes)) < 1_000_000
    assert connection._buffer == b"GET /rest"


async def test_more_arrives_while_a_deep_pipeline_waits(wired):
    served = []

    def note(conn: Conn) -> Conn:
        served.append(conn.request_path)
        return conn.send_resp(200, "")

    connection, wire = wired(note)
    raw = b"".join(GET % number for number in range(300))
    for start in range(0, len(raw), 5000):
        connection.data_received(raw[start : start + 5000])
    while len(served) < 300:
        await asyncio.sleep(0)
    assert served == [f"/{number}" for number in range(300)]
    assert wire.sent.count(b"HTTP/1.1 200 OK") == 300
    assert connection.idle


async def test_pipelined_after_a_partial_head(serve):
    server = await serve(hello)
    client = await server.connect()
    await client.send(GET % 1 + b"GE")
    assert (await client.response()).body == b"GET /1"
    await client.send(b"T /2 HTTP/1.1\r\nhost: x\r\n")
    await client.send(b"\r\n" + GET % 3 + b"GET /4")
    assert (await client.response()).body == b"GET /2"
    assert (await client.response()).body == b"GET /3"
    await client.send(b" HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await client.response()).body == b"GET /4"


async def test_nothing_is_served_after_the_last_request(serve):
    server = await serve(hello)
    client = await server.connect()
    await client.send(b"GET /1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" + GET % 2)
    assert (await client.response()).body == b"GET /1"
    assert await client.closed()
    assert server.connection.requests == 1


@pytest.mark.parametrize("application", [hello, hello_async])
async def test_max_keepalive(serve, application):
    server = await serve(application, max_keepalive=3)
    client = await server.connect()
    await client.send(b"".join(GET % number for number in range(5)))
    responses = [await client.response() for _ in range(3)]
    assert [response.closes for response in responses] == [False, False, True]
    client.close()
    await server.until(lambda: server.connection.transport is None)


async def test_contexts_do_not_leak_between_requests(serve):
    from contextvars import ContextVar

    user: ContextVar[str] = ContextVar("user", default="nobody")

    async def rest(conn: Conn) -> Conn:
        await asyncio.sleep(0)
        return conn.send_resp(200, user.get())

    def application(conn: Conn) -> object:
        if conn.request_path == "/set":
            user.set("somebody")
        if conn.query_string == "async":
            return rest(conn)
        return conn.send_resp(200, user.get())

    server = await serve(application)
    client = await server.connect()
    for query in ("", "?async"):
        # What a sync plug sets is seen by the async rest of its own request, and by no other.
        assert (await client.get(f"/set{query}")).body == b"somebody"
        assert (await client.get(f"/{query}")).body == b"nobody"
    await client.send(b"GET /set HTTP/1.1\r\nhost: x\r\n\r\n" + GET % 1)
    assert (await client.response()).body == b"somebody"
    assert (await client.response()).body == b"nobody"


async def test_a_listener_that_is_full_answers_503(serve):
    server = await serve(
        hello, transport={"max_connections": 1, "max_connections_policy": "refuse"}
    )
    client = await server.connect()
    await client.send(b"GET")  # an idle one would be closed to make room
    await server.until(lambda: server.connection._buffer is not None)
    refused = await server.dial()
    response = await refused.response()
    assert response.status == 503
    assert response.get("retry-after")
    assert response.closes


async def test_what_is_built_by_hand_has_every_slot(wired):
    # The hot path does not call the constructors, so it must set what they set.
    seen = []

    def application(conn: Conn) -> Conn:
        seen.append((conn, filled(conn), filled(conn.head)))
        return conn.send_resp(200, "")

    connection, _ = wired(application)
    connection.data_received(GET % 1)
    ((conn, slots, head_slots),) = seen
    head = conn.head
    assert slots == filled(Conn(conn.adapter, head))
    made = RequestHead(head.method, head.path, head.query, head.version, head.fields, head.lower)
    assert head_slots == filled(made)


def filled(value: object) -> set[str]:
    names = {name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())}
    found = set()
    for name in names - {"__weakref__"}:
        try:
            object.__getattribute__(value, name)
            found.add(name)
        except AttributeError:
            pass
    return found


async def test_a_deadline_that_fails_does_not_stop_the_others(serve, monkeypatch, caplog):
    server = await serve(hello, keepalive_timeout=75)
    broken = await server.connect()
    await broken.get()
    client = await server.connect()
    await client.get()
    monkeypatch.setattr(server.connections[0], "since", "broken")
    server.advance(80)
    assert await client.closed()
    assert "could not look at its deadlines" in caplog.text


async def test_snapshot(serve):
    async def application(conn: Conn) -> Conn:
        entered.set()
        await leave.wait()
        return conn.send_resp(200, "")

    entered, leave = asyncio.Event(), asyncio.Event()
    server = await serve(application)
    client = await server.connect()
    facts = server.connection.snapshot()
    assert facts["protocol"] == "http/1.1"
    assert facts["activity"] == "reading"
    assert facts["peer"] == "{}:{}".format(*client.sock.getsockname())
    await client.send(b"GET /path?secret=1 HTTP/1.1\r\nhost: x\r\n\r\n")
    await entered.wait()
    facts = server.connection.snapshot()
    assert facts["activity"] == "handling"
    assert facts["request"] == "GET /path"
    assert "secret" not in repr(facts)
    leave.set()
    await client.response()
    assert server.connection.snapshot()["activity"] == "idle"
    assert server.connection.snapshot()["requests"] == 1
