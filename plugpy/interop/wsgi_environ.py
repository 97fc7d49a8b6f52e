"""The environ of a request, from a Conn (PEP 3333, "environ Variables"; RFC 3875 section 4.1)."""

from ssl import DER_cert_to_PEM_cert
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from plugpy._version import __version__
from plugpy.conn import Conn
from plugpy.conn.fields import DEFAULT_PORTS
from plugpy.interop.mounted import chosen_host, split_mounted
from plugpy.interop.wsgi_files import FileWrapper
from plugpy.interop.wsgi_input import ErrorStream

SOFTWARE: Final = f"plugpy/{__version__}"

ERRORS: Final = ErrorStream()

DROPPED: Final = frozenset({"proxy"})
"""Headers that never become variables: HTTP_PROXY is how HTTP clients are told of a proxy, so a
request could make the application's own requests go through one (httpoxy, CVE-2016-5385)."""

_NAMES: Final[dict[str, str | None]] = {
    "content-type": "CONTENT_TYPE",
    "content-length": "CONTENT_LENGTH",
}
"""Header -> variable, None for none. Filled as headers come; names are many and not ours, so it is
bounded."""

_MOST_NAMES: Final = 512


def make_environ(conn: Conn, root_path: str, shared: dict[str, Any]) -> dict[str, Any]:
    """The variables of `conn`, all but wsgi.input.

    root_path: where a proxy has mounted the application; what `forward` has consumed follows it.
    shared: what is the same for all requests of one application.
    """
    head = conn.head
    script, path = split_mounted(conn)
    peer = conn.adapter.get_peer_data()
    sock = conn.adapter.get_sock_data()
    scheme = conn.scheme
    address = conn.remote_ip
    query = conn.query_string
    raw = conn.request_path
    target = f"{raw}?{query}" if query else raw
    environ: dict[str, Any] = {
        "REQUEST_METHOD": conn.method,
        "SCRIPT_NAME": root_path + _decoded(script),
        "PATH_INFO": _decoded(path),
        "QUERY_STRING": query,
        "REQUEST_URI": target,
        "RAW_URI": target,
        # On a unix socket, whose address is a path, what the client has asked for.
        "SERVER_NAME": sock.address if sock.port else conn.host or "localhost",
        "SERVER_PORT": str(sock.port or conn.port or DEFAULT_PORTS.get(scheme, 80)),
        "SERVER_PROTOCOL": f"HTTP/{head.version}",
        "SERVER_SOFTWARE": SOFTWARE,
        "REMOTE_ADDR": address,
        "wsgi.url_scheme": scheme,
        **shared,
    }
    if peer.port and peer.address == address:
        environ["REMOTE_PORT"] = str(peer.port)
    if scheme == "https":
        environ["HTTPS"] = "on"
        if peer.ssl_cert is not None:
            environ["SSL_CLIENT_CERT"] = DER_cert_to_PEM_cert(peer.ssl_cert)
    for name, value in head.headers:
        key = _NAMES.get(name, "")
        if key == "":
            key = _learn(name)
        if key is None:
            continue
        if key not in environ:
            environ[key] = value
        elif key not in _NAMES_OF_THEIR_OWN:
            # RFC 9110 section 5.3; cookies are joined as RFC 9113 section 8.2.3 has it.
            environ[key] += ("; " if name == "cookie" else ",") + value
    host = chosen_host(conn)
    if host is not None:
        environ["HTTP_HOST"] = host
    return environ


_NAMES_OF_THEIR_OWN: Final = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})


def shared_environ(*, multiprocess: bool) -> dict[str, Any]:
    """The variables that do not depend on the request."""
    return {
        "wsgi.version": (1, 0),
        "wsgi.errors": ERRORS,
        "wsgi.multithread": True,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        # The end of the body ends the input, also that of a chunked one without CONTENT_LENGTH.
        "wsgi.input_terminated": True,
    }


def _learn(name: str) -> str | None:
    # With an underscore a name becomes the variable of another header: of one that a proxy has
    # checked, or removed.
    variable = None if "_" in name or name in DROPPED else f"HTTP_{name.upper().replace('-', '_')}"
    if len(_NAMES) < _MOST_NAMES:
        _NAMES[name] = variable
    return variable


def _decoded(path: str) -> str:
    """PEP 3333: bytes as Latin-1 characters, percent-decoded."""
    if "%" not in path:
        return path
    return unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
