"""What is taken for an ASGI application, and the options of the plug."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from acceptors import get_port
from plugpy.conn import Conn
from plugpy.interop import asgi_plug, is_asgi


async def application(scope: Any, receive: Any, send: Any) -> None:
    pass


def plain(scope: Any, receive: Any, send: Any) -> Any:
    return application(scope, receive, send)


class Instance:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        pass

    async def method(self, scope: Any, receive: Any, send: Any) -> None:
        pass


class Legacy:
    def __init__(self, scope: Any) -> None:
        pass

    async def __call__(self, receive: Any, send: Any) -> None:
        pass


async def anything(*args: Any) -> None:
    pass


def plug(conn: Conn) -> Conn:
    return conn


async def async_plug(conn: Conn) -> Conn:
    return conn


def wsgi(environ: Any, start_response: Any) -> Any:
    return []


@pytest.mark.parametrize("app", [application, plain, Instance(), Instance().method, anything])
def test_is_asgi(app: Any) -> None:
    assert is_asgi(app)
    assert asgi_plug(app).lifespan is not None


@pytest.mark.parametrize(
    "other", [Instance, Legacy, plug, async_plug, wsgi, 5, None, "app", lambda *args: None, dict]
)
def test_is_not_asgi(other: Any) -> None:
    assert not is_asgi(other)
    with pytest.raises(TypeError, match=r"async def app\(scope, receive, send\)"):
        asgi_plug(other)


@pytest.mark.parametrize("root_path", ["app", "/app/"])
def test_wrong_root_path(root_path: str) -> None:
    with pytest.raises(ValueError, match="root_path begins with a slash"):
        asgi_plug(application, root_path=root_path)


async def test_by_httpx(serve):
    """A client of everyday: kept connections, a stream, a form, a HEAD, a 404."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        data = (await receive())["body"]
        status = 200 if scope["path"] == "/" else 404
        await send({"type": "http.response.start", "status": status})
        for piece in (scope["method"].encode(), b" ", data):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    server = await serve(app)
    url = f"http://127.0.0.1:{get_port(server.ref)}"
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/")).text == "GET "
        assert (await client.post("/", data={"a": "1"})).text == "POST a=1"
        assert (await client.head("/")).text == ""
        assert (await client.get("/x")).status_code == 404
    assert len(server.connections) == 1
