"""The fields of a Conn: where each comes from and when it is computed.

PERF: a request sets ten slots. Every other field is a slot left empty until it is first read;
Python then calls `__getattr__`, which computes the field by the table LAZY and stores it. Assigning
a field works at any time and wins over the computed value.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from plugpy.conn import cookies as cookie_text
from plugpy.conn import query as query_text
from plugpy.conn.adapter import Adapter
from plugpy.conn.errors import BadRequestError, InvalidPathError, UnfetchedError
from plugpy.conn.head import RequestHead
from plugpy.conn.state import UNSET, State

DEFAULT_RESP_HEADERS: tuple[tuple[str, str], ...] = (
    ("cache-control", "max-age=0, private, must-revalidate"),
)
"""What every response starts with (Plug.Conn `resp_headers`)."""

DEFAULT_PORTS = {"http": 80, "https": 443}


class ConnFields:
    """The slots of a Conn. See `Conn` for what each field means."""

    __slots__ = (
        "__weakref__",
        "_before_send",
        "_body",
        "_body_params",
        "_params",
        "_params_path",
        "_path_info",
        "_query_params",
        "_resp_cookies",
        "_resp_headers",
        "adapter",
        "assigns",
        "cookies",
        "halted",
        "head",
        "host",
        "method",
        "owner",
        "path_params",
        "port",
        "private",
        "query_string",
        "remote_ip",
        "req_cookies",
        "request_id",
        "request_path",
        "resp_body",
        "route",
        "route_path",
        "scheme",
        "script_name",
        "secret_key_base",
        "state",
        "status",
    )

    adapter: Adapter
    head: RequestHead
    method: str
    request_path: str
    query_string: str
    scheme: str
    host: str
    port: int
    remote_ip: str
    route_path: str | None
    script_name: list[str]
    path_params: dict[str, Any]
    req_cookies: dict[str, str]
    cookies: dict[str, Any]
    status: int | None
    state: State
    halted: bool
    resp_body: Any
    assigns: dict[str, Any]
    private: dict[str, Any]
    route: Any
    request_id: str | None
    owner: Any
    secret_key_base: str | bytes | None
    # None: the default; a tuple: validated, nothing about framing; a list: handed out, so unknown.
    _resp_headers: tuple[tuple[str, str], ...] | list[tuple[str, str]] | None
    _resp_cookies: dict[str, dict[str, Any]]
    _before_send: list[Callable[[Any], Any]] | None
    _path_info: list[str]
    _query_params: dict[str, Any]
    _body_params: dict[str, Any] | None
    _params: dict[str, Any] | None
    _params_path: dict[str, Any] | None
    _body: bytes | None

    def __init__(self, adapter: Adapter, head: RequestHead) -> None:
        self.adapter = adapter
        self.head = head
        self.method = head.method
        self.route_path = self.request_path = head.path
        self.status = None
        self.halted = False
        self.state = UNSET
        self._resp_headers = None
        self._before_send = None

    # Not for type checkers: every name is annotated above.
    def __getattr__(self, name: str) -> Any:
        compute = LAZY.get(name)
        if compute is None:
            raise AttributeError(f"a Conn has no field {name!r}")
        value = compute(self)
        setattr(self, name, value)
        return value

    @property
    def path_info(self) -> list[str]:
        """The raw segments of the path that routes look at; `forward` takes its prefix off."""
        return self._path_info

    @path_info.setter
    def path_info(self, segments: list[str]) -> None:
        self._path_info = segments
        # What a router looks up first: the raw path, None once path_info was assigned.
        self.route_path = None

    @property
    def query_params(self) -> dict[str, Any]:
        """The decoded query string, fetched on first use.

        Shape: nested dicts, lists and str as plugpy.conn.query.decode makes them. Limits are those
        of `fetch_query_params`. Raises InvalidQueryError.
        """
        return self._query_params

    @query_params.setter
    def query_params(self, value: dict[str, Any]) -> None:
        self._query_params = value

    @property
    def body_params(self) -> dict[str, Any]:
        """The decoded body. A parser assigns it; raises UnfetchedError before that."""
        params = self._body_params
        if params is None:
            raise UnfetchedError(
                "body_params were not fetched: put a parser before this plug, "
                "or assign conn.body_params"
            )
        return params

    @body_params.setter
    def body_params(self, params: dict[str, Any]) -> None:
        self._body_params = params
        if self._params is not None:
            self._params = None

    @property
    def body_params_fetched(self) -> bool:
        """Whether a parser has read the body: `body_params` does not raise."""
        return self._body_params is not None

    @property
    def params(self) -> dict[str, Any]:
        """Query, body and path parameters in one: path wins over body, body over query."""
        params = self._params
        path_params = self.path_params
        if params is None:
            params = self._params = dict(self.query_params)
            if self._body_params is not None:
                params.update(self._body_params)
            self._params_path = None
        if self._params_path is not path_params:
            params.update(path_params)
            self._params_path = path_params
        return params

    @params.setter
    def params(self, params: dict[str, Any]) -> None:
        self._params = params
        self._params_path = self.path_params

    @property
    def req_headers(self) -> list[tuple[str, str]]:
        """The request headers: a list of (lower-case name, value) in the order they were sent."""
        head = self.head
        if not head.owned:
            # Heads are shared between requests; this one may now be changed.
            head = self.head = head.copy()
        return head.headers

    @req_headers.setter
    def req_headers(self, headers: list[tuple[str, str]]) -> None:
        self.head = self.head.copy(headers)

    @property
    def resp_headers(self) -> list[tuple[str, str]]:
        """The response headers: a list of (lower-case name, value), duplicates allowed.

        It starts as DEFAULT_RESP_HEADERS. Prefer `put_resp_header`, which validates.
        """
        headers = self._resp_headers
        if not isinstance(headers, list):
            headers = self._resp_headers = list(
                DEFAULT_RESP_HEADERS if headers is None else headers
            )
        return headers

    @resp_headers.setter
    def resp_headers(self, headers: list[tuple[str, str]]) -> None:
        self._resp_headers = headers


def split_path(path: str) -> list[str]:
    """The raw segments of a path: split on "/", empty segments dropped, nothing decoded."""
    return [segment for segment in path.split("/") if segment]


def _split_authority(conn: ConnFields) -> tuple[str, int]:
    """Host and port from the absolute-form target or the Host header (RFC 9112 section 3.2.2:
    the target wins)."""
    authority = conn.head.authority
    if authority is None:
        values = conn.head.get("host")
        authority = values[0] if values else ""
    default = DEFAULT_PORTS.get(conn.scheme, 0)
    if authority.startswith("["):  # an IPv6 literal
        host, _, rest = authority.partition("]")
        host += "]"
        port = rest.removeprefix(":")
    else:
        host, _, port = authority.partition(":")
    if not port:
        return host.lower(), default
    if not (port.isascii() and port.isdigit()) or int(port[:6]) > 65535:
        raise BadRequestError(f"the port in the host {authority!r} is not a number up to 65535")
    return host.lower(), int(port)


def _req_cookies(conn: ConnFields) -> dict[str, str]:
    # RFC 6265 section 5.4 lets HTTP/2 split the header; joining is what it asks for.
    return cookie_text.decode("; ".join(conn.head.get("cookie")))


def _cookies(conn: ConnFields) -> dict[str, Any]:
    """The request's cookies with those that this response has set so far (Plug.Conn `cookies`)."""
    merged: dict[str, Any] = dict(conn.req_cookies)
    for key, options in conn._resp_cookies.items():
        if options.get("max_age") == 0:
            merged.pop(key, None)
        elif "value" in options:
            merged[key] = options["value"]
    return merged


LAZY: dict[str, Callable[[ConnFields], Any]] = {
    "assigns": lambda conn: {},
    "private": lambda conn: {},
    "path_params": lambda conn: {},
    "script_name": lambda conn: [],
    "_path_info": lambda conn: split_path(conn.request_path),
    "query_string": lambda conn: conn.head.query,
    "scheme": lambda conn: conn.adapter.scheme,
    "host": lambda conn: _split_authority(conn)[0],
    "port": lambda conn: _split_authority(conn)[1],
    "remote_ip": lambda conn: conn.adapter.get_peer_data().address,
    "req_cookies": _req_cookies,
    "cookies": _cookies,
    "_query_params": lambda conn: query_text.decode(conn.query_string),
    "_params": lambda conn: None,
    "_params_path": lambda conn: None,
    "_body_params": lambda conn: None,
    "resp_body": lambda conn: None,
    "route": lambda conn: None,
    "request_id": lambda conn: None,
    "owner": lambda conn: getattr(conn.adapter, "owner", None),
    "secret_key_base": lambda conn: getattr(conn.adapter, "secret_key_base", None),
    "_resp_cookies": lambda conn: {},
    "_body": lambda conn: None,
}
"""Field -> how it is computed when it is first read."""


def decode_segment(segment: str) -> str:
    """Percent-decode one raw path segment. Invalid `%zz` is kept as it is; raises
    InvalidPathError where the bytes are not UTF-8."""
    if "%" not in segment:
        return segment
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise InvalidPathError(
            f"the path segment {segment!r} is not UTF-8 when percent-decoded"
        ) from None
