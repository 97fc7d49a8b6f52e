"""The table of a router's routes, for `plugpy routes` and other tools."""

import functools
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plugpy.pipeline.steps import describe
from plugpy.router.converters import NO_MATCH
from plugpy.router.endpoint import Endpoint
from plugpy.router.pattern import Segment
from plugpy.router.refusals import allow_header

if TYPE_CHECKING:
    from plugpy.router.router import Router


@dataclass(frozen=True, slots=True)
class Row:
    """One route. methods: names, ("*",) for any. path: through all forwards. handler: its name.
    location: "file:line" or "". plugs: names of the route's own plugs. guard: the name of `when`.
    forward: whether another plug takes over. warnings: sentences, empty when all is well."""

    methods: tuple[str, ...]
    path: str
    host: str | None
    name: str | None
    handler: str
    location: str
    plugs: tuple[str, ...]
    guard: str | None
    forward: bool
    warnings: tuple[str, ...]


def table(router: "Router") -> list[Row]:
    """The routes in the order in which they are tried, those behind a forward after it.

    A route that no request can reach, because earlier ones take all of its requests, has a
    warning that names the first of them.
    """
    return list(_rows(router, "", None, 0))


def _rows(router: "Router", prefix: str, host: str | None, depth: int) -> Iterator[Row]:
    endpoints = router.endpoints()
    for position, endpoint in enumerate(endpoints):
        route = endpoint.route
        path = prefix + route.pattern if route.pattern != "/" else prefix or "/"
        yield Row(
            methods=_methods(endpoint),
            path=path,
            host=route.host or host,
            name=route.name,
            handler=describe(route.handler),
            location=_location(route.handler),
            plugs=tuple(describe(plug) for plug in route.plugs),
            guard=None if route.when is None else describe(route.when),
            forward=route.forward,
            warnings=tuple(_warnings(endpoint, endpoints[:position])),
        )
        target = router.forwarded(route)
        if target is not None and depth < 8:  # a router may forward to itself
            below = path.removesuffix("/*_rest")
            yield from _rows(target, below, route.host or host, depth + 1)


def _methods(endpoint: Endpoint) -> tuple[str, ...]:
    if endpoint.methods is None:
        return ("*",)
    return tuple(allow_header(endpoint.methods, options=False).split(", "))


def _location(handler: Any) -> str:
    while isinstance(handler, functools.partial):
        handler = handler.func
    handler = inspect.unwrap(handler) if callable(handler) else handler
    handler = getattr(handler, "__func__", handler)
    code = getattr(handler, "__code__", None)
    if code is not None:
        return f"{code.co_filename}:{code.co_firstlineno}"
    kind = handler if inspect.isclass(handler) else type(handler)
    try:
        return f"{inspect.getsourcefile(kind)}:{inspect.getsourcelines(kind)[1]}"
    except (OSError, TypeError):
        return ""


def _warnings(endpoint: Endpoint, earlier: Sequence[Endpoint]) -> Iterator[str]:
    """Why a route is never reached, or never for some methods."""
    left = None if endpoint.methods is None else set(endpoint.methods)
    by: list[Endpoint] = []
    for other in earlier:
        if not covers(other, endpoint):
            continue
        if other.methods is None:
            by.append(other)
            left = set()
        elif left is not None and left & other.methods:
            by.append(other)
            left -= other.methods
        if left is not None and not left:
            break
    if not by:
        return
    names = " and ".join(f"{other.route.pattern} ({describe(other.route.handler)})" for other in by)
    if left is not None and not left:
        yield f"unreachable: {names} comes first and takes all its requests"
    elif endpoint.methods is not None and left is not None and endpoint.route.methods:
        lost = endpoint.route.methods - left
        if lost:
            yield f"unreachable for {', '.join(sorted(lost))}: {names} comes first"


def covers(other: Endpoint, endpoint: Endpoint) -> bool:
    """Whether `other` accepts every path and host that `endpoint` accepts, whatever the method."""
    route = other.route
    if route.when is not None or not _covers_host(route.host, endpoint.route.host):
        return False
    mine, theirs = endpoint.route.spec, route.spec
    count = len(theirs.segments)
    if theirs.glob is None:
        if mine.glob is not None or len(mine.segments) != count:
            return False
    elif len(mine.segments) < count:
        return False
    pairs = zip(theirs.segments, mine.segments, strict=False)
    other_number = number = 0
    for outer, inner in pairs:
        if not _covers_segment(other, other_number, outer, endpoint, number, inner):
            return False
        other_number += outer.name is not None
        number += inner.name is not None
    return True


def _covers_host(outer: str | None, inner: str | None) -> bool:
    if outer is None or outer == inner:
        return True
    return inner is not None and outer.endswith(".") and inner.startswith(outer)


def _covers_segment(
    other: Endpoint, other_number: int, outer: Segment, mine: Endpoint, number: int, inner: Segment
) -> bool:
    if outer.name is None:
        return inner.name is None and inner.prefix == outer.prefix
    converter = other.arguments.converters.get(other_number)
    if inner.name is None:
        value = outer.value(inner.prefix)
        if value is None:
            return False
        if converter is None:
            return True
        return converter.pure and converter.read(value) is not NO_MATCH
    if not inner.prefix.startswith(outer.prefix) or not inner.suffix.endswith(outer.suffix):
        return False
    if converter is None or converter.name == "str":
        return True
    same = (inner.prefix, inner.suffix) == (outer.prefix, outer.suffix)
    return same and mine.arguments.converters.get(number) is converter
