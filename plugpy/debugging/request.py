"""What is shown of the request: sections of names and values, without secrets."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from plugpy.conn import Conn
from plugpy.debugging.redaction import HIDDEN, Redaction
from plugpy.debugging.values import MOST_ITEMS, show, show_text

LONGEST_COOKIE: Final = 16
"""Characters of a cookie that is shown: longer values are ids and tokens, whatever their name."""

Rows = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A title, and rows of name and value."""

    title: str
    rows: Rows


def request_line(conn: Conn) -> str:
    """Method and path, without the query, which may hold secrets."""
    return f"{conn.method} {conn.request_path}"


def sections(conn: Conn, redaction: Redaction) -> list[Section]:
    """The sections that have something in them. What can't be read says so: it may be what went
    wrong."""
    made = [
        ("Request", lambda: _request(conn, redaction)),
        ("Path parameters", lambda: _mapping(conn.path_params, redaction)),
        ("Query parameters", lambda: _mapping(conn.query_params, redaction)),
        ("Body parameters", lambda: _body_params(conn, redaction)),
        ("Headers", lambda: _headers(conn.req_headers, redaction)),
        ("Cookies", lambda: _cookies(conn, redaction)),
        ("Session", lambda: _mapping(conn.private.get("plug_session") or {}, redaction)),
        ("Assigns", lambda: _mapping(conn.assigns, redaction)),
        ("Response headers so far", lambda: _headers(conn.resp_headers, redaction)),
    ]
    found = [Section(title, _rows(rows)) for title, rows in made]
    return [section for section in found if section.rows]


def _rows(make: Callable[[], Iterable[tuple[str, str]]]) -> Rows:
    try:
        return tuple(make())
    except Exception as error:
        return (("can't be read", f"{type(error).__name__}: {error}"),)


def _request(conn: Conn, redaction: Redaction) -> Iterable[tuple[str, str]]:
    yield "method", conn.method
    yield "URL", _address(conn)
    yield "path", show_text(conn.request_path, redaction)
    if conn.script_name:
        yield "forwarded below", "/" + "/".join(conn.script_name)
    route = getattr(conn.route, "pattern", None)
    if route is not None:
        yield "route", str(route)
    yield "protocol", conn.get_http_protocol()
    yield "remote address", conn.remote_ip
    if conn.request_id is not None:
        yield "request id", conn.request_id


def _address(conn: Conn) -> str:
    try:
        # The query has a section of its own, in which secrets can be told by name.
        return conn.request_url().partition("?")[0]
    except Exception as error:
        return f"can't be read: {type(error).__name__}: {error}"


def _mapping(values: Mapping[Any, Any], redaction: Redaction) -> Iterable[tuple[str, str]]:
    for name, value in list(values.items())[:MOST_ITEMS]:
        yield str(name), show(value, redaction, name)


def _body_params(conn: Conn, redaction: Redaction) -> Iterable[tuple[str, str]]:
    return _mapping(conn.body_params, redaction) if conn.body_params_fetched else ()


def _headers(headers: Iterable[tuple[str, str]], redaction: Redaction) -> Iterable[tuple[str, str]]:
    for name, value in headers:
        yield name, show_text(value, redaction, name)


def _cookies(conn: Conn, redaction: Redaction) -> Iterable[tuple[str, str]]:
    for name, value in conn.req_cookies.items():
        opaque = len(value) > LONGEST_COOKIE
        yield name, HIDDEN if opaque else show_text(value, redaction, name)
