"""What a run needs: environments with plugpy and its peers, the C limit, wrk."""

import hashlib
import json
import shutil
import subprocess
import tomllib
from pathlib import Path

from bench.interpreters import Interpreter
from bench.progress import Progress

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
BUILD = BENCH / ".build"
ENVIRONMENTS = BENCH / ".peers"

PEERS = (
    "uvicorn[standard]",
    "starlette",
    "socketify",
    "orjson",
    "granian",
    "fastpysgi",
    "aiohttp",
    "blacksheep",
    "hypercorn",
)
"""Distributions, the newest of each when the environment is made (--upgrade renews them)."""

VERSIONS = (
    *("plugpy", "uvloop", "httptools", "h11", "orjson", "uvicorn", "starlette", "socketify"),
    *("granian", "fastpysgi", "aiohttp", "blacksheep", "hypercorn"),
)
"""Distributions whose versions are part of the results."""


class SetupError(Exception):
    """Something that a run needs is not here."""


class Environment:
    """A virtual environment below bench/.peers with plugpy (this checkout) and the peers."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter
        self.folder = ENVIRONMENTS / interpreter.minor
        self.bin = self.folder / "bin"
        self.python = self.bin / "python"

    def prepare(self, progress: Progress, *, upgrade: bool = False) -> None:
        """Make it, unless it is as it should be already. Raises SetupError when pip fails."""
        stamp = self.folder / "installed"
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        wanted = hashlib.sha256(f"{self.interpreter} {PEERS} {project}".encode()).hexdigest()
        if not upgrade and stamp.exists() and stamp.read_text() == wanted:
            return
        where = self.folder.relative_to(ROOT)
        if not upgrade or not self.python.exists():
            progress.say(f"making {where} with {self.interpreter.describe()}")
            self._run([self.interpreter.path, "-m", "venv", "--clear", self.folder])
        progress.say(f"installing plugpy and its peers into {where}")
        self._pip("-e", f"{ROOT}[standard]")
        try:
            self._pip("--upgrade", *PEERS)
        except SetupError:
            for peer in PEERS:  # one that cannot be built must not cost us the others
                try:
                    self._pip("--upgrade", peer)
                except SetupError:
                    progress.say(f"{peer} cannot be installed for {self.interpreter.minor}")
        stamp.write_text(wanted)

    def has(self, module: str) -> bool:
        """Whether a module can be imported."""
        told = subprocess.run(
            [self.python, "-c", f"import {module}"], capture_output=True, cwd=ROOT, check=False
        )
        return told.returncode == 0

    def versions(self) -> dict[str, str]:
        """Distribution -> version, of those that matter."""
        told = self._run([self.python, "-m", "pip", "list", "--format", "json"])
        installed = {row["name"].lower(): row["version"] for row in json.loads(told)}
        return {name: installed[name] for name in VERSIONS if name in installed}

    def _pip(self, *arguments: str) -> None:
        options = ["--quiet", "--disable-pip-version-check"]
        self._run([self.python, "-m", "pip", "install", *options, *arguments])

    def _run(self, command: list[str | Path]) -> str:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        if done.returncode != 0:
            said = " ".join(str(part) for part in command)
            raise SetupError(f"{said} failed:\n{done.stderr.strip()[-2000:]}")
        return done.stdout


def build_limit() -> Path:
    """Compile limit.c when it has changed; where the program is."""
    source, program = BENCH / "limit.c", BUILD / "limit"
    BUILD.mkdir(exist_ok=True)
    if program.exists() and program.stat().st_mtime >= source.stat().st_mtime:
        return program
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise SetupError("the C limit needs a C compiler: apt-get install gcc")
    command = [compiler, "-O2", "-Wall", "-Wextra", "-o", str(program), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"{' '.join(command)} failed:\n{done.stderr}")
    return program


def make_certificate() -> None:
    """The certificate of all servers that speak TLS: one P-256 key, signed by itself."""
    BUILD.mkdir(exist_ok=True)
    certificate, key = BUILD / "cert.pem", BUILD / "key.pem"
    if certificate.exists() and key.exists():
        return
    if (openssl := shutil.which("openssl")) is None:
        raise SetupError("the certificate needs the command openssl: apt-get install openssl")
    command = [
        *(openssl, "req", "-x509", "-nodes", "-days", "3650", "-subj", "/CN=127.0.0.1"),
        *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"{' '.join(command)} failed:\n{done.stderr}")
    key.chmod(0o600)


def find_wrk() -> str:
    """Where wrk is. Raises SetupError that tells how to install it."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SetupError("wrk, the client, is not installed: apt-get install wrk")
    return wrk
