"""The examples of the source article: parallel requests need no more than two acceptors."""

import asyncio
from pathlib import Path
from typing import Any

import acceptors
from plugpy.server import Server
from plugpy.server.application import load

EXAMPLES = Path(__file__).parents[3] / "examples"


def server(target: str, **options: Any) -> Server:
    """A server of an example."""
    return Server(
        load(target, app_dir=str(EXAMPLES)).application, port=0, access_log=False, **options
    )


async def ask(port: int, path: str) -> tuple[int, str]:
    """One request: status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    return int(head.split()[1]), body.decode()


async def test_hello() -> None:
    async with server("hello:HelloRouter") as hello:
        assert await ask(hello.port, "/") == (200, "Hello Plug!")
        assert await ask(hello.port, "/elsewhere/deep") == (404, "Nothing here")


async def test_five_sleeping_requests_show_two_acceptors_and_five_connections() -> None:
    async with server("sleepy:SleepyRouter", acceptors=2, shutdown_timeout="0s") as sleepy:
        asking = [asyncio.create_task(ask(sleepy.port, "/?seconds=100")) for _ in range(5)]
        await acceptors.wait_for_connections("http", "==", 5)
        assert len(acceptors.procs("http", "acceptors")) == 2
        assert len(acceptors.procs("http", "connections")) == 5
        info = acceptors.info("http")
        assert (info["acceptors"], info["all_connections"]) == (2, 5)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def test_a_thousand_sleeping_requests_are_in_progress_at_once_and_all_answered() -> None:
    count = 1000
    async with server("sleepy:SleepyRouter", acceptors=2) as sleepy:
        asking = [asyncio.create_task(ask(sleepy.port, "/?seconds=2")) for _ in range(count)]
        await acceptors.wait_for_connections("http", "==", count)
        assert len(acceptors.procs("http", "acceptors")) == 2
        assert set(await asyncio.gather(*asking)) == {(200, "Hello Plug!")}


async def test_the_application_with_everything_beside_its_router() -> None:
    async with Server(
        load("application:Quotes", app_dir=str(EXAMPLES)), port=0, access_log=False
    ) as quotes:
        assert await ask(quotes.port, "/") == (200, "quote 1")
        while (await ask(quotes.port, "/"))[1] == "quote 1":
            pass  # the worker fills the cache in its own time
        assert await ask(quotes.port, "/mail") == (202, "on its way")
        assert await ask(quotes.port, "/slow") == (200, '["mail","quote"]')
        children = quotes.supervisor.which_child("application").which_children()
        assert [id_ for id_, *_ in children] == ["cache", "fill", "forget"]
