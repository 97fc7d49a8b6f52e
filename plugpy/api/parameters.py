"""Parameters: what a typed handler asks for, worked out once from its signature."""

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from plugpy.api.models import Model, has_fields, model_of, without_annotated
from plugpy.api.places import Body, Form, Header, Path, Place, Query, place_of
from plugpy.conn.conn import Conn
from plugpy.pipeline.steps import describe, signature_of
from plugpy.upload import Upload

_LISTS: Final = (list, tuple, set, frozenset, Sequence, Iterable)

_MAPPINGS: Final = (dict, Mapping, MutableMapping)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a handler. argument: its name there. name: in the request. model: reads the
    value; None for an Upload. listed: several values make one. spread: the model's fields, each a
    parameter of the request, name -> whether it is a list; None for what is one parameter."""

    argument: str
    name: str
    place: Place
    type: Any
    model: Model | None
    required: bool
    default: Any
    listed: bool
    spread: dict[str, bool] | None


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a handler. conn: the argument that takes the conn, or None. returns: the
    return annotation, inspect.Parameter.empty without one."""

    conn: str | None
    parameters: tuple[Parameter, ...]
    returns: Any


def signature(handler: Callable[..., Any], variables: Sequence[str]) -> Signature:
    """What `handler` asks for on a route with these path variables. Raises TypeError for what can't
    be had."""
    declared = list(signature_of(handler).parameters.values())
    hints = hints_of(handler)
    conn = _conn_argument(declared, hints, variables)
    found: list[Parameter] = []
    for one in declared:
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            raise TypeError(
                f"the typed handler {describe(handler)} takes {one}: name what you need"
            )
        if one.kind is one.POSITIONAL_ONLY:
            raise TypeError(
                f"the typed handler {describe(handler)}: {one.name!r} is positional-only; "
                "make it a keyword"
            )
        if one.name == conn:
            continue
        annotation = hints.get(one.name, Any if one.default is one.empty else type(one.default))
        if one.default is None and one.name not in hints:
            annotation = str | None
        try:
            found.append(_parameter(one, annotation, variables))
        except TypeError as error:
            raise TypeError(
                f"the typed handler {describe(handler)}: {one.name!r}: {error}"
            ) from error
    _check_bodies(handler, found)
    return Signature(conn, tuple(found), hints.get("return", inspect.Parameter.empty))


def hints_of(handler: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a handler as objects. Raises TypeError for names that can't be found."""
    function: Any = inspect.unwrap(getattr(handler, "func", handler))
    function = getattr(function, "__func__", function)
    if not hasattr(function, "__globals__"):  # an instance
        call = type(function).__call__
        function = inspect.unwrap(getattr(call, "__func__", call))
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise TypeError(
            f"the annotations of the handler {describe(handler)} can't be evaluated ({error}); "
            "import the names at run time, at the top of the module"
        ) from None


def is_conn(annotation: Any) -> bool:
    """Whether an annotation means the conn."""
    return isinstance(annotation, type) and issubclass(annotation, Conn)


def _conn_argument(
    declared: Sequence[inspect.Parameter], hints: dict[str, Any], variables: Sequence[str]
) -> str | None:
    """The argument that takes the conn: by its annotation or its name, or the first one, if it has
    no annotation, as in untyped handlers."""
    for one in declared:
        if is_conn(hints.get(one.name)):
            return one.name
    for one in declared:
        if one.name == "conn" and one.name not in variables:
            return one.name
    if declared:
        first = declared[0]
        bare = first.name not in hints and first.default is first.empty
        if bare and first.name not in variables:
            return first.name
    return None


def _parameter(declared: inspect.Parameter, annotation: Any, variables: Sequence[str]) -> Parameter:
    annotation, place = _split(annotation)
    if annotation is object:
        annotation = Any
    bare = _without_none(without_annotated(annotation))
    listed = _is_list(bare)
    if place is None:
        place = _place(declared.name, bare, variables)
    name = place.name or declared.name
    if isinstance(place, Header):
        name = (place.name or declared.name.replace("_", "-")).lower()
    if isinstance(place, Path) and name not in variables:
        known = ", ".join(variables) or "none"
        raise TypeError(f"the path has no variable {name!r}; there is {known}")
    required = declared.default is declared.empty
    default = None if required else declared.default
    upload = isinstance(bare, type) and issubclass(bare, Upload)
    if upload:
        if not isinstance(place, Form):
            raise TypeError("an Upload is a field of a form: Annotated[Upload, Form]")
        return Parameter(declared.name, name, place, bare, None, required, default, False, None)
    model = model_of(annotation)
    spread = None
    if not isinstance(place, Path | Body) and not listed:
        fields = model.fields()
        if fields is not None:
            spread = {
                field: _is_list(_without_none(without_annotated(type_)))
                for field, type_ in fields.items()
            }
    return Parameter(
        declared.name, name, place, annotation, model, required, default, listed, spread
    )


def _split(annotation: Any) -> tuple[Any, Place | None]:
    """An annotation without its marker, and the marker."""
    if typing.get_origin(annotation) is not typing.Annotated:
        return annotation, None
    type_, *metadata = typing.get_args(annotation)
    found: Place | None = None
    rest: list[Any] = []
    for item in metadata:
        place = place_of(item)
        if place is None:
            rest.append(item)
        elif found is not None:
            raise TypeError(f"it comes from one place, not from {found!r} and {place!r}")
        else:
            found = place
    return (typing.Annotated[(type_, *rest)] if rest else type_), found


def _place(name: str, bare: Any, variables: Sequence[str]) -> Place:
    """Where a parameter without a marker comes from."""
    if name in variables:
        return Path()
    if isinstance(bare, type) and issubclass(bare, Upload):
        return Form()
    items = typing.get_args(bare) if _is_list(bare) else _members(bare)
    if any(_is_data(without_annotated(item)) for item in (bare, *items)):
        return Body()
    return Query()


def _is_data(type_: Any) -> bool:
    """Whether a type has members, so that it is no text of a query."""
    return has_fields(type_) or (typing.get_origin(type_) or type_) in _MAPPINGS


def _members(type_: Any) -> tuple[Any, ...]:
    """The members of a union, else nothing."""
    return typing.get_args(type_) if _is_union(type_) else ()


def _is_union(type_: Any) -> bool:
    return typing.get_origin(type_) in (typing.Union, types.UnionType)


def _without_none(type_: Any) -> Any:
    """X of X | None; else the type."""
    if not _is_union(type_):
        return type_
    members = [one for one in typing.get_args(type_) if one is not type(None)]
    return without_annotated(members[0]) if len(members) == 1 else type_


def _is_list(type_: Any) -> bool:
    return (typing.get_origin(type_) or type_) in _LISTS


def _check_bodies(handler: Callable[..., Any], parameters: Sequence[Parameter]) -> None:
    bodies = [one.argument for one in parameters if isinstance(one.place, Body)]
    forms = [one.argument for one in parameters if isinstance(one.place, Form)]
    if len(bodies) > 1 or (bodies and forms):
        raise TypeError(
            f"the typed handler {describe(handler)} has more than one parameter for the one body: "
            f"{', '.join([*bodies, *forms])}; make them fields of one model, or say where they "
            "come from: Annotated[type, Query]"
        )
