"""Routers with few and with many routes; scripts/routes.lua knows their paths."""

from plugpy.conn import Conn
from plugpy.router import Router


def show(conn: Conn, id: int) -> Conn:  # noqa: A002 (the name that the route gives it)
    """The page of a section."""
    return conn.send_resp(200, "Hello Plug!")


def with_routes(number: int) -> Router:
    """A router with `number` sections, each of which has pages."""
    router = Router()
    for section in range(number):
        router.get(f"/section-{section}/:id", show)
    return router


TEN = with_routes(10)
THOUSAND = with_routes(1000)
