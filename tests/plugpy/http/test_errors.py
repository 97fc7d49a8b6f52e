"""Applications that fail: what the client is told, what is logged, how the connection ends."""

from __future__ import annotations

import asyncio

import pytest

from plugpy.conn import BadRequestError, Conn, MethodNotAllowedError, NoRouteError
from plugpy.http import VERDICTS, HttpError, HttpOptions

GET = b"GET /path?token=secret HTTP/1.1\r\nhost: x\r\n\r\n"


def crash(conn: Conn) -> Conn:
    raise RuntimeError("password=hunter2")


async def crash_async(conn: Conn) -> Conn:
    raise RuntimeError("password=hunter2")


async def crash_later(conn: Conn) -> Conn:
    await asyncio.sleep(0)
    raise RuntimeError("password=hunter2")


def crash_in_before_send(conn: Conn) -> Conn:
    def callback(conn: Conn) -> Conn:
        raise RuntimeError("password=hunter2")

    return conn.register_before_send(callback).send_resp(200, "hello")


def not_sent(conn: Conn) -> Conn:
    return conn


async def not_sent_async(conn: Conn) -> Conn:
    return conn


def not_a_conn(conn: Conn) -> object:
    return {"hello": 1}


async def not_a_conn_async(conn: Conn) -> object:
    await asyncio.sleep(0)
    return None


def bad_body(conn: Conn) -> Conn:
    return conn.resp(200, 5)  # type: ignore[arg-type]


CRASHES = {
    crash: "hunter2",
    crash_async: "hunter2",
    crash_later: "hunter2",
    crash_in_before_send: "hunter2",
    not_sent: "NotSentError",
    not_sent_async: "NotSentError",
    not_a_conn: "did you forget `return conn`?",
    not_a_conn_async: "did you forget `return conn`?",
    bad_body: "a response body is str, bytes",
}


@pytest.mark.parametrize("application", CRASHES, ids=lambda function: function.__name__)
async def test_a_crash_is_a_500_that_tells_nothing(serve, caplog, application):
    server = await serve(application)
    client = await server.connect()
    for _ in range(2):  # and the connection lives on
        response = await client.request(GET)
        assert response.status == 500
        assert response.body == b"500 Internal Server Error\n"
        assert response.get("content-type") == "text/plain; charset=utf-8"
        assert not response.closes
    assert CRASHES[application] in caplog.text
    assert "GET /path" in caplog.text
    assert "secret" not in caplog.text


async def test_a_pipelined_crash_spoils_no_other(serve):
    def application(conn: Conn) -> Conn:
        return crash(conn) if conn.request_path == "/path" else conn.send_resp(200, "fine")

    server = await serve(application)
    client = await server.connect()
    fine = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    await client.send(fine + GET + fine)
    assert [(await client.response()).status for _ in range(3)] == [200, 500, 200]


async def test_debug_tells_all(serve):
    server = await serve(crash, debug=True)
    client = await server.connect()
    response = await client.request(GET)
    assert response.status == 500
    assert b"RuntimeError: password=hunter2" in response.body


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (BadRequestError("say please"), 400, b": say please"),
        (NoRouteError(), 404, b"404 Not Found"),
        (BadRequestError("teapot", status=418), 418, b": teapot"),
        (HttpError("body_too_large"), 413, b": the request body"),
        (type("Mine", (Exception,), {"status": 404})("private"), 404, b"404 Not Found\n"),
        (type("Odd", (Exception,), {"status": 499})("private"), 499, b"499 \n"),
        (type("Wrong", (Exception,), {"status": 200})("private"), 500, b"500 Internal"),
        (type("Text", (Exception,), {"status": "404"})("private"), 500, b"500 Internal"),
    ],
)
async def test_errors_carry_their_status(serve, error, status, told):
    def application(conn: Conn) -> Conn:
        raise error

    server = await serve(application)
    client = await server.connect()
    response = await client.request(GET)
    assert response.status == status
    assert told in response.body
    assert b"private" not in response.body


async def test_a_405_has_allow(serve):
    def application(conn: Conn) -> Conn:
        raise MethodNotAllowedError("no", allow=("GET", "HEAD"))

    server = await serve(application)
    client = await server.connect()
    assert (await client.request(GET)).get("allow") == "GET, HEAD"


async def test_headers_of_plugs_stay_and_those_of_the_lost_body_go(serve):
    def application(conn: Conn) -> Conn:
        conn.put_resp_header("x-request-id", "1").put_resp_header("content-type", "image/png")
        conn.put_resp_header("etag", "1").put_resp_header("content-encoding", "gzip")
        raise RuntimeError

    server = await serve(application)
    client = await server.connect()
    response = await client.request(GET)
    assert response.get("x-request-id") == "1"
    assert response.get("content-type") == "text/plain; charset=utf-8"
    assert response.get("etag") is None
    assert response.get("content-encoding") is None


async def test_before_send_runs_last_in_first_out(serve):
    order = []

    def note(name: str):
        def callback(conn: Conn) -> Conn:
            order.append(name)
            return conn.put_resp_header("x-order", name)

        return callback

    def application(conn: Conn) -> Conn:
        conn.register_before_send(note("first")).register_before_send(note("second"))
        return conn.send_resp(200, "")

    server = await serve(application)
    client = await server.connect()
    assert (await client.request(GET)).get("x-order") == "first"
    assert order == ["second", "first"]


@pytest.mark.parametrize("later", [False, True])
async def test_a_crash_after_the_whole_response_harms_nobody(serve, caplog, later):
    async def rest(conn: Conn) -> Conn:
        await asyncio.sleep(0)
        raise RuntimeError("too late")

    def application(conn: Conn) -> object:
        conn.send_resp(200, "whole")
        if later:
            return rest(conn)
        raise RuntimeError("too late")

    server = await serve(application)
    client = await server.connect()
    for _ in range(2):
        assert (await client.request(GET)).body == b"whole"
    await server.until(lambda: caplog.text.count("RuntimeError: too late") == 2)


async def test_a_crash_amid_chunks_breaks_the_response(serve, caplog):
    async def application(conn: Conn) -> Conn:
        conn.send_chunked(200)
        await conn.chunk("part")
        raise RuntimeError("amid")

    server = await serve(application)
    client = await server.connect()
    await client.send(GET * 2)
    received = await client.read_to_end()
    assert not received.endswith(b"0\r\n\r\n")
    assert received.count(b"HTTP/1.1") <= 1
    assert "amid" in caplog.text


async def test_a_crash_while_a_file_is_sent_lets_it_go_on(serve, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1_000_000)

    def application(conn: Conn) -> Conn:
        conn.send_file(200, path)
        raise RuntimeError

    server = await serve(application)
    client = await server.connect()
    for _ in range(2):
        assert len((await client.request(GET)).body) == 1_000_000


async def test_a_cancelled_handler_is_a_500(serve, caplog):
    async def application(conn: Conn) -> Conn:
        raise asyncio.CancelledError

    server = await serve(application)
    client = await server.connect()
    assert (await client.request(GET)).status == 500
    assert "CancelledError" in caplog.text


async def test_an_error_page_that_fails_too(serve, caplog):
    def application(conn: Conn) -> Conn:
        conn.resp_headers.append(("bad header", "1"))
        return conn.send_resp(200, "")

    server = await serve(application)
    client = await server.connect()
    assert (await client.request(GET)).status == 500
    assert (await client.request(GET)).status == 500


async def test_a_sync_system_exit_is_not_swallowed(wired):
    def application(conn: Conn) -> Conn:
        raise SystemExit(3)

    connection, _ = wired(application)
    with pytest.raises(SystemExit):
        connection.data_received(GET)


# upgrades -----------------------------------------------------------------------------------------


class Shout(asyncio.Protocol):
    """A protocol of ours: it answers in capital letters. It is its own Upgrade, too."""

    resp_headers = (("x-agreed", "yes"),)
    activity = "shouting"
    closed = False

    def __init__(self) -> None:
        self.handed: list[object] = []
        self.asked: list[str] = []

    def prepare(self, conn: Conn, options):
        self.handed.append((conn.request_path, options))
        return self, self

    def switch(self, connection, conn: Conn, agreed, receiver):
        return self

    def start(self, transport) -> None:
        self.transport = transport
        transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())

    def connection_lost(self, exc) -> None:
        self.connection.connection_lost(exc)

    def check_deadlines(self, now: float) -> None:
        self.asked.append("deadlines")

    def drain(self) -> None:
        self.asked.append("drain")

    def cancel(self) -> bool:
        self.asked.append("cancel")
        return True


async def test_an_upgrade_hands_the_connection_over(serve):
    def application(conn: Conn) -> Conn:
        conn.put_resp_header("x-a", "b")
        return conn.upgrade_adapter("shout", {"depth": 1})

    shout = Shout()
    server = await serve(application, upgrades={"shout": shout})
    client = await server.connect()
    shout.connection = server.connection
    fields = b"connection: upgrade\r\nupgrade: shout\r\n\r\n"
    await client.send(b"GET /up HTTP/1.1\r\nhost: x\r\n" + fields + b"early ")
    head = await client.read_until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"\r\nconnection: upgrade\r\nupgrade: shout\r\n" in head
    assert b"\r\nx-a: b\r\n" in head
    assert b"\r\nx-agreed: yes\r\n" in head
    await client.send(b"hello")
    assert await client.read_until(b"HELLO") == b"EARLY HELLO"
    assert shout.handed == [("/up", {"depth": 1})]
    # It is asked for all that ends a connection.
    server.advance(10_000)
    server.connection.drain()
    assert server.connection.cancel("shutdown")
    assert shout.asked == ["deadlines", "drain", "cancel"]
    assert server.connection.activity == "shouting"
    client.close()


async def test_an_unknown_upgrade_is_the_developers_error(serve, caplog):
    server = await serve(lambda conn: conn.upgrade_adapter("websocket"))
    client = await server.connect()
    assert (await client.request(GET)).status == 500
    assert "not supported by this adapter" in caplog.text


# the tables ---------------------------------------------------------------------------------------


def test_every_verdict_has_an_error_status_and_a_reason():
    for status, reason in VERDICTS.values():
        assert 400 <= status <= 599
        assert reason


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"application": None}, "application must be a plug"),
        ({"max_head": 0}, "max_head must be above 0"),
        ({"header_timeout": -1}, "header_timeout must be above 0"),
        ({"max_body": -1}, "max_body can't be negative"),
    ],
)
def test_options_are_validated(settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        HttpOptions(**{"application": crash, **settings})


def test_secrets_are_not_shown():
    assert "hunter2" not in repr(HttpOptions(crash, secret_key_base="hunter2"))
