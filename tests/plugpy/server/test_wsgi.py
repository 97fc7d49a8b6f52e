"""A server of a WSGI application: its options, and the end of its threads."""

import asyncio
import logging
import threading
from concurrent.futures import Future
from typing import Any

import httpx
import pytest

from plugpy import Application
from plugpy.interop import wsgi_plug
from plugpy.server import Server


def threads_of(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(f"wsgi-{name}")]


def one_of_two(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("X-Multiprocess", str(environ["wsgi.multiprocess"]))])
    return [threading.current_thread().name.encode()]


async def test_the_option_threads() -> None:
    gate = threading.Barrier(2)

    def app(environ: Any, start_response: Any) -> Any:
        gate.wait(10)
        start_response("200 OK", [])
        return [threading.current_thread().name.encode()]

    async with (
        Server(app, port=0, access_log=False, threads=2) as server,
        httpx.AsyncClient(base_url=server.url) as client,
    ):
        answers = await asyncio.gather(*(client.get("/") for _ in range(4)))
    assert len({answer.text for answer in answers}) == 2
    assert all(answer.text.startswith("wsgi-") for answer in answers)


async def test_the_threads_end_with_the_server() -> None:
    async with Server(one_of_two, port=0, access_log=False) as server:
        async with httpx.AsyncClient(base_url=server.url) as client:
            answer = await client.get("/")
        found = threads_of("one_of_two")
        assert answer.text == found[0].name == "wsgi-one_of_two-1"
        assert answer.headers["x-multiprocess"] == "False"
    await asyncio.to_thread(found[0].join, 10)
    assert not found[0].is_alive()


async def test_in_an_application_and_as_a_plug() -> None:
    for served in (Application(one_of_two), wsgi_plug(one_of_two)):
        async with (
            Server(served, port=0, access_log=False) as server,
            httpx.AsyncClient(base_url=server.url) as client,
        ):
            assert (await client.get("/")).status_code == 200


async def test_a_thread_that_works_on_is_waited_for_and_then_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    go = threading.Event()
    called = threading.Event()
    ended: Future[None] = Future()

    def app(environ: Any, start_response: Any) -> Any:
        called.set()
        assert go.wait(10)
        start_response("200 OK", [])
        ended.set_result(None)
        return []

    plug = wsgi_plug(app, shutdown_timeout=0.01)
    server = Server(plug, port=0, access_log=False, shutdown_timeout=0.01)
    await server.start()
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    await asyncio.to_thread(called.wait, 10)
    with caplog.at_level(logging.ERROR):
        await server.stop()
        await plug.lifespan.shutdown()
    assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
    writer.close()
    assert "1 requests of the WSGI application did not end within 0.01 s" in caplog.text
    go.set()
    await asyncio.wrap_future(ended)


async def test_a_request_in_flight_is_finished_when_the_server_stops() -> None:
    go = threading.Event()
    called = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        called.set()
        assert go.wait(10)
        start_response("200 OK", [])
        yield b"one "
        yield b"two"

    server = Server(app, port=0, access_log=False)
    await server.start()
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    await asyncio.to_thread(called.wait, 10)
    stopping = asyncio.ensure_future(server.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    go.set()
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"one" in answer
    assert answer.endswith(b"0\r\n\r\n")
    writer.close()
    await stopping


async def test_a_served_application_that_never_returns_is_left_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After the time that its connection had."""
    go = threading.Event()
    called = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        called.set()
        go.wait(10)
        return []

    server = Server(app, port=0, access_log=False, shutdown_timeout=0.01)
    await server.start()
    _, writer = await asyncio.open_connection(*server.address)
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    await asyncio.to_thread(called.wait, 10)
    await server.stop()
    writer.close()
    assert "did not end within 0.01 s: left behind" in caplog.text
    go.set()
