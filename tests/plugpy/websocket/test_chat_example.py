"""examples/websocket_chat.py, with two people, and with a browser."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from plugpy.server import Server
from plugpy.server.application import load

from .conftest import BINARY, TEXT, close_frame, request
from .conftest import Client as RawClient

EXAMPLES = Path(__file__).parents[3] / "examples"
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


def server() -> Server:
    chat = load("websocket_chat:Chat", app_dir=str(EXAMPLES))
    return Server(chat, port=0, access_log=False, shutdown_timeout="1s")


async def join(port: int, name: str) -> RawClient:
    import socket

    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    client = RawClient(sock)
    await client.send(request("/room"))
    assert (await client.head())[0] == 101
    await client(TEXT, name)
    assert await client.text() == f"* {name} has come"
    return client


async def test_two_people_talk() -> None:
    async with server() as running:
        ann = await join(running.port, "Ann")
        bob = await join(running.port, "Bob")
        assert await ann.text() == "* Bob has come"
        await bob(TEXT, "hello")
        assert [await ann.text(), await bob.text()] == ["Bob: hello", "Bob: hello"]
        bob.close()  # without a word
        assert await ann.text() == "* Bob has left"
        await ann.send(close_frame())
        assert (await ann.closed())[0] == 1000
        ann.close()


async def test_what_is_no_text_is_refused() -> None:
    async with server() as running:
        ann = await join(running.port, "Ann")
        await ann(BINARY, b"x")
        assert (await ann.frame()).close == (1003, "text, please")
        ann.close()


@pytest.mark.skipif(BROWSER is None, reason="no browser is installed")
async def test_a_browser_talks(tmp_path: Path) -> None:
    """A real browser: its Origin is checked, its frames are compressed."""
    from plugpy import Conn, Router, get

    page = """<!doctype html><title>talks</title><script>
      const socket = new WebSocket(location.href.replace("http", "ws") + "echo", ["two", "one"]);
      socket.onopen = () => socket.send("€".repeat(1000));
      socket.onmessage = (event) => socket.close(4000, "length " + event.data.length);
      socket.onclose = (event) => fetch("/over/" +
        [event.code, event.wasClean, socket.protocol, socket.extensions].join("/"));
    </script>"""
    ended: list[Any] = []
    over = asyncio.Event()

    class App(Router):
        @get("/")
        def index(self, conn: Conn) -> Conn:
            return conn.html(page)

        @get("/echo")
        async def echo(self, conn: Conn) -> Conn:
            async with conn.websocket(subprotocols=["one"]) as ws:
                async for message in ws:
                    await ws.send(message)
                ended.append((ws.close_code, ws.close_reason))
            return conn

        @get("/over/*facts")
        def tell(self, conn: Conn, facts: list[str]) -> Conn:
            ended.append(facts)
            over.set()
            return conn.send_resp(204, "")

    assert BROWSER is not None
    async with Server(App, port=0, access_log=False, shutdown_timeout="1s") as running:
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        command += ["--disable-background-networking", f"--user-data-dir={tmp_path}"]
        command += ["--remote-debugging-port=0", f"http://127.0.0.1:{running.port}/"]
        browser = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(50):
                await over.wait()
        finally:
            browser.kill()
            await browser.wait()
    assert ended[0] == (4000, "length 1000")
    assert ended[1][:3] == ["4000", "true", "one"]
    assert ended[1][3].startswith("permessage-deflate")
