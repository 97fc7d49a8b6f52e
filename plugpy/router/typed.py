"""Typed handlers: those whose parameters come from the request by their annotations."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, get_origin

from plugpy.pipeline.steps import signature_of
from plugpy.router.binding import JOINED, SEGMENTS, Arguments, annotation_of
from plugpy.router.converters import CONVERTERS, TEXT, Converter
from plugpy.router.pattern import Pattern

if TYPE_CHECKING:
    from plugpy.api import TypedHandler

_SIGNS: Final = ("__metadata__", "__struct_fields__", "__pydantic_validator__")
"""Attributes of Annotated[...], of models of msgspec, of those of pydantic."""


def typed_handler(handler: Callable[..., Any], pattern: Pattern) -> "TypedHandler | None":
    """A typed handler on routes of `pattern`; None where `handler` is not typed.

    Raises TypeError where it asks for what can't be had, ImportError where neither msgspec nor
    pydantic is installed.
    """
    if not _may_be_typed(handler):
        return None
    # Not at the top: most routers have none, and it imports msgspec or pydantic.
    from plugpy.api import TypedHandler, is_typed

    return TypedHandler(handler, pattern.names) if is_typed(handler) else None


def typed_arguments(handler: "TypedHandler", pattern: Pattern) -> Arguments:
    """How it is called: with the conn and the path variables that it asks for."""
    numbers = {name: number for number, name in enumerate(pattern.names)}
    source = ["conn"]
    converters: dict[int, Converter] = {}
    for parameter in handler.path:
        number = numbers[parameter.name]
        converters[number] = _converter(parameter.type, parameter.name == pattern.glob)
        source.append(f"a{number}")
    return Arguments(", ".join(source), converters)


def _converter(annotation: Any, is_glob: bool) -> Converter:
    """That of the type, so that a text that is none is no match. Else the text is read as any
    other parameter is: what does not fit is a 422."""
    bare = annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation
    if is_glob:
        return JOINED if bare is str else SEGMENTS
    return CONVERTERS.get(bare, TEXT)


def _may_be_typed(handler: Callable[..., Any]) -> bool:
    """Whether it was decorated, or an annotation may hold a marker or be a model: a first look,
    that imports nothing."""
    sources = (handler, getattr(handler, "func", None), type(handler).__call__)
    if any(hasattr(source, "plugpy_typed") for source in sources):
        return True
    try:
        parameters = signature_of(handler).parameters.values()
    except (TypeError, ValueError):
        return False
    for parameter in parameters:
        try:
            annotation = annotation_of(handler, parameter)
        except TypeError:
            continue
        if any(hasattr(annotation, name) for name in _SIGNS):
            return True
        if any(hasattr(get_origin(annotation), name) for name in _SIGNS):  # Page[Book]
            return True
    return False
