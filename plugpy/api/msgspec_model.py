"""Types as msgspec reads, writes and describes them."""

import dataclasses
import math
import re
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from plugpy.api.models import (
    MSGSPEC,
    MalformedValue,
    Wrong,
    WrongValue,
    bare_value,
    class_of,
    has_fields,
    is_named_tuple,
    show,
)

_AT: Final = re.compile(r" - at (?:`key` in )?`\$([^`]*)`\Z")
_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_GOT_TEXT: Final = re.compile(r", got (?:str|array)\b")
_MISSING: Final = re.compile(r"Object missing required field `(.*)`\Z", re.DOTALL)

_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`\Z", re.DOTALL)

REQUIRED: Final = "is required"


class MsgspecModel:
    """One type by msgspec. Raises TypeError for types that it does not know."""

    __slots__ = ("_decoder", "_fields", "_has_floats", "_is_object", "type")
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
        self._fields = _fields(bare_value(type_))
        every = tuple(_infos(msgspec.inspect.type_info(type_), set()))
        self._has_floats = any(isinstance(one, msgspec.inspect.FloatType) for one in every)
        self._is_object = any(isinstance(one, _OBJECTS) for one in every)

    def from_text(self, value: Any) -> Any:
        try:
            found = msgspec.convert(value, self.type, strict=False, str_keys=True)
        except msgspec.ValidationError as error:
            wrongs = self._every(value, strict=False) or (_wrong(error),)
            raise WrongValue(tuple(_of_text(wrong) for wrong in wrongs)) from None
        if self._has_floats and (path := _not_finite(found)) is not None:
            raise WrongValue((Wrong(path, "expected a finite number"),))
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
            return msgspec.convert(value, self.type, str_keys=True)
        except msgspec.ValidationError as error:
            raise WrongValue(self._every(value, strict=True) or (_wrong(error),)) from None

    def to_json(self, value: Any) -> bytes:
        if type(value) is not self.type:
            try:
                # An instance of another class loses the fields that the declared one lacks.
                value = msgspec.convert(value, self.type, from_attributes=True)
            except msgspec.ValidationError as error:
                raise WrongValue((_wrong(error),)) from None
        data = _ENCODE(value)
        if not self._is_object:
            return data
        # msgspec checks no object that is made by calling its class, and writes all fields of
        # those below one, which may be of a subclass. Reading it is the only check that it has.
        try:
            return _ENCODE(self._decoder.decode(data))
        except msgspec.ValidationError as error:
            raise WrongValue((_wrong(error),)) from None

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
                msgspec.convert(value[name], type_, strict=strict, str_keys=True)
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


_ENCODE: Final = msgspec.json.Encoder(enc_hook=_encoded).encode


def _fields(type_: Any) -> dict[str, tuple[Any, bool]] | None:
    """Name in JSON -> (type, whether it must be there); None for what is no object."""
    if not has_fields(type_) or is_named_tuple(type_):
        return None
    info = msgspec.inspect.type_info(type_)
    if not isinstance(
        info,
        msgspec.inspect.StructType | msgspec.inspect.DataclassType | msgspec.inspect.TypedDictType,
    ):
        return None
    if isinstance(info, msgspec.inspect.StructType) and info.array_like:
        return None
    hints = _hints(type_)
    return {
        field.encode_name: (hints.get(field.name, Any), field.required) for field in info.fields
    }


def _hints(type_: Any) -> dict[str, Any]:
    if hasattr(class_of(type_), "__struct_fields__"):
        return {field.name: field.type for field in msgspec.structs.fields(type_)}
    every = typing.get_type_hints(class_of(type_), include_extras=True)
    hints = {name: _without_qualifiers(hint) for name, hint in every.items()}
    # What the parameters of a generic one stand for is known to msgspec alone.
    return hints if class_of(type_) is type_ else dict.fromkeys(hints, Any)


def _without_qualifiers(hint: Any) -> Any:
    """X of NotRequired[X], which is no type outside of its TypedDict."""
    while getattr(typing.get_origin(hint), "_name", "") in ("Required", "NotRequired", "ReadOnly"):
        (hint,) = typing.get_args(hint)
    return hint


_OBJECTS: Final = (msgspec.inspect.StructType, msgspec.inspect.DataclassType)


def _infos(info: Any, seen: set[int]) -> Iterator[msgspec.inspect.Type]:
    """The description of a type, and of those that it is made of."""
    if isinstance(info, msgspec.inspect.Type):
        if id(info) in seen:
            return
        seen.add(id(info))
        yield info
    if isinstance(info, msgspec.inspect.Type | msgspec.inspect.Field):
        for name in info.__struct_fields__:
            yield from _infos(getattr(info, name), seen)
    elif isinstance(info, tuple | list):
        for one in info:
            yield from _infos(one, seen)


def _not_finite(value: Any) -> tuple[str | int, ...] | None:
    """The way to a NaN or an infinity in what was made of texts, which are no numbers in JSON."""
    if isinstance(value, float):
        return None if math.isfinite(value) else ()
    if isinstance(value, dict):
        pairs: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list | tuple | set | frozenset):
        pairs = enumerate(value)
    elif hasattr(value, "__struct_fields__"):
        names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        pairs = [(encoded, getattr(value, name)) for encoded, name in names]
    elif dataclasses.is_dataclass(value):
        pairs = [(one.name, getattr(value, one.name)) for one in dataclasses.fields(value)]
    else:
        return None
    for key, one in pairs:
        below = _not_finite(one)
        if below is not None:
            return (key, *below)
    return None


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
