"""Models: a type that values are read into, written from and described by, whoever does it.

msgspec and pydantic do the work (`plugpy.api.msgspec_model`, `plugpy.api.pydantic_model`). Which of
the two follows from the type: models and constraints of one of them go to it. What both know (int,
datetimes, enums, dataclasses, TypedDicts, lists of such) goes to msgspec where it is installed.
"""

import dataclasses
import types
import typing
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, Protocol

MSGSPEC: Final = "msgspec"
PYDANTIC: Final = "pydantic"


class Wrong(NamedTuple):
    """One thing that is wrong with a value. path: keys and indexes that lead to it."""

    path: tuple[str | int, ...]
    detail: str


class WrongValue(Exception):  # noqa: N818 - it is caught where it is raised
    """A value does not fit a model. wrongs: a tuple of Wrong, at least one."""

    def __init__(self, wrongs: tuple[Wrong, ...]) -> None:
        super().__init__(wrongs)
        self.wrongs = wrongs


class MalformedValue(Exception):  # noqa: N818
    """The text is no JSON."""


class Model(Protocol):
    """What msgspec and pydantic do for one type."""

    library: str
    type: Any

    def from_text(self, value: Any) -> Any:
        """Read a str, a list of them or a dict of both, as they are in queries, headers and forms:
        "5" is a number where one is wanted. Raises WrongValue."""
        ...

    def from_json(self, data: bytes) -> Any:
        """Read JSON text (UTF-8). Raises WrongValue, MalformedValue."""
        ...

    def from_data(self, value: Any) -> Any:
        """Read what JSON holds, decoded already: "5" is no number. Raises WrongValue."""
        ...

    def to_json(self, value: Any) -> bytes:
        """Write a value, with nothing but what the type says. Raises WrongValue."""
        ...

    def fields(self) -> "dict[str, Any] | None":
        """Name in requests -> type of its fields; None for what is no model with fields."""
        ...


def model_of(type_: Any) -> Model:
    """The model of a type. Raises TypeError for what neither library can read and for a mixture of
    both, ImportError where the one that it takes is not installed."""
    wanted = _libraries(type_)
    if len(wanted) > 1:
        raise TypeError(f"{show(type_)} mixes models of msgspec and of pydantic; use one of them")
    if wanted != {PYDANTIC}:
        try:
            from plugpy.api.msgspec_model import MsgspecModel
        except ImportError as error:
            if wanted or error.name != "msgspec":
                raise
        else:
            return MsgspecModel(type_)
    try:
        from plugpy.api.pydantic_model import PydanticModel
    except ImportError as error:
        if error.name != "pydantic":
            raise
        raise ImportError(
            'typed handlers need msgspec or pydantic: pip install "plugpy[api]"', name="msgspec"
        ) from error
    return PydanticModel(type_)


def is_model_class(annotation: Any) -> bool:
    """Whether it is a Struct of msgspec or a model of pydantic, which no parameter of an untyped
    handler could be."""
    annotation = class_of(annotation)
    return isinstance(annotation, type) and _library_of(annotation) is not None


def class_of(annotation: Any) -> Any:
    """The class of a generic one: Page of Page[Book]; others as they are."""
    origin = typing.get_origin(annotation)
    return origin if isinstance(origin, type) else annotation


def has_fields(annotation: Any) -> bool:
    """Whether it is a class with named fields: such a model, a dataclass, TypedDict, NamedTuple."""
    kind = class_of(annotation)
    return isinstance(kind, type) and (
        _library_of(kind) is not None
        or dataclasses.is_dataclass(kind)
        or typing.is_typeddict(kind)
        or is_named_tuple(kind)
    )


def is_named_tuple(annotation: Any) -> bool:
    """Whether it is a NamedTuple: its fields have names, and it is a list in JSON."""
    kind = class_of(annotation)
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def without_alias(annotation: Any) -> Any:
    """What a name of `type X = ...` (PEP 695) stands for; others as they are."""
    while True:
        origin = typing.get_origin(annotation)
        if hasattr(origin, "__value__"):  # first: what is made of it has the attribute as well
            annotation = origin.__value__[typing.get_args(annotation)]
        elif hasattr(annotation, "__value__"):
            annotation = annotation.__value__
        else:
            return annotation


def bare(annotation: Any) -> Any:
    """A type without Annotated, NewType and names for types."""
    while True:
        annotation = without_alias(annotation)
        if typing.get_origin(annotation) is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        else:
            return annotation


def is_union(annotation: Any) -> bool:
    """Whether it is `X | Y`."""
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def bare_value(annotation: Any) -> Any:
    """X of `X | None`, and of what `bare` takes away; else the type."""
    annotation = bare(annotation)
    if not is_union(annotation):
        return annotation
    members = [one for one in typing.get_args(annotation) if one is not type(None)]
    return bare(members[0]) if len(members) == 1 else annotation


def show(type_: Any) -> str:
    """A type for messages."""
    return getattr(type_, "__name__", None) or repr(type_).replace("typing.", "")


def _libraries(type_: Any) -> set[str]:
    """Who is asked for by a type, by the types in it and by their constraints."""
    return {library for part in _parts(type_, set()) if (library := _library_of(part))}


def _library_of(part: Any) -> str | None:
    kind = part if isinstance(part, type) else type(part)
    if hasattr(kind, "__struct_fields__"):
        return MSGSPEC
    if hasattr(kind, "__pydantic_validator__"):
        return PYDANTIC
    if not isinstance(part, type):
        module = kind.__module__.partition(".")[0]
        if module == "msgspec":
            return MSGSPEC
        if module in ("pydantic", "pydantic_core", "annotated_types"):
            return PYDANTIC
    return None


def _parts(type_: Any, seen: set[int]) -> Iterator[Any]:
    """A type, what it is made of, and what stands beside it in Annotated."""
    type_ = without_alias(type_)
    while isinstance(type_, typing.NewType):
        type_ = without_alias(type_.__supertype__)
    if id(type_) in seen:
        return
    seen.add(id(type_))
    yield type_
    if typing.get_origin(type_) is typing.Annotated:
        yield from typing.get_args(type_)[1:]
        yield from _parts(typing.get_args(type_)[0], seen)
        return
    for argument in typing.get_args(type_):
        if isinstance(argument, list):  # of a Callable
            continue
        yield from _parts(argument, seen)
    origin = class_of(type_)
    if origin is not type_:
        yield origin
    if has_fields(type_) and _library_of(origin) is None:
        try:
            hints = typing.get_type_hints(origin, include_extras=True)
        except Exception:  # the library will say what is wrong with it
            return
        for hint in hints.values():
            yield from _parts(hint, seen)
