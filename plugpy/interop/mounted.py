"""Where an application is mounted: the host, the path that leads to it, and what is left of it."""

from plugpy.conn import Conn
from plugpy.conn.fields import DEFAULT_PORTS, ConnFields, split_path


def split_mounted(conn: Conn) -> tuple[str, str]:
    """(the path that `forward` has consumed, the path that is left), both raw.

    The second keeps what `path_info` has lost, a slash at the end or two in a row: applications
    look at them. Where a plug has put a path of its own, that is what is left.
    """
    path = conn.request_path
    script = conn.script_name
    if not path.startswith("/"):  # OPTIONS * (RFC 9110 section 9.3.7)
        return "", path
    # None: somebody has assigned path_info, which every forward does.
    if conn.route_path == path and not script:
        return "", path
    prefix = "".join(f"/{segment}" for segment in script)
    if split_path(path) == [*script, *conn.path_info]:
        at = 0
        for segment in script:
            at = path.index(segment, at) + len(segment)
        return prefix, path[at:]
    return prefix, "/" + "/".join(conn.path_info)


def chosen_host(conn: Conn) -> str | None:
    """The host (and port, unless it is that of the scheme) where it is not that of the Host header:
    of an absolute target, which wins over it (RFC 9112 section 3.2.2), or what a plug has put."""
    authority = conn.head.authority
    try:
        host: str = _host_slot(conn)
    except AttributeError:
        return authority  # nobody has asked for it, nor changed it
    port = conn.port
    standard = not port or port == DEFAULT_PORTS.get(conn.scheme)
    text = host if standard else f"{host}:{port}"
    values = conn.head.get("host")
    sent = values[0].lower() if values else ""
    return None if sent in (text, f"{host}:{port}") else text


_host_slot = ConnFields.__dict__["host"].__get__
