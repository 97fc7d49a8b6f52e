"""What users write beyond the plain case, and what must not leave: values and further fields."""

import dataclasses
import enum
import functools
import json
import sys
import typing
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypeVar

import msgspec
import pydantic
import pytest

from plugpy import Router, blocking
from plugpy.api import Cookie, Form, Header, OpenAPI, Problem, Query, openapi, typed
from plugpy.api.models import model_of
from plugpy.plugs import Parsers
from plugpy.upload import Upload

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
PARSERS = [Parsers(parsers=["json", "urlencoded", "multipart"])]

Item = TypeVar("Item")
UserId = NewType("UserId", int)


class Page(msgspec.Struct, Generic[Item]):
    items: list[Item]
    total: int = 0


class Cat(msgspec.Struct, tag="cat"):
    lives: int = 9


class Dog(msgspec.Struct, tag="dog"):
    name: str


class Public(msgspec.Struct):
    name: str


class Private(Public, kw_only=True):
    password: str = "hunter2"


class Team(msgspec.Struct):
    lead: Public
    others: list[Public] = []


@dataclasses.dataclass
class Name:
    name: str


@dataclasses.dataclass
class FullName(Name):
    password: str = "hunter2"


@dataclasses.dataclass
class Named:
    by: Name


class Filter(msgspec.Struct, forbid_unknown_fields=True):
    q: str = ""
    tag: list[str] = []


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.Enum):
    RED = "red"


# Nothing but what was declared --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "value", "body"),
    [
        (
            Team,
            Team(Private("a"), [Private("b")]),
            {"lead": {"name": "a"}, "others": [{"name": "b"}]},
        ),
        (list[Team], [Team(Private("a"))], [{"lead": {"name": "a"}, "others": []}]),
        (Named, Named(FullName("a")), {"by": {"name": "a"}}),
        (Team | None, Team(Private("a")), {"lead": {"name": "a"}, "others": []}),
        (dict[str, Team], {"x": Team(Private("a"))}, {"x": {"lead": {"name": "a"}, "others": []}}),
    ],
)
async def test_fields_of_subclasses_below_a_model_stay(ask, annotation, value, body):
    def handler():
        return value

    handler.__annotations__ = {"return": annotation}
    response = await ask(typed(handler))
    assert json.loads(response.body) == body


class Person(pydantic.BaseModel):
    name: str
    boss: "Person | None" = None


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Public, Public(name=["hunter2"])),  # type: ignore[arg-type]
        (Person, Person.model_construct(name=["hunter2"])),
        (Person, Person.model_construct(name="a", boss="hunter2")),
    ],
)
async def test_models_that_nobody_has_checked_are_a_500(ask, caplog, recwarn, annotation, value):
    def handler():
        return value

    handler.__annotations__ = {"return": annotation}
    response = await ask(typed(handler))
    assert response.status == 500
    assert "has returned what is no" in caplog.text
    assert "hunter2" not in caplog.text
    assert not recwarn.list


async def test_objects_have_names_of_fields_and_models_aliases(ask):
    class Out(pydantic.BaseModel):
        first_name: str = pydantic.Field(alias="firstName")

    class Row:
        first_name = "Ann"

    @typed
    def handler() -> Out:
        return Row()  # type: ignore[return-value]

    assert json.loads((await ask(handler)).body) == {"firstName": "Ann"}


class PydanticCat(pydantic.BaseModel):
    kind: Literal["cat"]


class PydanticDog(pydantic.BaseModel):
    kind: Literal["dog"]


@pytest.mark.parametrize(
    "annotation",
    [
        Colour,
        Literal["a", "b"],
        Annotated[Literal["a"], pydantic.Field(description="x")],
        datetime,
        Annotated[str, msgspec.Meta(pattern="^a$")],
    ],
)
async def test_no_value_is_repeated(ask, faults, caplog, annotation):
    def handler(x):
        raise AssertionError("it is not called")

    handler.__annotations__ = {"x": annotation, "return": str}
    response = await ask(typed(handler), "GET", "/?x=hunter2")
    assert faults(response)[0][:2] == ("query", "x")
    assert "hunter2" not in response.body.decode() + caplog.text


@pytest.mark.parametrize(
    ("annotation", "body"),
    [
        (Cat | Dog, {"type": "hunter2"}),
        (
            Annotated[PydanticCat | PydanticDog, pydantic.Field(discriminator="kind")],
            {"kind": "hunter2"},
        ),
    ],
)
async def test_no_tag_is_repeated(ask, faults, annotation, body):
    def handler(x):
        raise AssertionError("it is not called")

    handler.__annotations__ = {"x": annotation, "return": str}
    response = await ask(typed(handler), "POST", "/", body)
    assert faults(response)[0][0] == "body"
    assert "hunter2" not in response.body.decode()


async def test_a_flood_of_wrong_values_is_counted(ask, faults):
    class Numbers(pydantic.BaseModel):
        x: list[int]

    @typed
    def handler(numbers: Numbers) -> str:
        raise AssertionError("it is not called")

    response = await ask(handler, "POST", "/", {"x": [""] * 1001})
    assert faults(response) == [("body", "#", "1001 values in it are not as asked for")]


def test_a_problem_that_is_no_json_is_told_where_it_is_raised():
    with pytest.raises(TypeError):
        Problem(409, members={"x": object()})


# Types of users -----------------------------------------------------------------------------------


async def test_defaults_are_made_anew(ask):
    @typed
    def handler(tags: list[str] = [], page: Page[str] = Page([])) -> list[str]:  # noqa: B006, B008
        tags.append("x")
        page.items.append("y")
        return [*tags, *page.items]

    router = Router()
    router.post("/", handler)
    for _ in range(2):
        assert json.loads((await ask(router, "POST")).body) == ["x", "y"]


async def test_a_default_that_is_a_mark_of_its_own_stays_it(ask):
    nothing: Any = object()

    @typed
    def handler(x: int = nothing) -> str:
        return str(x is nothing)

    assert (await ask(handler)).body == b"True"


@pytest.mark.parametrize(
    ("annotation", "body"),
    [
        (Page[Cat], {"items": [{"type": "cat", "lives": 3}], "total": 1}),
        (list[Cat | Dog], [{"type": "cat", "lives": 1}, {"type": "dog", "name": "Rex"}]),
        (Mapping[str, int], {"a": 1}),
        (typing.Mapping[str, int], {"a": 1}),
        (Point, [1, 2]),
        (dict[int, str], {"1": "a"}),
    ],
)
@pytest.mark.parametrize("before", [(), PARSERS])
async def test_bodies_without_a_marker(ask, annotation, body, before):
    def handler(x):
        return x

    handler.__annotations__ = {"x": annotation, "return": annotation}
    response = await ask(typed(handler), "POST", "/", body, before=before)
    assert json.loads(response.body) == body


async def test_keys_that_are_numbers(ask, faults):
    class Named(msgspec.Struct):
        names: dict[int, str]
        count: int

    @typed
    def handler(x: Named) -> str:
        raise AssertionError("it is not called")

    response = await ask(handler, "POST", "/", {"names": {"1": "a"}, "count": ""})
    assert faults(response) == [("body", "#/count", "expected int, got str")]
    response = await ask(handler, "POST", "/", {"names": {"a": "a"}, "count": 1})
    assert faults(response) == [("body", "#/names", "expected int, got str")]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="names for types are of 3.12")
async def test_names_for_types(ask):
    names: dict[str, Any] = {"Annotated": Annotated, "Cookie": Cookie, "Cat": Cat}
    exec("type Sid = Annotated[str, Cookie]\ntype Cats[T] = list[T]\ntype Some = Cats[Cat]", names)

    def handler(sid, cats):
        return f"{sid} {cats[0].lives}"

    handler.__annotations__ = {"sid": names["Sid"], "cats": names["Some"], "return": str}
    response = await ask(
        typed(handler), "POST", "/", [{"type": "cat", "lives": 1}], {"cookie": "sid=a", **JSON}
    )
    assert response.body == b"a 1"


async def test_new_types(ask, faults):
    @typed
    def handler(id: UserId, others: list[UserId]) -> list[UserId]:
        return [id, *others]

    response = await ask(handler, "GET", "/5?others=1&others=2", route="/:id")
    assert response.body == b"[5,1,2]"
    response = await ask(handler, "GET", "/x?others=1", route="/:id")
    assert faults(response) == [("path", "id", "expected int")]


async def test_partials_instances_and_decorated_functions(ask):
    @typed(status=201)
    def twice(factor: int, x: int) -> int:
        return factor * x

    class Twice:
        @typed(status=201)
        def __call__(self, x: int) -> int:
            return 2 * x

    @functools.wraps(twice)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return twice(*args, **kwargs)

    in_a_thread = blocking(wrapped)
    for handler in (functools.partial(twice, 2), functools.partial(twice, factor=2), Twice()):
        response = await ask(handler, "GET", "/?x=4")
        assert (response.status, response.body) == (201, b"8")
    assert (await ask(wrapped, "GET", "/?factor=3&x=4")).body == b"12"
    assert (await ask(in_a_thread, "GET", "/?factor=3&x=4")).body == b"12"


async def test_strict_models_read_texts_and_what_parsers_have_read(ask):
    class Strict(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(strict=True)
        at: datetime
        n: int

    @typed
    def query(x: Annotated[Strict, Query]) -> int:
        return x.n

    @typed
    def body(x: Strict) -> int:
        return x.n

    assert (await ask(query, "GET", "/?at=2030-01-01T00:00:00Z&n=5")).body == b"5"
    sent = {"at": "2030-01-01T00:00:00Z", "n": 5}
    for before in ((), PARSERS):
        assert (await ask(body, "POST", "/", sent, before=before)).body == b"5"
        assert (await ask(body, "POST", "/", {**sent, "n": "5"}, before=before)).status == 422


async def test_no_number_is_nan(ask, faults):
    class Numbers(msgspec.Struct, rename="upper"):
        one: float = 0.0
        many: list[float] = []

    @typed
    def many(x: list[float]) -> str:
        raise AssertionError("it is not called")

    @typed
    def model(x: Annotated[Numbers, Query]) -> str:
        raise AssertionError("it is not called")

    said = "expected a finite number"
    assert faults(await ask(many, "GET", "/?x=1&x=nan")) == [("query", "x", said)]
    assert faults(await ask(model, "GET", "/?ONE=inf")) == [("query", "ONE", said)]
    assert faults(await ask(model, "GET", "/?MANY=-inf")) == [("query", "MANY", said)]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (Annotated[Point, Query], "a NamedTuple has no names in a request"),
        (Annotated[dict[str, int], Header], "can't be read from the text of a header"),
        (Annotated[Cat | Dog, Cookie], "can't be read from the text of a cookie"),
    ],
)
def test_what_no_request_could_hold_is_told_at_start(annotation, message):
    def handler(x):
        raise AssertionError("it is not called")

    handler.__annotations__ = {"x": annotation, "return": str}
    router = Router()
    router.get("/", typed(handler))
    with pytest.raises(TypeError, match=message):
        openapi(router)


# Models in queries and forms ----------------------------------------------------------------------


async def test_a_model_that_may_be_missing(ask, faults):
    @typed
    def handler(f: Annotated[Public | None, Query] = None) -> str:
        return "none" if f is None else f.name

    assert (await ask(handler, "GET", "/?name=x")).body == b"x"
    assert (await ask(handler, "GET", "/?other=x")).body == b"none"
    router = Router()
    router.get("/", handler)
    assert openapi(router)["paths"]["/"]["get"]["parameters"] == [
        {"name": "name", "in": "query", "schema": {"type": "string"}}
    ]


async def test_a_model_that_forbids_others_lets_its_siblings_be(ask, faults):
    @typed
    def handler(page: int, f: Annotated[Filter, Query]) -> str:
        return f"{page} {f.q}"

    assert (await ask(handler, "GET", "/?page=1&q=x")).body == b"1 x"
    assert (await ask(handler, "GET", "/?page=1&z=x")).status == 422


async def test_an_optional_body_behind_parsers(ask):
    @typed
    def handler(x: Public | None = None) -> str:
        return "none" if x is None else x.name

    for before in ((), PARSERS):
        assert (await ask(handler, "POST", "/", b"", JSON, before=before)).body == b"none"
        assert (await ask(handler, "POST", "/", b"null", JSON, before=before)).body == b"none"
        assert (await ask(handler, "POST", "/", b"{}", JSON, before=before)).status == 422


@pytest.mark.parametrize("before", [(), PARSERS])
async def test_lists_in_forms(ask, before):
    @typed
    def model(f: Annotated[Filter, Form]) -> list[str]:
        return f.tag

    @typed
    def field(tag: Annotated[list[str], Form]) -> list[str]:
        return tag

    part = '--x\r\ncontent-disposition: form-data; name="tag{}"\r\n\r\n{}\r\n'
    multipart = {"content-type": "multipart/form-data; boundary=x"}
    for handler in (model, field):
        for body, found in (("tag=a&tag=b+c", ["a", "b c"]), ("tag=a", ["a"])):
            response = await ask(handler, "POST", "/", body.encode(), FORM, before=before)
            assert json.loads(response.body) == found
        for parts, found in (
            ([("[]", "a"), ("[]", "b")], ["a", "b"]),
            ([("", "a")], ["a"]),
        ):
            body = "".join(part.format(*one) for one in parts) + "--x--\r\n"
            response = await ask(handler, "POST", "/", body.encode(), multipart, before=before)
            assert json.loads(response.body) == found


# The document -------------------------------------------------------------------------------------


def test_objects_in_queries_lists_in_multipart_and_names_taken_twice():
    router = Router()

    @router.get("/objects")
    @typed
    def objects(f: Annotated[dict[str, int], Query], g: Annotated[Cat | None, Query] = None) -> str:
        return ""

    @router.get("/twice")
    @typed
    def twice(
        name: str = "", *, f: Annotated[Public, Query], q: Annotated[str, Query("name")] = ""
    ) -> str:
        return ""

    @router.post("/files")
    @typed
    def files(f: Annotated[Filter, Form], file: Upload, n: Annotated[list[int], Form]) -> str:
        return ""

    paths = openapi(router)["paths"]
    found = {one["name"]: one for one in paths["/objects"]["get"]["parameters"]}
    assert (found["f"]["style"], found["f"]["explode"]) == ("deepObject", True)
    assert "style" not in found["lives"]
    found = {one["name"]: one for one in paths["/twice"]["get"]["parameters"]}
    assert len(paths["/twice"]["get"]["parameters"]) == len(found) == 1
    assert found["name"]["required"]
    schema = paths["/files"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert list(schema["properties"]) == ["q", "tag[]", "file", "n[]"]
    assert schema["required"] == ["file", "n[]"]


def test_kinds_of_models_whose_names_are_taken_keep_their_tags():
    one = msgspec.defstruct("Kind", [("a", int)], tag="a")
    other = msgspec.defstruct("Other", [("b", int)], tag="b")
    taken = pydantic.create_model("Kind", kind=(Literal["p"], ...))
    beside = pydantic.create_model("Beside", kind=(Literal["b"], ...))
    router = Router()

    def first(x):
        return ""

    def second(x):
        return ""

    first.__annotations__ = {"x": one | other, "return": str}
    second.__annotations__ = {
        "x": Annotated[taken | beside, pydantic.Field(discriminator="kind")],
        "return": str,
    }
    router.post("/first", typed(first))
    router.post("/second", typed(second))
    document = openapi(router)
    body = document["paths"]["/second"]["post"]["requestBody"]["content"]["application/json"]
    mapping = body["schema"]["discriminator"]["mapping"]
    assert mapping["p"] == "#/components/schemas/Kind2"
    assert sorted(mapping.values()) == sorted(one["$ref"] for one in body["schema"]["oneOf"])


def test_what_is_refused_before_its_values_are_looked_at_is_in_the_document():
    router = Router()

    @router.get("/:id")
    @typed
    def show(id: Annotated[int, msgspec.Meta(ge=1)], q: int = 0) -> str:
        return ""

    @router.get("/names/:name")
    @typed
    def named(name: str, q: int = 0) -> str:
        return ""

    paths = openapi(router)["paths"]
    assert "4XX" in paths["/{id}"]["get"]["responses"]
    assert "4XX" not in paths["/names/{name}"]["get"]["responses"]


class Options(typing.TypedDict):
    x: int
    y: typing.NotRequired[str]


async def test_wrong_values_of_what_need_not_be_there(ask, faults):
    @typed
    def handler(options: Options) -> Options:
        return options

    found = faults(await ask(handler, "POST", "/", {"x": "a", "y": 5}))
    assert found == [
        ("body", "#/x", "expected int, got str"),
        ("body", "#/y", "expected str, got int"),
    ]
    assert json.loads((await ask(handler, "POST", "/", {"x": 1})).body) == {"x": 1}


def test_a_new_type_keeps_its_constraints():
    positive = NewType("positive", Annotated[int, pydantic.Field(ge=1)])  # type: ignore[valid-newtype]
    assert model_of(positive).library == "pydantic"


async def test_a_tuple_that_may_be_missing_is_no_status(ask):
    @typed
    def handler() -> tuple[int, str] | None:
        return (201, "x")

    response = await ask(handler)
    assert (response.status, response.body) == (200, b'[201,"x"]')


async def test_quotes_stay_in_their_attributes_and_docs_may_be_deeper(ask):
    @typed
    def handler(x: Annotated[int, Query('"><script>')] = 1) -> str:
        return ""

    router = Router()
    router.get("/x", handler)
    router.forward("/about/docs", to=OpenAPI)
    outer = Router()
    outer.forward("/v1", to=router)
    page = (await ask(outer, "GET", "/v1/about/docs")).body.decode()
    assert 'data-name="&quot;&gt;&lt;script&gt;"' in page
    document = json.loads((await ask(outer, "GET", "/v1/about/docs/openapi.json")).body)
    assert document["servers"] == [{"url": "/v1"}]
