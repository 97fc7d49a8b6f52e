"""The servers that are measured: how each is started."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.environments import BUILD, Environment


@dataclass(frozen=True)
class Server:
    """`command` is filled in with {bin}, {python}, {build}; {port} when it is started."""

    name: str
    command: tuple[str, ...]
    requires: str = ""
    """A module without which there is no such server."""
    optional: bool = False
    """Measured with --all only."""
    quiet: bool = False
    """What it prints is thrown away: for access logs."""
    variables: Mapping[str, str] = field(default_factory=dict)
    tls: bool = False
    """It speaks HTTPS, with the certificate of bench.environments."""

    def arguments(self, environment: Environment) -> list[str]:
        """The command for an environment; {port} is left to be filled."""
        known = {"bin": environment.bin, "python": environment.python, "build": BUILD}
        return [part.format(port="{port}", **known) for part in self.command]


def plugpy(name: str, app: str, *flags: str, quiet: bool = False, tls: bool = False) -> Server:
    """plugpy as its users start it, without an access log unless a flag asks for one."""
    log = () if "--access-log" in flags else ("--no-access-log",)
    command = ("{bin}/plugpy", "serve", f"bench.apps.{app}", "--port", "{port}", *log, *flags)
    return Server(name, command, quiet=quiet, tls=tls)


def uvicorn(
    name: str,
    app: str,
    *flags: str,
    requires: str = "uvicorn",
    optional: bool = False,
    tls: bool = False,
) -> Server:
    """uvicorn with the parser and the loop that are its fastest, httptools and uvloop."""
    quiet = "--access-log" in flags
    log = () if quiet else ("--no-access-log", "--log-level", "warning")
    http = () if "--http" in flags else ("--http", "httptools")
    command = (
        "{bin}/uvicorn",
        f"bench.peers.{app}",
        *("--port", "{port}", "--loop", "uvloop"),
        *http,
        *log,
        *flags,
    )
    return Server(name, command, requires, optional, quiet, tls=tls)


def script(name: str, module: str, *, requires: str = "", optional: bool = False) -> Server:
    """A peer that is started by a script of its own."""
    command = ("{python}", "-m", f"bench.peers.{module}", "{port}")
    return Server(name, command, requires, optional)


LIMIT = Server("C limit", ("{build}/limit", "{port}"))
UVLOOP = script("uvloop Protocol", "uvloop_protocol", requires="uvloop")
PLUGPY = plugpy("plugpy", "hello:HelloRouter")
SOCKETIFY = script("socketify", "socketify_app", requires="socketify")
UVICORN = uvicorn("uvicorn bare", "bare_asgi:app")
STARLETTE = uvicorn("starlette", "starlette_app:app", requires="starlette")
GRANIAN = Server(
    "granian RSGI",
    (
        *("{bin}/granian", "--interface", "rsgi", "--port", "{port}", "--no-ws"),
        *("--loop", "uvloop", "--log-level", "warning", "bench.peers.granian_rsgi:app"),
    ),
    requires="granian",
    optional=True,
)
FASTPYSGI = script("fastpysgi WSGI", "fastpysgi_wsgi", requires="fastpysgi", optional=True)
AIOHTTP = script("aiohttp", "aiohttp_app", requires="aiohttp", optional=True)
BLACKSHEEP = uvicorn("blacksheep", "blacksheep_app:app", requires="blacksheep", optional=True)

TLS_PLUGPY = plugpy(
    "plugpy",
    "hello:HelloRouter",
    *("--certfile", "{build}/cert.pem", "--keyfile", "{build}/key.pem"),
    tls=True,
)
TLS_UVICORN = uvicorn(
    "uvicorn bare",
    "bare_asgi:app",
    *("--ssl-certfile", "{build}/cert.pem", "--ssl-keyfile", "{build}/key.pem"),
    tls=True,
)
TLS_HYPERCORN = Server(
    "hypercorn",
    (
        *("{bin}/hypercorn", "--bind", "127.0.0.1:{port}", "--worker-class", "uvloop"),
        *("--certfile", "{build}/cert.pem", "--keyfile", "{build}/key.pem"),
        "bench.peers.bare_asgi:app",
    ),
    requires="hypercorn",
    tls=True,
)
TLS_GRANIAN = Server(
    GRANIAN.name,
    (
        *GRANIAN.command[:-1],
        *("--ssl-certificate", "{build}/cert.pem", "--ssl-keyfile", "{build}/key.pem"),
        GRANIAN.command[-1],
    ),
    requires="granian",
    tls=True,
)

FRAMEWORKS = (SOCKETIFY, UVICORN, STARLETTE, GRANIAN, FASTPYSGI, AIOHTTP, BLACKSHEEP)
"""All peers that route and answer."""
