"""Types as pydantic reads, writes and describes them."""

from typing import Any

import pydantic
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from plugpy.api.models import (
    PYDANTIC,
    MalformedValue,
    Wrong,
    WrongValue,
    class_of,
    has_fields,
    show,
    without_annotated,
)


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
        return self._read(value)

    def from_json(self, data: bytes) -> Any:
        try:
            return self.adapter.validate_json(data)
        except pydantic.ValidationError as error:
            found = _details(error)
            if found[0]["type"] == "json_invalid":
                raise MalformedValue(found[0]["msg"].removeprefix("Invalid JSON: ")) from None
            raise WrongValue(_wrongs(found)) from None

    def from_data(self, value: Any) -> Any:
        return self._read(value)

    def to_json(self, value: Any) -> bytes:
        if type(value) is not self.type:
            try:
                value = self.adapter.validate_python(value, from_attributes=True)
            except pydantic.ValidationError as error:
                raise WrongValue(_wrongs(_details(error))) from None
        # By the declared type: fields of a subclass stay here.
        return self.adapter.dump_json(value, by_alias=True)

    def fields(self) -> dict[str, Any] | None:
        type_ = without_annotated(self.type)
        if not has_fields(type_) or issubclass(class_of(type_), tuple):
            return None
        declared = getattr(type_, "__pydantic_fields__", None)
        if declared is None:
            from typing import get_type_hints

            return get_type_hints(class_of(type_), include_extras=True)
        return {_alias(name, field): field.annotation for name, field in declared.items()}

    def _read(self, value: Any) -> Any:
        try:
            return self.adapter.validate_python(value)
        except pydantic.ValidationError as error:
            raise WrongValue(_wrongs(_details(error))) from None


def _alias(name: str, field: Any) -> str:
    alias = getattr(field, "validation_alias", None) or getattr(field, "alias", None)
    return alias if isinstance(alias, str) else name


def _details(error: pydantic.ValidationError) -> list[Any]:
    # Neither the input, which may be a password, nor what a validator knows beside its message.
    return list(error.errors(include_url=False, include_context=False, include_input=False))


def _wrongs(details: list[Any]) -> tuple[Wrong, ...]:
    return tuple(
        Wrong(
            tuple(detail["loc"]),
            "is required" if detail["type"] == "missing" else _lowered(detail["msg"]),
        )
        for detail in details
    )


def _lowered(text: str) -> str:
    text = text.removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]
