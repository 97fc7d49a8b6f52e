"""Clients that people use, against real sockets: curl, httpx, requests, h2load, a browser.

Those that are no Python packages are looked for; where one is missing its tests are skipped, and
say which Debian package has it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import requests

from plugpy.conn import Conn

LARGE = 3_000_000
PATIENCE = 45.0


def needs(package: str, *programs: str) -> Any:
    found = next(filter(None, map(shutil.which, programs)), None)
    reason = f"{programs[0]} is not installed (Debian package {package})"
    return pytest.mark.skipif(found is None, reason=reason)


async def application(conn: Conn) -> Conn:
    """What a client may want: echoes, streams, pages, errors."""
    match conn.request_path:
        case "/large":
            return conn.send_resp(200, b"x" * LARGE)
        case "/stream":
            conn.send_chunked(200)
            for number in range(100):
                await conn.chunk(f"{number}\n" * 1000)
            return conn
        case "/unread":  # answered without a look at the body
            return conn.send_resp(413, "too large")
        case "/empty":
            return conn.send_resp(204, "")
        case "/page":
            return conn.html(PAGE)
        case _:
            body = await conn.body()
            told = {
                "method": conn.method,
                "path": conn.request_path,
                "host": conn.host,
                "version": conn.http_version,
                "length": len(body),
                "start": body[:20].decode("latin-1"),
                "query": conn.query_string,
            }
            return conn.json(told)


async def run(*command: str, stdin: bytes | None = None) -> bytes:
    """What a program prints; it must end well."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=pipe if stdin is not None else asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            output, errors = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    return output


# curl -------------------------------------------------------------------------------------------


async def curl(server: Any, *arguments: str, stdin: bytes | None = None) -> bytes:
    return await run("curl", "-sS", "--noproxy", "*", *arguments, stdin=stdin)


@needs("curl", "curl")
async def test_curl_get_head_and_keep_alive(serve, parser):
    server = await serve(application, http=parser)
    url = f"http://127.0.0.1:{server.port}"
    told = json.loads(await curl(server, f"{url}/a?b=c"))
    assert (told["method"], told["path"], told["query"], told["version"]) == (
        "GET",
        "/a",
        "b=c",
        "1.1",
    )
    head = await curl(server, "-I", f"{url}/large")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: %d\r\n" % LARGE in head
    before = len(server.connections)
    printed = await curl(server, *[f"{url}/empty"] * 3, f"{url}/large", "-w", "%{num_connects} ")
    assert len(printed) > LARGE
    assert len(server.connections) == before + 1


@needs("curl", "curl")
@pytest.mark.parametrize(
    "way", [[], ["-H", "Transfer-Encoding: chunked"]], ids=["length", "chunked"]
)
@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
async def test_curl_uploads(serve, parser, way, expect):
    server = await serve(application, http=parser)
    url = f"http://127.0.0.1:{server.port}/up"
    post = ["-H", expect, "--data-binary", "@-", *way, url]
    told = json.loads(await curl(server, *post, stdin=b"y" * LARGE))
    assert (told["method"], told["length"]) == ("POST", LARGE)
    told = json.loads(await curl(server, "-H", expect, *way, "-T", "-", url, stdin=b"z" * 100_000))
    assert (told["method"], told["length"]) == ("PUT", 100_000)


@needs("curl", "curl")
async def test_curl_reads_an_early_answer(serve):
    server = await serve(application)
    url = f"http://127.0.0.1:{server.port}/unread"
    out = await curl(server, "-w", "%{http_code}", "--data-binary", "@-", url, stdin=b"y" * LARGE)
    assert out == b"too large413"


@needs("curl", "curl")
async def test_curl_http_1_0_and_as_a_proxy_client(serve, parser):
    server = await serve(application, http=parser)
    url = f"http://127.0.0.1:{server.port}"
    assert json.loads(await curl(server, "-0", url))["version"] == "1.0"
    assert len(await curl(server, "-0", f"{url}/stream")) == len(
        await curl(server, f"{url}/stream")
    )
    # A client that takes us for a proxy sends the absolute form.
    told = json.loads(await run("curl", "-sS", "-x", url, "http://example.test:81/p"))
    assert (told["host"], told["path"]) == ("example.test", "/p")
    code = await curl(server, "-o", "/dev/null", "-w", "%{http_code}", "-X", "TRACE", url)
    assert code == b"501"


# Python's ---------------------------------------------------------------------------------------


async def test_httpx(serve, parser):
    server = await serve(application, http=parser)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"p" * 1000

    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{server.port}", trust_env=False
    ) as client:
        assert (await client.get("/a", params={"q": "ä"})).json()["query"] == "q=%C3%A4"
        assert (await client.post("/b", content=pieces())).json()["length"] == 50_000
        assert (await client.post("/b", json={"a": 1})).json()["start"] == '{"a":1}'
        assert (await client.head("/large")).headers["content-length"] == str(LARGE)
        assert (await client.get("/empty")).status_code == 204
        assert len((await client.get("/large")).content) == LARGE
        async with client.stream("GET", "/stream") as response:
            assert sum([len(piece) async for piece in response.aiter_bytes()]) == 290_000
    assert len(server.connections) == 1


async def test_requests(serve, parser):
    server = await serve(application, http=parser)
    url = f"http://127.0.0.1:{server.port}"

    def work() -> None:
        with requests.Session() as session:
            session.trust_env = False
            assert session.get(f"{url}/a", params={"q": "ä"}).json()["query"] == "q=%C3%A4"
            generator = (b"p" * 1000 for _ in range(50))
            assert session.post(f"{url}/b", data=generator).json()["length"] == 50_000
            upload = session.post(f"{url}/b", files={"f": ("n.txt", b"file")}).json()
            assert upload["start"].startswith("--")
            assert session.head(f"{url}/large").headers["content-length"] == str(LARGE)
            assert session.delete(f"{url}/empty").status_code == 204
            assert len(session.get(f"{url}/stream").content) == 290_000
            assert session.get(f"{url}/page").encoding == "utf-8"

    await asyncio.to_thread(work)
    assert len(server.connections) == 1


# under load -------------------------------------------------------------------------------------


@needs("nghttp2-client", "h2load")
@pytest.mark.parametrize("pipelined", [1, 16])
async def test_h2load(serve, parser, pipelined):
    server = await serve(application, http=parser)
    url = f"http://127.0.0.1:{server.port}/empty"
    out = await run("h2load", "--h1", "-n", "2000", "-c", "10", "-m", str(pipelined), url)
    assert b"2000 succeeded, 0 failed, 0 errored, 0 timeout" in out
    assert b"2000 2xx, 0 3xx, 0 4xx, 0 5xx" in out


# a browser --------------------------------------------------------------------------------------

PAGE = """<!doctype html><title>before</title><body><img src="/picture|[1]^.png?x={y}|z"><script>
(async () => {
  const sent = {method: "POST", body: "x".repeat(200000)};
  const post = await (await fetch("/post?q=a|b", sent)).json();
  const stream = (await (await fetch("/stream")).text()).length;
  const empty = (await fetch("/empty")).status;
  const head = (await fetch("/large", {method: "HEAD"})).headers.get("content-length");
  const early = (await fetch("/unread", {method: "POST", body: "x"})).status;
  document.body.innerHTML = `<p id=told>${post.length} ${stream} ${empty} ${head} ${early}</p>`;
})().catch(error => { document.body.innerHTML = `<p id=told>${error}</p>`; });
</script>"""


@needs("chromium", "chromium", "chromium-browser", "google-chrome")
@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_a_browser(serve, tmp_path):
    server = await serve(application)
    browser = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    )
    quiet = (
        "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    )
    dom = await run(
        browser,
        *[f"--{flag}" for flag in (quiet + " disable-component-update disable-sync").split()],
        "--disable-dev-shm-usage",
        "--proxy-server=direct://",
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=10000",
        "--dump-dom",
        f"http://127.0.0.1:{server.port}/page",
    )
    assert f'<p id="told">200000 290000 204 {LARGE} 413</p>' in dom.decode()
