"""What the outward tests serve, on plugpy and on others: `application:App`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from plugpy import Application, Conn, Router, get, match, plug, post, worker
from plugpy.plugs import Parsers
from plugpy.websocket import Push, Stop, Upgrade, WebSocketHandler

FILE = Path(__file__)
started: list[str] = []


class Echo(WebSocketHandler):
    def init(self, state: Any) -> Any:
        return Push("ready")

    def handle_in(self, message: Any, state: Any) -> Any:
        return Stop(4000, "bye") if message == "stop" else Push(message)


class App(Router):
    plug(Parsers, parsers=["urlencoded", "multipart", "json"])

    @get("/")
    def index(self, conn: Conn) -> Conn:
        return conn.text("Hello Plug!")

    @get("/json/:id")
    def show(self, conn: Conn, id: int) -> Any:  # noqa: A002 - the field's name
        return {"id": id, "query": conn.query_params, "path": conn.path_info}

    @get("/later")
    async def later(self, conn: Conn) -> Conn:
        await asyncio.sleep(0)
        return conn.put_resp_header("x-later", "yes").send_resp(201, "later")

    @get("/now")
    async def now(self, conn: Conn) -> Conn:
        return conn.text("now")

    @post("/form")
    async def form(self, conn: Conn) -> Any:
        return {"got": conn.body_params}

    @post("/size", max_body=1000)
    async def size(self, conn: Conn) -> Conn:
        return conn.text(str(len(await conn.body())))

    @get("/chunks")
    async def chunks(self, conn: Conn) -> Conn:
        conn.put_resp_content_type("text/plain").send_chunked(200)
        for piece in (b"one ", b"two ", b"three"):
            await conn.chunk(piece)
        return conn

    @get("/file")
    def file(self, conn: Conn) -> Conn:
        return conn.put_resp_content_type("text/x-python").send_file(200, str(FILE))

    @get("/part")
    def part(self, conn: Conn) -> Conn:
        return conn.put_resp_content_type("text/x-python").send_file(206, str(FILE), 10, 20)

    @get("/cookies")
    def cookies(self, conn: Conn) -> Conn:
        conn.put_resp_cookie("a", "1").put_resp_cookie("b", "2")
        return conn.text(repr(sorted(conn.cookies.items())))

    @get("/crash")
    def crash(self, conn: Conn) -> Conn:
        raise RuntimeError("my secret")

    @get("/crash-later")
    async def crash_later(self, conn: Conn) -> Conn:
        await asyncio.sleep(0)
        raise RuntimeError("my secret")

    @get("/nothing")
    def nothing(self, conn: Conn) -> Conn:
        return conn

    @get("/empty")
    def empty(self, conn: Conn) -> Conn:
        return conn.send_resp(204, "")

    @get("/cached")
    def cached(self, conn: Conn) -> Conn:
        return conn.send_resp(304, "")

    @get("/promise")
    def promise(self, conn: Conn) -> Conn:
        return conn.put_resp_header("content-length", "3").send_resp(200, "too long")

    @get("/facts")
    def facts(self, conn: Conn) -> Any:
        return {
            "method": conn.method,
            "host": conn.host,
            "scheme": conn.scheme,
            "peer": bool(conn.remote_ip),
            "header": conn.get_req_header("x-mine"),
            "query": conn.query_string,
        }

    @get("/echo")
    def echo(self, conn: Conn) -> Conn:
        return conn.upgrade_adapter("websocket", Upgrade(Echo()))

    @get("/talk")
    async def talk(self, conn: Conn) -> Conn:
        async with conn.websocket(subprotocols=["chat"]) as ws:
            await ws.send(ws.subprotocol or "none")
            async for message in ws:
                await ws.send(message)
        return conn

    @match("/any", via=["PUT", "DELETE"])
    def any(self, conn: Conn) -> Conn:
        return conn.text(conn.method)


async def work() -> None:
    """A child of the application."""
    started.append("worker")
    try:
        await asyncio.Event().wait()
    finally:
        started.append("worker over")


class Whole(Application):
    """The router with a child."""

    router = App

    def start(self) -> list[Any]:
        return [worker(work)]

    def stop(self) -> None:
        started.append("stopped")
