"""RedisStore on a real Redis, and a Session whose answers wait for their store."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from plugpy.conn import ClientDisconnected, Conn, status_of
from plugpy.pipeline import Pipeline, blocking, wrap
from plugpy.plugs import Compress, ErrorHandler, Session
from plugpy.plugs.session import RedisStore, SessionStoreError
from plugpy.testing import conn

redis = pytest.importorskip("redis.asyncio")
PROGRAM = shutil.which("redis-server")
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="redis-server is not installed (Debian package redis-server)"
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A Redis of this module on a unix socket, which keeps nothing."""
    with tempfile.TemporaryDirectory(prefix="plugpy-redis-") as folder:  # a short path: 107 bytes
        socket = Path(folder) / "s"
        process = subprocess.Popen(
            [
                str(PROGRAM),
                *("--port", "0", "--unixsocket", str(socket), "--dir", folder),
                *("--save", "", "--appendonly", "no", "--daemonize", "no"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if "ready to accept connections" in line.lower():
                    break
            else:
                pytest.fail(f"redis-server did not start: {lines}")
            yield f"unix://{socket}"
        finally:
            process.terminate()
            process.communicate()


@pytest.fixture
async def client(url) -> AsyncIterator[Any]:
    client = redis.Redis.from_url(url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def store(url, client) -> AsyncIterator[RedisStore]:
    store = RedisStore(url)
    yield store
    await store.close()


def cookie_of(sent: Conn) -> str | None:
    values = [value for name, value in sent.adapter.sent_headers if name == "set-cookie"]
    assert len(values) < 2
    return values[0].partition("=")[2].partition(";")[0] if values else None


async def ask(store: Any, handler: Any, cookie: str | None = None, **options: Any) -> Conn:
    """The conn after a request, from a pipeline of Session and a handler."""
    request = conn("GET", "/", headers={"cookie": f"_app={cookie}"} if cookie else {})
    result: Any = Pipeline([wrap(Session, store=store, key="_app", **options), handler])(request)
    return result if result is request else await result


def put(conn: Conn) -> Conn:
    return conn.put_session("user", 7).text("ok")


def show(conn: Conn) -> Conn:
    return conn.json(conn.get_session())


async def test_a_session_comes_back(store, client):
    sent = await ask(store, put)
    cookie = cookie_of(sent)
    assert sent.adapter.sent_body == b"ok"
    assert len(cookie) == 43  # 256 bits
    back = await ask(store, show, cookie)
    assert json.loads(back.adapter.sent_body) == {"user": 7}
    assert cookie_of(back) is None


async def test_who_reads_the_database_has_no_session(store, client):
    cookie = cookie_of(await ask(store, put))
    (key,) = await client.keys()
    assert key.startswith(b"plugpy:session:")
    assert cookie.encode() not in key
    assert await client.get(key) == b'{"user":7}'
    assert (await ask(store, show, key.decode().rpartition(":")[2])).adapter.sent_body == b"{}"


async def test_every_session_has_an_end_that_use_moves(url, store, client):
    cookie = cookie_of(await ask(store, put, max_age=100))
    (key,) = await client.keys()
    assert 90 < await client.ttl(key) <= 100
    await client.expire(key, 10)
    await ask(store, show, cookie, max_age=100)
    assert 90 < await client.ttl(key) <= 100
    fixed = RedisStore(url, sliding=False)
    await client.expire(key, 10)
    await ask(fixed, show, cookie, max_age=100)
    assert await client.ttl(key) <= 10
    await fixed.close()


async def test_nothing_is_asked_without_a_cookie_and_written_without_a_change():
    store = RedisStore("redis://127.0.0.1:1")  # nobody is there
    sent = await ask(store, show)
    assert (sent.adapter.sent_body, cookie_of(sent)) == (b"{}", None)


async def test_an_id_that_a_client_has_chosen_is_not_taken(store, client):
    cookie = cookie_of(await ask(store, put, "chosen"))
    assert cookie != "chosen"
    assert len(await client.keys()) == 1


@pytest.mark.parametrize("cookie", ["é", "a" * 3000, "\x7f"])
async def test_odd_cookies(store, cookie):
    assert (await ask(store, show, cookie)).adapter.sent_body == b"{}"


async def test_what_is_no_session_counts_as_none(store, client, caplog):
    cookie = cookie_of(await ask(store, put))
    (key,) = await client.keys()
    for text in (b"[1]", b"no json", b"\xff"):
        await client.set(key, text)
        assert (await ask(store, show, cookie)).adapter.sent_body == b"{}"
    assert len(caplog.records) == 3


async def test_renew_and_drop(store, client):
    cookie = cookie_of(await ask(store, put))
    renewed = cookie_of(
        await ask(store, lambda conn: conn.configure_session(renew=True).text(""), cookie)
    )
    assert renewed != cookie
    assert (await ask(store, show, cookie)).adapter.sent_body == b"{}"
    assert (await ask(store, show, renewed)).adapter.sent_body == b'{"user":7}'
    dropped = await ask(store, lambda conn: conn.configure_session(drop=True).text(""), renewed)
    assert cookie_of(dropped) == ""
    assert await client.keys() == []
    ignored = await ask(store, lambda conn: put(conn.configure_session(ignore=True)))
    assert cookie_of(ignored) is None
    assert await client.keys() == []


async def test_who_has_logged_out_meanwhile_stays_out(store, client):
    cookie = cookie_of(await ask(store, put))

    async def slow(conn: Conn) -> Conn:
        await ask(store, lambda conn: conn.configure_session(drop=True).text(""), cookie)
        return put(conn)

    await ask(store, slow, cookie)
    assert await client.keys() == []


# the answer waits -------------------------------------------------------------------------------


class SlowStore:
    """A store that takes its time; `log` says what happened when."""

    def __init__(self, log: list[str], fails: bool = False) -> None:
        self.max_age = 0.0
        self.log = log
        self.fails = fails
        self.written: dict[str, Any] = {}

    async def get(self, conn: Conn, cookie: str) -> tuple[str | None, dict[str, Any]]:
        return None, {}

    def put(self, conn: Conn, sid: str | None, data: dict[str, Any]) -> Any:
        return "new", self._write(data)

    async def _write(self, data: dict[str, Any]) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        if self.fails:
            raise SessionStoreError("down")
        self.log.append("written")

    async def delete(self, conn: Conn, sid: str) -> None:
        self.log.append("deleted")


def logging_adapter(request: Conn, log: list[str]) -> None:
    adapter = request.adapter
    for name in ("send_resp", "send_file", "send_chunked"):
        send = getattr(adapter, name)

        def logged(*args: Any, send: Any = send, name: str = name) -> None:
            log.append(name)
            send(*args)

        setattr(adapter, name, logged)


async def stream(conn: Conn) -> Conn:
    await conn.put_session("a", 1).send_chunked(200).chunk("x")
    return conn


@blocking
def in_thread(conn: Conn) -> Conn:
    return put(conn)


async def later(conn: Conn) -> Conn:
    await asyncio.sleep(0)
    return put(conn)


WAYS = {
    "send_resp": put,
    "async": later,
    "thread": in_thread,
    "resp": lambda conn: conn.put_session("a", 1).resp(200, "ok"),
    "file": lambda conn: conn.put_session("a", 1).send_file(200, __file__),
    "stream": stream,
    "stream without pieces": lambda conn: conn.put_session("a", 1).send_chunked(200),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("around", [[], [wrap(Compress)]])
async def test_the_answer_leaves_when_the_session_is_written(way, around):
    log: list[str] = []
    request = conn()
    logging_adapter(request, log)
    app = Pipeline([*around, wrap(Session, store=SlowStore(log), key="_app"), WAYS[way]])
    assert await app(request) is request
    assert log[0] == "written"
    assert len(log) == 2
    assert cookie_of(request) == "new"


async def test_two_pieces_wait_once():
    log: list[str] = []

    async def both(conn: Conn) -> Conn:
        conn.put_session("a", 1).send_chunked(200)
        await asyncio.gather(conn.chunk("x"), conn.chunk("y"))
        return await conn.chunk("z")

    sent = await ask(SlowStore(log), both)
    assert (log, sent.adapter.chunks) == (["written"], [b"x", b"y", b"z"])


@pytest.mark.parametrize("way", [way for way in WAYS if way != "stream"])
async def test_a_store_that_fails_is_an_error_and_no_answer(way):
    request = conn()
    app = Pipeline([wrap(Session, store=SlowStore([], fails=True), key="_app"), WAYS[way]])
    with pytest.raises(SessionStoreError) as caught:
        await app(request)
    assert status_of(caught.value) == 503
    assert request.adapter.sent_status is None
    assert request.state == "unset"
    request.send_resp(503, "sorry")  # as the server does
    assert (request.adapter.sent_status, cookie_of(request)) == (503, None)


async def test_a_stream_whose_session_fails_is_not_begun():
    request = conn()
    app = Pipeline([wrap(Session, store=SlowStore([], fails=True), key="_app"), stream])
    with pytest.raises(SessionStoreError):
        await app(request)
    assert (request.adapter.sent_status, request.state) == (None, "unset")


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_crash_unanswered_leaves_the_session_as_it_was(is_async):
    log: list[str] = []

    def crash(conn: Conn) -> Conn:
        conn.put_session("a", 1)
        raise ZeroDivisionError

    async def crash_later(conn: Conn) -> Conn:
        return crash(conn)

    request = conn()
    handler = crash_later if is_async else crash
    app: Any = Pipeline(
        [wrap(ErrorHandler), wrap(Session, store=SlowStore(log), key="_app"), handler]
    )
    with pytest.raises(ZeroDivisionError):
        await app(request)
    assert (request.adapter.sent_status, cookie_of(request), log) == (500, None, [])


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_crash_that_was_answered_inside_writes(is_async):
    log: list[str] = []

    def crash(conn: Conn) -> Conn:
        conn.put_session("a", 1)
        raise ZeroDivisionError

    async def crash_later(conn: Conn) -> Conn:
        return crash(conn)

    request = conn()
    handler = crash_later if is_async else crash
    app: Any = Pipeline(
        [wrap(Session, store=SlowStore(log), key="_app"), wrap(ErrorHandler), handler]
    )
    with pytest.raises(ZeroDivisionError):
        await app(request)
    assert (request.adapter.sent_status, cookie_of(request), log) == (500, "new", ["written"])


async def test_a_request_that_is_cancelled_is_answered_all_the_same():
    began = asyncio.Event()
    ended = asyncio.Event()

    class Stuck(SlowStore):
        async def _write(self, data: dict[str, Any]) -> None:
            began.set()
            await ended.wait()
            self.log.append("written")

    log: list[str] = []
    request = conn()
    app: Any = Pipeline([wrap(Session, store=Stuck(log), key="_app"), put])
    task = asyncio.ensure_future(app(request))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert request.adapter.sent_body == b"ok"
    ended.set()  # the write is not lost
    while not log:
        await asyncio.sleep(0)


async def test_a_client_that_is_gone():
    async def gone(conn: Conn) -> Conn:
        conn.put_session("a", 1)
        raise ClientDisconnected("gone")

    with pytest.raises(ClientDisconnected):
        await ask(SlowStore([]), gone)


# Redis that is not there, options ---------------------------------------------------------------


async def test_redis_that_is_not_there(tmp_path):
    store = RedisStore(f"unix://{tmp_path}/nobody")
    for cookie, handler in ((None, put), ("cookie", show)):
        with pytest.raises(SessionStoreError) as caught:
            await ask(store, handler, cookie)
        assert str(tmp_path) not in str(caught.value)
    await store.close()


async def test_redis_that_does_not_answer():
    async def say_nothing(reader: Any, writer: Any) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    store = RedisStore(f"redis://127.0.0.1:{port}", timeout=0.01)
    with pytest.raises(SessionStoreError):
        await ask(store, show, "cookie")
    await store.close()
    server.close()
    await server.wait_closed()


async def test_what_can_not_be_kept(store, client):
    with pytest.raises(TypeError, match="JSON"):
        await ask(store, lambda conn: conn.put_session("a", object()).text(""))
    with pytest.raises(ValueError, match="more than 65536"):
        await ask(store, lambda conn: conn.put_session("a", "x" * 70_000).text(""))
    assert await client.keys() == []


async def test_a_client_of_ones_own(url, client):
    store = RedisStore(client=lambda: redis.Redis.from_url(url), prefix="mine:")
    await ask(store, put)
    assert [key[:5] for key in await client.keys()] == [b"mine:"]
    await store.close()


def test_each_event_loop_has_its_connections(url):
    store = RedisStore(url)

    async def visit() -> None:
        await ask(store, put)
        await store.close()

    for _ in range(2):
        asyncio.run(visit())


def test_options_that_do_not_fit(url):
    for options in ({}, {"url": url, "client": redis.Redis}):
        with pytest.raises(ValueError, match="one of the two"):
            RedisStore(**options)
    with pytest.raises(ValueError, match="above 0"):
        RedisStore(url, timeout=0)
    with pytest.raises(ValueError, match="redis://") as caught:
        RedisStore("http://user:secret@host")
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(RedisStore("redis://user:secret@host"))


def test_it_goes_around_plugs(url):
    with pytest.raises(TypeError, match=r"wrap\(Session"):
        Session(store=RedisStore(url), key="_app")
    with pytest.raises(ValueError, match="fetch=False"):
        Session(lambda conn: conn, store=RedisStore(url), key="_app", fetch=False)
