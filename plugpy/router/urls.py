"""Reverse URLs: from the name of a route and values to a path."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from plugpy.conn.query import encode
from plugpy.pipeline.steps import did_you_mean
from plugpy.router.converters import CONVERTERS, NO_MATCH
from plugpy.router.endpoint import Endpoint
from plugpy.router.errors import UnknownRouteError

if TYPE_CHECKING:
    from plugpy.router.router import Router

SAFE = "!$&'()*+,;=:@~"
"""What a path segment may hold beside unreserved characters (RFC 3986 section 3.3)."""


def named_routes(
    router: "Router", prefix: str = "", above: tuple[Endpoint, ...] = ()
) -> Iterator[tuple[str, tuple[Endpoint, ...]]]:
    """All named routes: (name, the forwards that lead to it and the route itself).

    Routes of a router that is forwarded to go by their own names, or, where the forward has a
    name, behind it and a dot: `admin.show`.
    """
    for endpoint in router.endpoints():
        route = endpoint.route
        way = (*above, endpoint)
        if not route.forward:
            if route.name is not None:
                yield prefix + route.name, way
            continue
        target = router.forwarded(route)
        if target is not None and len(above) < 16:  # a router may forward to itself
            below = f"{prefix}{route.name}." if route.name else prefix
            yield from named_routes(target, below, way)


def path_for(
    router: "Router", name: str, values: Mapping[str, Any], query: Any, fragment: str | None
) -> str:
    """The path of the first route of that name that takes these variables.

    Raises UnknownRouteError with the names there are, TypeError for variables that are missing or
    too many, ValueError for a value that the route would not match.
    """
    ways: list[tuple[Endpoint, ...]] = []
    names: list[str] = []
    for known, way in named_routes(router):
        names.append(known)
        if known == name:
            ways.append(way)
    if not ways:
        hint = did_you_mean(name, set(names)) if names else "; there are no named routes"
        raise UnknownRouteError(f"no route is named {name!r}{hint}")
    for way in ways:
        if set(_variables(way)) == set(values):
            break
    else:
        wanted = " or ".join(", ".join(_variables(way)) or "no variables" for way in ways)
        given = ", ".join(values) or "none"
        raise TypeError(f"the route {name!r} takes {wanted}; given: {given}")
    parts: list[str] = []
    for endpoint in way:
        parts += _segments(endpoint, values)
    path = "/" + "/".join(parts)
    if query:
        path += "?" + encode(query)
    if fragment:
        path += "#" + quote(fragment, safe=SAFE + "/?")
    return path


def _variables(way: tuple[Endpoint, ...]) -> list[str]:
    return [
        variable
        for endpoint in way
        for variable in endpoint.route.spec.names
        if not (endpoint.route.forward and variable == endpoint.route.spec.glob)
    ]


def _segments(endpoint: Endpoint, values: Mapping[str, Any]) -> list[str]:
    spec = endpoint.route.spec
    parts: list[str] = []
    number = 0
    for segment in spec.segments:
        text = segment.prefix
        if segment.name is not None:
            text += _text(endpoint, segment.name, values[segment.name], number) + segment.suffix
            number += 1
        if text in (".", ".."):
            raise ValueError(
                f"a path segment {text!r} is resolved away by clients (RFC 3986 5.2.4)"
            )
        parts.append(quote(text, safe=SAFE))
    if spec.glob is not None and not endpoint.route.forward:
        rest = values[spec.glob]
        pieces = rest.split("/") if isinstance(rest, str) else [str(piece) for piece in rest]
        for piece in pieces:
            if piece in (".", ".."):
                raise ValueError(f"a path segment {piece!r} is resolved away by clients")
        parts += [quote(piece, safe=SAFE) for piece in pieces if piece]
    return parts


def _text(endpoint: Endpoint, name: str, value: Any, number: int) -> str:
    converter = endpoint.arguments.converters.get(number) or CONVERTERS.get(type(value))
    where = f"the variable {name!r} of {endpoint.route.pattern!r}"
    try:
        text = converter.write(value) if converter is not None else str(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} can't be {value!r}: {error}") from None
    if not text:
        raise ValueError(f"{where} can't be empty")
    own = endpoint.arguments.converters.get(number)
    if own is not None and own.read(text) is NO_MATCH:
        raise ValueError(f"{where} can't be {value!r}: the route would not match it")
    return text
