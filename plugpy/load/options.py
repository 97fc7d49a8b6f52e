"""The options of a load run, checked before the first connection."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from plugpy.load.errors import LoadError

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
DEFAULT_DURATION: Final = 10.0
"""Seconds, when neither a number of requests nor a duration is given."""

# RFC 9110 sections 5.6.2 (token) and 5.5 (field value: no CR, LF, NUL).
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNSAFE = re.compile(r"[\r\n\0]")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What to send, how often and over how many connections.

    url: http:// or https://. connections: how many clients at once. requests: in all, None for as
    many as fit into `duration`. duration: seconds during which requests are started, None for no
    end; 10 when both are None. rate: requests a second in all (open loop), None for as fast as
    the clients get answers (closed loop). method: default GET, POST with a body. headers: pairs.
    timeout: seconds for one answer, and for one connect. keep_alive: False opens a connection for
    each request. insecure: take any certificate. uds: path of a unix socket to connect to; the
    URL then only names host and path.

    Raises LoadError that names the option.
    """

    url: str
    connections: int = 50
    requests: int | None = None
    duration: float | None = None
    rate: float | None = None
    method: str | None = None
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    timeout: float = 30.0
    keep_alive: bool = True
    insecure: bool = False
    uds: str | None = None

    def __post_init__(self) -> None:
        for name, value, least in (
            ("connections", self.connections, 1),
            ("requests", self.requests, 1),
            ("duration", self.duration, 0.001),
            ("rate", self.rate, 0.001),
            ("timeout", self.timeout, 0.001),
        ):
            if value is not None and value < least:
                raise LoadError(f"{name} must be at least {least}, got {value}")
        if self.requests is None and self.duration is None:
            object.__setattr__(self, "duration", DEFAULT_DURATION)
        if self.method is None:
            object.__setattr__(self, "method", "POST" if self.body else "GET")
        self.target  # noqa: B018  (a wrong URL is told here, not at the first connect)
        self.request  # noqa: B018

    @property
    def target(self) -> tuple[str, str, int, str]:
        """Scheme, host without brackets, port, and the request target of the URL."""
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError as error:
            raise LoadError(f"{self.url!r} is not a URL: {error}") from None
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise LoadError(
                f"{self.url!r} is not an http:// or https:// URL; "
                "write it as http://127.0.0.1:4000/path"
            )
        # What is percent-encoded already stays; spaces and non-ASCII are encoded.
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
        if parts.query:
            path += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~?")
        return (
            parts.scheme,
            parts.hostname,
            DEFAULT_PORTS[parts.scheme] if port is None else port,
            path,
        )

    @property
    def request(self) -> bytes:
        """The request as it is sent, head and body, the same for every request of the run."""
        scheme, host, port, target = self.target
        method = self.method or "GET"
        if not _TOKEN.fullmatch(method):
            raise LoadError(f"{method!r} is not an HTTP method")
        authority = f"[{host}]" if ":" in host else host
        if port != DEFAULT_PORTS[scheme]:
            authority += f":{port}"
        given = {name.lower() for name, _ in self.headers}
        lines = [f"{method} {target} HTTP/1.1"]
        if "host" not in given:
            lines.append(f"Host: {authority}")
        if "user-agent" not in given:
            lines.append("User-Agent: plugpy-load")
        if "accept" not in given:
            lines.append("Accept: */*")
        if self.body or method in ("POST", "PUT", "PATCH"):
            if given & {"content-length", "transfer-encoding"}:
                raise LoadError("the length of the body is set by plugpy load: leave that header")
            lines.append(f"Content-Length: {len(self.body)}")
        if not self.keep_alive:
            lines.append("Connection: close")
        for name, value in self.headers:
            if not _TOKEN.fullmatch(name) or _UNSAFE.search(value):
                raise LoadError(f"the header {name!r} has a character that headers can't have")
            lines.append(f"{name}: {value}")
        return "\r\n".join((*lines, "", "")).encode("latin-1", "replace") + self.body
