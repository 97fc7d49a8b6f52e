"""`@typed`: a handler whose parameters come from the request by their annotations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeVar, overload

Function = TypeVar("Function", bound=Callable[..., Any])

MARK: Final = "plugpy_typed"
"""The attribute of a function that holds its options. functools.wraps copies it."""


@dataclass(frozen=True, slots=True)
class TypedOptions:
    """What `typed` was given. status None: 200, or 204 for handlers that return None."""

    status: int | None = None
    responses: Mapping[int, Any] = field(default_factory=dict)
    summary: str | None = None
    description: str | None = None
    tags: Sequence[str] = ()
    operation_id: str | None = None
    deprecated: bool = False
    hidden: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


@overload
def typed(function: Function, /) -> Function: ...


@overload
def typed(
    *,
    status: int | None = None,
    responses: Mapping[int, Any] | None = None,
    summary: str | None = None,
    description: str | None = None,
    tags: Sequence[str] = (),
    operation_id: str | None = None,
    deprecated: bool = False,
    hidden: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> Callable[[Function], Function]: ...


def typed(function: Any = None, /, **options: Any) -> Any:
    """Give a route's handler what it asks for by its annotations, and check what it answers.

        @get("/books/:id")
        @typed
        async def show(self, id: int, fields: list[str] = ()) -> Book: ...

        @post("/books")
        @typed(status=201)
        async def create(self, book: NewBook) -> Book: ...

    A parameter that is called conn, or annotated with Conn, gets the conn. One that is called as a
    variable of the path gets that. A model (msgspec.Struct, pydantic.BaseModel, dataclass,
    TypedDict) comes from the JSON body, other types from the query. `Annotated[type, Header]`, or
    Query, Cookie, Path, Form, Body, says otherwise. A parameter with a default may be missing.

    What does not fit is a ValidationError: 422 as problem+json, with all that is wrong. A body that
    is no JSON is 400, one of another content-type 415. A path variable of a type that has a
    converter must match, as everywhere: else the next route is tried.

    The return annotation says what the answer is: JSON with the fields of that type and no others,
    a str as text, bytes as they are, None as 204. Something that does not fit it raises
    ResponseTypeError, a 500. A handler may return the conn instead.

    Options, for the answer and for the OpenAPI document:
      status         of an answer, unless one was put: 200, or 204 where None is returned
      responses      status -> type of further answers (None: no body)
      summary, description, tags, operation_id, deprecated
                     by default the first line of the docstring, the rest of it, none, the name of
                     the route, False
      hidden         True: not in the document
      extra          further members of the operation, such as {"security": [...]}

    The function itself stays as it is: tests call it with plain values. Raises TypeError for
    options that there are not; what is wrong with the annotations is raised when the router is
    compiled.
    """
    if function is None:
        made = TypedOptions(**_checked(options))

        def decorate(function: Function) -> Function:
            _mark(function, made)
            return function

        return decorate
    if options or not callable(function):
        raise TypeError("typed decorates a function: @typed, or @typed(status=201)")
    _mark(function, TypedOptions())
    return function


def options_of(handler: Any) -> TypedOptions | None:
    """The options of a handler that was decorated, or that is a partial of one, or an instance
    whose `__call__` is one; else None."""
    for one in (handler, getattr(handler, "func", None), type(handler).__call__):
        found = getattr(one, MARK, None)
        if isinstance(found, TypedOptions):
            return found
    return None


def _mark(function: Any, options: TypedOptions) -> None:
    if isinstance(function, type):
        raise TypeError(f"typed decorates a function, not the class {function.__name__}")
    setattr(function, MARK, options)


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    for name in options:
        if name not in TypedOptions.__slots__:
            known = ", ".join(TypedOptions.__slots__)
            raise TypeError(f"typed has no option {name!r}; there is {known}")
    found = {name: value for name, value in options.items() if value is not None}
    status = found.get("status")
    if status is not None and (not isinstance(status, int) or not 200 <= status <= 599):
        raise TypeError(f"the status of an answer is an int from 200 to 599, got {status!r}")
    for code in found.get("responses", {}):
        if not isinstance(code, int | HTTPStatus) or not 100 <= code <= 599:
            raise TypeError(f"responses are by their status, an int, got {code!r}")
    if isinstance(found.get("tags"), str):
        raise TypeError("tags takes a list of names, not one name")
    return found
