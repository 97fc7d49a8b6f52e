"""RewriteOn: believes trusted proxies what they say of the client (Plug.RewriteOn, RFC 7239)."""

import re
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from acceptors.networks import LOOPBACK, Networks, parse_address
from plugpy.conn import Conn

HEADERS: Final = {
    "x-forwarded-for": "remote_ip",
    "x-forwarded-proto": "scheme",
    "x-forwarded-host": "host",
    "x-forwarded-port": "port",
    "forwarded": "forwarded",
}
"""The headers that are known, and what they tell; in the order in which they are looked at: a port
that is told wins over the one that goes with the scheme, and Forwarded over all others."""

MOST_HOPS: Final = 32
"""Proxies that are followed back to the client; who is behind more is not found."""

_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_HOST = re.compile(r"([a-z0-9\-._~]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.IGNORECASE)
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")
_PORT = re.compile(r"[0-9]{1,5}")
_NODE = re.compile(
    # RFC 7239 section 6, and X-Forwarded-For as it is found: an address, perhaps with a port.
    r"(?:(?P<v4>[0-9.]+)|\[(?P<bracketed>[0-9a-fA-F:.]+)\])(?::[0-9a-zA-Z._-]{1,32})?"
    r"|(?P<v6>[0-9a-fA-F:.]+)"
)
_PAIR = re.compile(
    # RFC 7239 section 4: token "=" ( token / quoted-string ), and what stands between pairs.
    r"""[ \t]*(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=
    (?:([!#$%&'*+\-.^_`|~0-9A-Za-z:\[\]]+)|"((?:[^"\\]|\\.)*)"))?[ \t]*([;,]|$)""",
    re.VERBOSE,
)


class Element(NamedTuple):
    """One element of Forwarded: what one proxy says of the request that it got."""

    node: str = ""
    proto: str = ""
    host: str = ""


class RewriteOn:
    """Sets `remote_ip`, `scheme`, `host` and `port` to what the client used, as proxies tell it.

    Options:
      headers          which headers are believed, of "x-forwarded-for", "x-forwarded-host",
                       "x-forwarded-port", "x-forwarded-proto" and "forwarded"; or pairs of what is
                       told ("remote_ip", "host", "port", "scheme") and a header that tells it as
                       those do: ("remote_ip", "cf-connecting-ip"). Name only those that your
                       proxy sets or removes itself: what it passes on, a client may have made
      trusted_proxies  networks of your proxies in CIDR notation; this machine. Peers on a unix
                       socket are trusted always

    Nothing is believed that comes from anybody else. The client is the rightmost address that is no
    trusted proxy's: those to the left of it are hearsay. Of the other headers the value counts that
    the same proxy has added, the last one where that can't be told. A value that is not an address,
    a host, a port, `http` or `https` (or `ws`, `wss`) changes nothing. `conn.get_peer_data()` stays
    the proxy.

    Place it first. Raises ValueError for an unknown header, for two headers that tell the same, and
    for what is no network.

    >>> from plugpy.testing import conn
    >>> rewrite = RewriteOn(headers=["x-forwarded-for"])
    >>> rewrite(conn("GET", "/", headers={"x-forwarded-for": "1.1.1.1, 2.2.2.2"})).remote_ip
    '2.2.2.2'
    """

    __slots__ = ("_forwarded", "_hops", "_others", "_trusted")

    def __init__(
        self,
        *,
        headers: Sequence[str | tuple[str, str]],
        trusted_proxies: Collection[str] = LOOPBACK,
    ) -> None:
        if isinstance(headers, str):
            raise ValueError("headers takes a list of names, not one name")
        told: dict[str, str] = {}
        for entry in headers:
            what, name = _what_tells(entry)
            if told.setdefault(what, name) != name:
                raise ValueError(f"both {told[what]!r} and {name!r} would tell the {what}")
        self._hops = told.get("remote_ip")
        self._others = tuple((told[what], _CHANGES[what]) for what in _CHANGES if what in told)
        self._forwarded = "forwarded" in told
        self._trusted = Networks(trusted_proxies)

    def __call__(self, conn: Conn) -> Conn:
        peer = conn.get_peer_data().address
        if peer and peer not in self._trusted:
            return conn
        hops = [] if self._hops is None else _values(conn, self._hops)
        client, depth = self._client(peer, hops)
        if client:
            conn.remote_ip = client
        for name, change in self._others:
            if values := _values(conn, name):
                # As many values as hops: each proxy has added its own.
                value = values[-depth] if depth and len(values) == len(hops) else values[-1]
                change(conn, value)
        if self._forwarded:
            self._believe_forwarded(conn, peer)
        return conn

    def _client(self, peer: str, hops: Sequence[str]) -> tuple[str, int]:
        """The address of the client, and how many hops from the right it was found; ("", 0) where
        no proxy says anything that can be read."""
        client, depth = "", 0
        for hop in reversed(hops[-MOST_HOPS:]):
            address = _address(hop)
            if address is None:
                break
            client, depth = address, depth + 1
            if address not in self._trusted:
                break
        return client, depth

    def _believe_forwarded(self, conn: Conn, peer: str) -> None:
        elements = parse_forwarded(", ".join(conn.get_req_header("forwarded")))
        if not elements:
            return
        _, depth = self._client(peer, [element.node for element in elements])
        # Each says what its proxy got: the one that names the client, got the client's request.
        element = elements[-max(depth, 1)]
        if depth and (address := _address(element.node)) is not None:
            conn.remote_ip = address
        if element.proto:
            _put_proto(conn, element.proto)
        if element.host:
            _put_host(conn, element.host)


def parse_forwarded(text: str) -> list[Element]:
    """The elements of a Forwarded header (RFC 7239 section 4), [] where it is malformed."""
    elements: list[Element] = []
    pairs: dict[str, str] = {}
    at = 0
    while at < len(text):
        found = _PAIR.match(text, at)
        if found is None:
            return []
        name, token, quoted, end = found.groups()
        if name is not None:
            value = token if token is not None else re.sub(r"\\(.)", r"\1", quoted)
            if name.lower() in pairs:
                return []  # section 4: each parameter at most once in an element
            pairs[name.lower()] = value
        at = found.end()
        if end == "," or at >= len(text):
            if pairs:
                elements.append(
                    Element(pairs.get("for", ""), pairs.get("proto", ""), pairs.get("host", ""))
                )
            pairs = {}
    return elements


def _values(conn: Conn, name: str) -> list[str]:
    """The values of all lines of a header, in their order."""
    return [
        value
        for line in conn.get_req_header(name)
        for part in line.split(",")
        if (value := part.strip(" \t"))
    ]


def _address(node: str) -> str | None:
    """The IP address of a node without its port; None for "unknown", "_hidden" and nonsense."""
    found = _NODE.fullmatch(node)
    if found is None:
        return None
    address = parse_address(found["v4"] or found["bracketed"] or found["v6"])
    return None if address is None else str(address)


def _put_proto(conn: Conn, value: str) -> None:
    scheme = _SCHEMES.get(value.lower())
    if scheme is None or scheme == conn.scheme:
        return
    if conn.port == _DEFAULT_PORTS.get(conn.scheme):
        conn.port = _DEFAULT_PORTS[scheme]
    conn.scheme = scheme


def _put_host(conn: Conn, value: str) -> None:
    found = _HOST.fullmatch(value)
    if found is None or int(found[2] or 0) > 65_535:
        return
    conn.host = found[1].lower()
    conn.port = int(found[2]) if found[2] else _DEFAULT_PORTS.get(conn.scheme, 0)


def _put_port(conn: Conn, value: str) -> None:
    if _PORT.fullmatch(value) and 0 < int(value) <= 65_535:
        conn.port = int(value)


_CHANGES: Final = {"scheme": _put_proto, "host": _put_host, "port": _put_port}


def _what_tells(entry: str | tuple[str, str]) -> tuple[str, str]:
    """What an entry of the option `headers` tells, and the header. Raises ValueError."""
    if isinstance(entry, str):
        name = entry.lower().replace("_", "-")
        if name in HEADERS:
            return HEADERS[name], name
    else:
        what, *names = entry
        if what in ("remote_ip", *_CHANGES) and len(names) == 1 and _NAME.fullmatch(names[0]):
            return what, names[0]
    raise ValueError(
        f"a header is one of {', '.join(HEADERS)}, or a pair such as "
        f"('remote_ip', 'cf-connecting-ip'), of remote_ip, scheme, host, port; got {entry!r}"
    )
