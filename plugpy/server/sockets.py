"""The master's listening sockets: opened before any worker, closed when the drain begins.

On Linux each worker has a socket of its own with SO_REUSEPORT, all on one port: the kernel spreads
new connections over them by a hash, evenly, and wakes one process for each. With one shared socket
every idle worker is woken for every connection and the first to run takes it, so a few workers get
most of the load. The master holds all of them open, so a connection that waits in the queue of a
worker that died or is being replaced is served by its successor.

Unix sockets, a passed descriptor, and systems whose SO_REUSEPORT does not spread (macOS, BSD)
share one socket.
"""

import errno
import socket
import sys
from typing import Any, Final

from acceptors.options import TransportOptions
from acceptors.sockets import ListenSockets
from plugpy.server.errors import StartError
from plugpy.server.settings import Settings

SPREADS: Final = sys.platform == "linux"
"""Whether SO_REUSEPORT spreads connections evenly here."""


class ListenerSockets:
    """The sockets of one listener. Raises StartError that says what to change.

    sockets: all of them. shared: every worker takes the same one. address: of the first, as
    getsockname gives it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: list[ListenSockets] = []
        place = listen_options(settings)
        self.shared = not SPREADS or "port" not in place
        try:
            # Without SO_REUSEPORT first: with it, a second server of the same user on the same
            # port would go unnoticed and take half of the connections.
            first = ListenSockets(TransportOptions(**place))
            self._opened.append(first)
            if not self.shared:
                place["port"] = first.port
                first.close()
                self._opened = []
                self._place = TransportOptions(**place, reuseport=True)
                self._opened.append(ListenSockets(self._place))
        except OSError as error:
            raise address_error(error, settings) from error
        self.address = self.sockets[0].getsockname()

    @property
    def sockets(self) -> list[socket.socket]:
        """The open sockets, none once closed."""
        return [sock for opened in self._opened for sock in opened.sockets]

    def take(self, number: int) -> list[socket.socket]:
        """The sockets of the worker in place `number` (from 0); the same for all when they share.

        Raises StartError when no further one can be opened.
        """
        if self.shared or number == 0:
            return list(self._opened[0].sockets)
        try:
            self._opened.append(ListenSockets(self._place))
        except OSError as error:
            raise address_error(error, self._settings) from error
        return list(self._opened[-1].sockets)

    def close(self) -> None:
        """Close all, and remove the unix socket if it is still ours."""
        for opened in self._opened:
            opened.close()
        self._opened = []


def listen_options(settings: Settings) -> dict[str, Any]:
    """Where to listen, as transport options of a listener."""
    options: dict[str, Any] = {"backlog": settings["backlog"]}
    if settings["fd"] == "systemd":
        options["systemd"] = True
    elif settings["fd"] is not None:
        options["fd"] = settings["fd"]
    elif settings["uds"] is not None:
        options.update(uds=settings["uds"], uds_mode=settings["uds_mode"])
    else:
        options.update(host=settings["host"], port=settings["port"])
    return options


def url_of(address: Any, host: str = "", *, tls: bool = False) -> str:
    """`http://127.0.0.1:4000`, `https://[::1]:4443` or `unix:/run/app.sock`.

    address: as `getsockname` gives it; host: what to show in place of the numeric address.
    """
    if not isinstance(address, tuple):
        return f"unix:{address}"
    shown = host or address[0]
    scheme = "https" if tls else "http"
    return f"{scheme}://{f'[{shown}]' if ':' in shown else shown}:{address[1]}"


def address_error(error: OSError, settings: Settings) -> StartError:
    """What went wrong with the address, and which setting to change."""
    if settings["fd"] is not None:
        place, name = f"the descriptor {settings['fd']}", "fd"
    elif settings["uds"] is not None:
        place, name = f"the unix socket {settings['uds']!r}", "uds"
    else:
        place, name = f"{settings['host']}:{settings['port']}", "port"
        if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
            name = "host"
    source = settings.source(name)
    origin = "the default" if source == "default" else f"set by {source}"
    change = f"change {name} ({origin}; --{name} or PLUGPY_{name.upper()})"
    if error.errno == errno.EADDRINUSE:
        return StartError(f"{place} is in use by another program; stop that one or {change}")
    if error.errno == errno.EACCES:
        hint = " (ports below 1024 need privileges)" if name == "port" else ""
        return StartError(f"not allowed to listen on {place}{hint}; {change}")
    return StartError(f"can't listen on {place}: {error.strerror or error}; {change}")
