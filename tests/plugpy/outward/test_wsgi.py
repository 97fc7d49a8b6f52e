"""Routers as WSGI applications (PEP 3333), judged by wsgiref's validator."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import httpx
import pytest

from plugpy.interop import to_wsgi

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from wsgiref.util import setup_testing_defaults
    from wsgiref.validate import validator

from plugpy.server import Server

from . import application
from .application import App
from .test_asgi import REQUESTS, facts

UNSUITABLE = frozenset({"/later", "/crash-later", "/%ff"})
"""They wait for the event loop; and the client can't write that path into an environ."""


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def call(app: Any, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """One request by hand."""
    setup_testing_defaults(environ)
    seen: list[Any] = []
    written: list[bytes] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        seen.append((status, headers))
        return written.append

    result = app(environ, start_response)
    try:
        body = b"".join(written) + b"".join(result)
    finally:
        if hasattr(result, "close"):
            result.close()
    return seen[0][0], seen[0][1], body


async def test_the_same_answers_as_on_our_server() -> None:
    transport = httpx.WSGITransport(app=App, raise_app_exceptions=False)
    async with (
        Server(App, port=0, access_log=False) as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as ours,
    ):
        with httpx.Client(transport=transport, base_url="http://127.0.0.1") as theirs:
            for method, path, how in REQUESTS:
                if path in UNSUITABLE:
                    continue
                on_server = facts(await ours.request(method, path, **how))
                outward = facts(theirs.request(method, path, **how))
                assert outward == on_server, f"{method} {path}"


@pytest.mark.parametrize(
    "path", ["/", "/json/1", "/chunks", "/file", "/part", "/cookies", "/empty"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_validator_is_content(path: str, method: str) -> None:
    environ = {
        "PATH_INFO": path,
        "REQUEST_METHOD": method,
        "QUERY_STRING": "",
        "SCRIPT_NAME": "",
    }
    status, _, body = call(validator(App), environ)
    assert status[:3] in ("200", "206", "204")
    assert bool(body) == (method == "GET" and path != "/empty")


def test_what_needs_an_event_loop_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    status, _, body = call(App(), {"PATH_INFO": "/later"})
    assert (status, body) == ("500 Internal Server Error", b"500 Internal Server Error\n")
    assert "needs an event loop" in caplog.text


def test_script_name_and_encoded_paths() -> None:
    def where(conn: Any) -> Any:
        return conn.json([conn.script_name, conn.path_info, conn.request_path])

    environ = {"SCRIPT_NAME": "/app", "PATH_INFO": "/a b/\xc3\xa9"}
    assert call(to_wsgi(where), environ)[2] == (b'[["app"],["a%20b","%C3%A9"],"/app/a%20b/%C3%A9"]')


def test_files_go_by_the_servers_wrapper() -> None:
    wrapped: list[Any] = []

    def wrapper(file: Any, size: int) -> Any:
        wrapped.append(file)
        return iter(lambda: file.read(size), b"")

    environ = {"PATH_INFO": "/file", "wsgi.file_wrapper": wrapper}
    assert call(App, environ)[2] == application.FILE.read_bytes()
    wrapped[0].close()


def test_a_stream_that_breaks_is_raised() -> None:
    async def handler(conn: Any) -> Any:
        conn.send_chunked(200)
        await conn.chunk(b"some")
        raise RuntimeError("amid the stream")

    with pytest.raises(RuntimeError, match="amid the stream"):
        call(to_wsgi(handler), {})
