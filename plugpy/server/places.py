"""A place to listen, as it is written: `https://0.0.0.0:4443?certfile=a.pem&app=app:Admin`.

    http://HOST:PORT   https://HOST:PORT   unix:PATH   fd:NUMBER   fd:systemd

What follows the question mark are options of that listener alone. In TOML a place may also be a
table: `{ url = "https://0.0.0.0:4443", certfile = "a.pem" }`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

Scheme = Literal["http", "https", "unix", "fd"]

DEFAULT_PORTS: Final = {"http": 4000, "https": 4443}

EXAMPLE: Final = "write it as http://127.0.0.1:4000, https://0.0.0.0:4443, unix:app.sock or fd:3"


@dataclass(frozen=True, slots=True)
class Place:
    """host and port of http and https; path of a unix socket; fd: a descriptor or "systemd".

    options: name with underscores -> text, in the order in which they are written.
    """

    scheme: Scheme
    host: str = ""
    port: int = 0
    path: str = ""
    fd: int | Literal["systemd"] | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.scheme == "unix":
            where = f"unix:{quote(self.path)}"
        elif self.scheme == "fd":
            where = f"fd:{self.fd}"
        else:
            host = f"[{self.host}]" if ":" in self.host else self.host
            where = f"{self.scheme}://{host}:{self.port}"
        query = "&".join(
            f"{name.replace('_', '-')}={quote(value, safe='/:,.*[]+@')}"
            for name, value in self.options.items()
        )
        return f"{where}?{query}" if query else where


def parse_place(text: str) -> Place:
    """The place in `text`. Raises ValueError that says how it is written."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is not a place to listen ({error}); {EXAMPLE}") from None
    options: dict[str, str] = {}
    # A plus is one here, and no space: names of files have some.
    for name, value in parse_qsl(parts.query.replace("+", "%2B"), keep_blank_values=True):
        key = name.replace("-", "_")
        if key in options:
            raise ValueError(f"{text!r}: {name} is given twice; write several values as a,b")
        options[key] = value
    if parts.fragment or parts.username is not None:
        raise ValueError(f"{text!r} is not a place to listen; {EXAMPLE}")
    if parts.scheme in ("http", "https"):
        if not parts.hostname or parts.path not in ("", "/"):
            raise ValueError(f"{text!r} is not a place to listen; {EXAMPLE}")
        chosen = DEFAULT_PORTS[parts.scheme] if port is None else port
        scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
        return Place(scheme, host=parts.hostname, port=chosen, options=options)
    if parts.scheme == "unix" and not parts.netloc and parts.path:
        return Place("unix", path=unquote(parts.path), options=options)
    if parts.scheme == "fd" and not parts.netloc:
        if parts.path == "systemd":
            return Place("fd", fd="systemd", options=options)
        if parts.path.isascii() and parts.path.isdigit():
            return Place("fd", fd=int(parts.path), options=options)
    raise ValueError(f"{text!r} is not a place to listen; {EXAMPLE}")


def place_of_table(table: Mapping[str, Any]) -> str:
    """The text of a place that is written as a TOML table. Raises ValueError."""
    url = table.get("url")
    if not isinstance(url, str):
        raise ValueError(f"a table of listen needs a url; {EXAMPLE}")
    place = parse_place(url)
    options = dict(place.options)
    for key, value in table.items():
        name = str(key).replace("-", "_")
        if name == "url":
            continue
        if name in options:
            raise ValueError(f"{url}: {key} is given twice")
        if isinstance(value, bool):
            options[name] = str(value).lower()
        elif isinstance(value, (str, int, float)):
            options[name] = str(value)
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            options[name] = ",".join(value)
        else:
            raise ValueError(
                f"{url}: {value!r} of type {type(value).__name__} is no value of {key}"
            )
    return str(Place(place.scheme, place.host, place.port, place.path, place.fd, options))
