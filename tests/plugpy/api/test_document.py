"""The OpenAPI document."""

import enum
import json
import uuid
from typing import Annotated, Any

import msgspec
import pydantic
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from plugpy.api import Cookie, Form, Header, Query, openapi, typed
from plugpy.router import Router, delete, forward, get, match, post
from plugpy.upload import Upload

from .models import MSGSPEC, PYDANTIC, Library

libraries = pytest.mark.parametrize("library", [MSGSPEC, PYDANTIC], ids=["msgspec", "pydantic"])


def document(router: Router, **options: Any) -> dict[str, Any]:
    """The document of a router, which the validator has accepted and JSON can hold."""
    found: dict[str, Any] = json.loads(json.dumps(openapi(router, **options)))
    OpenAPIV31SpecValidator(found).validate()
    return found


def of(function: Any, path: str = "/", method: str = "post", **annotations: Any) -> Any:
    """The operation of one handler, and the document."""
    function.__annotations__ = annotations
    router = Router()
    router.match(path, typed(function), via=method.upper())
    found = document(router)
    (item,) = found["paths"].values()
    return item[method], found


@libraries
def test_parameters_bodies_and_answers(library: Library):
    def update(id, book, verbose=False, tags=(), x_key=None, theme="dark"):
        """Update a book.

        All of it.
        """

    operation, found = of(
        update,
        "/books/:id",
        "put",
        id=library.at_least_one,
        book=library.new,
        verbose=Annotated[bool, Query(description="More of it", deprecated=True)],
        tags=list[str],
        x_key=Annotated[str | None, Header],
        theme=Annotated[str, Cookie],
        **{"return": library.book},
    )
    assert list(found["paths"]) == ["/books/{id}"]
    assert operation["operationId"] == "update"
    assert operation["summary"] == "Update a book"
    assert operation["description"] == "All of it."
    by_name = {parameter["name"]: parameter for parameter in operation["parameters"]}
    assert by_name["id"] == {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
    assert by_name["verbose"]["description"] == "More of it"
    assert by_name["verbose"]["deprecated"] is True
    assert by_name["verbose"]["schema"] == {"type": "boolean", "default": False}
    assert by_name["tags"]["schema"]["items"] == {"type": "string"}
    assert by_name["x-key"] == {"name": "x-key", "in": "header", "schema": {"type": "string"}}
    assert by_name["theme"]["in"] == "cookie"
    body = operation["requestBody"]
    assert body["required"] is True
    reference = body["content"]["application/json"]["schema"]["$ref"]
    name = library.new.__name__
    assert reference == f"#/components/schemas/{name}"
    schema = found["components"]["schemas"][name]
    assert schema["properties"]["title"]["maxLength"] == 20
    assert schema["properties"]["title"]["description"] == "On its cover"
    assert schema["required"] == ["title"]
    answers = operation["responses"]
    assert sorted(answers) == ["200", "422", "4XX"]
    assert answers["200"]["content"]["application/json"]["schema"] == {
        "$ref": f"#/components/schemas/{library.book.__name__}"
    }
    problem = answers["422"]["content"]["application/problem+json"]["schema"]["$ref"]
    assert problem.rpartition("/")[2] in found["components"]["schemas"]


@libraries
def test_a_model_in_the_query_is_a_parameter_for_each_field(library: Library):
    def index(filter): ...

    operation, _ = of(index, "/", "get", filter=Annotated[library.filter, Query])
    assert [(one["name"], one.get("required", False)) for one in operation["parameters"]] == [
        ("q", True),
        ("page", False),
        ("tag", False),
    ]
    assert operation["parameters"][1]["schema"]["minimum"] == 1


def test_forms_and_files():
    def plain(book): ...

    operation, _ = of(plain, book=Annotated[MSGSPEC.new, Form])
    assert list(operation["requestBody"]["content"]) == ["application/x-www-form-urlencoded"]

    def files(title, cover=None): ...

    operation, _ = of(files, title=Annotated[str, Form], cover=Annotated[Upload | None, Form])
    schema = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert schema["properties"]["cover"] == {"type": "string", "format": "binary"}
    assert schema["required"] == ["title"]


def test_answers_of_other_types():
    for annotation, status, content in (
        (None, "204", None),
        (str, "200", "text/plain"),
        (bytes, "200", "application/octet-stream"),
        (list[int], "200", "application/json"),
    ):

        def handler(): ...

        operation, _ = of(handler, "/", "get", **{"return": annotation})
        assert list(operation["responses"]) == [status]
        assert list(operation["responses"][status].get("content", {})) == (
            [content] if content else []
        )


def test_options_of_a_handler():
    class App(Router):
        @get("/:id")
        @typed(
            status=203,
            summary="S",
            description="D",
            tags=["t"],
            operation_id="o",
            deprecated=True,
            responses={404: None, 409: MSGSPEC.book, 202: None},
            extra={"security": [{"key": []}], "responses": {"404": {"description": "Gone"}}},
        )
        def show(self, id: int) -> dict[str, int]: ...

        @get("/hidden")
        @typed(hidden=True)
        def hidden(self) -> str: ...

    found = document(
        App(),
        title="T",
        version="2",
        description="About",
        servers=["https://a.example"],
        extra={"components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}},
    )
    assert found["info"] == {"title": "T", "version": "2", "description": "About"}
    assert found["servers"] == [{"url": "https://a.example"}]
    assert list(found["paths"]) == ["/{id}"]
    operation = found["paths"]["/{id}"]["get"]
    assert (operation["summary"], operation["description"]) == ("S", "D")
    assert (operation["tags"], operation["operationId"]) == (["t"], "o")
    assert operation["deprecated"] is True
    assert operation["security"] == [{"key": []}]
    assert sorted(operation["responses"]) == ["202", "203", "404", "409"]
    assert operation["responses"]["404"]["description"] == "Gone"
    assert "content" in operation["responses"]["404"]
    assert "Problem" in found["components"]["schemas"]
    assert "securitySchemes" in found["components"]


def test_routes_of_all_kinds():
    class Inner(Router):
        @get("/")
        @typed
        def index(self) -> str: ...

        @get("/:file.json")
        @typed
        def file(self, file: str) -> str: ...

        @get("/tree/*path")
        @typed
        def tree(self, path: list[str]) -> str: ...

    class App(Router):
        @match("/any/:id")
        @typed
        def every(self, id: uuid.UUID) -> str: ...

        @get("/books/:id")
        @typed
        def show(self, id: int) -> str: ...

        @delete("/books/:number")
        @typed
        def remove(self, number: int) -> None: ...

        @get("/books/:other")
        @typed
        def shadowed(self, other: str) -> str: ...

        @post("/plain/:id")
        def plain(self, conn, id: int):
            """Not typed."""

        forward("/in/:tenant", to=Inner, name="inner")

    found = document(App())["paths"]
    assert sorted(found) == [
        "/any/{id}",
        "/books/{id}",
        "/in/{tenant}",
        "/in/{tenant}/tree/{path}",
        "/in/{tenant}/{file}.json",
    ]
    assert sorted(found["/any/{id}"]) == ["delete", "get", "patch", "post", "put"]
    assert len({operation["operationId"] for operation in found["/any/{id}"].values()}) == 5
    assert found["/any/{id}"]["get"]["parameters"][0]["schema"]["format"] == "uuid"
    # Two names for one path: the first one is that of the document.
    assert found["/books/{id}"]["delete"]["parameters"][0]["name"] == "id"
    assert found["/books/{id}"]["get"]["operationId"] == "show"
    assert found["/in/{tenant}"]["get"]["operationId"] == "inner.index"
    names = [one["name"] for one in found["/in/{tenant}/{file}.json"]["get"]["parameters"]]
    assert names == ["tenant", "file"]
    with_plain = document(App(), untyped=True)["paths"]
    assert with_plain["/plain/{id}"]["post"]["summary"] == "Not typed"
    assert with_plain["/plain/{id}"]["post"]["parameters"][0]["schema"]["type"] == "integer"


def test_models_of_one_name_by_both_libraries():
    class Colour(enum.Enum):
        RED = "red"

    Thing = msgspec.defstruct("Thing", [("a", int), ("colour", Colour)])  # noqa: N806
    Other = pydantic.create_model(  # noqa: N806
        "Thing", b=(int, ...), colour=(Colour, ...), inner=("Thing | None", None)
    )

    def by_msgspec(thing): ...

    def by_pydantic(thing): ...

    by_msgspec.__annotations__ = {"thing": Thing, "return": Thing}
    by_pydantic.__annotations__ = {"thing": Other, "return": Other}
    router = Router()
    router.post("/a", typed(by_msgspec))
    router.post("/b", typed(by_pydantic))
    found = document(router)
    schemas = found["components"]["schemas"]

    def fields(path: str) -> set[str]:
        body = found["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        return set(schemas[body["schema"]["$ref"].rpartition("/")[2]]["properties"])

    assert fields("/a") == {"a", "colour"}
    assert fields("/b") == {"b", "colour", "inner"}


def test_models_within_themselves():
    class Node(msgspec.Struct):
        children: list["Node"] = []

    Node.__annotations__["children"] = list[Node]
    Tree = pydantic.create_model("Tree", branches=("list[Tree]", ...))  # noqa: N806

    def handler(tree): ...

    _, found = of(handler, tree=Tree)
    assert "Tree" in found["components"]["schemas"]


def test_an_empty_router_of_typed_handlers():
    router = Router()
    router.get("/", lambda conn: conn)
    assert document(router)["paths"] == {}
