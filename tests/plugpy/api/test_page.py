"""The plug OpenAPI: the document and its page, also in a browser."""

import asyncio
import doctest
import importlib
import json
import pkgutil
import re
import shutil
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
import websockets

import plugpy.api
from plugpy.api import Form, Header, OpenAPI, openapi, typed
from plugpy.router import Router, forward, get, post
from plugpy.upload import Upload

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
HOSTILE = "</script></textarea></style>\"'><script>document.title='attacked'</script>"


class New(msgspec.Struct):
    title: Annotated[str, msgspec.Meta(min_length=1, description=HOSTILE)]
    pages: int = 3


class Inner(Router):
    @get("/books/:id")
    @typed(tags=["books"])
    async def show(
        self,
        id: int,
        tags: list[str] = (),
        x_key: Annotated[str | None, Header] = None,  # type: ignore[assignment]
    ) -> dict[str, Any]:
        """Show a book."""
        return {"id": id, "tags": list(tags), "key": x_key}

    @post("/books")
    @typed(status=201, tags=["books", HOSTILE], description=HOSTILE)
    async def create(self, book: New) -> New:
        return book

    @post("/covers")
    @typed
    async def cover(self, title: Annotated[str, Form], file: Annotated[Upload, Form]) -> str:
        return f"{title} {file.size}"

    forward("/docs", to=OpenAPI, title=HOSTILE, version="1.2")


class App(Router):
    forward("/api", to=Inner)


async def test_the_document_and_the_page(ask):
    app = App()
    response = await ask(app, "GET", "/api/docs/openapi.json")
    assert dict(response.headers)["content-type"] == "application/json"
    found = json.loads(response.body)
    assert found["servers"] == [{"url": "/api"}]
    assert sorted(found["paths"]) == ["/books", "/books/{id}", "/covers"]
    page = await ask(app, "GET", "/api/docs")
    headers = dict(page.headers)
    assert headers["content-type"] == "text/html; charset=utf-8"
    text = page.body.decode()
    assert 'href="/api/docs/openapi.json"' in text
    assert HOSTILE not in text
    assert text.count("<script") == 1
    (nonce,) = set(re.findall(r'nonce="(.+?)"', text))
    policy = headers["content-security-policy"]
    assert f"script-src 'nonce-{nonce}';" in policy
    assert "default-src 'none'" in policy
    assert "http" not in re.sub(r"https://example.com/|http-equiv", "", policy)
    # Nothing of it comes from elsewhere.
    assert not re.search(r'(?:src|href)="(?!#|/api/docs/openapi.json)', text)
    other = await ask(app, "GET", "/api/docs")
    assert nonce not in other.body.decode()


async def test_what_else_is_asked_of_it(ask):
    app = App()
    assert (await ask(app, "HEAD", "/api/docs")).body == b""
    assert (await ask(app, "GET", "/api/docs/page.js")).status == 404
    response = await ask(app, "POST", "/api/docs")
    assert (response.status, dict(response.headers)["allow"]) == (405, "GET, HEAD")
    bare = Router()
    bare.get("/", typed(lambda x=1: str(x)))
    bare.forward("/docs", to=OpenAPI(page=False))
    assert (await ask(bare, "GET", "/docs")).status == 404
    assert (await ask(bare, "GET", "/docs/openapi.json")).status == 200


async def test_it_may_describe_another_router(ask):
    other = Router()
    other.get("/x", typed(lambda x=1: str(x)))
    router = Router()
    router.forward("/docs", to=OpenAPI(router=other, servers=["https://other.example/v1"]))
    found = json.loads((await ask(router, "GET", "/docs/openapi.json")).body)
    assert list(found["paths"]) == ["/x"]
    page = await ask(router, "GET", "/docs")
    policy = dict(page.headers)["content-security-policy"]
    assert "connect-src 'self' https://other.example;" in policy
    with pytest.raises(ValueError, match="mounted in no router"):
        OpenAPI().document()
    with pytest.raises(ValueError, match="list of URLs"):
        OpenAPI(servers="https://a.example")


async def test_servers_can_not_end_the_policy(ask):
    router = Router()
    plug = OpenAPI(servers=["https://b.example;script-src *", "https://a.example:8443/v1"])
    router.get("/x", typed(lambda x=1: str(x)))
    router.forward("/docs", to=plug)
    policy = dict((await ask(router, "GET", "/docs")).headers)["content-security-policy"]
    assert "connect-src 'self' https://a.example:8443; " in policy


async def test_one_document_is_made_for_all_paths_that_lead_to_it(ask, monkeypatch):
    made = []
    make = importlib.import_module("plugpy.api.plug").openapi
    monkeypatch.setattr(
        "plugpy.api.plug.openapi",
        lambda *given, **options: made.append(1) or make(*given, **options),
    )
    inner = Router()
    inner.get("/x", typed(lambda x=1: str(x)))
    plug = OpenAPI()
    inner.forward("/docs", to=plug)
    router = Router()
    router.forward("/:tenant", to=inner)
    for tenant in range(20):
        response = await ask(router, "GET", f"/t{tenant}/docs/openapi.json")
        assert json.loads(response.body)["servers"] == [{"url": f"/t{tenant}"}]
    assert made == [1]


@pytest.mark.parametrize(
    "name", sorted(info.name for info in pkgutil.iter_modules(plugpy.api.__path__, "plugpy.api."))
)
def test_examples_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_schema_has_words_and_an_example():
    from plugpy.api.examples import example, words

    components = {
        "Node": {
            "type": "object",
            "properties": {
                "child": {"$ref": "#/components/schemas/Node"},
                "n": {"type": "integer", "minimum": 2},
            },
        }
    }
    node = {"$ref": "#/components/schemas/Node"}
    found = example(node, components)
    assert found["n"] == 2
    assert found["child"]["n"] == 2
    assert example({"type": "array", "items": {"type": "string", "format": "date"}}, {}) == [
        "2030-01-31"
    ]
    assert example({"anyOf": [{"type": "null"}, {"type": "integer"}]}, {}) is None
    assert example({"enum": ["a", "b"]}, {}) == "a"
    assert words({"type": "array", "items": node, "maxItems": 3}) == (
        "list of Node, at most 3 items"
    )
    assert words({"anyOf": [{"type": "string", "maxLength": 2}, {"type": "null"}]}) == (
        "string, at most 2 characters or null"
    )
    assert words({"enum": ["a", 1, None, True]}) == '"a" | 1 | null | true'
    assert words({}) == "anything"
    assert words({"type": "object", "additionalProperties": {"type": "number"}}) == (
        "object of number"
    )


class Browser:
    """One page of a headless Chromium, driven over its debugging protocol."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._last = 0

    async def call(self, method: str, **params: Any) -> Any:
        self._last += 1
        await self._connection.send(
            json.dumps({"id": self._last, "method": method, "params": params})
        )
        while True:
            message = json.loads(await self._connection.recv())
            if message.get("id") == self._last:
                assert "error" not in message, message
                return message["result"]

    async def run(self, script: str) -> Any:
        """The value of a script's last expression; a promise is waited for."""
        found = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")


SEND = """
(async () => {
  const form = document.querySelector("#%s form");
  const fields = [...form.querySelectorAll("[data-name]")];
  for (const [name, value] of Object.entries(%s)) {
    fields.find((field) => field.dataset.name === name).value = value;
  }
  const output = form.querySelector("output");
  const seen = new Promise((done) => new MutationObserver(done).observe(output, {childList: true}));
  form.querySelector("button").click();
  await seen;
  return output.textContent;
})()
"""


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium (Debian package chromium)")
async def test_a_browser_tries_the_operations(serve, tmp_path: Path):
    address = str(serve(App()).base_url)
    flags = (
        "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
        "disable-component-update disable-sync disable-dev-shm-usage remote-debugging-port=0"
    )
    assert BROWSER is not None
    process = await asyncio.create_subprocess_exec(
        BROWSER,
        *[f"--{flag}" for flag in flags.split()],
        "--proxy-server=direct://",
        f"--user-data-dir={tmp_path}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(45):
            while not (found := re.search(rb"ws://[^\s]+", await process.stderr.readline())):
                assert process.returncode is None
            drain = asyncio.create_task(process.stderr.read())
            async with websockets.connect(found[0].decode(), proxy=None) as root:
                browser = Browser(root)
                targets = (await browser.call("Target.getTargets"))["targetInfos"]
            (target,) = [one["targetId"] for one in targets if one["type"] == "page"]
            base = found[0].decode().partition("/devtools")[0]
            async with websockets.connect(f"{base}/devtools/page/{target}", proxy=None) as one:
                page = Browser(one)
                # Answered once the page is there in place of the empty one.
                await page.call("Page.navigate", url=f"{address.rstrip('/')}/api/docs#show")
                await page.run(
                    "new Promise((done) => document.readyState === 'complete' ? done()"
                    " : addEventListener('load', done))"
                )
                assert await page.run("document.title") == f"{HOSTILE} 1.2"
                assert await page.run("document.getElementById('show').open")
                shown = await page.run(SEND % ("show", '{id: "7", tags: "a\\nb", "x-key": "k"}'))
                assert "GET /api/books/7?tags=a&tags=b" in shown
                assert json.loads(shown.rpartition("\n\n")[2]) == {
                    "id": 7,
                    "tags": ["a", "b"],
                    "key": "k",
                }
                shown = await page.run(SEND % ("create", "{}"))
                assert "201" in shown
                assert json.loads(shown.rpartition("\n\n")[2]) == {"title": "string", "pages": 3}
                shown = await page.run(
                    'document.querySelector("#create .body").value = "{}";'
                    + SEND % ("create", "{}")
                )
                assert "#/title" in shown
    finally:
        process.terminate()
        await process.wait()
    await drain


def test_the_command_prints_the_same(capsys, tmp_path, monkeypatch):
    from plugpy.cli.commands import run

    monkeypatch.chdir(tmp_path)
    Path("typed_app.py").write_text(
        "from plugpy import Router, forward, get\n"
        "from plugpy.api import OpenAPI, typed\n"
        "class App(Router):\n"
        "    @get('/:id')\n"
        "    @typed\n"
        "    def show(self, id: int) -> str: ...\n"
        "    @get('/plain/x')\n"
        "    def plain(self, conn): ...\n"
        "    forward('/docs', to=OpenAPI, title='Books', version='3')\n"
        "class Broken(Router):\n"
        "    @get('/')\n"
        "    @typed\n"
        "    def show(self, x: 'Nowhere') -> str: ...\n"
    )
    app = ["openapi", "typed_app:App", "--app-dir", str(tmp_path)]
    assert run(app) == 0
    printed = json.loads(capsys.readouterr().out)
    import sys

    assert printed == openapi(sys.modules["typed_app"].App(), title="Books", version="3")
    assert run([*app, "--title", "Other", "--server", "https://a.example", "--untyped"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["info"]["title"], printed["info"]["version"]) == ("Other", "3")
    assert printed["servers"] == [{"url": "https://a.example"}]
    assert "/plain/x" in printed["paths"]
    assert run([*app, "-o", "openapi.json"]) == 0
    assert run([*app, "--check", "openapi.json"]) == 0
    assert capsys.readouterr() == ("", "")
    Path("openapi.json").write_text("{}")
    assert run([*app, "--check", "openapi.json"]) == 1
    assert "write it anew with --output openapi.json" in capsys.readouterr().err
    assert run([*app, "--check", "missing.json"]) == 1
    assert "can't read missing.json" in capsys.readouterr().err
    assert run([*app, "-o", "no/such/folder.json"]) != 0
    assert "can't write" in capsys.readouterr().err
    assert run(["openapi", "typed_app:Broken", "--app-dir", str(tmp_path)]) != 0
    assert "Nowhere" in capsys.readouterr().err
