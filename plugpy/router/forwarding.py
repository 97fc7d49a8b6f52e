"""Forwarding: another plug sees the request from a deeper place in its path (Plug.forward/4)."""

from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any

from plugpy.conn.conn import Conn
from plugpy.conn.errors import MethodNotAllowedError, NoRouteError
from plugpy.pipeline.compiler import wrong_return

Refuse = Callable[[Conn, NoRouteError | MethodNotAllowedError], Conn | Awaitable[Conn]]


def forwarder(
    target: Callable[[Conn], Any], plug: Any, count: int, refuse: Refuse
) -> Callable[[Conn], Conn | Awaitable[Conn]]:
    """A plug that calls `target` with `count` segments moved from path_info to script_name.

    Segments are moved raw, so none is decoded twice. Both fields are put back when the target is
    done, also after an error and for an async target. plug: what `target` was made of, for errors.
    refuse: answers when a router down there has no route, and nobody down there has answered.
    """

    def run(conn: Conn) -> Conn | Awaitable[Conn]:
        path_info, script_name, route_path = conn.path_info, conn.script_name, conn.route_path
        conn.path_info = path_info[count:]
        conn.script_name = script_name + path_info[:count]
        try:
            result = target(conn)
        except (NoRouteError, MethodNotAllowedError) as error:
            conn.path_info, conn.script_name = path_info, script_name
            conn.route_path = route_path
            if conn.sent:  # an ErrorHandler down there has answered
                raise
            return refuse(conn, error)
        except BaseException:
            conn.path_info, conn.script_name = path_info, script_name
            conn.route_path = route_path
            raise
        if result is not conn and (type(result) is CoroutineType or isinstance(result, Awaitable)):
            return run_later(conn, result, path_info, script_name, route_path)
        conn.path_info, conn.script_name = path_info, script_name
        conn.route_path = route_path
        if result is not conn:
            raise wrong_return(conn, plug, result)
        return conn

    async def run_later(
        conn: Conn,
        awaitable: Awaitable[Any],
        path_info: list[str],
        script_name: list[str],
        route_path: str | None,
    ) -> Conn:
        try:
            result: object = await awaitable
        except (NoRouteError, MethodNotAllowedError) as error:
            conn.path_info, conn.script_name = path_info, script_name
            conn.route_path = route_path
            if conn.sent:
                raise
            refused: object = refuse(conn, error)
            if isinstance(refused, Awaitable):
                await refused
            return conn
        finally:
            conn.path_info, conn.script_name = path_info, script_name
            conn.route_path = route_path
        if result is not conn:
            raise wrong_return(conn, plug, result)
        return conn

    return run


def forward_conn(
    conn: Conn, new_path: list[str], target: Callable[[Conn], Any]
) -> Conn | Awaitable[Conn]:
    """Call `target` with `new_path`, the last segments of conn.path_info, as its path.

    For plugs that choose the target themselves (Plug.forward/4). The segments before are moved to
    script_name until the target returns. Raises ValueError when new_path is not the end of
    path_info.
    """
    count = len(conn.path_info) - len(new_path)
    if count < 0 or conn.path_info[count:] != list(new_path):
        raise ValueError(f"{new_path} is not the end of the path {conn.path_info}")

    def reraise(conn: Conn, error: NoRouteError | MethodNotAllowedError) -> Conn | Awaitable[Conn]:
        raise error

    return forwarder(target, target, count, reraise)(conn)
