"""Types as pydantic reads, writes and describes them."""

from typing import Any, Final

import pydantic
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import PydanticSerializationError

from plugpy.api.models import (
    PYDANTIC,
    MalformedValue,
    Wrong,
    WrongValue,
    bare_value,
    class_of,
    has_fields,
    is_named_tuple,
    show,
)
from plugpy.conn.json import dumps

MOST_DETAILS: Final = 1000
"""Errors that are looked at one by one, at some microseconds and 1 kB each: a body of 8 MB can hold
millions of wrong values."""

_BY_NAME: Final[dict[str, Any]] = (
    {"by_alias": True, "by_name": True}
    if "validate_by_name" in pydantic.ConfigDict.__annotations__
    else {}
)
"""Objects of other classes have the names of the fields, not their aliases; since pydantic 2.11."""


class PydanticModel:
    """One type by pydantic. Raises TypeError for types that it does not know."""

    __slots__ = ("adapter", "type")
    library = PYDANTIC

    def __init__(self, type_: Any) -> None:
        self.type = type_
        try:
            self.adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(type_)
        except (PydanticSchemaGenerationError, PydanticUserError) as error:
            first = str(error).partition("\n")[0]
            raise TypeError(f"pydantic can't read values of {show(type_)}: {first}") from error

    def from_text(self, value: Any) -> Any:
        # A strict model takes no number from a text, where there is nothing but texts.
        try:
            return self.adapter.validate_python(value, strict=False)
        except pydantic.ValidationError as error:
            raise WrongValue(_wrongs(error)) from None

    def from_json(self, data: bytes) -> Any:
        try:
            return self.adapter.validate_json(data)
        except pydantic.ValidationError as error:
            if error.error_count() == 1:
                found = _details(error)[0]
                if found["type"] == "json_invalid":
                    raise MalformedValue(found["msg"].removeprefix("Invalid JSON: ")) from None
            raise WrongValue(_wrongs(error)) from None

    def from_data(self, value: Any) -> Any:
        # As JSON again: what a strict model makes of a text depends on where it is from.
        return self.from_json(dumps(value))

    def to_json(self, value: Any) -> bytes:
        if type(value) is not self.type:
            try:
                value = self.adapter.validate_python(value, from_attributes=True, **_BY_NAME)
            except pydantic.ValidationError as error:
                raise WrongValue(_wrongs(error)) from None
        try:
            # By the declared type: fields of a subclass stay here. A warning shows the value.
            return self.adapter.dump_json(value, by_alias=True, warnings="error")
        except PydanticSerializationError:
            raise WrongValue((Wrong((), "a value in it is of another type"),)) from None

    def fields(self) -> dict[str, Any] | None:
        type_ = bare_value(self.type)
        if not has_fields(type_) or is_named_tuple(type_):
            return None
        declared = getattr(type_, "__pydantic_fields__", None)
        if declared is None:
            from typing import get_type_hints

            return get_type_hints(class_of(type_), include_extras=True)
        return {_alias(name, field): field.annotation for name, field in declared.items()}


def _alias(name: str, field: Any) -> str:
    alias = getattr(field, "validation_alias", None) or getattr(field, "alias", None)
    return alias if isinstance(alias, str) else name


def _details(error: pydantic.ValidationError) -> list[Any]:
    # Neither the input, which may be a password, nor what a validator knows beside its message.
    return list(error.errors(include_url=False, include_context=False, include_input=False))


def _wrongs(error: pydantic.ValidationError) -> tuple[Wrong, ...]:
    count = error.error_count()
    if count > MOST_DETAILS:
        return (Wrong((), f"{count} values in it are not as asked for"),)
    return tuple(Wrong(tuple(detail["loc"]), _said(detail)) for detail in _details(error))


def _said(detail: dict[str, Any]) -> str:
    if detail["type"] == "missing":
        return "is required"
    if detail["type"] == "union_tag_invalid":  # its message repeats the tag that was sent
        return "has a tag that none of its kinds has"
    return _lowered(detail["msg"])


def _lowered(text: str) -> str:
    text = text.removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]
