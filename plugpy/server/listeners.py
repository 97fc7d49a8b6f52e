"""The listeners of a server: where each listens, with which options and which application.

Without the option `listen` there is one, made of host, port, uds and fd. With it there is one for
each place, and what stands in a place's query holds for that listener alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from plugpy.server.errors import ConfigurationError, StartError, did_you_mean
from plugpy.server.kinds import convert_all
from plugpy.server.options import BY_NAME, OPTIONS, Option
from plugpy.server.places import Place, parse_place
from plugpy.server.settings import Settings
from plugpy.server.sockets import listen_options, url_of

if TYPE_CHECKING:
    import socket

    from plugpy.http import HttpOptions

REF: Final = "http"
"""The name of the first listener (Ranch's ref); further ones are `http-2` and so on."""

_GROUPS: Final = frozenset({"tls", "connections", "limits", "timeouts"})
_FURTHER: Final = frozenset({"uds_mode", "backlog", "debug", "shutdown_timeout"})
_NOT: Final = frozenset({"keyfile_password"})
OWN: Final[dict[str, Option]] = {
    option.name: option
    for option in OPTIONS
    if (option.group in _GROUPS or option.name in _FURTHER) and option.name not in _NOT
}
"""Options that a listener can have of its own. A password is none of them: command lines can be
read by every user of the machine."""


class ListenerSettings:
    """One listener before it is started.

    settings   those of the server, with what this listener has of its own
    app        import string of an application of its own, None: the server's
    ref        the name that was given to it, None: the next of http, http-2, ...
    tls        whether it speaks TLS by its certfile
    """

    __slots__ = ("app", "ref", "settings", "tls")

    def __init__(
        self, settings: Settings, *, tls: bool, app: str | None = None, ref: str | None = None
    ) -> None:
        self.settings = settings
        self.tls = tls
        self.app = app
        self.ref = ref

    def url(self, address: Any) -> str:
        """Where it can be reached; `address` is what getsockname gives."""
        by_name = self.settings["fd"] is None and self.settings["uds"] is None
        return url_of(address, self.settings["host"] if by_name else "", tls=self.tls)


def listeners_of(settings: Settings, *, tls: bool = False) -> list[ListenerSettings]:
    """The listeners that `settings` ask for, at least one. Raises ConfigurationError.

    tls: there is an SSLContext, so that a listener that is told nothing else speaks TLS.
    """
    places = settings["listen"]
    if not places:
        return [ListenerSettings(settings, tls=tls or bool(settings["certfile"]))]
    source = settings.source("listen")
    found = [_of_place(settings, parse_place(text), f"{source} {text}") for text in places]
    names = [one.ref for one in found if one.ref is not None]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"{source}: two listeners have the same name")
    return found


def _of_place(settings: Settings, place: Place, source: str) -> ListenerSettings:
    values: dict[str, Any] = {"host": place.host, "port": place.port, "uds": None, "fd": None}
    if place.scheme == "unix":
        values["uds"] = place.path
    elif place.scheme == "fd":
        values["fd"] = place.fd
    if place.scheme != "https":
        # The server's certificates are for its https listeners.
        values.update(certfile=(), keyfile=())
    app = ref = None
    for name, text in place.options.items():
        if name == "app":
            app = text
        elif name == "name":
            ref = text
        elif name in OWN:
            values[name] = _convert(OWN[name], text, source)
        else:
            key = name.replace("_", "-")
            reason = (
                "is no option of one listener; set it for the server"
                if name in BY_NAME
                else f"is no option{did_you_mean(name, [*OWN, 'app', 'name'])}"
            )
            raise ConfigurationError(f"{source}: {key} {reason}")
    if place.scheme == "http" and values["certfile"]:
        raise ConfigurationError(f"{source}: http has no certfile; write https")
    if "certfile" in place.options and "keyfile" not in place.options:
        values["keyfile"] = ()  # in the certfile: not the server's, which belong to another
    own = Settings(
        settings.app,
        {**settings.values, **values},
        {**settings.sources, **dict.fromkeys(values, source)},
    )
    tls = place.scheme == "https" or bool(values.get("certfile"))
    return ListenerSettings(own, tls=tls, app=app, ref=ref)


def _convert(option: Option, text: str, source: str) -> Any:
    try:
        if option.multiple:
            return tuple(convert_all(option.kind, text))
        return option.kind.convert(text)
    except ValueError as error:
        raise ConfigurationError(f"{source}: {option.key}: {error}") from None


class ServerListener:
    """One listener of a server.

    ref        its name in `acceptors`
    url        where it can be reached
    address    (host, port, ...) or the path of the unix socket; None before it has started
    plug       what answers
    tls        acceptors.tls.Certificates, an SSLContext, or None
    """

    __slots__ = ("_of", "address", "http_options", "plug", "ref", "tls")

    http_options: HttpOptions

    def __init__(self, of: ListenerSettings, plug: Callable[..., Any], tls: Any) -> None:
        self._of = of
        self.plug = plug
        self.tls = tls
        self.ref = ""
        self.address: Any = None

    @property
    def settings(self) -> Settings:
        """The options of this listener."""
        return self._of.settings

    @property
    def wanted_ref(self) -> str | None:
        """The name that was asked for, None where any will do."""
        return self._of.ref

    @property
    def url(self) -> str:
        """`http://127.0.0.1:4000`, `https://...`, `unix:/run/app.sock`; "" before it started."""
        return self._of.url(self.address) if self.address is not None else ""

    @property
    def port(self) -> int:
        """The TCP port; 0 on a unix socket."""
        return int(self.address[1]) if isinstance(self.address, tuple) else 0

    @property
    def host(self) -> str:
        """The address that it listens on; "" on a unix socket."""
        return str(self.address[0]) if isinstance(self.address, tuple) else ""

    def transport(self, sockets: Sequence[socket.socket]) -> dict[str, Any]:
        """Its transport options; sockets: those that listen already, when there are any."""
        settings = self.settings
        proxy = settings["proxy_protocol"]
        transport = {
            "num_acceptors": settings["acceptors"],
            "max_connections": settings["max_connections"],
            "max_connections_policy": settings["max_connections_policy"],
            "max_connections_per_ip": settings["max_connections_per_ip"],
            "accept_rate": settings["accept_rate"],
            "accept_rate_per_ip": settings["accept_rate_per_ip"],
            "shutdown": settings["shutdown_timeout"],
            "handshake_timeout": settings["handshake_timeout"],
            "ssl": self.tls,
            "proxy_protocol": None if proxy == "off" else proxy,
            "proxy_networks": settings["trusted_proxies"],
        }
        if sockets:
            transport.update(sockets=list(sockets), backlog=settings["backlog"])
        else:
            transport.update(listen_options(settings))
        return transport


def divide(sockets: Sequence[socket.socket], sizes: Sequence[int]) -> list[list[socket.socket]]:
    """Sockets of several workers, one group after the other, by listener. sizes: how many each
    listener has in a group; () for one listener that has all."""
    if not sizes:
        return [list(sockets)]
    divided: list[list[socket.socket]] = [[] for _ in sizes]
    rest = list(sockets)
    while rest:
        if len(rest) < sum(sizes):
            raise StartError("the sockets that were passed are not those of the listeners")
        for one, size in zip(divided, sizes, strict=True):
            one += rest[:size]
            del rest[:size]
    return divided
