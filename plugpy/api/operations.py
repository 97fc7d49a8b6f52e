"""Operations: the routes of a router that a document describes, those behind forwards too."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from plugpy.api.handler import TypedHandler

METHODS: Final = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")
"""Methods that a path item may have (OpenAPI 3.1, section 4.8.9)."""

OF_ANY: Final = ("GET", "PUT", "POST", "DELETE", "PATCH")
"""What is told of a route for any method."""

DEEPEST: Final = 8
"""Forwards below each other: a router may forward to itself."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one route. path: as OpenAPI writes it, "/books/{id}". names: its variables, in
    order. handler: the typed handler, None where it is not typed. function: the handler that was
    declared. variables: name -> name of the converter, for untyped ones."""

    method: str
    path: str
    names: tuple[str, ...]
    name: str | None
    handler: TypedHandler | None
    function: Any
    variables: dict[str, str]


def operations(router: Any, *, untyped: bool) -> Iterator[Operation]:
    """The operations of a router in the order of its routes. Of two with the same method and path
    the first one counts. Compiles the router, raises what that raises."""
    seen: set[tuple[str, str]] = set()
    templates: dict[str, Operation] = {}
    for operation in _operations(router, "", (), None, DEEPEST):
        if operation.handler is None and not untyped:
            continue
        if operation.handler is not None and operation.handler.options.hidden:
            continue
        shape = _shape(operation)
        if (operation.method, shape) in seen:
            continue
        seen.add((operation.method, shape))
        # Paths of the same shape are one path: its variables have one name (section 4.8.8.2).
        first = templates.setdefault(shape, operation)
        yield operation if first.names == operation.names else _renamed(operation, first)


def _operations(
    router: Any, prefix: str, names: tuple[str, ...], above: str | None, depth: int
) -> Iterator[Operation]:
    for endpoint in router.endpoints():
        route = endpoint.route
        path, own = _path(route.spec, route.forward)
        every = (*names, *own)
        if route.forward:
            target = router.forwarded(route)
            if target is not None and depth:
                name = route.name if route.named else None
                below = f"{above}.{name}" if above and name else name or above
                yield from _operations(target, prefix + path, every, below, depth - 1)
            continue
        handler = endpoint.handler if isinstance(endpoint.handler, TypedHandler) else None
        variables = {
            name: endpoint.arguments.converters[number].name
            for number, name in enumerate(route.spec.names)
            if number in endpoint.arguments.converters
        }
        name = f"{above}.{route.name}" if above and route.name else route.name
        for method in _methods(endpoint):
            yield Operation(
                method, prefix + path or "/", every, name, handler, route.handler, variables
            )


def _methods(endpoint: Any) -> Sequence[str]:
    declared = endpoint.route.methods
    if declared is None:
        return OF_ANY
    return [method for method in METHODS if method in declared]


def _path(spec: Any, forward: bool) -> tuple[str, tuple[str, ...]]:
    """A pattern as OpenAPI writes it, and the names of its variables."""
    parts: list[str] = []
    names: list[str] = []
    for segment in spec.segments:
        if segment.name is None:
            parts.append(segment.prefix)
        else:
            names.append(segment.name)
            parts.append(f"{segment.prefix}{{{segment.name}}}{segment.suffix}")
    if spec.glob is not None and not forward:
        names.append(spec.glob)
        parts.append(f"{{{spec.glob}}}")
    return "".join(f"/{part}" for part in parts), tuple(names)


def _shape(operation: Operation) -> str:
    shape = operation.path
    for name in operation.names:
        shape = shape.replace(f"{{{name}}}", "{}", 1)
    return shape


def _renamed(operation: Operation, first: Operation) -> Operation:
    return Operation(
        operation.method,
        first.path,
        first.names,
        operation.name,
        operation.handler,
        operation.function,
        operation.variables,
    )
