"""HostAllowlist: answers for its own names only."""

from collections.abc import Collection
from typing import ClassVar

from plugpy.conn import Conn


class HostAllowlist:
    """Answers 421 to requests whose Host is not one of ours, and halts.

    Without it, who sends another Host decides what links in mails and redirects point to, what a
    cache stores under a foreign name, and a web page elsewhere can reach a server on localhost by a
    DNS name of its own (DNS rebinding).

    Options:
      hosts           names without port: "example.com"; ".example.com" for it and all subdomains
      exclude_paths   paths that are answered whatever the host, such as "/health"; ()

    Place it first, after RewriteOn. Raises ValueError for an empty list, and for names that can't
    match: with a scheme or a port.

    >>> from plugpy.testing import conn
    >>> guard = HostAllowlist(hosts=[".example.com"])
    >>> guard(conn("GET", "/", headers={"host": "www.example.com:4000"})).halted
    False
    >>> guard(conn("GET", "/", headers={"host": "example.com.evil.test"})).status
    421
    """

    __slots__ = ("_exact", "_exclude_paths", "_suffixes")
    better_before: ClassVar = {"Parsers": "bodies of requests that it refuses are read first"}
    runs_after = ("RewriteOn",)

    def __init__(self, *, hosts: Collection[str], exclude_paths: Collection[str] = ()) -> None:
        if isinstance(hosts, str) or isinstance(exclude_paths, str):
            raise ValueError("hosts and exclude_paths take a list of names, not one name")
        if not hosts:
            raise ValueError("hosts names nobody, so nothing would be answered")
        for host in hosts:
            bare = host.partition("]")[2] if host.startswith("[") else host
            if "/" in host or ":" in bare or "*" in host or not host.strip("."):
                raise ValueError(
                    f"a host is a name without scheme, port and '*', got {host!r}; "
                    "'.example.com' stands for all subdomains"
                )
        names = [host.lower() for host in hosts]
        self._suffixes = tuple(name for name in names if name.startswith("."))
        self._exact = frozenset(name.removeprefix(".") for name in names)
        self._exclude_paths = frozenset(exclude_paths)

    def __call__(self, conn: Conn) -> Conn:
        # RFC 1034 section 3.1: a trailing dot ends an absolute name.
        host = conn.host.removesuffix(".")
        if (
            host in self._exact
            or (self._suffixes and host.endswith(self._suffixes))
            or conn.request_path in self._exclude_paths
        ):
            return conn
        return conn.send_resp(421, "421 Misdirected Request: this host is not served here\n").halt()
