"""Which CPythons there are on this machine, and which of them are measured."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST = (3, 11)
"""The version that is always measured; the other one is the newest that is found."""

TELL = (
    "import ensurepip, json, os, platform, sys, sysconfig, venv;"
    "print(json.dumps([os.path.realpath(sys._base_executable),"
    "platform.python_implementation(), list(sys.version_info[:3]),"
    "sys.version_info.releaselevel, sysconfig.get_config_var('CONFIG_ARGS') or '',"
    "sysconfig.get_config_var('PY_CFLAGS_NODIST') or '']))"
)


class NoInterpreterError(Exception):
    """No interpreter fits what was asked for."""


@dataclass(frozen=True)
class Interpreter:
    """A CPython that can make environments."""

    path: Path
    version: tuple[int, int, int]
    optimized: bool
    """Built with profile-guided optimisation, as far as its build options tell."""

    @property
    def minor(self) -> str:
        """As in "3.13"."""
        return f"{self.version[0]}.{self.version[1]}"

    def describe(self) -> str:
        """As in "CPython 3.13.0 (profile-guided build)"."""
        build = "profile-guided" if self.optimized else "not profile-guided"
        return f"CPython {'.'.join(map(str, self.version))} ({build} build)"


def candidates() -> Iterator[Path]:
    """Files that may be a Python: on PATH, in the folders of pyenv, uv and asdf, and this one."""
    yield Path(sys.executable)
    for entry in os.get_exec_path():
        yield from sorted(Path(entry).glob("python3*"))
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv")) / "versions"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", home / ".local/share/uv/python"))
    asdf = Path(os.environ.get("ASDF_DATA_DIR", home / ".asdf")) / "installs/python"
    for folder in (pyenv, uv, asdf, Path("/opt/python")):
        yield from sorted(folder.glob("*/bin/python3.*"))


def examine(path: Path) -> Interpreter | None:
    """Ask an executable what it is; None when it is no CPython of use here."""
    try:
        told = subprocess.run(
            [path, "-I", "-c", TELL], capture_output=True, timeout=20, check=True, text=True
        )
        real, implementation, version, level, options, flags = json.loads(told.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    found = (version[0], version[1], version[2])
    if implementation != "CPython" or level != "final" or found < OLDEST:
        return None
    optimized = "--enable-optimizations" in options or "-fprofile" in flags
    return Interpreter(Path(real), found, optimized)


def find() -> dict[str, Interpreter]:
    """The best interpreter of each minor version: the newest, an optimised build before another."""
    best: dict[str, Interpreter] = {}
    seen: set[Path] = set()
    for path in candidates():
        name = path.name.removeprefix("python3").removeprefix(".")
        if (name and not name.isdigit()) or path.resolve() in seen or in_environment(path):
            continue
        if "shims" not in path.parts:
            seen.add(path.resolve())
        one = examine(path)
        if one is None:
            continue
        known = best.get(one.minor)
        rank = (one.version, one.optimized)
        if known is None or rank > (known.version, known.optimized):
            best[one.minor] = one
    return dict(sorted(best.items(), key=lambda item: item[1].version))


def in_environment(path: Path) -> bool:
    """Whether it is the Python of a virtual environment."""
    return (path.parent.parent / "pyvenv.cfg").exists()


def choose(asked: list[str]) -> list[Interpreter]:
    """Those asked for ("3.13", or a path), else the oldest that is supported and the newest.

    Raises NoInterpreterError when one of them is not here.
    """
    chosen: list[Interpreter] = []
    found = {} if asked and all("/" in one for one in asked) else find()
    for wanted in asked:
        one = examine(Path(wanted)) if "/" in wanted else found.get(wanted)
        if one is None:
            raise NoInterpreterError(
                f"no CPython {wanted} with venv and ensurepip was found; there are: "
                f"{', '.join(found) or 'none'}"
            )
        chosen.append(one)
    if asked:
        return chosen
    if not found:
        raise NoInterpreterError("no CPython from 3.11 on with venv and ensurepip was found")
    oldest = found.get(".".join(map(str, OLDEST)))
    newest = list(found.values())[-1]
    return [newest] if oldest in (None, newest) else [oldest, newest]
