"""The page about a failure, over a socket: of the plug Debugger, and of a server with `debug`."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from plugpy.conn import BadRequestError, Conn, MethodNotAllowedError
from plugpy.pipeline import Pipeline, wrap
from plugpy.plugs import Debugger

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
HOSTILE = (
    "</pre></textarea></script><script>document.title = 'attacked'</script>"
    "<img src=x onerror=\"document.title = 'attacked'\"><style>* { display: none }</style>"
)


def crash(conn: Conn) -> Conn:
    raise RuntimeError(HOSTILE)


async def crash_later(conn: Conn) -> Conn:
    await asyncio.sleep(0)
    raise RuntimeError(HOSTILE)


def refuse(conn: Conn) -> Conn:
    raise BadRequestError("say please")


def not_sent(conn: Conn) -> Conn:
    return conn


def by_plug(application):
    return {"application": Pipeline([wrap(Debugger), application])}


def by_server(application):
    return {"application": application, "debug": True}


@pytest.mark.parametrize("way", [by_plug, by_server])
@pytest.mark.parametrize("application", [crash, crash_later])
async def test_a_crash_is_shown_and_logged_once(serve, caplog, way, application):
    server = await serve(**way(application))
    client = await server.connect()
    for count in (1, 2):
        response = await client.get("/", "accept: text/html")
        assert response.status == 500
        assert response.get("content-type") == "text/html; charset=utf-8"
        assert b"&lt;/textarea&gt;" in response.body
        assert not response.closes
        crashes = [record for record in caplog.records if record.exc_info]
        assert len(crashes) == count


@pytest.mark.parametrize("way", [by_plug, by_server])
async def test_what_is_no_fault_of_the_server_is_shown_and_not_logged(serve, caplog, way):
    server = await serve(**way(refuse))
    client = await server.connect()
    response = await client.get("/", "accept: application/json")
    assert response.status == 400
    assert b"say please" in response.body
    assert caplog.records == []


async def test_a_405_says_what_is_allowed(serve):
    def application(conn: Conn) -> Conn:
        raise MethodNotAllowedError("no", allow=("GET", "HEAD"))

    server = await serve(**by_server(application))
    client = await server.connect()
    response = await client.get("/", "accept: text/html")
    assert (response.status, response.get("allow")) == (405, "GET, HEAD")


async def test_what_only_the_server_sees(serve):
    server = await serve(**by_server(not_sent))
    client = await server.connect()
    response = await client.get("/", "accept: text/html")
    assert b"<h1>plugpy.conn.errors.NotSentError</h1>" in response.body


@pytest.mark.parametrize("debug", [False, True])
async def test_without_the_plug_only_debug_shows_anything(serve, debug):
    server = await serve(crash, debug=debug)
    client = await server.connect()
    response = await client.get("/", "accept: text/html")
    assert (b"RuntimeError" in response.body) is debug


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium (Debian package chromium)")
@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_a_browser_runs_nothing_of_what_is_shown(serve, tmp_path):
    server = await serve(**by_plug(crash))
    flags = (
        "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
        "disable-component-update disable-sync disable-dev-shm-usage"
    )
    assert BROWSER is not None
    process = await asyncio.create_subprocess_exec(
        BROWSER,
        *[f"--{flag}" for flag in flags.split()],
        "--proxy-server=direct://",
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=10000",
        "--dump-dom",
        f"http://127.0.0.1:{server.port}/?{HOSTILE.replace(' ', '%20')}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(45):
        out, _ = await process.communicate()
    dom = out.decode()
    assert "<title>RuntimeError at GET /</title>" in dom
    assert dom.count("<script") == dom.count("<style") == dom.count("<textarea") == 1
    assert "<img" not in dom
    # The page's own script has run: it has shown the button.
    assert '<button type="button" id="copy">Copy</button>' in dom
