"""The rooms import each other in one direction only."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A room may import those to its right: cli -> server -> http -> router -> pipeline -> conn.
MAY_IMPORT = {
    "acceptors": set(),
    "plugpy.conn": set(),
    "plugpy.pipeline": {"conn", "interop"},
    "plugpy.router": {"conn", "pipeline", "interop", "api"},
    "plugpy.api": {"conn", "pipeline", "plugs"},
    "plugpy.debugging": {"conn"},
    "plugpy.plugs": {"conn", "debugging", "pipeline"},
    "plugpy.http": {"conn", "debugging"},
    "plugpy.websocket": {"conn", "http"},
    "plugpy.interop": {"conn", "http", "pipeline", "websocket"},
    "plugpy.testing": {"conn", "http", "server"},
}


def imports(path: Path) -> set[str]:
    """Names of the modules that a file imports, those inside functions included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def files(room: str) -> list[Path]:
    base = ROOT / room.replace(".", "/")
    return sorted(base.rglob("*.py")) if base.is_dir() else [base.with_suffix(".py")]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    allowed = MAY_IMPORT[room] | {room.removeprefix("plugpy.")}
    for path in files(room):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] != "plugpy":
                continue
            assert room != "acceptors", f"{path.relative_to(ROOT)} imports {name}"
            if len(parts) > 1 and (ROOT / "plugpy" / parts[1]).is_dir():
                assert parts[1] in allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_every_room_says_what_lives_in_it() -> None:
    for path in ROOT.glob("*/**/__init__.py"):
        if path.parts[len(ROOT.parts)] in {"acceptors", "plugpy"}:
            docstring = ast.get_docstring(ast.parse(path.read_text()))
            assert docstring, f"{path.relative_to(ROOT)} has no docstring"
