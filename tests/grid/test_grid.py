"""Frameworks on a server of plugpy: the same list of behaviours for each."""

import json
import logging
import re
import typing
from pathlib import Path
from typing import Any

import httpx
import pytest
from grid import BEHAVIOURS, COLUMNS, NOT_HAD, SPACE, page, table
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from plugpy.router import Router

pytestmark = [
    # Django says so of its own FileResponse under ASGI, and leaves the body of a request whose
    # client has left to the collector.
    pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous"),
    pytest.mark.filterwarnings(
        "ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning"
    ),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <function SpooledTemporaryFile.__del__"
    ),
]

FILE = Path(typing.__file__)


def test_get(example: Any) -> None:
    answer = example.client.get("/")
    assert (answer.status_code, answer.text.split()[0]) == (200, "Hello")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["content-length"] == str(len(answer.content))


def test_query(example: Any) -> None:
    answer = example.client.get("/query?a=1&a=%C3%A9&b=x%20y+z")
    # Litestar's have no order.
    pairs = sorted(tuple(pair) for pair in answer.json())
    assert pairs == [("a", "1"), ("a", "é"), ("b", "x y z")]


def test_json(example: Any) -> None:
    thing = {"name": "é", "size": 3}
    answer = example.client.post("/json", json=thing)
    assert (answer.status_code, answer.json()) == (201, {"got": thing})


def test_form(example: Any) -> None:
    fields = {"name": "a b&c=d", "note": "é"}
    assert example.client.post("/form", data=fields).json() == fields


@pytest.mark.parametrize("size", [10, 300_000])
def test_upload(example: Any, size: int) -> None:
    answer = example.client.post(
        "/upload", data={"note": "n"}, files={"file": ("name.bin", b"\0\r\n" * size)}
    )
    assert answer.json() == {"name": "name.bin", "size": 3 * size, "note": "n"}


def test_stream(example: Any) -> None:
    with example.client.stream("GET", "/stream") as answer:
        pieces = answer.iter_bytes()
        assert next(pieces) == b"first "
        # The rest is made only now.
        example.other.get("/go")
        assert b"".join(pieces) == b"second"
        assert answer.headers["transfer-encoding"] == "chunked"


def test_read(example: Any) -> None:
    read_while_it_comes(example, chunked=False)


def test_chunked(example: Any) -> None:
    read_while_it_comes(example, chunked=True)


def read_while_it_comes(example: Any, *, chunked: bool) -> None:
    example.module.seen["bytes"] = 0
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 200000"
    piece = b"x" * 100_000
    if chunked:
        piece = b"186a0\r\n" + piece + b"\r\n"
    with example.connect() as client:
        client.sendall(f"POST /read HTTP/1.1\r\nHost: 127.0.0.1\r\n{length}\r\n\r\n".encode())
        client.sendall(piece)
        example.until("/seen", lambda text: 0 < int(text) <= 100_000)
        client.sendall(piece + (b"0\r\n\r\n" if chunked else b""))
        example.until("/seen", lambda text: int(text) == 200_000)
        data = b""
        while not data.endswith(b"200000"):
            received = client.recv(65_536)
            assert received
            data += received.removesuffix(b"\r\n0\r\n\r\n")
    assert data.startswith(b"HTTP/1.1 20")


def test_cookies(example: Any) -> None:
    answer = example.client.get("/cookies", headers={"cookie": "a=1; b=two"})
    assert answer.json() == {"a": "1", "b": "two"}
    sent = answer.headers.get_list("set-cookie")
    assert [cookie.partition(";")[0] for cookie in sent] == ["one=1", "two=2"]
    assert "httponly" in sent[0].lower()
    example.client.cookies.clear()


def test_redirect(example: Any) -> None:
    answer = example.client.get("/redirect")
    assert (answer.status_code, answer.headers["location"]) == (302, "/")
    assert example.client.get("/redirect", follow_redirects=True).text.startswith("Hello")


def test_missing(example: Any) -> None:
    assert example.client.get("/nothing/here").status_code == 404


def test_error(example: Any) -> None:
    for _ in range(2):
        answer = example.client.get("/error")
        assert answer.status_code == 500
        assert "a secret" not in answer.text
    assert example.client.get("/").status_code == 200


def test_head(example: Any) -> None:
    length = example.client.get("/").headers["content-length"]
    for _ in range(2):
        answer = example.client.head("/")
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == length


def test_large(example: Any) -> None:
    size = 5_000_000
    assert len(example.client.get("/large").content) == size
    if (example.column.name, "read") not in NOT_HAD:
        assert example.client.post("/read", content=b"x" * size).text == str(size)
    assert example.client.post("/read", content=b"").text == "0"


def test_file(example: Any) -> None:
    for _ in range(2):
        assert example.client.get("/file").content == FILE.read_bytes()


def test_keep_alive(example: Any) -> None:
    requests = b"".join(
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{last}\r\n".encode()
        for method, path, last in [
            *[("GET", "/", "")] * 5,
            ("GET", "/nothing", ""),
            ("POST", "/read", "Content-Length: 3\r\n\r\nabc"),
            ("GET", "/", "Connection: close\r\n"),
        ]
    ).replace(b"abc\r\n", b"abc")
    with example.connect() as client:
        client.sendall(requests)
        data = b""
        while received := client.recv(65_536):
            data += received
    statuses = re.findall(rb"HTTP/1\.1 (\d+)", data)
    assert [int(status) // 100 for status in statuses] == [2, 2, 2, 2, 2, 4, 2, 2]


def test_lifespan(example: Any, serve: Any) -> None:
    assert example.client.get("/state").text == "open"
    router = Router()
    module, app = example.column.load(fresh=True)
    router.forward("/sub", to=app)
    with serve(router) as server:
        assert httpx.get(f"{server.url}/sub/state").text == "open"
        assert module.events == ["startup"]
    assert module.events == ["startup", "shutdown"]


def test_background(example: Any) -> None:
    example.module.done.clear()
    assert example.client.get("/background").text == "answered"
    # Neither the connection nor others wait for it.
    assert example.client.get("/done").text == ""
    example.client.get("/go")
    example.until("/done", lambda text: text == "background")


def test_disconnect(example: Any, caplog: pytest.LogCaptureFixture) -> None:
    example.module.done.clear()
    with example.connect() as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")
    example.until("/done", lambda text: text == "left")
    # Nobody has done wrong.
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in records] == []


def test_root_path(example: Any, serve: Any) -> None:
    router = Router()
    router.forward("/sub/deep", to=example.column.load(fresh=True)[1])
    router.get("/", lambda conn: conn.send_resp(200, "plugpy"))
    with serve(router) as server, httpx.Client(base_url=server.url) as client:
        assert client.get("/sub/deep/where").text == f"{server.url}/sub/deep/where"
        assert client.get("/sub/deep/").text.startswith("Hello")
        assert client.post("/sub/deep/form", data={"name": "a", "note": "b"}).status_code < 300
        assert client.get("/sub/deep/nothing").status_code == 404
        assert client.get("/").text == "plugpy"
        assert client.get("/where").status_code == 404


def test_websocket(example: Any, serve: Any) -> None:
    router = Router()
    router.forward("/sub", to=example.column.load(fresh=True)[1])
    with serve(router) as server:
        for address in (f"{example.server.port}/echo", f"{server.port}/sub/echo"):
            with connect(f"ws://127.0.0.1:{address}") as socket:
                for text in ("a", "é" * 100_000, json.dumps({"a": 1})):
                    socket.send(text)
                    assert socket.recv(timeout=10) == f"echo {text}"


def test_refused(example: Any, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InvalidStatus) as caught:
        connect(f"ws://127.0.0.1:{example.server.port}/no/echo")
    assert 400 <= caught.value.response.status_code < 500
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in records] == []


def test_gone(example: Any, caplog: pytest.LogCaptureFixture) -> None:
    example.module.done.clear()
    with example.connect() as client:
        client.sendall(
            b"GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert client.recv(65_536).startswith(b"HTTP/1.1 101")
    # No close frame has come.
    example.until("/done", lambda text: text == "socket")
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in records] == []


# The page ---------------------------------------------------------------------------------------


def test_every_behaviour_has_its_test() -> None:
    tests = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert set(BEHAVIOURS) < tests
    assert {name for _, name in NOT_HAD} <= set(BEHAVIOURS)
    assert {name for name, _ in NOT_HAD} <= {column.name for column in COLUMNS}


def test_the_page_shows_the_grid() -> None:
    """`python tests/grid/grid.py` writes it."""
    assert page().read_text().split(SPACE)[1].strip() == table().strip()
