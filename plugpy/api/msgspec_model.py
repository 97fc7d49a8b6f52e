"""Types as msgspec reads, writes and describes them."""

import math
import re
import typing
from collections.abc import Callable
from typing import Any, Final

import msgspec

from plugpy.api.models import (
    MSGSPEC,
    MalformedValue,
    Wrong,
    WrongValue,
    class_of,
    has_fields,
    show,
    without_annotated,
)

_AT: Final = re.compile(r" - at `(?:key in )?\$([^`]*)`\Z")
_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_GOT_TEXT: Final = re.compile(r", got (?:str|array)\b")
_MISSING: Final = re.compile(r"Object missing required field `(.*)`\Z", re.DOTALL)

_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`\Z", re.DOTALL)

REQUIRED: Final = "is required"


class MsgspecModel:
    """One type by msgspec. Raises TypeError for types that it does not know."""

    __slots__ = ("_decoder", "_fields", "type")
    library = MSGSPEC

    def __init__(self, type_: Any) -> None:
        self.type = type_
        try:
            # What can't be described can't be read either: arbitrary classes.
            msgspec.json.schema_components([type_])
            self._decoder = msgspec.json.Decoder(type_)
        except (TypeError, RuntimeError, ValueError) as error:
            said = str(error).strip().rpartition("\n")[2]
            raise TypeError(f"msgspec can't read values of {show(type_)}: {said}") from error
        self._fields = _fields(without_annotated(type_))

    def from_text(self, value: Any) -> Any:
        try:
            found = msgspec.convert(value, self.type, strict=False)
        except msgspec.ValidationError as error:
            wrongs = self._every(value, strict=False) or (_wrong(error),)
            raise WrongValue(tuple(_of_text(wrong) for wrong in wrongs)) from None
        if isinstance(found, float) and not math.isfinite(found):
            raise WrongValue((Wrong((), "expected a finite number"),))
        return found

    def from_json(self, data: bytes) -> Any:
        try:
            return _decoded(data, self._decoder.decode)
        except msgspec.ValidationError as error:
            # It stops at the first thing that is wrong, and may not have seen the end.
            value = _decoded(data, msgspec.json.decode)
            raise WrongValue(self._every(value, strict=True) or (_wrong(error),)) from None

    def from_data(self, value: Any) -> Any:
        try:
            return msgspec.convert(value, self.type)
        except msgspec.ValidationError as error:
            raise WrongValue(self._every(value, strict=True) or (_wrong(error),)) from None

    def to_json(self, value: Any) -> bytes:
        if type(value) is not self.type:
            try:
                # An instance of another class loses the fields that the declared one lacks.
                value = msgspec.convert(value, self.type, from_attributes=True)
            except msgspec.ValidationError as error:
                raise WrongValue((_wrong(error),)) from None
        return msgspec.json.encode(value, enc_hook=_encoded)

    def fields(self) -> dict[str, Any] | None:
        if self._fields is None:
            return None
        return {name: type_ for name, (type_, _) in self._fields.items()}

    def _every(self, value: Any, *, strict: bool) -> tuple[Wrong, ...]:
        """All that is wrong with the fields of an object: msgspec stops at the first one."""
        if not self._fields or not isinstance(value, dict):
            return ()
        wrongs: list[Wrong] = []
        for name, (type_, required) in self._fields.items():
            if name not in value:
                if required:
                    wrongs.append(Wrong((name,), REQUIRED))
                continue
            try:
                msgspec.convert(value[name], type_, strict=strict)
            except msgspec.ValidationError as error:
                wrong = _wrong(error)
                wrongs.append(Wrong((name, *wrong.path), wrong.detail))
        return tuple(wrongs)


def _decoded(data: bytes, decode: Callable[[bytes], Any]) -> Any:
    try:
        return decode(data)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedValue(str(error)) from None
    except RecursionError:
        raise MalformedValue("it is nested too deeply") from None


def _encoded(value: Any) -> Any:
    """A model of pydantic within a value whose annotation does not speak of it."""
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise TypeError(f"no JSON can be made of a {type(value).__name__}")
    return dump(mode="json")


def _fields(type_: Any) -> dict[str, tuple[Any, bool]] | None:
    """Name in JSON -> (type, whether it must be there); None for what is no object."""
    if not has_fields(type_) or issubclass(class_of(type_), tuple):
        return None
    info = msgspec.inspect.type_info(type_)
    if not isinstance(
        info,
        msgspec.inspect.StructType | msgspec.inspect.DataclassType | msgspec.inspect.TypedDictType,
    ):
        return None
    if isinstance(info, msgspec.inspect.StructType) and info.array_like:
        return None
    hints = typing.get_type_hints(class_of(type_), include_extras=True)
    if class_of(type_) is not type_:
        # Page[Book]: what the parameters of the class stand for is known to msgspec alone.
        hints = dict.fromkeys(hints, Any)
    return {
        field.encode_name: (hints.get(field.name, Any), field.required) for field in info.fields
    }


def _wrong(error: msgspec.ValidationError) -> Wrong:
    text = str(error)
    path: tuple[str | int, ...] = ()
    at = _AT.search(text)
    if at is not None:
        text = text[: at.start()]
        path = tuple(
            name if name else (int(index) if index.isdigit() else index)
            for name, index in _STEP.findall(at.group(1))
        )
    missing = _MISSING.match(text)
    if missing is not None:
        return Wrong((*path, missing.group(1)), REQUIRED)
    unknown = _UNKNOWN.match(text)
    if unknown is not None:
        return Wrong((*path, unknown.group(1)), "is unknown")
    if text.startswith(("Invalid enum value", "Invalid value")):
        # The value is the client's, and may be a secret: it is not for logs.
        return Wrong(path, "is none of the values that there are")
    text = text.replace("`", "")
    return Wrong(path, text[:1].lower() + text[1:])


def _of_text(wrong: Wrong) -> Wrong:
    """Without "got str": all values are text there."""
    return Wrong(wrong.path, _GOT_TEXT.sub("", wrong.detail))
