"""Schemas: the JSON Schemas of all models of a document, those with a name shared by reference."""

from collections.abc import Iterable
from typing import Any, Final

from plugpy.api.models import MSGSPEC, Model

Schema = dict[str, Any]

REFERENCE: Final = "#/components/schemas/{}"

READ: Final = "validation"
WRITTEN: Final = "serialization"
"""What a schema describes: what is read, or what is answered. They differ where a field with a
default may be left out of a request."""

Use = tuple[Model, str]

PROBLEM: Final[Schema] = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "default": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
    },
}

VALIDATION_PROBLEM: Final[Schema] = {
    "title": "ValidationProblem",
    "description": "A request that is not as asked for, with all that is wrong.",
    "allOf": [{"$ref": REFERENCE.format("Problem")}],
    "type": "object",
    "required": ["errors"],
    "properties": {
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["in", "detail"],
                "properties": {
                    "in": {"enum": ["path", "query", "header", "cookie", "form", "body"]},
                    "name": {"type": "string"},
                    "pointer": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        }
    },
}


class Schemas:
    """The schemas of `uses`. components: name -> schema. Raises TypeError for a type that has no
    schema."""

    def __init__(self, uses: Iterable[Use]) -> None:
        self.components: dict[str, Schema] = {}
        self._found: dict[tuple[int, str], Schema] = {}
        every = list({(id(model), mode): (model, mode) for model, mode in uses}.values())
        self._add_msgspec([use for use in every if use[0].library == MSGSPEC])
        self._add_pydantic([use for use in every if use[0].library != MSGSPEC])

    def of(self, model: Model, mode: str) -> Schema:
        """The schema of one use, mostly a reference."""
        return self._found[id(model), mode]

    def resolved(self, schema: Schema) -> Schema:
        """What a reference refers to; other schemas as they are."""
        name = schema.get("$ref", "").removeprefix(REFERENCE.format(""))
        return self.components[name] if name else schema

    def add_problems(self) -> str:
        """Add the schemas of problems; the name of the one for 422."""
        self.components.setdefault("Problem", PROBLEM)
        self.components.setdefault("ValidationProblem", VALIDATION_PROBLEM)
        return "ValidationProblem"

    def _add_msgspec(self, uses: list[Use]) -> None:
        if not uses:
            return
        import msgspec

        schemas, components = msgspec.json.schema_components(
            [model.type for model, _ in uses], ref_template=REFERENCE.format("{name}")
        )
        self._take(uses, list(schemas), components)

    def _add_pydantic(self, uses: list[Use]) -> None:
        if not uses:
            return
        from pydantic import TypeAdapter

        inputs: list[Any] = [
            (index, mode, model.adapter)  # type: ignore[attr-defined]
            for index, (model, mode) in enumerate(uses)
        ]
        schemas, whole = TypeAdapter.json_schemas(inputs, ref_template=REFERENCE.format("{model}"))
        ordered = [dict(schemas[index, mode]) for index, mode, _ in inputs]
        self._take(uses, ordered, whole.get("$defs", {}))

    def _take(self, uses: list[Use], schemas: list[Schema], components: dict[str, Schema]) -> None:
        """Take schemas of one library; components whose names the other has taken get a number."""
        renamed: dict[str, str] = {}
        for name, schema in components.items():
            free, number = name, 2
            while free in self.components and self.components[free] != schema:
                free, number = f"{name}{number}", number + 1
            if free != name:
                renamed[REFERENCE.format(name)] = REFERENCE.format(free)
            self.components[free] = schema
        if renamed:
            for name in [*components, *(ref.rpartition("/")[2] for ref in renamed.values())]:
                if name in components or REFERENCE.format(name) in renamed.values():
                    self.components[name] = _with_references(self.components[name], renamed)
            schemas = [_with_references(schema, renamed) for schema in schemas]
        for (model, mode), schema in zip(uses, schemas, strict=True):
            self._found[id(model), mode] = schema


def _with_references(value: Any, renamed: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: renamed.get(item, item)
            if isinstance(item, str) and item in renamed and key != "const"
            else _with_references(item, renamed)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_with_references(item, renamed) for item in value]
    return value
