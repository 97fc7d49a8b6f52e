"""Parameters from path, query, headers and cookies."""

import datetime
import decimal
import enum
import functools
import json
import sys
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.api import Cookie, Header, Path, Query, TypedHandler, ValidationError, typed
from plugpy.conn import Conn
from plugpy.pipeline import blocking
from plugpy.router import Router, get
from plugpy.testing import call, conn

from .models import MSGSPEC, PYDANTIC, Library, StructNewBook

libraries = pytest.mark.parametrize("library", [MSGSPEC, PYDANTIC], ids=["msgspec", "pydantic"])


T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "5", 5),
        (int, "-5", -5),
        (float, "1.5", 1.5),
        (bool, "true", True),
        (bool, "0", False),
        (str, "5", "5"),
        (str, "a%20b+c", "a b c"),
        (str, "", ""),
        (int | None, "5", 5),
        (Colour, "red", Colour.RED),
        (Literal["a", "b"], "b", "b"),
        (
            uuid.UUID,
            "123e4567-e89b-12d3-a456-426614174000",
            uuid.UUID("123e4567-e89b-12d3-a456-426614174000"),
        ),
        (datetime.date, "2030-01-31", datetime.date(2030, 1, 31)),
        (decimal.Decimal, "1.10", decimal.Decimal("1.10")),
        (list[int], "5", [5]),
        (set[str], "5", {"5"}),
    ],
)
async def test_texts_become_what_the_annotation_says(ask, annotation, text, value):
    seen: list[Any] = []

    def handler(x):
        seen.append(x)
        return "done"

    handler.__annotations__ = {"x": annotation, "return": str}
    response = await ask(typed(handler), "GET", f"/?x={text}")
    assert (response.status, seen) == (200, [value])


@pytest.mark.parametrize(
    ("annotation", "text", "detail"),
    [
        (int, "x", "expected int"),
        (int, "", "expected int"),
        (int, "+5", "expected int"),
        (int, "1_000", "expected int"),
        (int, "%D9%A3", "expected int"),
        (int, "9" * 5000, "integer value out of range"),
        (float, "nan", "expected a finite number"),
        (float, "inf", "expected a finite number"),
        (bool, "yes", "expected bool"),
        (Colour, "green", "is none of the values that there are"),
        (datetime.date, "2030-31-01", "invalid RFC3339 encoded date"),
        (uuid.UUID, "5", "invalid UUID"),
    ],
)
async def test_texts_that_do_not_fit(ask, faults, annotation, text, detail):
    def handler(x):
        raise AssertionError("it is not called")

    handler.__annotations__ = {"x": annotation, "return": str}
    response = await ask(typed(handler), "GET", f"/?x={text}")
    assert faults(response) == [("query", "x", detail)]


class Page(msgspec.Struct, Generic[T]):
    items: list[T]


class ModelPage(pydantic.BaseModel, Generic[T]):
    items: list[T]


Number = NewType("Number", int)


@pytest.mark.parametrize(
    ("annotation", "place"),
    [
        (StructNewBook, "body"),
        (StructNewBook | None, "body"),
        (list[StructNewBook], "body"),
        (Page[int], "body"),
        (Page[StructNewBook], "body"),
        (ModelPage[int], "body"),
        (dict[str, int], "body"),
        (Mapping[str, int], "body"),
        (list[Number], "query"),
        (Number, "query"),
        (int | str, "query"),
        (tuple[int, str], "query"),
        (Any, "query"),
        (object, "query"),
    ],
)
def test_where_a_type_comes_from(annotation, place):
    def handler(x): ...

    handler.__annotations__ = {"x": annotation}
    (parameter,) = TypedHandler(typed(handler), ()).signature.parameters
    assert parameter.place.where == place


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type` came with 3.12")
async def test_type_aliases(ask, faults):
    namespace: dict[str, Any] = {"StructNewBook": StructNewBook}
    exec("type Book = StructNewBook\ntype Ids = list[int]", namespace)

    def handler(book, ids):
        return [book.title, *ids]

    handler.__annotations__ = {
        "book": namespace["Book"],
        "ids": namespace["Ids"],
        "return": list[Any],
    }
    response = await ask(typed(handler), "POST", "/?ids=1&ids=2", {"title": "t"})
    assert json.loads(response.body) == ["t", 1, 2]


async def test_generic_models(ask, faults):
    def by_msgspec(page):
        return page

    by_msgspec.__annotations__ = {"page": Page[StructNewBook], "return": Page[StructNewBook]}
    response = await ask(by_msgspec, "POST", "/", {"items": [{"title": "t"}]})
    assert json.loads(response.body)["items"][0]["title"] == "t"
    found = faults(await ask(by_msgspec, "POST", "/", {"items": [{"title": ""}]}))
    assert found[0][:2] == ("body", "#/items/0/title")
    assert faults(await ask(by_msgspec, "POST", "/", {}))[0][1:] == ("#/items", "is required")


async def test_unknown_fields_are_named(ask, faults):
    class Strict(msgspec.Struct, forbid_unknown_fields=True):
        a: int = 1

    def handler(strict):
        return strict.a

    handler.__annotations__ = {"strict": Annotated[Strict, Query], "return": int}
    assert faults(await ask(handler, "GET", "/?b=1")) == [("query", "b", "is unknown")]


async def test_handlers_that_are_no_plain_functions(ask):
    @typed
    def add(a: int, x: int) -> int:
        return a + x

    class Instance:
        @typed
        def __call__(self, x: int) -> int:
            return x

    def decorated(function):
        @functools.wraps(function)
        def around(*arguments, **more):
            return function(*arguments, **more)

        return around

    for handler, body in (
        (functools.partial(add, a=1), b"6"),
        (typed(functools.partial(add, 1)), b"6"),
        (Instance(), b"5"),
        (decorated(typed(lambda x=1: x)), b"5"),
        (blocking(typed(lambda x=1: x)), b"5"),
        (typed(blocking(lambda x=1: x)), b"5"),
    ):
        response = await ask(handler, "GET", "/?x=5")
        assert (response.status, response.body) == (200, body)


async def test_lists_take_both_ways_of_writing_them(ask):
    @typed
    def handler(tag: list[str]) -> list[str]:
        return tag

    for query in ("tag=a&x=1&tag=b", "tag[]=a&tag[]=b", "%74ag=a&t%61g=b"):
        response = await ask(handler, "GET", f"/?{query}")
        assert json.loads(response.body) == ["a", "b"], query


async def test_of_several_the_last_one_counts_as_in_conn_params(ask, faults):
    @typed
    def handler(conn: Conn, x: int) -> int:
        assert conn.query_params["x"] == str(x)
        return x

    assert (await ask(handler, "GET", "/?x=1&x=2")).body == b"2"
    assert faults(await ask(handler, "GET", "/?x=1&x=b")) == [("query", "x", "expected int")]
    assert faults(await ask(handler, "GET", "/?x[]=1"))[0][:2] == ("query", "x")
    assert faults(await ask(handler, "GET", "/?x[a]=1"))[0][:2] == ("query", "x")


async def test_defaults_and_what_is_missing(ask, faults):
    @typed
    def handler(
        a: int,
        b: int = 7,
        c: str | None = None,
        d: list[str] = (),  # type: ignore[assignment]
        *,
        e: Annotated[str, Header],
        f: Annotated[str, Header] = "f",
    ) -> list[Any]:
        return [a, b, c, list(d), e, f]

    response = await ask(handler, "GET", "/?a=1", headers={"e": "e"})
    assert json.loads(response.body) == [1, 7, None, [], "e", "f"]
    assert faults(await ask(handler)) == [
        ("query", "a", "is required"),
        ("header", "e", "is required"),
    ]


async def test_headers_and_cookies(ask):
    @typed
    def handler(
        x_request: Annotated[str, Header],
        agent: Annotated[str, Header("User-Agent")],
        accept: Annotated[list[str], Header],
        theme: Annotated[str, Cookie],
        count: Annotated[int, Cookie("n")] = 0,
    ) -> list[Any]:
        return [x_request, agent, accept, theme, count]

    headers = [
        ("x-request", "first"),
        ("x-request", "second"),
        ("user-agent", "me"),
        ("accept", "a"),
        ("accept", "b"),
        ("cookie", "theme=dark; n=3"),
    ]
    response = await ask(handler, headers=headers)
    assert json.loads(response.body) == ["first", "me", ["a", "b"], "dark", 3]


@libraries
async def test_a_model_takes_a_parameter_for_each_field(ask, faults, library: Library):
    def handler(filter):
        return [filter.q, filter.page, filter.tag]

    handler.__annotations__ = {"filter": Annotated[library.filter, Query], "return": list[Any]}
    typed(handler)
    response = await ask(handler, "GET", "/?q=x&page=2&tag=a&tag=b&other=1")
    assert json.loads(response.body) == ["x", 2, ["a", "b"]]
    response = await ask(handler, "GET", "/?q=x&tag=a")
    assert json.loads(response.body) == ["x", 1, ["a"]]
    found = faults(await ask(handler, "GET", "/?page=0"))
    assert [fault[:2] for fault in found] == [("query", "q"), ("query", "page")]
    assert found[0][2] == "is required"


@libraries
async def test_constraints_on_path_variables(ask, faults, library: Library):
    def handler(id):
        return id

    handler.__annotations__ = {"id": library.at_least_one, "return": int}
    typed(handler)
    assert (await ask(handler, "GET", "/5", route="/:id")).body == b"5"
    assert faults(await ask(handler, "GET", "/0", route="/:id"))[0][:2] == ("path", "id")
    # A text that is no int is no match, as for every handler.
    assert (await ask(handler, "GET", "/x", route="/:id")).status == 404


async def test_path_variables_of_types_without_a_converter(ask, faults):
    @typed
    def by_day(day: datetime.date) -> str:
        return day.isoformat()

    assert (await ask(by_day, "GET", "/2030-01-31", route="/:day")).body == b"2030-01-31"
    response = await ask(by_day, "GET", "/2030-31-01", route="/:day")
    assert faults(response) == [("path", "day", "invalid RFC3339 encoded date")]

    @typed
    def parts(rest: list[int]) -> int:
        return sum(rest)

    assert (await ask(parts, "GET", "/1/2/3", route="/*rest")).body == b"6"
    assert faults(await ask(parts, "GET", "/1/x", route="/*rest"))[0][:2] == ("path", "rest")

    @typed
    def whole(name: Annotated[str, Path("rest")]) -> str:
        return name

    assert (await ask(whole, "GET", "/a/b", route="/*rest")).body == b"a/b"


async def test_everything_that_is_wrong_is_told_at_once(ask, faults):
    @typed
    def handler(id: datetime.date, a: int, b: Annotated[int, Header], book: StructNewBook) -> None:
        raise AssertionError("it is not called")

    response = await ask(
        handler, "POST", "/x?a=x", {"title": "", "pages": 0}, {"b": "y"}, route="/:id"
    )
    assert [fault[:2] for fault in faults(response)] == [
        ("path", "id"),
        ("query", "a"),
        ("header", "b"),
        ("body", "#/title"),
        ("body", "#/pages"),
    ]


async def test_an_answer_tells_of_32_faults_at_most(ask, faults):
    @typed
    def handler(numbers: list[int], *, x: Annotated[dict[str, int], Query]) -> None: ...

    names = {f"p{index}": (int, ...) for index in range(50)}
    wide = pydantic.create_model("Wide", **names)  # type: ignore[call-overload]

    def many(wide):
        raise AssertionError("it is not called")

    many.__annotations__ = {"wide": Annotated[wide, Query]}
    response = await ask(typed(many))
    assert len(faults(response)) == 32
    assert b"50 values are" in response.body


@given(st.text(st.characters(codec="latin-1", exclude_characters="#"), max_size=30))
def test_reading_changes_nothing_of_the_conn(query):
    @typed
    def handler(conn: Conn, a: list[str] = (), b: Annotated[int | None, Header] = None) -> str:  # type: ignore[assignment]
        return "done"

    router = Router()
    router.get("/:id", handler)
    sent = conn("GET", "/5", headers={"b": "1", "cookie": "c=2"})
    other = conn("GET", "/5", headers={"b": "1", "cookie": "c=2"})
    sent.query_string = other.query_string = query
    try:
        expected = other.query_params
    except Exception as error:
        with pytest.raises(type(error)):
            call(router, sent)
        return
    call(router, sent)
    assert sent.query_params == expected
    assert sent.path_params == {"id": "5"}
    assert sent.params == {**expected, "id": "5"}
    assert not sent.body_params_fetched
    assert sent.req_headers == other.req_headers


def test_it_stays_a_plain_function():
    @typed(status=201)
    def handler(a: int, b: Annotated[str, Header] = "b") -> str:
        return f"{a}{b}"

    assert handler(1) == "1b"


async def test_a_marker_or_a_model_makes_a_handler_typed_without_the_decorator(ask, faults):
    def marked(conn: Conn, page: Annotated[int, Query] = 1) -> str:
        return str(page)

    def modelled(book: StructNewBook) -> str:
        return book.title

    assert (await ask(marked, "GET", "/?page=3")).body == b"3"
    assert faults(await ask(marked, "GET", "/?page=x"))[0][:2] == ("query", "page")
    assert (await ask(modelled, "POST", "/", {"title": "t"})).body == b"t"


async def test_handlers_without_one_are_what_they_were(ask):
    def handler(conn: Conn, page: int = 1) -> Conn:
        return conn.text(f"{page!r}")

    assert (await ask(handler, "GET", "/?page=3")).body == b"1"


async def test_methods_and_the_conn(ask):
    class App(Router):
        prefix = "p"

        @get("/a")
        @typed
        async def a(self, x: int) -> str:
            return f"{self.prefix}{x}"

        @get("/b")
        @typed
        def b(self, request, x: int = 1) -> Conn:
            assert isinstance(request, Conn)
            return request.text(f"{x}")

        @typed
        @get("/c")
        def c(self, x: int, it: Conn) -> Conn:
            return it.text(f"{x}")

    app = App()
    assert (await ask(app, "GET", "/a?x=1")).body == b"p1"
    assert (await ask(app, "GET", "/b")).body == b"1"
    assert (await ask(app, "GET", "/c?x=2")).body == b"2"


def test_annotations_that_are_text():
    namespace: dict[str, Any] = {}
    exec(
        "from __future__ import annotations\n"
        "from typing import Annotated\n"
        "from plugpy.api import Query, typed\n"
        "from plugpy.conn import Conn\n"
        "def marked(c: Conn, page: Annotated[int, Query]) -> str:\n"
        "    return str(page)\n"
        "@typed\n"
        "def broken(page: Nowhere) -> str: ...\n",
        namespace,
    )
    router = Router()
    router.get("/", namespace["marked"])
    assert call(router, conn("GET", "/?page=3")).resp_body == "3"
    broken = Router()
    broken.get("/", namespace["broken"])
    with pytest.raises(TypeError, match=r"Nowhere.*import the names at run time"):
        broken.compile()


class Unknown:
    pass


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ({"x": Unknown}, "x.*can't read values of Unknown"),
        ({"x": Annotated[int, Query, Header]}, "it comes from one place"),
        ({"x": Annotated[int, Path]}, "the path has no variable 'x'; there is id"),
        ({"x": StructNewBook, "id": StructNewBook | None}, None),
        ({"x": StructNewBook | PYDANTIC.new}, "mixes models of msgspec and of pydantic"),
        ({"x": int, "return": Unknown}, "return annotation.*Unknown"),
    ],
)
def test_what_can_not_be_had_is_told_at_start(annotations, message):
    def handler(id, x): ...

    handler.__annotations__ = {"id": int, **annotations}
    router = Router()
    router.get("/:id", typed(handler))
    if message is None:
        router.compile()
        return
    with pytest.raises(TypeError, match=message) as raised:
        router.compile()
    assert "handler" in str(raised.value)


def test_two_bodies_are_told_at_start():
    @typed
    def handler(a: StructNewBook, b: StructNewBook): ...

    router = Router()
    router.post("/", handler)
    with pytest.raises(TypeError, match="more than one parameter for the one body: a, b"):
        router.compile()


@pytest.mark.parametrize("source", ["def f(*args): ...", "def f(**more): ...", "def f(x, /): ..."])
def test_parameters_without_a_name(source):
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    router = Router()
    router.get("/", typed(namespace["f"]))
    with pytest.raises(TypeError, match=r"name what you need|positional-only"):
        router.compile()


def test_options_that_there_are_not():
    with pytest.raises(TypeError, match="no option 'stats'"):
        typed(stats=1)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="200 to 599"):
        typed(status=20)
    with pytest.raises(TypeError, match="list of names"):
        typed(tags="books")
    with pytest.raises(TypeError, match="decorates a function"):
        typed(3)  # type: ignore[type-var]


def test_the_error_says_what_was_wrong_without_the_values():
    @typed
    def login(password: int) -> None: ...

    router = Router()
    router.get("/", login)
    with pytest.raises(ValidationError) as raised:
        call(router, conn("GET", "/?password=hunter2"))
    assert str(raised.value) == "1 value is not as asked for: query password"
    assert b"hunter2" not in raised.value.resp_body
