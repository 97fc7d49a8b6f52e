"""The pytest plugin, in a pytest of its own: with pytest-asyncio in both modes and without."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[3]

APP = """
import asyncio
from plugpy import Router, get

class App(Router):
    @get("/")
    def index(self, conn):
        return {"hello": "test"}

    @get("/later")
    async def later(self, conn):
        await asyncio.sleep(0)
        return conn.send_resp(200, "later")

class Leaking(Router):
    @get("/")
    async def index(self, conn):
        Leaking.task = asyncio.create_task(asyncio.sleep(3600), name="forgotten")
        return conn.send_resp(200, "")

async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"asgi"})
"""

SYNC = """
from app import *

def test_live(live_server):
    import urllib.request
    server = live_server(App)
    assert server.url == f"http://{server.host}:{server.port}"
    assert server.port
    assert urllib.request.urlopen(server.url + "/later", timeout=10).read() == b"later"

def test_two(live_server, client):
    first, second = live_server(App), live_server(asgi)
    assert first.port != second.port
    assert client(first).get("/").json() == {"hello": "test"}
    assert client(second.url).get("/").status_code == 201

def test_client(client):
    assert client(App, headers={"x": "y"}).get("/later").text == "later"
"""

ASYNC = """
from app import *

{mark}
async def test_client(client):
    async with client.asynchronous(App) as http:
        assert (await http.get("/later")).text == "later"

{mark}
async def test_here(live_server, client):
    async with live_server.here(App) as server:
        async with client.asynchronous(server) as http:
            assert (await http.get("/")).json() == {{"hello": "test"}}
        assert server.requests == 1
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run the files in a pytest process of their own; the plugin by name, as its entry point."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(*options, **files):
        pytester.makepyfile(**{"app": APP, **files})
        return pytester.runpytest_subprocess(
            "-p", "plugpy.pytest_plugin", "-W", "error", "-q", *options
        )

    return run


def test_without_pytest_asyncio(run):
    run(test_it=SYNC).assert_outcomes(passed=3)


def test_in_auto_mode(run):
    run(
        "-p",
        "pytest_asyncio.plugin",
        "-o",
        "asyncio_mode=auto",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        test_it=ASYNC.format(mark=""),
        test_sync=SYNC,
    ).assert_outcomes(passed=5)


def test_in_strict_mode(run):
    run(
        "-p",
        "pytest_asyncio.plugin",
        "-o",
        "asyncio_mode=strict",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        test_it="import pytest\n" + ASYNC.format(mark="@pytest.mark.asyncio"),
    ).assert_outcomes(passed=2)


def test_leaks_and_failures_are_told(run):
    result = run(
        "-p",
        "pytest_asyncio.plugin",
        "-o",
        "asyncio_mode=auto",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        test_it="""
        from app import *

        def test_in_a_thread(client):
            client(Leaking).get("/")

        async def test_in_the_loop(live_server, client):
            async with live_server.here(Leaking) as server:
                async with client.asynchronous(server) as http:
                    await http.get("/")

        def test_no_application(live_server):
            live_server(7)
        """,
    )
    result.assert_outcomes(passed=1, errors=1, failed=2)
    result.stdout.fnmatch_lines(
        ["*LeakError: the server has stopped, and this goes on: forgotten*"]
    )
    result.stdout.fnmatch_lines(["*ApplicationError*"])


def test_without_httpx(run):
    result = run(
        test_it="""
        import sys
        from app import App

        def test_it(client, monkeypatch):
            monkeypatch.setitem(sys.modules, "httpx", None)
            client(App)
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*needs httpx: pip install*"])


def test_unused_it_imports_nothing_of_plugpy():
    code = (
        "import sys, plugpy.pytest_plugin\n"
        "print(*sorted(n for n in sys.modules if n.partition('.')[0] in "
        "('plugpy', 'acceptors', 'httpx', 'uvloop')))"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.split() == ["plugpy", "plugpy._version", "plugpy.pytest_plugin"]


def test_the_page_of_the_documents(run):
    page = (ROOT / "docs/how-to/test-your-plugs.md").read_text()
    found = {block.split("\n", 1)[0]: block for block in page.split("```python\n")}
    files = [found[f"# {name}.py"].split("```", 1)[0] for name in ("app", "test_live")]
    run(
        *("-p", "pytest_asyncio.plugin", "-o", "asyncio_mode=auto"),
        *("-o", "asyncio_default_fixture_loop_scope=function"),
        app=files[0],
        test_live=files[1],
    ).assert_outcomes(passed=3)


def test_its_entry_point():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"plugpy": "plugpy.pytest_plugin"}
