"""CORS: which other sites' pages may use this one (Fetch standard, section 3.2)."""

import re
from collections.abc import Callable, Collection
from typing import Final, Literal

from plugpy.conn import Conn
from plugpy.conn.accept import vary_by

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

MAX_AGE: Final = 600
"""Seconds that a browser keeps the answer to a preflight."""

Origins = Literal["*"] | Collection[str | re.Pattern[str]] | Callable[[str], bool]


class CORS:
    """Lets pages of other origins read the responses, and answers their preflight requests.

    Options:
      origins       "*" for everybody; or a list of origins ("https://app.example.com") and
                    compiled patterns that match a whole origin; or a function origin -> bool
      methods       methods that they may use: GET, HEAD, POST, PUT, PATCH, DELETE
      headers       request headers that they may send beside the harmless ones: a list of names, or
                    "*" for whatever the browser asks for; ()
      expose        response headers that they may read beside the harmless ones; ()
      credentials   False; True: with the user's cookies. Not with origins="*"
      max_age       seconds that a browser keeps the answer to a preflight, 600

    A preflight of an origin that is not allowed is answered by 403; any other request goes on
    without the headers, and the browser keeps its page from reading the response. CORS opens; it
    protects nothing: a request is served all the same. Place it before the router and before what
    asks for a login, since browsers send preflights without credentials.
    Raises ValueError for options that don't fit together.

    >>> from plugpy.testing import conn
    >>> cors = CORS(origins=["https://app.example.com"])
    >>> sent = cors(conn("GET", "/", headers={"origin": "https://app.example.com"}))
    >>> sent.get_resp_header("access-control-allow-origin")
    ['https://app.example.com']
    """

    __slots__ = (
        "_allow_all",
        "_credentials",
        "_expose",
        "_headers",
        "_is_allowed",
        "_max_age",
        "_methods",
    )
    runs_before = ("BasicAuth", "CSRFProtection")

    def __init__(
        self,
        *,
        origins: Origins,
        methods: Collection[str] = METHODS,
        headers: Literal["*"] | Collection[str] = (),
        expose: Collection[str] = (),
        credentials: bool = False,
        max_age: int = MAX_AGE,
    ) -> None:
        self._allow_all = origins == "*"
        if self._allow_all and credentials:
            raise ValueError(
                "origins='*' with credentials=True would show every user's data to every site; "
                "name the origins"
            )
        if isinstance(origins, str) and not self._allow_all:
            raise ValueError(f"origins is '*' or a list of origins, got {origins!r}")
        if isinstance(methods, str) or isinstance(expose, str):
            raise ValueError("methods and expose take a list of names, not one name")
        if isinstance(headers, str) and headers != "*":
            raise ValueError(f"headers is '*' or a list of names, got {headers!r}")
        self._is_allowed = _matcher(origins)
        self._methods = ", ".join(methods)
        self._headers = "*" if headers == "*" else ", ".join(headers)
        self._expose = ", ".join(expose)
        self._credentials = credentials
        self._max_age = str(max_age)

    def __call__(self, conn: Conn) -> Conn:
        preflight = conn.method == "OPTIONS" and bool(
            conn.get_req_header("access-control-request-method")
        )
        if not self._allow_all:
            # Also without an origin: a cache must not give this answer to a page of another one.
            vary_by(conn, "origin")
        sent = conn.get_req_header("origin")
        if not sent:
            return conn
        allowed = len(sent) == 1 and self._is_allowed(sent[0])
        if allowed:
            conn.put_resp_header("access-control-allow-origin", "*" if self._allow_all else sent[0])
            if self._credentials:
                conn.put_resp_header("access-control-allow-credentials", "true")
            if self._expose and not preflight:
                conn.put_resp_header("access-control-expose-headers", self._expose)
        if not preflight:
            return conn
        if not allowed:
            return conn.send_resp(403, "this origin is not allowed\n").halt()
        return self._answer_preflight(conn)

    def _answer_preflight(self, conn: Conn) -> Conn:
        wanted = ", ".join(conn.get_req_header("access-control-request-headers"))
        headers = self._headers
        if headers == "*":
            # By name: browsers take "*" literally where credentials are sent.
            headers = wanted
            vary_by(conn, "access-control-request-headers")
        conn.put_resp_header("access-control-allow-methods", self._methods)
        if headers:
            conn.put_resp_header("access-control-allow-headers", headers)
        conn.put_resp_header("access-control-max-age", self._max_age)
        return conn.send_resp(204, "").halt()


def _matcher(origins: Origins) -> Callable[[str], bool]:
    if callable(origins):
        return origins
    if origins == "*":
        return lambda origin: True
    exact = set()
    patterns = []
    for origin in origins:
        if isinstance(origin, re.Pattern):
            patterns.append(origin)
        elif re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#*\s]+", origin):
            exact.add(origin.lower())
        else:
            raise ValueError(
                f"an origin is a scheme, a host and maybe a port, 'https://example.com', "
                f"got {origin!r}"
            )
    if not exact and not patterns:
        raise ValueError("origins names nobody; leave the plug out instead")
    return lambda origin: origin in exact or any(one.fullmatch(origin) for one in patterns)
