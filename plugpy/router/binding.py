"""Binding: how a handler is called, worked out once from its signature."""

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from plugpy.pipeline.steps import describe, did_you_mean, signature_of
from plugpy.router.converters import CONVERTERS, TEXT, Converter
from plugpy.router.pattern import Pattern

JOINED = Converter("path", "/".join, str, pure=True)
"""For a glob annotated with str: its segments with slashes between."""

SEGMENTS = Converter("list[str]", lambda segments: segments, str, pure=True)

_ANY = (inspect.Parameter.empty, Any, object)
_LISTS = (list, list[str], Sequence, Sequence[str], Iterable, Iterable[str])


class Arguments:
    """How to call a handler. source: the arguments as source text, such as `conn, a0, tag=a1`,
    where `a0` is the value of the path variable 0. converters: for those variables that the
    handler asks for, by the variable's number."""

    __slots__ = ("converters", "source")

    def __init__(self, source: str, converters: dict[int, Converter]) -> None:
        self.source = source
        self.converters = converters


def bind(handler: Callable[..., Any], pattern: Pattern) -> Arguments:
    """Work out how `handler` is called on routes of `pattern`.

    The conn goes to the parameter `conn`, or else to the first one that is no path variable; a
    handler without such a parameter is called without it. Path variables go by name to those that
    ask. Raises TypeError for a parameter that nothing fits, or an annotation without converter.
    """
    try:
        parameters = list(signature_of(handler).parameters.values())
    except (TypeError, ValueError):
        return Arguments("conn", {})
    numbers = {name: number for number, name in enumerate(pattern.names)}
    taker = _conn_taker(parameters, numbers)
    source: list[str] = []
    converters: dict[int, Converter] = {}
    by_name = False
    for parameter in parameters:
        name, kind = parameter.name, parameter.kind
        if kind is parameter.VAR_POSITIONAL:
            if taker is None and not by_name:
                source.append("conn")
            by_name = True
            continue
        if kind is parameter.VAR_KEYWORD:
            for other, number in numbers.items():
                if number not in converters and not other.startswith("_"):
                    converters[number] = SEGMENTS if other == pattern.glob else TEXT
                    source.append(f"{other}=a{number}")
            continue
        if name == taker:
            value = "conn"
        elif name in numbers:
            number = numbers[name]
            value = f"a{number}"
            annotation = annotation_of(handler, parameter)
            converters[number] = _converter(handler, name, annotation, name == pattern.glob)
        elif parameter.default is not parameter.empty:
            by_name = True
            continue
        else:
            raise TypeError(
                f"the handler {describe(handler)} takes {name!r}, which is no variable of "
                f"{pattern.text!r}{did_you_mean(name, [n for n in numbers if n != taker])}"
            )
        by_name = by_name or kind is parameter.KEYWORD_ONLY
        if by_name and kind is parameter.POSITIONAL_ONLY:
            raise TypeError(
                f"the handler {describe(handler)}: {name!r} is positional-only after a parameter "
                "that is left to its default; make it a keyword"
            )
        source.append(f"{name}={value}" if by_name else value)
    return Arguments(", ".join(source), converters)


def _conn_taker(parameters: Sequence[inspect.Parameter], numbers: dict[str, int]) -> str | None:
    """The name of the parameter that takes the conn."""
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    for parameter in named:
        if parameter.name == "conn":
            return "conn"
    for parameter in named:
        if parameter.kind is parameter.KEYWORD_ONLY:
            break
        if parameter.name not in numbers and parameter.default is parameter.empty:
            return parameter.name
    return None


def annotation_of(handler: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The annotation as an object: text (`from __future__ import annotations`) is evaluated."""
    annotation = parameter.annotation
    if not isinstance(annotation, str):
        return annotation
    function: Any = inspect.unwrap(getattr(handler, "func", handler))
    function = getattr(function, "__func__", function)
    if not hasattr(function, "__globals__"):  # an instance
        function = getattr(type(function).__call__, "__func__", type(function).__call__)
    try:
        return eval(annotation, getattr(function, "__globals__", {}))
    except Exception as error:
        raise TypeError(
            f"the handler {describe(handler)}: the annotation {annotation!r} of the path variable "
            f"{parameter.name!r} can't be evaluated ({error}); import its name at run time"
        ) from None


def _converter(handler: Callable[..., Any], name: str, annotation: Any, is_glob: bool) -> Converter:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
        origin = typing.get_origin(annotation)
    if origin is typing.Union or origin is types.UnionType:
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            annotation = members[0]
    if is_glob:
        if annotation in _ANY or annotation in _LISTS:
            return SEGMENTS
        if annotation is str:
            return JOINED
        raise TypeError(
            f"the handler {describe(handler)}: the glob {name!r} is a list[str], or a str with "
            f"slashes, not {_named(annotation)}"
        )
    if annotation in _ANY:
        return TEXT
    converter = CONVERTERS.get(annotation)
    if converter is None:
        known = ", ".join(converter.name for converter in CONVERTERS.values())
        raise TypeError(
            f"the handler {describe(handler)}: no converter makes {_named(annotation)} of the path "
            f"variable {name!r}; there is {known}; add one by "
            "plugpy.router.register_converter(type, read)"
        )
    return converter


def _named(annotation: Any) -> str:
    return getattr(annotation, "__name__", None) or repr(annotation)
