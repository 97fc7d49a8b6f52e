"""A server starts what is mounted in its router."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from plugpy import Application
from plugpy.interop import asgi_plug
from plugpy.router import Router
from plugpy.server import Server
from plugpy.server.errors import ApplicationError, StartError


class Framework:
    """Counts its starts and ends; answers with what it knows."""

    def __init__(self, failing: str = "") -> None:
        self.events: list[str] = []
        self.failing = failing

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            self.events.append("start")
            if self.failing:
                await send({"type": "lifespan.startup.failed", "message": self.failing})
                return
            scope["state"]["name"] = "state of the lifespan"
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self.events.append("end")
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = f"{scope['state']['name']} {scope['root_path']} {scope['path']}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


def mounted_wsgi(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return [threading.current_thread().name.encode()]


def wsgi_hello(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return [b"hello"]


@contextlib.asynccontextmanager
async def client_of(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with server, httpx.AsyncClient(base_url=server.url) as client:
        yield client


@pytest.mark.parametrize("wrapped", [False, True])
async def test_both_kinds(wrapped: bool) -> None:
    framework = Framework()
    router = Router()
    router.forward("/asgi", to=framework)
    router.forward("/wsgi", to=mounted_wsgi, threads=1)
    served: Any = Application(router) if wrapped else router
    async with client_of(Server(served, port=0, access_log=False)) as client:
        assert framework.events == ["start"]
        answer = await client.get("/asgi/x/")
        assert answer.text == "state of the lifespan /asgi /asgi/x/"
        name = (await client.get("/wsgi/x")).text
        assert name == "wsgi-mounted_wsgi-1"
        (thread,) = [one for one in threading.enumerate() if one.name == name]
        assert (await client.get("/nothing")).status_code == 404
    assert framework.events == ["start", "end"]
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()


async def test_a_plug_made_by_hand() -> None:
    framework = Framework()
    plug = asgi_plug(framework)
    async with client_of(Server(plug, port=0, access_log=False)) as client:
        assert (await client.get("/x")).text == "state of the lifespan  /x"
    assert framework.events == ["start", "end"]


async def test_one_that_does_not_start_stops_the_server() -> None:
    first = Framework()
    router = Router()
    router.forward("/a", to=first)
    router.forward("/b", to=Framework("no database"))
    server = Server(router, port=0, access_log=False)
    with pytest.raises(ApplicationError, match="no database"):
        await server.start()
    assert first.events == ["start", "end"]
    await server.stop()


async def test_a_server_that_can_not_listen_stops_what_it_has_started() -> None:
    framework = Framework()
    async with Server(wsgi_hello, port=0, access_log=False) as other:
        with pytest.raises(StartError, match="in use"):
            async with Server(framework, port=other.port, access_log=False):
                raise AssertionError
    assert framework.events == ["start", "end"]


async def test_a_server_can_be_made_again_of_the_same_router() -> None:
    framework = Framework()
    router = Router()
    router.forward("/a", to=framework)
    for number in (1, 2):
        async with client_of(Server(router, port=0, access_log=False)) as client:
            assert (await client.get("/a")).status_code == 200
        assert framework.events == ["start", "end"] * number
