"""`plugpy serve --reload`."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from plugpy.server.reload import Watcher
from plugpy.server.settings import from_arguments

SERVE = ("serve", "version:plug", "--port", "0", "--reload")


@pytest.fixture
def write(app_dir: Path) -> Any:
    """Write the module `version`, whose plug answers with `answer`."""

    def write(answer: str) -> None:
        # Written aside and moved, as editors do: it is never seen half written.
        text = f"""
import asyncio
async def plug(conn):
    if conn.request_path == "/stream":
        conn = conn.send_chunked(200)
        await conn.chunk(b"open")
        await asyncio.sleep(1000)
    return conn.send_resp(200, {answer})
"""
        (app_dir / "version.new").write_text(text)
        os.replace(app_dir / "version.new", app_dir / "version.py")

    write("'one'")
    return write


def test_a_change_is_served_also_with_an_open_stream(start: Any, get: Any, write: Any) -> None:
    server = start(*SERVE)
    address = server.url()
    assert get(address) == (200, "one")
    with socket.create_connection(address) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nhost: a\r\n\r\n")
        assert client.recv(1)
        write("'two'")
        server.wait_for(r"reloading: version\.py changed")
        server.wait_for("serves now")
        while get(address) != (200, "two"):
            pass  # the old one may still take what came before
        # The stream ends long before its 1,000 seconds.
        while client.recv(65536):
            pass
    server.signal(signal.SIGINT)
    assert server.end() == 0


def test_an_error_is_shown_and_the_next_change_is_waited_for(
    start: Any, get: Any, write: Any
) -> None:
    server = start(*SERVE)
    address = server.url()
    write("1 +")
    server.wait_for("could not start: importing version raised")
    server.wait_for("SyntaxError")
    assert get(address) == (200, "one")
    write("'three'")
    server.wait_for("serves now")
    while get(address) != (200, "three"):
        pass


def test_a_start_with_an_error_waits_for_a_change(start: Any, get: Any, write: Any) -> None:
    write("1 +")
    server = start(*SERVE)
    server.wait_for("waiting for a source file to change")
    write("'fixed'")
    address = server.url()
    assert get(address) == (200, "fixed")


@pytest.mark.parametrize(
    ("path", "options", "matches"),
    [
        ("app.py", {}, True),
        ("package/deep/module.py", {}, True),
        ("notes.txt", {}, False),
        ("__pycache__/app.py", {}, False),
        (".venv/lib/app.py", {}, False),
        ("node_modules/a/b.py", {}, False),
        ("page.html", {"reload_include": ["*.py", "*.html"]}, True),
        ("app_test.py", {"reload_exclude": ["*_test.py"]}, False),
        ("generated/app.py", {"reload_exclude": ["generated/*"]}, False),
        ("../other/app.py", {}, False),
    ],
)
async def test_which_files_count(
    tmp_path: Path, path: str, options: dict[str, Any], matches: bool
) -> None:
    import asyncio

    settings = from_arguments({"reload": True, "app_dir": str(tmp_path), **options})
    watcher = Watcher(settings, asyncio.get_running_loop(), lambda paths: None)
    assert watcher.matches(os.path.normpath(tmp_path / path)) is matches
