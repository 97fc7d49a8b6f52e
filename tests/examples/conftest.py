"""Examples as a user runs them, each time freshly imported, and a browser to look at them."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from plugpy.pytest_plugin import client, live_server  # noqa: F401 - fixtures
from plugpy.server.application import load

EXAMPLES = Path(__file__).parents[2] / "examples"

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

QUIET = (
    "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
    "disable-component-update disable-sync disable-dev-shm-usage proxy-server=direct://"
)


@pytest.fixture
def example(monkeypatch, tmp_path):
    """`example("books:Books", BOOKS_DATABASE=path)`: the application, imported anew with these
    environment variables, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    imported = []

    def load_example(target: str, **environment: object) -> Any:
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))
        module = target.partition(":")[0]
        sys.modules.pop(module, None)
        imported.append(module)
        return load(target, app_dir=str(EXAMPLES)).owner

    yield load_example
    for module in imported:
        sys.modules.pop(module, None)


@pytest.fixture
def browse(tmp_path):
    """`await browse(url)`: what a browser has made of a page, as HTML."""
    if BROWSER is None:
        pytest.skip("there is no Chromium (Debian package chromium)")

    async def dump(url: str) -> str:
        process = await asyncio.create_subprocess_exec(
            BROWSER,
            *[f"--{flag}" for flag in QUIET.split()],
            f"--user-data-dir={tmp_path / 'browser'}",
            "--virtual-time-budget=10000",
            "--dump-dom",
            url,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(45):
            out, _ = await process.communicate()
        return out.decode()

    return dump
