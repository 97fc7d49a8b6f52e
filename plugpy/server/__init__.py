"""Serving an application: configuration, one process, or a master with workers.

Lives here: the table of options and where their values come from, loading of applications, the
Server, the master and its workers, access log and logging, reload.
May be touched: `run`, `Server`, the errors with their exit codes; add options in options.py alone.
"""

from typing import TYPE_CHECKING, Any

from plugpy.server.errors import (
    ApplicationError,
    ConfigurationError,
    ServerError,
    StartError,
)

if TYPE_CHECKING:
    from plugpy.server.server import Server
    from plugpy.server.serving import run

__all__ = [
    "ApplicationError",
    "ConfigurationError",
    "Server",
    "ServerError",
    "StartError",
    "run",
]

# Imported on first use: `plugpy --version` and the master need neither HTTP nor uvloop.
_LATER = {"run": "plugpy.server.serving", "Server": "plugpy.server.server"}


def __getattr__(name: str) -> Any:
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(module), name)
    globals()[name] = value
    return value
