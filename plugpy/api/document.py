"""The OpenAPI 3.1 document of a router (`openapi`)."""

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from plugpy.api.answering import JSON
from plugpy.api.errors import PROBLEM_JSON
from plugpy.api.handler import TypedHandler
from plugpy.api.models import Model, bare, model_of
from plugpy.api.operations import Operation, operations
from plugpy.api.parameters import Parameter
from plugpy.api.places import Body, Form, Path
from plugpy.api.schemas import READ, REFERENCE, WRITTEN, Schema, Schemas, Use
from plugpy.conn.status import reason_phrase
from plugpy.upload import Upload

VERSION: Final = "3.1.1"
"""Of the OpenAPI specification."""

OF_CONVERTED: Final = (int, float, UUID)
"""Types that a variable of the path must match."""

OF_CONVERTERS: Final[dict[str, Schema]] = {
    "int": {"type": "integer", "format": "int64"},
    "float": {"type": "number"},
    "UUID": {"type": "string", "format": "uuid"},
}
"""Schemas of the path variables of untyped handlers, by the name of the converter."""


def openapi(
    router: Any,
    *,
    title: str | None = None,
    version: str = "0.1.0",
    description: str = "",
    servers: Sequence[str] = (),
    untyped: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a router's typed handlers, as what JSON holds.

    title: default the name of the router's class. version: of the API. description: Markdown.
    servers: URLs, default "/". untyped: True has the other handlers too, with what is known of
    them: paths. extra: further members of the document, merged into it at any depth, such as
    {"components": {"securitySchemes": ...}, "security": [...]}.

    Raises TypeError for a type without a schema, and what compiling the router raises.
    """
    found = list(operations(router, untyped=untyped))
    further: dict[int, Model] = {}
    schemas = Schemas([use for one in found for use in _uses(one, further)])
    paths: dict[str, dict[str, Any]] = {}
    taken: set[str] = set()
    for one in found:
        member = _operation(one, schemas, further, taken)
        paths.setdefault(one.path, {})[one.method.lower()] = member
    document: dict[str, Any] = {
        "openapi": VERSION,
        "info": {"title": title or type(router).__name__, "version": version},
        "servers": [{"url": url} for url in servers or ("/",)],
        "paths": paths,
    }
    if description:
        document["info"]["description"] = description
    if schemas.components:
        document["components"] = {"schemas": dict(sorted(schemas.components.items()))}
    return _merged(document, extra or {})


def _uses(one: Operation, further: dict[int, Model]) -> list[Use]:
    handler = one.handler
    if handler is None:
        return []
    found: list[Use] = [
        (parameter.model, READ)
        for parameter in handler.signature.parameters
        if parameter.model is not None
    ]
    if handler.returns.model is not None:
        found.append((handler.returns.model, WRITTEN))
    for type_ in handler.options.responses.values():
        if type_ is not None:
            model = further.setdefault(id(type_), model_of(type_))
            found.append((model, WRITTEN))
    return found


def _operation(
    one: Operation, schemas: Schemas, further: dict[int, Model], taken: set[str]
) -> dict[str, Any]:
    handler = one.handler
    member: dict[str, Any] = {"operationId": _operation_id(one, taken)}
    summary, _, rest = (inspect.getdoc(_function(one.function)) or "").partition("\n")
    if handler is not None and handler.options.summary is not None:
        summary = handler.options.summary
    if handler is not None and handler.options.description is not None:
        rest = handler.options.description
    if summary:
        member["summary"] = summary.removesuffix(".")
    if rest.strip():
        member["description"] = rest.strip()
    if handler is None:
        parameters = [_untyped_parameter(name, one.variables) for name in one.names]
        if parameters:
            member["parameters"] = parameters
        member["responses"] = {"default": {"description": "Not described."}}
        return member
    options = handler.options
    if options.tags:
        member["tags"] = list(options.tags)
    if options.deprecated:
        member["deprecated"] = True
    parameters = _parameters(one, handler, schemas)
    if parameters:
        member["parameters"] = parameters
    body = _request_body(handler, schemas)
    if body is not None:
        member["requestBody"] = body
    member["responses"] = _responses(handler, schemas, further)
    return _merged(member, options.extra)


def _operation_id(one: Operation, taken: set[str]) -> str:
    name = one.name or f"{one.method.lower()}{one.path}"
    if one.handler is not None and one.handler.options.operation_id is not None:
        name = one.handler.options.operation_id
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}_{one.method.lower()}" if number == 2 else f"{name}_{number}"
    taken.add(free)
    return free


def _function(handler: Any) -> Any:
    handler = getattr(handler, "func", handler)
    # An instance has the docstring of its class, which is about something else.
    return handler if inspect.isroutine(handler) else None


# Parameters ---------------------------------------------------------------------------------------


def _parameters(one: Operation, handler: TypedHandler, schemas: Schemas) -> list[dict[str, Any]]:
    by_name = {parameter.name: parameter for parameter in handler.path}
    own = handler.variables
    # Where another route of this shape came first its names are used, see `operations`.
    start = len(one.names) - len(own)
    found: list[dict[str, Any]] = []
    for position, name in enumerate(one.names):
        declared = own[position - start] if position >= start else None
        parameter = by_name.get(declared) if declared is not None else None
        if parameter is None:
            found.append(_untyped_parameter(name, one.variables))
        else:
            found.append({**_parameter(parameter, schemas), "name": name})
    for parameter in handler.signature.parameters:
        if isinstance(parameter.place, Path | Body | Form):
            continue
        if parameter.spread is None:
            found.append(_parameter(parameter, schemas))
        else:
            found += _spread(parameter, schemas)
    # Two that read the same one are one (section 4.8.10.1): the first of them.
    every: dict[tuple[str, str], dict[str, Any]] = {}
    for member in found:
        known = every.setdefault((member["in"], member["name"]), member)
        if member.get("required"):
            known["required"] = True
    return list(every.values())


def _parameter(parameter: Parameter, schemas: Schemas) -> dict[str, Any]:
    place = parameter.place
    member: dict[str, Any] = {"name": parameter.name, "in": place.where}
    if place.description:
        member["description"] = place.description
    if parameter.required or isinstance(place, Path):
        member["required"] = True
    if place.deprecated:
        member["deprecated"] = True
    assert parameter.model is not None
    schema = _without_null(schemas.of(parameter.model, READ))
    member["schema"] = _with_default(parameter, schema)
    return member | _style(place.where, schema, schemas)


def _style(where: str, schema: Schema, schemas: Schemas) -> dict[str, Any]:
    """How an object is written in a query: filter[name]=x."""
    whole = schemas.resolved(schema)
    members = [*whole.get("anyOf", ()), *whole.get("oneOf", ())]
    kinds = [whole, *map(schemas.resolved, members)]
    if where == "query" and any(one.get("type") == "object" for one in kinds):
        return {"style": "deepObject", "explode": True}
    return {}


def _without_null(schema: Schema) -> Schema:
    """X of "X or null": a parameter that is not there is left out, none is null."""
    members = schema.get("anyOf", ())
    rest = [one for one in members if one != {"type": "null"}]
    if len(members) == 2 and len(rest) == 1:
        outer = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
        return {**rest[0], **outer}
    return schema


def _spread(parameter: Parameter, schemas: Schemas) -> list[dict[str, Any]]:
    """One parameter for each field of a model."""
    assert parameter.model is not None
    whole = schemas.resolved(_without_null(schemas.of(parameter.model, READ)))
    required = whole.get("required", ()) if parameter.required else ()
    where = parameter.place.where
    found: list[dict[str, Any]] = []
    for field, schema in whole.get("properties", {}).items():
        name = field.replace("_", "-").lower() if where == "header" else field
        member: dict[str, Any] = {"name": name, "in": where, "schema": _without_null(schema)}
        member |= _style(where, member["schema"], schemas)
        if schema.get("description"):
            member["description"] = schema["description"]
        if field in required:
            member["required"] = True
        found.append(member)
    return found


def _untyped_parameter(name: str, variables: Mapping[str, str]) -> dict[str, Any]:
    schema = OF_CONVERTERS.get(variables.get(name, ""), {"type": "string"})
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _with_default(parameter: Parameter, schema: Schema) -> Schema:
    if parameter.required or parameter.default is None or parameter.model is None:
        return schema
    try:
        default = json.loads(parameter.model.to_json(parameter.default))
    except Exception:  # a default that the type does not allow is the handler's business
        return schema
    return {**schema, "default": default}


# Bodies and answers -------------------------------------------------------------------------------


def _request_body(handler: TypedHandler, schemas: Schemas) -> dict[str, Any] | None:
    forms: list[Parameter] = []
    for parameter in handler.signature.parameters:
        if isinstance(parameter.place, Body):
            assert parameter.model is not None
            schema = _with_default(parameter, schemas.of(parameter.model, READ))
            return _described(
                parameter, {"required": parameter.required, "content": {JSON: {"schema": schema}}}
            )
        if isinstance(parameter.place, Form):
            forms.append(parameter)
    if not forms:
        return None
    required = any(form.required for form in forms)
    files = any(form.type is Upload for form in forms)
    media_type = "multipart/form-data" if files else "application/x-www-form-urlencoded"
    return {
        "required": required,
        "content": {media_type: {"schema": _form_schema(forms, schemas, "[]" if files else "")}},
    }


def _form_schema(forms: Sequence[Parameter], schemas: Schemas, lists: str) -> Schema:
    """lists: what the name of a list ends with. Multipart has one field of a name, or "name[]"."""
    first = forms[0]
    as_it_is = first.spread is not None and not (lists and any(first.spread.values()))
    if len(forms) == 1 and as_it_is and first.model is not None:
        return schemas.of(first.model, READ)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for form in forms:
        if form.spread is not None and form.model is not None:
            whole = schemas.resolved(_without_null(schemas.of(form.model, READ)))
            names = {name: name + lists for name, listed in form.spread.items() if listed}
            for name, field in whole.get("properties", {}).items():
                properties[names.get(name, name)] = field
            if form.required:
                required += [names.get(name, name) for name in whole.get("required", ())]
            continue
        name = form.name + lists if form.listed else form.name
        if form.model is None:
            properties[form.name] = {"type": "string", "format": "binary"}
        else:
            properties[name] = _with_default(form, schemas.of(form.model, READ))
        if form.required:
            required.append(name)
    schema: Schema = {"type": "object", "properties": properties}
    return {**schema, "required": required} if required else schema


def _described(parameter: Parameter, member: dict[str, Any]) -> dict[str, Any]:
    description = parameter.place.description
    return {"description": description, **member} if description else member


def _responses(
    handler: TypedHandler, schemas: Schemas, further: Mapping[int, Model]
) -> dict[str, Any]:
    returns = handler.returns
    member: dict[str, Any] = {"description": reason_phrase(returns.status) or "Done"}
    if returns.media_type is not None:
        schema: Schema = {"type": "string"}
        if returns.model is not None:
            schema = schemas.of(returns.model, WRITTEN)
        member["content"] = {returns.media_type: {"schema": schema}}
    found = {str(returns.status): member}
    for status, type_ in handler.options.responses.items():
        answer: dict[str, Any] = {"description": reason_phrase(status) or "Done"}
        if type_ is not None:
            schema = schemas.of(further[id(type_)], WRITTEN)
            answer["content"] = {JSON: {"schema": schema}}
        elif status >= 400:
            schemas.add_problems()
            answer["content"] = _problem("Problem")
        found[str(int(status))] = answer
    if "422" not in found and any(_may_fail(one) for one in handler.signature.parameters):
        name = schemas.add_problems()
        found["422"] = {"description": reason_phrase(422), "content": _problem(name)}
    if any(_may_be_refused(one, found) for one in handler.signature.parameters):
        found.setdefault("4XX", {"description": "Another path, or a body that can't be read"})
    return dict(sorted(found.items()))


def _problem(name: str) -> dict[str, Any]:
    return {PROBLEM_JSON: {"schema": {"$ref": REFERENCE.format(name)}}}


def _may_be_refused(parameter: Parameter, said: Mapping[str, Any]) -> bool:
    """Whether a request can fail before its values are looked at: 404, 400, 413, 415."""
    place = parameter.place
    if isinstance(place, Path):
        return "404" not in said and bare(parameter.type) in OF_CONVERTED
    return isinstance(place, Body | Form)


def _may_fail(parameter: Parameter) -> bool:
    """Whether a request can be wrong in a parameter: an optional text can't."""
    if isinstance(parameter.place, Path):
        return parameter.type not in (str, int, float)
    return parameter.required or parameter.type not in (str, str | None)


def _merged(into: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """`more` over `into`, member by member where both have objects."""
    found = dict(into)
    for key, value in more.items():
        here = found.get(key)
        if isinstance(here, dict) and isinstance(value, Mapping):
            found[key] = _merged(here, value)
        else:
            found[key] = value
    return found
