"""The same router on uvicorn, hypercorn, granian and gunicorn, as their users start it."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).parent
PATIENCE = 30.0

SERVERS = {
    "uvicorn": ["uvicorn", "application:Whole", "--port", "{port}", "--log-level", "warning"],
    "uvicorn router": ["uvicorn", "application:App", "--port", "{port}", "--log-level", "warning"],
    "hypercorn": ["hypercorn", "asgi:application:Whole", "--bind", "127.0.0.1:{port}"],
    "granian": [
        *("granian", "application:Whole", "--interface", "asgi", "--host", "127.0.0.1"),
        *("--port", "{port}", "--no-ws"),
    ],
    "gunicorn": ["gunicorn", "application:App", "--bind", "127.0.0.1:{port}", "--threads", "2"],
}


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server of another project, with our router."""
    program, *arguments = SERVERS[request.param]
    if importlib.util.find_spec(program) is None:
        pytest.skip(f"{program} is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", program, *(one.format(port=port) for one in arguments)]
    environment = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parents[2]}"}
    server = subprocess.Popen(
        command, env=environment, cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None, server.stderr and server.stderr.read().decode()
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=PATIENCE)


def test_a_router_runs_on_it(url: str) -> None:
    with httpx.Client(base_url=url, timeout=PATIENCE) as client:
        assert client.get("/").text == "Hello Plug!"
        assert client.get("/json/7?x=1").json() == {
            "id": 7,
            "query": {"x": "1"},
            "path": ["json", "7"],
        }
        assert client.get("/now").text == "now"
        assert client.post("/form", data={"a[b]": "c"}).json() == {"got": {"a": {"b": "c"}}}
        assert client.post("/size", content=b"x" * 1001).status_code == 413
        assert client.get("/chunks").text == "one two three"
        assert client.get("/file").content == (HERE / "application.py").read_bytes()
        assert client.get("/crash").status_code == 500
        assert client.get("/elsewhere").status_code == 404
        assert client.head("/").headers["content-length"] == "11"
        assert len(client.get("/cookies").headers.get_list("set-cookie")) == 2
