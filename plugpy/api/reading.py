"""Reading: the values of a typed handler's parameters, taken from a conn.

Nothing here changes the conn: `conn.params` and all it is made of stay as they were.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from plugpy.api.errors import Fault, Problem
from plugpy.api.models import MalformedValue, Model, WrongValue
from plugpy.api.parameters import Parameter
from plugpy.api.places import Body, Cookie, Form, Header, Query
from plugpy.conn.conn import Conn
from plugpy.conn.media_type import MediaType, content_type
from plugpy.conn.query import values_of
from plugpy.plugs.parsers import Multipart, UrlEncoded
from plugpy.upload import Upload

REQUIRED: Final = "is required"

ABSENT: Final = object()
"""What a reader gives where the client has sent nothing, or something wrong."""

Read = Callable[[Conn, list[Fault]], Any]
"""Gives the value of a parameter, or ABSENT; puts what is wrong with it into the list."""

ReadLater = Callable[[Conn, list[Fault]], Awaitable[dict[str, Any]]]
"""Gives argument -> value of the parameters from the body."""

_FORMS: Final = (UrlEncoded(), Multipart())


def reader(parameter: Parameter) -> Read:
    """How one parameter from the query, the headers or the cookies is read."""
    model = parameter.model
    assert model is not None
    values = _VALUES[type(parameter.place)]
    where, name, listed = parameter.place.where, parameter.name, parameter.listed

    def read(conn: Conn, faults: list[Fault]) -> Any:
        value = values(conn, name, listed)
        return ABSENT if value is None else _converted(model, value, where, name, faults)

    def read_fields(conn: Conn, faults: list[Fault]) -> Any:
        value = _SPREAD[where](conn, parameter.spread or {})
        for other in parameter.others:
            value.pop(other, None)
        if _is_absent(parameter, value):
            return ABSENT
        return _converted(model, value, where, "", faults)

    return read if parameter.spread is None else read_fields


def path_reader(parameter: Parameter) -> Callable[[Any, list[Fault]], Any]:
    """How a path variable is read, given its text, or what its converter has made of it."""
    model = parameter.model
    assert model is not None

    def read(value: Any, faults: list[Fault]) -> Any:
        return _converted(model, value, "path", parameter.name, faults)

    return read


def body_reader(parameters: Sequence[Parameter]) -> ReadLater | None:
    """How the parameters from the body are read; None where there are none."""
    for parameter in parameters:
        if isinstance(parameter.place, Body):
            return _json_reader(parameter)
    forms = [one for one in parameters if isinstance(one.place, Form)]
    return _form_reader(forms) if forms else None


# Queries, headers, cookies ------------------------------------------------------------------------


def _query_value(conn: Conn, name: str, listed: bool) -> Any:
    value = conn.query_params.get(name)
    if listed and isinstance(value, str):
        # PERF: looked for only where it matters: `decode` keeps the last one.
        return values_of(conn.query_string, name)
    return value


def _header_value(conn: Conn, name: str, listed: bool) -> Any:
    values = conn.get_req_header(name)
    if not values:
        return None
    return values if listed else values[0]


def _cookie_value(conn: Conn, name: str, listed: bool) -> Any:
    value = conn.req_cookies.get(name)
    return [value] if listed and value is not None else value


_VALUES: Final[dict[type, Callable[[Conn, str, bool], Any]]] = {
    Query: _query_value,
    Header: _header_value,
    Cookie: _cookie_value,
}


def _query_fields(conn: Conn, fields: Mapping[str, bool]) -> dict[str, Any]:
    # The others too, for models that forbid them.
    found = dict(conn.query_params)
    for name, listed in fields.items():
        if listed and name in found:
            found[name] = _query_value(conn, name, True)
    return found


def _header_fields(conn: Conn, fields: Mapping[str, bool]) -> dict[str, Any]:
    pairs = (
        (name, _header_value(conn, name.replace("_", "-").lower(), listed))
        for name, listed in fields.items()
    )
    return {name: value for name, value in pairs if value is not None}


def _cookie_fields(conn: Conn, fields: Mapping[str, bool]) -> dict[str, Any]:
    return {name: conn.req_cookies[name] for name in fields if name in conn.req_cookies}


_SPREAD: Final[dict[str, Callable[[Conn, Mapping[str, bool]], dict[str, Any]]]] = {
    "query": _query_fields,
    "header": _header_fields,
    "cookie": _cookie_fields,
}


def _is_absent(parameter: Parameter, value: Mapping[str, Any]) -> bool:
    """Whether a model that may be missing is. What it does not know is none of it where the
    default is None; else it is read, for models that forbid that."""
    if parameter.required:
        return False
    if parameter.default is None:
        return value.keys().isdisjoint(parameter.spread or ())
    return not value


def _converted(model: Model, value: Any, where: str, name: str, faults: list[Fault]) -> Any:
    try:
        return model.from_text(value)
    except WrongValue as error:
        for wrong in error.wrongs:
            path = wrong.path
            if not name and path:  # a field of a model is a parameter by itself
                faults.append(Fault(where, str(path[0]), path[1:], wrong.detail))
            else:
                faults.append(Fault(where, name, path, wrong.detail))
        return None


# Bodies -------------------------------------------------------------------------------------------


def _json_reader(parameter: Parameter) -> ReadLater:
    model, argument = parameter.model, parameter.argument
    assert model is not None

    async def read(conn: Conn, faults: list[Fault]) -> dict[str, Any]:
        kind = _kind(conn)
        try:
            if kind is None:
                if await conn.body():
                    raise Problem(415, "The body has no content-type; this takes application/json.")
            elif not _is_json(kind):
                raise _unsupported(kind, "application/json")
            elif conn.body_params_fetched:
                params = conn.body_params
                # Parsers makes {} of no body.
                if params or parameter.required or await conn.body():
                    return {argument: model.from_data(params.get("_json", params))}
            elif body := await conn.body():
                return {argument: model.from_json(body)}
        except MalformedValue as error:
            raise Problem(400, f"The body is not JSON: {error}") from None
        except WrongValue as error:
            faults += [Fault("body", "", wrong.path, wrong.detail) for wrong in error.wrongs]
            return {}
        if parameter.required:
            faults.append(Fault("body", "", (), REQUIRED))
            return {}
        return {argument: parameter.fresh_default()}

    return read


def _form_reader(parameters: Sequence[Parameter]) -> ReadLater:
    lists = [one.name for one in parameters if one.listed]
    for one in parameters:
        lists += [name for name, listed in (one.spread or {}).items() if listed]

    async def read(conn: Conn, faults: list[Fault]) -> dict[str, Any]:
        form = await _form(conn)
        form = {**form, **await _listed(conn, form, lists)} if lists else form
        found: dict[str, Any] = {}
        for parameter in parameters:
            found[parameter.argument] = _form_value(parameter, form, faults)
        return found

    return read


async def _listed(conn: Conn, form: dict[str, Any], names: Sequence[str]) -> dict[str, list[str]]:
    """The fields that are to be lists, and are not by their names ("tag[]"), as lists."""
    texts = [name for name in names if isinstance(form.get(name), str)]
    if not texts:
        return {}
    kind = _kind(conn)
    if kind is not None and _FORMS[0].accepts(kind):
        text = (await conn.body()).decode("latin-1")
        return {name: values_of(text, name) or [form[name]] for name in texts}
    return {name: [form[name]] for name in texts}


async def _form(conn: Conn) -> dict[str, Any]:
    if conn.body_params_fetched:
        return conn.body_params
    kind = _kind(conn)
    if kind is None:
        return {}
    for parser in _FORMS:
        if parser.accepts(kind):
            return await parser.parse(conn, kind)
    raise _unsupported(kind, "forms")


def _form_value(parameter: Parameter, form: dict[str, Any], faults: list[Fault]) -> Any:
    name, model = parameter.name, parameter.model
    spread = parameter.spread is not None
    if spread:
        value: Any = {key: one for key, one in form.items() if key not in parameter.others}
        absent = _is_absent(parameter, value)
    else:
        value = form.get(name)
        absent = value is None
    if absent:
        if parameter.required:
            faults.append(Fault("form", name, (), REQUIRED))
        return parameter.fresh_default()
    if model is None:
        if not isinstance(value, Upload):
            faults.append(Fault("form", name, (), "expected a file"))
        return value
    return _converted(model, value, "form", "" if spread else name, faults)


def _kind(conn: Conn) -> MediaType | None:
    """The content-type of the body; None without one. Raises what is no such thing, and bodies
    that are encoded."""
    sent = conn.get_req_header("content-type")
    if len(sent) > 1:
        raise Problem(400, f"One content-type header is expected, got {len(sent)}.")
    encoding = ", ".join(conn.get_req_header("content-encoding")).lower()
    if encoding not in ("", "identity"):
        raise Problem(415, f"This takes no body with content-encoding {encoding[:100]!r}.")
    if not sent:
        return None
    kind = content_type(sent[0])
    if kind is None:
        raise Problem(415, f"{sent[0][:100]!r} is no content-type.")
    return kind


def _unsupported(kind: MediaType, taken: str) -> Problem:
    return Problem(415, f"This takes {taken}, not {kind.type[:50]}/{kind.subtype[:50]}.")


def _is_json(kind: MediaType) -> bool:
    return kind.type == "application" and (kind.subtype == "json" or kind.subtype.endswith("+json"))
