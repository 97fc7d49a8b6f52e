"""A plug as a WSGI application (PEP 3333): for gunicorn, mod_wsgi, uWSGI, where plugs are sync.

Async plugs run too, as long as all that they await is the request and its response (`conn.body()`,
`conn.chunk()`, Parsers): here these never wait. What really needs an event loop is refused.
"""

import logging
from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import Any

from plugpy.conn import Conn, NotSentError, PlugError, RequestHead
from plugpy.conn.state import CHUNKED, SET, UNSET
from plugpy.http.failure import answer_failure
from plugpy.interop.errors import WsgiError
from plugpy.interop.to_asgi import MAX_BODY, enter_root
from plugpy.interop.to_asgi_lifespan import Outlet
from plugpy.interop.to_wsgi_adapter import Piece, WsgiAdapter

logger = logging.getLogger("plugpy.interop")

StartResponse = Callable[..., Callable[[bytes], object]]


class ToWsgi:
    """A WSGI application of a plug, a Router class or instance, or a plugpy.Application.

    Options as those of ToAsgi. Children of an Application do not run: a WSGI server has no event
    loop for them. WebSocket, early hints and processes of the request are not there either.
    """

    def __init__(
        self,
        application: Any,
        *,
        max_body: int = MAX_BODY,
        secret_key_base: str | None = None,
        debug: bool = False,
    ) -> None:
        self.outlet = Outlet(application, secret_key_base)
        self.max_body = max_body
        self.debug = debug

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request of the WSGI server."""
        adapter = WsgiAdapter(environ, start_response, self.outlet, self.max_body)
        conn = Conn(adapter, request_head(environ))
        enter_root(conn, _from_wsgi(environ.get("SCRIPT_NAME", "")))
        try:
            result = self.outlet.plug(conn)
            if result is not conn and isinstance(result, Awaitable):
                running = result.__await__()
                piece = _step(running, conn)
                if piece is not None:
                    return _Stream(conn, adapter, running, piece)
            elif result is not conn:
                raise _wrong(result)
            if conn.state is SET:
                conn.send_resp()
            elif conn.state is UNSET:
                raise NotSentError(
                    f"a response was neither set nor sent for {conn.method} {conn.request_path}"
                )
            elif conn.state is CHUNKED:
                adapter.end_chunks()
        except Exception as error:
            if not answer_failure(conn, error, debug=self.debug) and conn.state is CHUNKED:
                raise  # the server breaks the response off
        return adapter.result()


class _Stream:
    """The pieces of a response, each made when the server asks for it."""

    def __init__(
        self, conn: Conn, adapter: WsgiAdapter, running: Generator[Any, None, Any], first: Piece
    ) -> None:
        self._conn = conn
        self._adapter = adapter
        self._running = running
        self._next: Piece | None = first

    def __iter__(self) -> "_Stream":
        return self

    def __next__(self) -> bytes:
        piece = self._next
        if piece is None:
            try:
                piece = _step(self._running, self._conn)
                if piece is None:
                    self._adapter.end_chunks()
            except Exception as error:
                # Logged; and raised, so that the server breaks the response off.
                answer_failure(self._conn, error, debug=False)
                raise
            if piece is None:
                raise StopIteration
        self._next = None
        return piece.data

    def close(self) -> None:
        """PEP 3333: the server calls it in any case, also when the client has left."""
        self._running.close()


def to_wsgi(application: Any, **options: Any) -> ToWsgi:
    """`application` as a WSGI application; options: those of ToWsgi.

    A Router, Pipeline or Application need not be wrapped: they answer a WSGI server themselves.
    Raises TypeError for what is no plug.
    """
    return ToWsgi(application, **options)


def _step(running: Generator[Any, None, Any], conn: Conn) -> Piece | None:
    """Run async code up to the next piece that it sends, None at its end. Raises WsgiError where it
    waits for anything else."""
    try:
        item = next(running)
    except StopIteration as done:
        if done.value is not conn:
            raise _wrong(done.value) from None
        return None
    except RuntimeError as error:
        if "no running event loop" in str(error):
            raise WsgiError(_NEEDS_LOOP) from error
        raise
    if isinstance(item, Piece):
        return item
    running.close()
    raise WsgiError(_NEEDS_LOOP)


def _wrong(result: Any) -> PlugError:
    return PlugError(
        f"the plug returned {result!r} instead of the Conn that it was called with (did you forget "
        "`return conn`?)"
    )


_NEEDS_LOOP = (
    "an async plug waits for something that needs an event loop, and a WSGI server has none: "
    "serve this application by plugpy or an ASGI server, or make the plug a plain function"
)


def request_head(environ: dict[str, Any]) -> RequestHead:
    """The head of a request from its environ."""
    from urllib.parse import quote

    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    if raw.startswith("/"):
        path = raw.partition("?")[0]
    else:
        path = quote(path.encode("latin-1", "replace"), safe="/~!$&'()*+,;=:@")
    headers = [
        (name[5:].replace("_", "-").lower(), value)
        for name, value in environ.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    ]
    headers += [
        (name.replace("_", "-").lower(), environ[name])
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH")
        if environ.get(name)
    ]
    return RequestHead.from_headers(
        environ["REQUEST_METHOD"],
        path or "/",
        environ.get("QUERY_STRING", ""),
        headers,
        version=environ.get("SERVER_PROTOCOL", "HTTP/1.1").rpartition("/")[2],
    )


def _from_wsgi(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", "replace")
