"""The files of a request vanish with it, whatever its end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from acceptors.otp import exit as otp_exit
from acceptors.otp import self as otp_self
from plugpy.conn import Conn
from plugpy.pipeline import Pipeline
from plugpy.plugs import Parsers
from plugpy.plugs.parsers import Multipart

BODY = (
    b'--b\r\ncontent-disposition: form-data; name="a"; filename="a.txt"\r\n\r\nsample\r\n'
    b'--b\r\ncontent-disposition: form-data; name="b"; filename="b.txt"\r\n\r\nsample\r\n--b--\r\n'
)


def post(path: str = "/", fields: str = "") -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        f"{fields}content-length: {len(BODY)}\r\n\r\n"
    ).encode() + BODY


class App:
    """An application that takes uploads, and keeps them all in memory: only the end of the request
    can be why their files vanish."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uploads: list[Any] = []
        self.came, self.goes_on = asyncio.Event(), asyncio.Event()
        parsers = Parsers(parsers=[Multipart(directory=str(folder))])
        self.pipeline = Pipeline([parsers, self.handle])

    async def handle(self, conn: Conn) -> Conn:
        uploads = [conn.body_params["a"], conn.body_params["b"]]
        self.uploads += uploads
        assert all(Path(upload.path).read_bytes() == b"sample" for upload in uploads)
        match conn.request_path:
            case "/crash":
                raise RuntimeError("by intention")
            case "/wait":
                self.came.set()
                await self.goes_on.wait()
            case "/kill":
                otp_exit(otp_self(), "kill")
                await asyncio.Event().wait()
            case "/keep":
                uploads[0].keep()
                await uploads[1].move(self.folder / "moved")
            case "/stream":
                await conn.send_chunked(200).chunk("x")
                assert len(self.files()) == 2
                return conn
        return conn.text("ok")

    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())


@pytest.fixture
def app(tmp_path):
    return App(tmp_path)


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/stream", 200), ("/crash", 500)])
async def test_they_vanish_with_the_answer(serve, app, path, status):
    server = await serve(app.pipeline)
    client = await server.connect()
    response = await client.request(post(path))
    assert response.status == status
    await server.until(lambda: server.connection.conn is None)
    assert len(app.uploads) == 2
    assert app.files() == []


async def test_not_before(serve, app):
    server = await serve(app.pipeline)
    client = await server.connect()
    await client.send(post("/wait"))
    await app.came.wait()
    assert len(app.files()) == 2
    app.goes_on.set()
    assert (await client.response("POST")).status == 200
    await server.until(lambda: not app.files())


async def test_with_a_client_that_leaves(serve, app):
    server = await serve(app.pipeline)
    client = await server.connect()
    await client.send(post("/wait"))
    await app.came.wait()
    client.reset()
    await server.until(lambda: not app.files())


async def test_with_a_client_that_leaves_in_the_middle_of_a_file(serve, app):
    server = await serve(app.pipeline)
    client = await server.connect()
    await client.send(post()[:-60])
    await server.until(lambda: len(app.files()) > 0)
    client.reset()
    await server.until(lambda: server.connection.conn is None and not app.files())
    assert app.uploads == []


async def test_with_a_handler_that_is_killed(serve, app):
    server = await serve(app.pipeline)
    client = await server.connect()
    response = await client.request(post("/kill"))
    assert response.status == 500
    await server.until(lambda: not app.files())
    assert len(app.uploads) == 2


async def test_with_a_connection_that_is_killed(serve, app):
    server = await serve(app.pipeline)
    client = await server.connect()
    await client.send(post("/wait"))
    await app.came.wait()
    otp_exit(server.connection, "kill")
    await server.until(lambda: not app.files())
    assert len(app.uploads) == 2


async def test_what_is_kept_stays(serve, app):
    server = await serve(app.pipeline)
    client = await server.connect()
    assert (await client.request(post("/keep"))).status == 200
    await server.until(lambda: server.connection.conn is None)
    kept = {Path(upload.path) for upload in app.uploads}
    assert set(app.files()) == kept
    assert {path.read_bytes() for path in kept} == {b"sample"}
    assert app.folder / "moved" in kept
    app.uploads.clear()


async def test_the_next_request_of_the_connection_has_its_own(serve, app):
    server = await serve(app.pipeline)
    client = await server.connect()
    for _ in range(3):
        assert (await client.request(post())).status == 200
    await server.until(lambda: not app.files())
    assert len({upload.path for upload in app.uploads}) == 6
