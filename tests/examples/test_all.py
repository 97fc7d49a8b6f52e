"""Every example is listed, is tested, and does what its docstring says."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys

import pytest

from plugpy.cli.commands import run

from .conftest import EXAMPLES

ROOT = EXAMPLES.parent
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))


def docstring(name: str) -> str:
    return ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_text())) or ""


def lines(name: str, command: str) -> list[str]:
    """Command lines of that kind in the docstring of an example."""
    return re.findall(rf"^ {{4}}((?:\w+=\S+ )*{command} .+)$", docstring(name), re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_listed(name):
    assert f"]({name}.py)" in (EXAMPLES / "README.md").read_text()


def test_what_is_listed_is_there():
    listed = re.findall(r"\]\(([\w/.]+\.py)\)", (EXAMPLES / "README.md").read_text())
    assert sorted(listed) == [f"{name}.py" for name in NAMES]
    for path in re.findall(r"\]\((examples/[\w/.]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / path).exists()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_tested(name):
    loaded = re.compile(rf"""["'(]{name}(:\w+)?["']""")
    tests = [path for path in (ROOT / "tests").rglob("test_*.py") if path.parent != ROOT / "docs"]
    assert any(loaded.search(path.read_text()) for path in tests)


@pytest.mark.parametrize("name", NAMES)
def test_it_says_how_to_run_it(name):
    commands = lines(name, "plugpy serve") or lines(name, "python")
    assert f" {name}:" in commands[-1] or commands[-1].startswith(f"python examples/{name}.py")
    assert "--app-dir examples" in commands[-1] or commands[-1].startswith("python")


@pytest.mark.parametrize("name", [name for name in NAMES if lines(name, "plugpy serve")])
def test_nothing_is_odd_about_its_routes_and_plugs(name, example, capfd):
    target = lines(name, "plugpy serve")[-1].split("plugpy serve ")[1].split()[0]
    example(target)
    assert run(["routes", target, "--app-dir", str(EXAMPLES), "--check"]) == 0
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("name", [name for name in NAMES if lines(name, "curl")])
def test_its_commands_work(name, tmp_path):
    """What the docstring serves is served, on free ports, and what it asks is answered."""
    running, ports = [], {}

    def translated(command: str) -> str:
        return re.sub(
            r"(?<=127\.0\.0\.1:)\d+", lambda found: ports.get(found[0], found[0]), command
        )

    try:
        for command in lines(name, "plugpy serve"):
            port = (re.findall(r"--port (\d+)", command) or ["4000"])[0]
            command = translated(command).replace("--app-dir examples", f"--app-dir {EXAMPLES}")
            command = command.replace("plugpy serve", f"exec {sys.executable} -m plugpy serve")
            process = subprocess.Popen(
                ["bash", "-c", f"{command} --port 0"],
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            running.append(process)
            assert process.stderr is not None
            line = process.stderr.readline()
            found = re.search(r" on http://127\.0\.0\.1:(\d+) ", line)
            assert found, f"{command}\n{line}"
            ports[port] = found[1]
        for ask in lines(name, "curl"):
            asked = subprocess.run(
                ["bash", "-c", translated(ask).replace("curl", "curl -sS --fail", 1)],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            assert asked.returncode == 0, f"{ask}\n{asked.stdout}\n{asked.stderr}"
    finally:
        for process in running:
            process.terminate()
            process.communicate(timeout=30)
