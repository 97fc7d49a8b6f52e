"""OpenAPI: the plug that serves the document of a router's typed handlers, and a page about it."""

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from plugpy.api.document import openapi
from plugpy.api.page import page
from plugpy.conn.conn import Conn
from plugpy.conn.errors import MethodNotAllowedError, NoRouteError
from plugpy.conn.json import dumps

DOCUMENT: Final = "openapi.json"

_HOST: Final = re.compile(r"[\w.:\[\]-]+", re.ASCII)


class OpenAPI:
    """Serves the OpenAPI 3.1 document of the router that it is mounted in, and a page to read it
    and to try the operations.

        forward("/docs", to=OpenAPI, title="Books", version="1.2.0")

    gives the page at /docs and the document at /docs/openapi.json.

    Options:
      title        default the name of the router's class
      version      of the API, "0.1.0"
      description  text, ""
      servers      URLs of the API; (): where the router is, by the path that led to it
      untyped      True: handlers that are not typed are listed too, with what is known of them
      page         False: the document alone
      extra        further members of the document, such as {"security": [...]}, merged into it
      router       another router to describe than the one that it is mounted in

    The document is made by the first request for it. It shows what there is to call to everybody
    who may open it: put a plug such as BasicAuth among the route's `plugs` where that is not meant.
    The page needs nothing from elsewhere, and runs no script but its own (Content-Security-Policy).
    What it sends goes to this API alone, with the cookies of the browser.

    >>> from plugpy import Router
    >>> from plugpy.api import typed
    >>> from plugpy.testing import conn
    >>> router = Router()
    >>> @router.get("/hello/:name")
    ... @typed
    ... def hello(name: str) -> dict[str, str]:
    ...     return {"hello": name}
    >>> router.forward("/docs", to=OpenAPI)
    <Route * /docs/*_rest>
    >>> sorted(openapi(router)["paths"])
    ['/hello/{name}']
    >>> router(conn("GET", "/docs")).status
    200
    """

    __slots__ = ("_document", "_page", "_router", "options")

    def __init__(
        self,
        *,
        title: str | None = None,
        version: str = "0.1.0",
        description: str = "",
        servers: Sequence[str] = (),
        untyped: bool = False,
        page: bool = True,
        extra: Mapping[str, Any] | None = None,
        router: Any = None,
    ) -> None:
        if isinstance(servers, str):
            raise ValueError("servers takes a list of URLs, not one")
        self.options: dict[str, Any] = {
            "title": title,
            "version": version,
            "description": description,
            "servers": tuple(servers),
            "untyped": untyped,
            "extra": extra,
        }
        self._page = page
        self._router = router
        self._document: dict[str, Any] | None = None

    def plug_mounted_in(self, router: Any) -> None:
        """The router calls this when it is compiled."""
        if self._router is None:
            self._router = router

    def __call__(self, conn: Conn) -> Conn:
        wanted = conn.path_info
        if wanted not in ([], [DOCUMENT]) or (not wanted and not self._page):
            raise NoRouteError(f"no route for {conn.method} {conn.request_path}")
        if conn.method not in ("GET", "HEAD"):
            raise MethodNotAllowedError(f"{conn.request_path} takes GET", allow=("GET", "HEAD"))
        document = self.document(_prefix(conn))
        if wanted:
            conn.put_resp_header("content-type", "application/json")
            conn.put_resp_header("cache-control", "no-cache")
            return conn.send_resp(200, dumps(document))
        nonce = secrets.token_urlsafe(16)
        conn.put_resp_header("content-security-policy", _policy(nonce, document))
        conn.put_resp_header("x-content-type-options", "nosniff")
        conn.put_resp_header("referrer-policy", "same-origin")
        address = "".join(f"/{segment}" for segment in (*conn.script_name, DOCUMENT))
        return conn.html(page(document, address=address, nonce=nonce))

    def document(self, prefix: str = "") -> dict[str, Any]:
        """The document. prefix: path at which the router is, the server unless `servers` were
        given. Raises TypeError for a type without a schema, ValueError without a router."""
        if self._router is None:
            raise ValueError(
                "OpenAPI is mounted in no router: forward('/docs', to=OpenAPI), or OpenAPI(router=)"
            )
        if self._document is None:
            self._document = openapi(self._router, **self.options)
        if self.options["servers"] or "servers" in (self.options["extra"] or ()):
            return self._document
        return {**self._document, "servers": [{"url": prefix or "/"}]}


def _prefix(conn: Conn) -> str:
    """The path at which the router is: the one that led here without the plug's own part."""
    own = 0 if conn.route is None else len(conn.route.spec.segments)
    segments = conn.script_name[: len(conn.script_name) - own] if own else conn.script_name
    return "".join(f"/{segment}" for segment in segments)


def _policy(nonce: str, document: Mapping[str, Any]) -> str:
    """Nothing but the page's own style and script, and requests to this API."""
    origins = {"'self'"}
    for server in document["servers"]:
        parts = urlsplit(server["url"])
        # What is no plain host could end the directive.
        if parts.scheme in ("http", "https") and _HOST.fullmatch(parts.netloc):
            origins.add(f"{parts.scheme}://{parts.netloc}")
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
        f"connect-src {' '.join(sorted(origins))}; img-src data:; form-action 'none'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
