"""What a route handler may return beside the conn, and how it becomes a response.

    str            text/plain               bytes        as it is, application/octet-stream
    dict, list     JSON, by conn.json       (status, one of these)

The status is the one that was put before, else 200. Plugs, and routes with `to=`, return the conn.
"""

from collections.abc import Awaitable
from http import HTTPStatus
from types import CoroutineType
from typing import Any

from plugpy.conn.conn import Conn
from plugpy.pipeline.compiler import wrong_return
from plugpy.router.route import Route


def finish(conn: Conn, result: Any, route: Route) -> Conn | Awaitable[Conn]:
    """Answer with what a handler returned: called when that is not the conn itself.

    Raises PlugError for what is none of the above.
    """
    if type(result) is CoroutineType or isinstance(result, Awaitable):
        return _finish_later(conn, result, route)
    return answer(conn, result, route.handler)


async def _finish_later(conn: Conn, awaitable: Awaitable[Any], route: Route) -> Conn:
    result: object = await awaitable
    return conn if result is conn else answer(conn, result, route.handler)


def finish_plug(conn: Conn, result: Any, route: Route) -> Conn | Awaitable[Conn]:
    """As `finish`, for a route to a plug: nothing but the conn will do."""
    if type(result) is CoroutineType or isinstance(result, Awaitable):
        return _finish_plug_later(conn, result, route)
    raise wrong_return(conn, route.handler, result)


async def _finish_plug_later(conn: Conn, awaitable: Awaitable[Any], route: Route) -> Conn:
    result: object = await awaitable
    if result is not conn:
        raise wrong_return(conn, route.handler, result)
    return conn


def finish_checked(conn: Conn, result: Any, route: Route) -> Conn | Awaitable[Conn]:
    """As `finish`, for what has checked its result already."""
    checked: Awaitable[Conn] = result
    return checked


def answer(conn: Conn, result: Any, handler: Any) -> Conn:
    """Send `result` on `conn`. Raises PlugError."""
    body = result
    if type(result) is tuple and len(result) == 2 and _is_status(result[0]):
        conn.put_status(result[0])
        body = result[1]
    if isinstance(body, str):
        return conn.send_resp(conn.status or 200, body)
    if isinstance(body, dict | list):
        return conn.json(body)
    if isinstance(body, bytes):
        if not conn.get_resp_header("content-type"):
            # Without a type browsers guess, and some guess HTML.
            conn.put_resp_header("content-type", "application/octet-stream")
        return conn.send_resp(conn.status or 200, body)
    raise wrong_return(conn, handler, result)


def _is_status(value: Any) -> bool:
    return type(value) is int or isinstance(value, HTTPStatus)
