"""Parameters: what a typed handler asks for, worked out once from its signature."""

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Final

from plugpy.api.models import (
    Model,
    bare,
    bare_value,
    has_fields,
    is_named_tuple,
    is_union,
    model_of,
    without_alias,
)
from plugpy.api.places import Body, Cookie, Form, Header, Path, Place, Query, place_of
from plugpy.conn.conn import Conn
from plugpy.pipeline.steps import describe, signature_of
from plugpy.upload import Upload

_LISTS: Final = (list, tuple, set, frozenset, Sequence, Iterable)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a handler. argument: its name there. name: in the request. model: reads the
    value; None for an Upload. listed: several values make one. spread: the model's fields, each a
    parameter of the request, name -> whether it is a list; None for what is one parameter. others:
    for such a model, names that other parameters of the handler take from the same place.
    changeable: whether the default is a list or the like."""

    argument: str
    name: str
    place: Place
    type: Any
    model: Model | None
    required: bool
    default: Any
    listed: bool
    spread: dict[str, bool] | None
    others: frozenset[str] = frozenset()
    changeable: bool = False

    def fresh_default(self) -> Any:
        """The default, for one request: what a handler puts into a list is seen by no other."""
        default = self.default
        return deepcopy(default) if self.changeable else default


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
    parameters = tuple(_beside(one, found) for one in found)
    return Signature(conn, parameters, hints.get("return", inspect.Parameter.empty))


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
    kind = bare_value(annotation)
    listed = _is_list(kind)
    if place is None:
        place = _place(declared.name, kind, variables)
    name = place.name or declared.name
    if isinstance(place, Header):
        name = (place.name or declared.name.replace("_", "-")).lower()
    if isinstance(place, Path) and name not in variables:
        known = ", ".join(variables) or "none"
        raise TypeError(f"the path has no variable {name!r}; there is {known}")
    required = declared.default is declared.empty
    default = None if required else declared.default
    if isinstance(kind, type) and issubclass(kind, Upload):
        if not isinstance(place, Form):
            raise TypeError("an Upload is a field of a form: Annotated[Upload, Form]")
        return Parameter(declared.name, name, place, kind, None, required, default, False, None)
    model = model_of(annotation)
    spread = None
    if not isinstance(place, Path | Body) and not listed:
        fields = model.fields()
        if fields is not None:
            spread = {field: _is_list(bare_value(type_)) for field, type_ in fields.items()}
        elif is_named_tuple(kind):
            raise TypeError("a NamedTuple has no names in a request; take a model, or tuple[...]")
        elif isinstance(place, Header | Cookie) and _holds_data(kind):
            raise TypeError(f"it can't be read from the text of a {place.where}")
    return Parameter(
        declared.name,
        name,
        place,
        annotation,
        model,
        required,
        default,
        listed,
        spread,
        changeable=isinstance(default, list | dict | set) or has_fields(type(default)),
    )


def _split(annotation: Any) -> tuple[Any, Place | None]:
    """An annotation without its marker, and the marker."""
    annotation = without_alias(annotation)
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


def _beside(parameter: Parameter, every: Sequence[Parameter]) -> Parameter:
    """A model with what is not meant for it, where it may forbid what it does not know."""
    if parameter.spread is None:
        return parameter
    names: set[str] = set()
    for one in every:
        if one is not parameter and type(one.place) is type(parameter.place):
            names.update({one.name} if one.spread is None else one.spread)
    return replace(parameter, others=frozenset(names - parameter.spread.keys()))


def _place(name: str, kind: Any, variables: Sequence[str]) -> Place:
    """Where a parameter without a marker comes from."""
    if name in variables:
        return Path()
    if isinstance(kind, type) and issubclass(kind, Upload):
        return Form()
    return Body() if _holds_data(kind) else Query()


def _holds_data(type_: Any) -> bool:
    """Whether a type, or what it is a list or a union of, is no text of a query."""
    kind = bare_value(type_)
    items = typing.get_args(kind) if _is_list(kind) else _members(kind)
    return _is_data(kind) or any(map(_holds_data, items))


def _is_data(type_: Any) -> bool:
    """Whether a type has members."""
    kind = typing.get_origin(type_) or type_
    return has_fields(kind) or (isinstance(kind, type) and issubclass(kind, Mapping))


def _members(type_: Any) -> tuple[Any, ...]:
    """The members of a union, else nothing."""
    return tuple(map(bare, typing.get_args(type_))) if is_union(type_) else ()


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
