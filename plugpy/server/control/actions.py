"""What changes one serving process. These run in its event loop."""

import os
import signal
from typing import TYPE_CHECKING, Any

import acceptors
from acceptors import OptionError
from plugpy.server.control.errors import ControlError
from plugpy.server.control.views import connections_of, listeners_of

if TYPE_CHECKING:
    from plugpy.server.server import Server

MASTER_ONLY = frozenset({"roll", "add-worker", "remove-worker"})
"""Commands that need a master."""


async def change(server: "Server", command: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Carry out a command; returns what came of it. Raises ControlError."""
    if command in MASTER_ONLY:
        raise ControlError(
            "refused",
            f"{command} needs a master, and this server is one process: "
            "serve with --workers 2 or more",
        )
    if command == "drain":
        return drain(server, arguments)
    if command == "kill":
        connection = find_connection(server, arguments["connection"])
        connection.abort("killed")
        return {"killed": 1}
    if command == "reload-certificates":
        if not server.reload_certificates():
            raise ControlError("failed", "a certificate can't be used; the log says which")
        return {}
    listeners = listeners_of(server, arguments.get("listener"))
    for listener in listeners:
        try:
            if command == "set-max-connections":
                listener.change({"max_connections": arguments["number"]})
            elif command == "set-acceptors":
                if arguments["number"] == "infinity":
                    raise ControlError("usage", "the number of acceptors is a number")
                listener.change({"num_acceptors": arguments["number"]})
            elif command == "suspend":
                # A master's sockets could not be opened again: its clients wait in the backlog.
                await listener.suspend(close=not listener.options.sockets)
            elif command == "resume":
                await listener.resume()
        except OptionError as error:
            raise ControlError("usage", str(error)) from None
        except OSError as error:
            raise ControlError("failed", f"{listener.ref}: {error}") from None
    return {"listeners": [str(listener.ref) for listener in listeners]}


def drain(server: "Server", arguments: dict[str, Any]) -> dict[str, Any]:
    """Drain the connections that are selected, or the whole process."""
    if arguments["connection"] is None and arguments["peer"] is None:
        os.kill(os.getpid(), signal.SIGTERM)
        return {"draining": server.connections}
    if arguments["connection"] is not None:
        chosen = {find_connection(server, arguments["connection"])}
    else:
        chosen = {one for one in connections_of(server) if _is_of(one, arguments["peer"])}
    for listener in listeners_of(server):
        acceptors.drain(listener.ref, lambda connection: connection in chosen)
    return {"draining": len(chosen)}


def find_connection(server: "Server", pid: str) -> acceptors.Connection:
    """The connection with that number. Raises ControlError (not_found)."""
    for connection in connections_of(server):
        if str(connection._serial) == pid:
            return connection
    raise ControlError("not_found", f"there is no connection {pid}: it has ended, or never was")


def _is_of(connection: acceptors.Connection, peer: str) -> bool:
    name = connection.peername
    if not isinstance(name, tuple):
        return False
    host, port = name[:2]
    text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return peer in (host, text)
