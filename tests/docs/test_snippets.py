"""The documents are run: every Python block, and the command lines of every console block.

A page is one story. Its blocks run in their order, in a folder of their own, and share one
namespace. A block that begins with `# name.py` (or `.toml`) is a file, written there; Python may
`await` at the top level; functions named `test_*` are called. In console blocks `plugpy serve` is
started for real on a free port and `curl` asks it; where the page shows an answer, that is what
must come.
"""

import ast
import asyncio
import importlib
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from plugpy.cli.commands import commands as click_commands

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs/tutorial").rglob("*.md")),
    *sorted((ROOT / "docs/how-to").rglob("*.md")),
]

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE_NAME = re.compile(r"# ([\w-]+\.(?:py|toml))$", re.MULTILINE)

ELSEWHERE = frozenset({".", "cd", "git", "journalctl", "mkdir", "pip", "python3", "systemctl"})
"""Commands that set up a machine: not for a test to run."""

NOT_HERE = ("--host 0.0.0.0", "--uds", "--workers", "--fd", "--listen", "-w ")
"""What is only checked with --check-config, since it would listen where others can see it."""

ATTEMPTS = 200
"""Times that an answer is asked for until it is the one shown: requests before it may still be on
their way to the server."""


def django_application(scope: Any, receive: Any, send: Any) -> Any:
    """The application that docs/how-to/asgi.md speaks of."""


NAMES = {"asgi.md": {"django_application": django_application}}
"""What a page takes for granted."""


class Block(NamedTuple):
    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = page.read_text()
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start()) + 1)
        for found in FENCE.finditer(text)
    ]


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block and the output shown below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


class Story:
    """One page on its way."""

    def __init__(self, page: Path, folder: Path) -> None:
        self.folder = folder
        self.namespace: dict[str, Any] = {"__name__": "__page__", **NAMES.get(page.name, {})}
        self.address = ""
        self.example = ""  # what `make serve` serves, once somebody asks it
        self.server: subprocess.Popen[bytes] | None = None
        self.background: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PLUGPY_")},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "NO_COLOR": "1",
        }

    async def python(self, block: Block, name: str) -> None:
        found = FILE_NAME.match(block.text)
        if found:
            file = self.folder / found[1]
            file.write_text(block.text)
            if file.suffix == ".py":
                self.forget_modules()
                importlib.import_module(file.stem)
            return
        code = compile(
            "\n" * block.line + block.text,
            name,
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )
        known = set(self.namespace)
        result = eval(code, self.namespace)
        if inspect.isawaitable(result):
            await result
        for new in [key for key in self.namespace if key not in known]:
            if new.startswith("test_"):
                result = self.namespace[new]()
                if inspect.isawaitable(result):
                    await result

    def forget_modules(self) -> None:
        """Let go of the modules of this page: the next has others of the same name."""
        importlib.invalidate_caches()
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", "")).startswith(str(self.folder)):
                del sys.modules[name]

    def console(self, block: Block, name: str) -> None:
        for command, output in commands(block.text):
            words = shlex.split(command.replace(";", " ; "))
            while words and "=" in words[0]:
                words.pop(0)
            where = f"{name}:{block.line}: {command}"
            if words[0] == "make":
                makefile = (ROOT / "Makefile").read_text()
                assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), where
                if words[1] == "serve":
                    recipe = "plugpy serve $(APP) --app-dir examples"
                    assert recipe in makefile
                    example = recipe.replace("$(APP)", "hello:HelloRouter")
                    self.example = example.replace("examples", shlex.quote(str(ROOT / "examples")))
            elif words[:2] == ["plugpy", "serve"] and "--check-config" not in words:
                self._serve(command, where)
            elif words[0] == "for" and "curl" in words:
                self.background.append(self._popen(self._here(command)))
            elif words[:2] == ["plugpy", "load"] and self.server is None:
                # Nothing to load: whether these are options of the command.
                load = click_commands.get_command(click.Context(click_commands), "load")
                assert load is not None
                load.make_context("load", words[2:])
            elif words[0] in ("curl", "plugpy"):
                if self.server is None and words[0] == "curl":
                    self._serve(self.example, where)
                self._compare(command, output, where)
            else:
                assert words[0] in ELSEWHERE, f"{where}: nobody checks this command"

    def _here(self, command: str) -> str:
        return command.replace("127.0.0.1:4000", self.address)

    def _popen(self, command: str, **options: Any) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            ["bash", "-c", f"exec {command}" if command.startswith("plugpy") else command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options},
            start_new_session=True,
        )

    def _run(self, command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def _serve(self, command: str, where: str) -> None:
        if any(option in command for option in NOT_HERE):
            checked = self._run(f"{command} --check-config")
            assert checked.returncode == 0, f"{where}\n{checked.stderr}"
            return
        self._stop_server()
        self.server = self._popen(f"{command} --port 0", stderr=subprocess.PIPE)
        assert self.server.stderr is not None
        line = self.server.stderr.readline().decode()
        found = re.search(r" on https?://(127\.0\.0\.1:\d+) ", line)
        assert found, f"{where}\n{line}"
        self.address = found[1]

    def _compare(self, command: str, output: str, where: str) -> None:
        if command.startswith("curl") and shutil.which("curl") is None:
            pytest.skip("there is no curl on this machine")
        shown = "" if command.startswith("plugpy load") else output.strip()
        for _ in range(ATTEMPTS if command.startswith("curl") else 1):
            got = self._run(self._here(command))
            # curl's progress is no answer; messages of plugpy are.
            answer = got.stdout if command.startswith("curl") else got.stdout + got.stderr
            if not shown or answer.strip() == shown:
                break
        else:
            assert answer.strip() == shown, where
        assert got.returncode == 0, f"{where}\n{got.stdout}\n{got.stderr}"

    def _stop_server(self) -> None:
        for process in [*self.background, *([self.server] if self.server else [])]:
            # Its session: a shell loop has children of its own.
            if process.poll() is None:
                os.killpg(process.pid, 9)
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
        self.background.clear()
        self.server = None

    def close(self) -> None:
        self._stop_server()
        self.forget_modules()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_page_can_be_followed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))
    name = str(page.relative_to(ROOT))
    story = Story(page, tmp_path)

    async def follow() -> None:
        for block in blocks(page):
            if block.language in ("python", "toml"):
                await story.python(block, name)
            elif block.language in ("console", "shell", "bash", "sh"):
                await asyncio.to_thread(story.console, block, name)

    try:
        with asyncio.Runner() as runner:
            runner.run(follow())
    finally:
        story.close()


LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[\w-]+)?\)")


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_lead_somewhere(page: Path) -> None:
    broken = [to for to in LINK.findall(page.read_text()) if not (page.parent / to).exists()]
    assert broken == []


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / to).resolve() for to in LINK.findall(index.read_text())}
    pages = {page.resolve() for page in (ROOT / "docs").rglob("*.md")} - {index.resolve()}
    assert sorted(str(page.relative_to(ROOT)) for page in pages - linked) == []
