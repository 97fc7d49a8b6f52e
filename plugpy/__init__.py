"""plugpy: Elixir's Plug and Cowboy for Python, on acceptors.

    from plugpy import Conn, Router, get

    class Hello(Router):
        @get("/")
        def index(self, conn: Conn) -> Conn:
            return conn.send_resp(200, "Hello Plug!")

    $ plugpy serve hello:Hello

Lives here: the names that applications use. The rooms: `plugpy.conn` (request and response),
`plugpy.pipeline` and `plugpy.router`, `plugpy.plugs`, `plugpy.http` (the protocol),
`plugpy.interop` (ASGI), `plugpy.server` and `plugpy.cli` (running it), `plugpy.testing`.
Everything below is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from plugpy._version import __version__ as __version__

if TYPE_CHECKING:
    from plugpy.application import Application as Application
    from plugpy.application import every as every
    from plugpy.application import supervisor as supervisor
    from plugpy.application import worker as worker
    from plugpy.conn import Conn as Conn
    from plugpy.pipeline import Pipeline as Pipeline
    from plugpy.pipeline import blocking as blocking
    from plugpy.router import Router as Router
    from plugpy.router import delete as delete
    from plugpy.router import error as error
    from plugpy.router import forward as forward
    from plugpy.router import get as get
    from plugpy.router import head as head
    from plugpy.router import match as match
    from plugpy.router import options as options
    from plugpy.router import patch as patch
    from plugpy.router import plug as plug
    from plugpy.router import post as post
    from plugpy.router import put as put
    from plugpy.router import wrap as wrap
    from plugpy.server import Server as Server
    from plugpy.server import run as run

_HOMES = {
    "plugpy.application": ("Application", "every", "supervisor", "worker"),
    "plugpy.conn": ("Conn",),
    "plugpy.pipeline": ("Pipeline", "blocking"),
    "plugpy.router": (
        "Router",
        "delete",
        "error",
        "forward",
        "get",
        "head",
        "match",
        "options",
        "patch",
        "plug",
        "post",
        "put",
        "wrap",
    ),
    "plugpy.server": ("Server", "run"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'plugpy' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
