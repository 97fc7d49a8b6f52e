"""The page about an OpenAPI document: HTML that needs nothing but itself.

Whatever comes from the document is escaped here, in `_text`. Operations can be read without the
script; it is for trying them.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from plugpy.api.examples import example, name_of, words

JSON_TYPES = ("application/json", "application/problem+json")


def page(document: Mapping[str, Any], *, address: str, nonce: str) -> str:
    """The whole page. address: of the document. nonce: of the policy."""
    info = document["info"]
    title = f"{info['title']} {info['version']}"
    server = document["servers"][0]["url"].removesuffix("/")
    groups = _groups(document)
    components = document.get("components", {}).get("schemas", {})
    body = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title>",
        f'<style nonce="{_text(nonce)}">{_data("page.css")}</style></head>',
        f'<body data-server="{_text(server)}"><header>',
        f"<h1>{_text(info['title'])} <small>{_text(info['version'])}</small></h1>",
        f'<p class="description">{_text(info["description"])}</p>'
        if info.get("description")
        else "",
        f'<p><a href="{_text(address)}">openapi.json</a></p>',
        '<p id="authorization" hidden><label>Authorization header of all requests',
        '<input type="text" autocomplete="off" spellcheck="false" placeholder="Bearer ...">',
        "</label></p>",
        "</header><main>",
    ]
    for tag, operations in groups.items():
        body.append(f"<section><h2>{_text(tag)}</h2>" if tag else "<section>")
        for method, path, operation in operations:
            body += _operation(method, path, operation, components)
        body.append("</section>")
    if not groups:
        body.append("<p>No typed handlers yet.</p>")
    if components:
        body.append("<section><h2>Schemas</h2>")
        for name, schema in components.items():
            body += _component(name, schema)
        body.append("</section>")
    body.append(f'</main><script nonce="{_text(nonce)}">{_data("page.js")}</script></body></html>')
    return "\n".join(part for part in body if part) + "\n"


def _groups(document: Mapping[str, Any]) -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    """Tag -> its operations, "" for those without one, in the order of the document."""
    groups: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for tag in operation.get("tags") or ("",):
                groups.setdefault(tag, []).append((method.upper(), path, operation))
    return groups


def _operation(
    method: str, path: str, operation: Mapping[str, Any], components: Mapping[str, Any]
) -> Iterator[str]:
    anchor = _text(operation["operationId"])
    gone = " deprecated" if operation.get("deprecated") else ""
    yield f'<details class="operation{gone}" id="{anchor}"><summary>'
    yield f'<b class="{_text(method.lower())}">{_text(method)}</b> <code>{_text(path)}</code> '
    yield f"<span>{_text(operation.get('summary', ''))}</span></summary>"
    if operation.get("description"):
        yield f'<p class="description">{_text(operation["description"])}</p>'
    yield f'<form data-method="{_text(method)}" data-path="{_text(path)}">'
    parameters = operation.get("parameters", ())
    if parameters:
        yield "<h3>Parameters</h3><table>"
        for parameter in parameters:
            yield from _parameter(parameter)
        yield "</table>"
    body = operation.get("requestBody")
    if body is not None:
        yield from _body(body, components)
    yield '<p class="try" hidden><button type="submit">Send</button></p>'
    yield '<output hidden aria-live="polite"></output></form>'
    yield "<h3>Answers</h3><table>"
    for status, answer in operation["responses"].items():
        yield from _answer(status, answer)
    yield "</table></details>"


def _parameter(parameter: Mapping[str, Any]) -> Iterator[str]:
    name, where, schema = parameter["name"], parameter["in"], parameter.get("schema", {})
    required = parameter.get("required", False)
    yield f"<tr><td><code>{_text(name)}</code>{_star(required)}</td><td>{_text(where)}</td>"
    yield f"<td>{_linked(schema)}"
    if parameter.get("description"):
        yield f'<br><span class="description">{_text(parameter["description"])}</span>'
    yield "</td><td>"
    if where != "cookie":  # a page can't set those of a request
        listed = schema.get("type") == "array"
        hint = "one a line" if listed else ""
        tag = "textarea rows=2" if listed else 'input type="text"'
        end = "</textarea>" if listed else ""
        yield (
            f'<{tag} hidden autocomplete="off" data-in="{_text(where)}" data-name="{_text(name)}" '
            f'aria-label="{_text(name)}" placeholder="{hint}"'
            f"{' required' if required else ''}>{end}"
        )
    yield "</td></tr>"


def _body(body: Mapping[str, Any], components: Mapping[str, Any]) -> Iterator[str]:
    for media_type, content in body["content"].items():
        schema = content.get("schema", {})
        star = _star(body.get("required", False))
        yield f"<h3>Body{star} <small>{_text(media_type)}</small></h3>"
        if body.get("description"):
            yield f'<p class="description">{_text(body["description"])}</p>'
        if media_type in JSON_TYPES:
            yield f"<p>{_linked(schema)}</p>"
            shown = json.dumps(example(schema, components), indent=2, ensure_ascii=False)
            yield (
                f'<textarea class="body" spellcheck="false" aria-label="body" rows="10" '
                f'data-type="{_text(media_type)}">{_text(shown)}</textarea>'
            )
            continue
        whole = components.get(name_of(schema) or "", schema)
        yield f'<table class="body" data-type="{_text(media_type)}">'
        for name, field in whole.get("properties", {}).items():
            kind = "file" if field.get("format") == "binary" else "text"
            yield (
                f"<tr><td><code>{_text(name)}</code>{_star(name in whole.get('required', ()))}</td>"
                f'<td>{_linked(field)}</td><td><input hidden type="{kind}" data-in="form" '
                f'data-name="{_text(name)}" aria-label="{_text(name)}"></td></tr>'
            )
        yield "</table>"


def _answer(status: str, answer: Mapping[str, Any]) -> Iterator[str]:
    yield f"<tr><td>{_text(status)}</td><td>{_text(answer['description'])}</td><td>"
    for media_type, content in answer.get("content", {}).items():
        yield f"{_linked(content.get('schema', {}))} <small>{_text(media_type)}</small>"
    yield "</td></tr>"


def _component(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f'<details id="schema-{_text(name)}"><summary><code>{_text(name)}</code></summary>'
    if schema.get("description"):
        yield f'<p class="description">{_text(schema["description"])}</p>'
    properties = schema.get("properties")
    if not properties:
        yield f"<p>{_linked(schema)}</p></details>"
        return
    required = schema.get("required", ())
    yield "<table>"
    for key, field in properties.items():
        yield f"<tr><td><code>{_text(key)}</code>{_star(key in required)}</td><td>{_linked(field)}"
        if isinstance(field, Mapping) and field.get("description"):
            yield f'<br><span class="description">{_text(field["description"])}</span>'
        yield "</td></tr>"
    yield "</table></details>"


def _linked(schema: Any) -> str:
    """A schema in words, linked to the component that it is, or is a list of."""
    said = _text(words(schema))
    inner = schema.get("items", schema) if isinstance(schema, Mapping) else {}
    name = name_of(inner) if isinstance(inner, Mapping) else None
    return said if name is None else f'<a href="#schema-{_text(name)}">{said}</a>'


def _star(required: bool) -> str:
    return '<b class="required" title="required">*</b>' if required else ""


def _text(value: Any) -> str:
    return escape(str(value), quote=True)


@cache
def _data(name: str) -> str:
    return files("plugpy.api").joinpath(name).read_text(encoding="utf-8")
