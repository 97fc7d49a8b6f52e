"""SSL: everything over https (Plug.SSL, RFC 6797)."""

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Final

from acceptors.networks import LOOPBACK
from plugpy.conn import Conn
from plugpy.pipeline.compiler import log_level
from plugpy.plugs.rewrite_on import RewriteOn

logger = logging.getLogger("plugpy.plugs.ssl")

EXPIRES: Final = 31_536_000
"""Seconds that browsers remember to use https: a year (RFC 6797 section 11.2)."""

LOCAL: Final = ("localhost", "127.0.0.1", "[::1]")
"""Hosts that are left alone unless said otherwise."""

Exclude = Collection[str] | Callable[[Conn], bool]


class SSL:
    """Redirects http to https, and tells browsers by Strict-Transport-Security to stay there.

    Options:
      hsts            True: the header goes with every https response
      expires         seconds that it holds, 31,536,000
      subdomains      False: whether it holds for all subdomains too
      preload         False: whether browsers may ship with it; not easily undone
      exclude         hosts that neither are redirected nor get the header: localhost, 127.0.0.1,
                      [::1]; or a function conn -> bool
      exclude_paths   paths that are not redirected, such as "/health"; ()
      host            redirect to this host, "new.example.com" or "new.example.com:8443"; None
      rewrite_on      headers of a proxy that are believed, such as ["x-forwarded-proto"], as by
                      RewriteOn(headers=...) before; (). Only from proxies on this machine and on
                      unix sockets, unless trusted_proxies names others
      trusted_proxies  networks of those proxies in CIDR notation; None: this machine
      log             level of the line about a redirect, "info"; None: no line

    GET and HEAD are redirected by 301, other methods by 307, which keeps method and body. Behind a
    proxy that ends TLS, give rewrite_on or put RewriteOn before it, so that `conn.scheme` is what
    the client used. Place it first, after RewriteOn. Raises ValueError for options that don't fit.

    >>> from plugpy.testing import conn
    >>> SSL()(conn("GET", "/a?b=c")).get_resp_header("location")
    ['https://www.example.com/a?b=c']
    """

    __slots__ = ("_exclude", "_exclude_paths", "_header", "_host", "_level", "_rewrite")
    runs_after = ("RewriteOn",)

    def __init__(
        self,
        *,
        hsts: bool = True,
        expires: int = EXPIRES,
        subdomains: bool = False,
        preload: bool = False,
        exclude: Exclude = LOCAL,
        exclude_paths: Collection[str] = (),
        host: str | None = None,
        rewrite_on: Sequence[str | tuple[str, str]] = (),
        trusted_proxies: Collection[str] | None = None,
        log: str | None = "info",
    ) -> None:
        if expires < 0:
            raise ValueError(f"expires is a number of seconds, got {expires!r}")
        if preload and not (hsts and subdomains and expires >= EXPIRES):
            raise ValueError(
                "preload needs hsts, subdomains=True and expires of a year: "
                "browsers do not take the host into their lists otherwise"
            )
        if isinstance(exclude, str) or isinstance(exclude_paths, str):
            raise ValueError("exclude and exclude_paths take a list of names, not one name")
        header = f"max-age={expires}"
        if subdomains:
            header += "; includeSubDomains"
        if preload:
            header += "; preload"
        self._header = header if hsts else None
        self._exclude = exclude if callable(exclude) else frozenset(exclude)
        self._exclude_paths = frozenset(exclude_paths)
        self._host = host
        if trusted_proxies is not None and not rewrite_on:
            raise ValueError("trusted_proxies without rewrite_on: no header is believed anyway")
        self._rewrite = (
            RewriteOn(headers=rewrite_on, trusted_proxies=trusted_proxies or LOOPBACK)
            if rewrite_on
            else None
        )
        self._level = log_level(log)

    def __call__(self, conn: Conn) -> Conn:
        if self._rewrite is not None:
            self._rewrite(conn)
        exclude = self._exclude
        if exclude(conn) if callable(exclude) else conn.host in exclude:
            return conn
        if conn.scheme == "https":
            header = self._header
            return (
                conn
                if header is None
                else conn.put_resp_header("strict-transport-security", header)
            )
        if conn.request_path in self._exclude_paths:
            return conn
        return self._redirect(conn)

    def _redirect(self, conn: Conn) -> Conn:
        host = self._host or conn.host
        query = f"?{conn.query_string}" if conn.query_string else ""
        location = f"https://{host}{conn.request_path}{query}"
        status = 301 if conn.method in ("GET", "HEAD") else 307
        if self._level is not None:
            # Without the query, which may hold secrets.
            logger.log(self._level, "redirecting %s %s to https", conn.method, conn.request_path)
        return conn.put_resp_header("location", location).send_resp(status, "").halt()
