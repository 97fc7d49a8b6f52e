"""Routers: from a method and a path to a handler (Plug.Router).

Lives here: path patterns, typed path variables, the compiled matcher, Router in class form and
instance form, forwards, reverse URLs, the answers where no route matches, the table of routes.
May be touched: everything exported below. A Router is a plug.
"""

from plugpy.pipeline.steps import plug, wrap
from plugpy.router.converters import register_converter
from plugpy.router.declarations import (
    delete,
    error,
    forward,
    get,
    head,
    match,
    options,
    patch,
    post,
    put,
)
from plugpy.router.errors import InvalidSpecError, UnknownRouteError
from plugpy.router.forwarding import forward_conn
from plugpy.router.route import Route
from plugpy.router.router import Router
from plugpy.router.rows import Row, table

__all__ = [
    "InvalidSpecError",
    "Route",
    "Router",
    "Row",
    "UnknownRouteError",
    "delete",
    "error",
    "forward",
    "forward_conn",
    "get",
    "head",
    "match",
    "options",
    "patch",
    "plug",
    "post",
    "put",
    "register_converter",
    "table",
    "wrap",
]
