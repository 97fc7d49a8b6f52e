"""Answers: by the return annotation."""

import json
from http import HTTPStatus
from typing import Annotated, Any

import pydantic
import pytest

from plugpy.api import Problem, ResponseTypeError, typed
from plugpy.conn import Conn
from plugpy.router import Router, error
from plugpy.testing import acall, conn

from .models import MSGSPEC, PYDANTIC, Library

libraries = pytest.mark.parametrize("library", [MSGSPEC, PYDANTIC], ids=["msgspec", "pydantic"])


def answering(value: Any, annotation: Any, **options: Any) -> Any:
    def handler():
        return value

    handler.__annotations__ = {"return": annotation}
    return typed(**options)(handler)


@libraries
async def test_models_are_json(ask, library: Library):
    book = library.book(title="t", id=1)
    expected = {"title": "t", "pages": 1, "author": None, "tags": [], "id": 1}
    response = await ask(answering(book, library.book))
    assert (response.status, json.loads(response.body)) == (200, expected)
    assert dict(response.headers)["content-type"] == "application/json"
    response = await ask(answering([book, book], list[library.book]))
    assert json.loads(response.body) == [expected, expected]
    response = await ask(answering({"a": book}, dict[str, library.book]))
    assert json.loads(response.body) == {"a": expected}


@libraries
async def test_nothing_leaves_that_the_annotation_does_not_say(ask, library: Library):
    private = library.private(title="t", id=1, price_paid=5)
    for value, annotation in (
        (private, library.book),
        ([private], list[library.book]),
        ({"a": [private]}, dict[str, list[library.book]]),
    ):
        response = await ask(answering(value, annotation))
        assert response.status == 200
        assert b'"title":"t"' in response.body
        assert b"price" not in response.body


@libraries
async def test_an_object_with_the_attributes_will_do(ask, library: Library):
    class Row:
        title, pages, author, tags, id, secret = "t", 2, None, ["a"], 1, "s"

    response = await ask(answering(Row(), library.book))
    assert json.loads(response.body) == {
        "title": "t",
        "pages": 2,
        "author": None,
        "tags": ["a"],
        "id": 1,
    }


@libraries
@pytest.mark.parametrize("value", [{"title": "t"}, 5, None, "text", [], {"title": "", "id": "x"}])
async def test_what_does_not_fit_is_a_500_that_tells_nothing(ask, library: Library, value):
    handler = answering(value, library.book)
    response = await ask(handler)
    assert response.status == 500
    assert b"book" not in response.body.lower()
    router = Router()
    router.get("/", handler)
    with pytest.raises(ResponseTypeError, match=r"handler has returned what is no \w*Book"):
        await acall(router, conn("GET", "/"))


async def test_texts_bytes_and_nothing(ask):
    response = await ask(answering("text", str))
    assert (response.body, dict(response.headers)["content-type"]) == (
        b"text",
        "text/plain; charset=utf-8",
    )
    response = await ask(answering(b"bytes", bytes))
    assert dict(response.headers)["content-type"] == "application/octet-stream"
    response = await ask(answering(None, None))
    assert (response.status, response.body) == (204, b"")
    assert (await ask(answering(None, None, status=202))).status == 202
    for value, annotation in ((5, str), ("x", bytes), (5, None)):
        assert (await ask(answering(value, annotation))).status == 500


async def test_statuses(ask):
    assert (await ask(answering({}, dict[str, int], status=201))).status == 201
    assert (await ask(answering((202, {}), dict[str, int], status=201))).status == 202
    assert (await ask(answering((HTTPStatus.ACCEPTED, "x"), str))).status == 202
    response = await ask(answering((201, 5), tuple[int, int]))
    assert (response.status, response.body) == (200, b"[201,5]")

    @typed(status=201)
    def put_before(conn: Conn) -> dict[str, int]:
        conn.put_status(203).put_resp_content_type("application/vnd.x+json")
        return {}

    response = await ask(put_before)
    assert response.status == 203
    assert dict(response.headers)["content-type"].startswith("application/vnd.x+json")


@libraries
async def test_without_an_annotation_the_value_tells(ask, library: Library):
    book = library.book(title="t", id=1)

    def handler():
        return book

    for value in (book, [book], {"a": book}):
        response = await ask(answering(value, Any))
        assert response.status == 200
        assert b'"title":"t"' in response.body
    typed(handler)
    assert b'"title":"t"' in (await ask(handler)).body
    assert (await ask(answering("text", Any))).body == b"text"
    assert (await ask(answering(None, Any))).status == 500


async def test_a_handler_may_answer_by_the_conn(ask):
    @typed
    async def stream(conn: Conn) -> Conn:
        conn.send_chunked(200)
        await conn.chunk("a")
        return conn

    @typed
    async def either(conn: Conn, x: int) -> Conn | dict[str, int]:
        return conn.text("text") if x else {"x": x}

    assert (await ask(stream)).body == b"a"
    assert (await ask(either, "GET", "/?x=1")).body == b"text"
    assert (await ask(either, "GET", "/?x=0")).body == b'{"x":0}'


async def test_aliases_are_what_is_sent(ask):
    class Aliased(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(populate_by_name=True)
        full_name: Annotated[str, pydantic.Field(alias="fullName")]

    assert (await ask(answering(Aliased(full_name="x"), Aliased))).body == b'{"fullName":"x"}'


async def test_problems(ask):
    def handler(conn: Conn) -> Conn:
        raise Problem(409, "The title is taken.", type="/taken", members={"title_taken": "t"})

    response = await ask(handler)
    assert response.status == 409
    assert json.loads(response.body) == {
        "type": "/taken",
        "title": "Conflict",
        "status": 409,
        "detail": "The title is taken.",
        "title_taken": "t",
    }
    with pytest.raises(ValueError, match="400 to 599"):
        Problem(200)


async def test_error_handlers_come_first(ask):
    class App(Router):
        @error(422)
        def invalid(self, conn, error):
            return {"wrong": [fault.name for fault in error.faults]}

    app = App()
    app.get("/", answering_int)
    response = await ask(app, "GET", "/?x=a")
    assert (response.status, json.loads(response.body)) == (422, {"wrong": ["x"]})


@typed
def answering_int(x: int) -> int:
    return x
