"""Routers as ASGI applications: the same requests have the same answers as on plugpy's server."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest

from plugpy import Pipeline, get
from plugpy.interop import to_asgi
from plugpy.server import Server

from . import application
from .application import App, Whole

REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/", {}),
    ("HEAD", "/", {}),
    ("GET", "/json/42?a[b]=1&c=2", {}),
    ("GET", "/json/x", {}),
    ("GET", "/later", {}),
    ("GET", "/now", {}),
    ("POST", "/form", {"data": {"user[name]": "Ann", "x": "1"}}),
    ("POST", "/form", {"json": {"a": [1, 2]}}),
    ("POST", "/form", {"content": b"{", "headers": {"content-type": "application/json"}}),
    ("POST", "/form", {"content": b"x", "headers": {"content-type": "image/png"}}),
    ("POST", "/form", {"files": {"f": ("a.txt", b"hello")}, "data": {"k": "v"}}),
    ("POST", "/size", {"content": b"x" * 1000}),
    ("POST", "/size", {"content": b"x" * 1001}),
    ("GET", "/chunks", {}),
    ("HEAD", "/chunks", {}),
    ("GET", "/file", {}),
    ("HEAD", "/file", {}),
    ("GET", "/part", {}),
    ("GET", "/cookies", {"headers": {"cookie": "k=v; l=w"}}),
    ("GET", "/crash", {}),
    ("GET", "/crash-later", {}),
    ("GET", "/nothing", {}),
    ("GET", "/empty", {}),
    ("GET", "/cached", {}),
    ("GET", "/promise", {}),
    ("GET", "/facts?x=%20y", {"headers": {"x-mine": "yes", "host": "example.com"}}),
    ("GET", "/elsewhere", {}),
    ("GET", "/%ff", {}),
    ("POST", "/", {}),
    ("OPTIONS", "/", {}),
    ("PUT", "/any", {}),
    ("GET", "/echo", {}),
]
OF_THE_SERVER = frozenset({"date", "connection", "transfer-encoding", "server", "content-type"})


def facts(response: httpx.Response) -> Any:
    fields = [
        (name.lower(), value)
        for name, value in response.headers.multi_items()
        if name.lower() not in OF_THE_SERVER
    ]
    kind = response.headers.get("content-type", "")
    if "json" in kind:
        return response.status_code, sorted(fields), response.json()
    return response.status_code, sorted(fields), response.content


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


@pytest.mark.parametrize("form", [App, App(), to_asgi(App)], ids=["class", "instance", "to_asgi"])
async def test_the_same_answers_as_on_our_server(form: Any) -> None:
    transport = httpx.ASGITransport(app=form, raise_app_exceptions=False)
    async with (
        Server(App, port=0, access_log=False) as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as ours,
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as theirs,
    ):
        for method, path, how in REQUESTS:
            on_server = facts(await ours.request(method, path, **how))
            outward = facts(await theirs.request(method, path, **how))
            assert outward == on_server, f"{method} {path}"


async def run(app: Any, scope: dict[str, Any], events: list[Any]) -> list[Any]:
    """The messages that an application sends; `receive` waits for ever after the events."""
    sent: list[Any] = []

    async def receive() -> Any:
        if events:
            return events.pop(0)
        await asyncio.Event().wait()
        return None

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def http_scope(path: str = "/", **fields: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"x")],
        **fields,
    }


REQUEST = {"type": "http.request", "body": b"", "more_body": False}


async def test_root_path_becomes_script_name() -> None:
    class Mounted(App):
        @get("/where")
        def where(self, conn: Any) -> Any:
            return {"script": conn.script_name, "info": conn.path_info, "path": conn.request_path}

    sent = await run(Mounted, http_scope("/app/where", root_path="/app"), [REQUEST])
    body = b'{"script":["app"],"info":["where"],"path":"/app/where"}'
    assert sent[1]["body"] == body


async def test_asgi_2_is_answered_too() -> None:
    made = App(http_scope())
    sent: list[Any] = []

    async def receive() -> Any:
        return REQUEST

    async def send(message: Any) -> None:
        sent.append(message)

    await made(receive, send)
    assert sent[0]["status"] == 200


async def test_files_go_by_pathsend_where_the_server_has_it() -> None:
    scope = http_scope("/file", extensions={"http.response.pathsend": {}})
    sent = await run(App, scope, [REQUEST])
    assert sent[1] == {"type": "http.response.pathsend", "path": str(application.FILE)}


async def test_a_client_that_leaves_cancels_the_handler() -> None:
    over: list[str] = []

    async def handler(conn: Any) -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            over.append("cancelled")
            raise

    events = [REQUEST, {"type": "http.disconnect"}]
    assert await run(to_asgi(handler), http_scope(), events) == []
    assert over == ["cancelled"]


async def test_a_client_that_leaves_amid_the_body() -> None:
    async def handler(conn: Any) -> Any:
        return conn.text(str(len(await conn.body())))

    scope = http_scope(method="POST", headers=[(b"content-length", b"10")])
    events = [
        {"type": "http.request", "body": b"x", "more_body": True},
        {"type": "http.disconnect"},
    ]
    assert await run(to_asgi(handler), scope, events) == []


async def test_a_stream_that_breaks_is_broken_off() -> None:
    async def handler(conn: Any) -> Any:
        conn.send_chunked(200)
        await conn.chunk(b"some")
        raise RuntimeError("amid the stream")

    with pytest.raises(RuntimeError, match="amid the stream"):
        await run(to_asgi(handler), http_scope(), [REQUEST])


async def test_early_hints_and_what_is_sent_leaves_at_once() -> None:
    gate = asyncio.Event()
    sent: list[Any] = []

    async def handler(conn: Any) -> Any:
        conn.inform(103, [("link", "</a.css>; rel=preload")])
        conn.send_resp(200, "early")
        await gate.wait()
        return conn

    events = [REQUEST]

    async def receive() -> Any:
        if events:
            return events.pop()
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            gate.set()

    scope = http_scope(extensions={"http.response.early_hint": {}})
    async with asyncio.timeout(10):
        await to_asgi(handler)(scope, receive, send)
    kinds = [message["type"] for message in sent]
    assert kinds == ["http.response.early_hint", "http.response.start", "http.response.body"]


async def lifespan(app: Any) -> list[str]:
    """Start and stop; the messages."""
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    return [message["type"] for message in await run(app, scope, events)]


async def test_the_children_of_an_application_live_with_the_server() -> None:
    application.started.clear()
    assert await lifespan(Whole) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert application.started == ["worker", "worker over", "stopped"]
    assert await lifespan(App) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_what_can_not_start_says_so() -> None:
    class Broken(Whole):
        def start(self) -> Any:
            raise RuntimeError("no database")

    assert await lifespan(Broken()) == ["lifespan.startup.failed"]


async def test_tasks_outlive_the_request_and_end_with_the_server() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("done")

    async def handler(conn: Any) -> Any:
        conn.tasks.start_task(work)
        return conn.text("x")

    app = to_asgi(handler)
    await run(app, http_scope(), [REQUEST])
    async with asyncio.timeout(10):
        while not done:
            await asyncio.sleep(0)
    await app.outlet.shutdown()


async def test_a_pipeline_and_a_class_with_its_own_call() -> None:
    pipeline = Pipeline([lambda conn: conn.text("from a pipeline")])
    assert (await run(pipeline, http_scope(), [REQUEST]))[1]["body"] == b"from a pipeline"

    class Around(App):
        def __call__(self, conn: Any, *others: Any) -> Any:
            conn.put_resp_header("x-around", "yes")
            return super().__call__(conn)

    sent = await run(Around, http_scope(), [REQUEST])
    assert (b"x-around", b"yes") in sent[0]["headers"]
    async with Server(Around, port=0, access_log=False) as server, httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{server.port}/")
    assert answer.headers["x-around"] == "yes"


def test_other_calls_are_what_they_were() -> None:
    with pytest.raises(TypeError, match="served, or called by"):
        Whole()("something")
    with pytest.raises(TypeError, match="is expected"):
        to_asgi(42)
