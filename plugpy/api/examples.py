"""Examples and words for schemas: what the page shows of them."""

from collections.abc import Mapping
from typing import Any, Final

from plugpy.api.schemas import REFERENCE

DEEPEST: Final = 5
"""Levels of an example: models may contain themselves."""

_OF_FORMATS: Final = {
    "date": "2030-01-31",
    "date-time": "2030-01-31T12:00:00Z",
    "time": "12:00:00",
    "duration": "PT1H",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
    "email": "ann@example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}

_BOUNDS: Final = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matches {}",
}


def name_of(schema: Mapping[str, Any]) -> str | None:
    """The name of the component that a schema refers to."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith(REFERENCE.format("")):
        return None
    return reference.removeprefix(REFERENCE.format(""))


def example(schema: Any, components: Mapping[str, Any], depth: int = 0) -> Any:
    """A value that a schema may stand for, to begin with."""
    if not isinstance(schema, Mapping) or depth > DEEPEST:
        return None
    for key in ("example", "default", "const"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    name = name_of(schema)
    if name is not None:
        return example(components.get(name), components, depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return example(schema[key][0], components, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), None)
    if kind == "object":
        return {
            key: example(value, components, depth + 1)
            for key, value in schema.get("properties", {}).items()
        }
    if kind == "array":
        if depth >= DEEPEST:
            return []
        return [example(schema.get("items"), components, depth + 1)]
    if kind in ("integer", "number"):
        return schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    if kind == "boolean":
        return False
    if kind == "string":
        return _OF_FORMATS.get(schema.get("format", ""), "string")
    return None


def words(schema: Any) -> str:
    """A schema in a few words: "list of Book, at most 10 items"."""
    if not isinstance(schema, Mapping) or not schema:
        return "anything"
    parts = [_kind(schema)]
    parts += [text.format(schema[key]) for key, text in _BOUNDS.items() if key in schema]
    if schema.get("uniqueItems"):
        parts.append("each once")
    if "default" in schema:
        parts.append(f"default {_shown(schema['default'])}")
    return ", ".join(parts)


def _kind(schema: Mapping[str, Any]) -> str:
    name = name_of(schema)
    if name is not None:
        return name
    if "const" in schema:
        return _shown(schema["const"])
    if schema.get("enum"):
        return " | ".join(_shown(value) for value in schema["enum"])
    for key, join in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
        if schema.get(key):
            return join.join(words(one) for one in schema[key])
    kind = schema.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"list of {words(schema.get('items'))}"
    further = schema.get("additionalProperties")
    if kind == "object" and isinstance(further, Mapping) and not schema.get("properties"):
        return f"object of {words(further)}"
    if kind == "string" and schema.get("format"):
        return str(schema["format"])
    return str(kind)


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower().replace("none", "null")
    return f'"{value}"' if isinstance(value, str) else str(value)
