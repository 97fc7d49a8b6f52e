"""Bodies: JSON and forms."""

import json
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.api import Body, Form, Problem, typed
from plugpy.conn import Conn
from plugpy.plugs import Parsers
from plugpy.router import Router
from plugpy.testing import call, conn
from plugpy.upload import Upload

from .models import MSGSPEC, PYDANTIC, Library, StructNewBook

libraries = pytest.mark.parametrize("library", [MSGSPEC, PYDANTIC], ids=["msgspec", "pydantic"])
JSON = {"content-type": "application/json"}
URLENCODED = {"content-type": "application/x-www-form-urlencoded"}


def creating(library: Library) -> Any:
    def create(book):
        return [book.title, book.pages, book.author and book.author.name, book.tags]

    create.__annotations__ = {"book": library.new, "return": list[Any]}
    return typed(create)


@libraries
async def test_a_model_comes_from_the_body(ask, library: Library):
    body = {"title": "Dune", "pages": 412, "author": {"name": "Frank"}, "tags": ["a"], "more": 1}
    response = await ask(creating(library), "POST", "/", body)
    assert json.loads(response.body) == ["Dune", 412, "Frank", ["a"]]


@libraries
@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ["#/title"]),
        ({"title": "", "pages": "3"}, ["#/title", "#/pages"]),
        ({"title": "t", "author": {}}, ["#/author/name"]),
        ({"title": "t", "tags": ["a", 1]}, ["#/tags/1"]),
        ([], ["#"]),
    ],
)
async def test_all_that_is_wrong_has_its_pointer(ask, faults, library: Library, body, where):
    found = faults(await ask(creating(library), "POST", "/", body))
    if library is PYDANTIC and body == {"title": "", "pages": "3"}:
        where = ["#/title"]  # pydantic takes "3" for a number
    assert [(one[0], one[1]) for one in found] == [("body", pointer) for pointer in where]


@libraries
@pytest.mark.parametrize(
    "body",
    [b"{", b"{}x", b"\xff", b'{"title": "\xff"}', b"[" * 100_000, b"'", b"{}x{", b"\x00"],
)
async def test_what_is_no_json_is_a_400(ask, library: Library, body):
    response = await ask(creating(library), "POST", "/", body, JSON)
    assert response.status == 400
    said = json.loads(response.body)
    assert said["detail"].startswith("The body is not JSON: ")


@libraries
async def test_without_a_body(ask, faults, library: Library):
    assert faults(await ask(creating(library), "POST")) == [("body", "#", "is required")]
    response = await ask(creating(library), "POST", "/", b"", JSON)
    assert faults(response) == [("body", "#", "is required")]

    def optional(book=None):
        return book is None

    optional.__annotations__ = {"book": library.new | None, "return": bool}
    assert (await ask(typed(optional), "POST")).body == b"true"
    assert (await ask(typed(optional), "POST", "/", {"title": "t"})).body == b"false"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "nonsense"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_other_bodies_are_a_415(ask, headers):
    # A form of another site may send text/plain without asking: such a body is never JSON here.
    response = await ask(creating(MSGSPEC), "POST", "/", b'{"title": "t"}', headers)
    assert response.status == 415
    assert dict(response.headers)["content-type"] == "application/problem+json"


async def test_types_that_are_json(ask):
    for kind in (
        "application/json; charset=utf-8",
        "application/vnd.book+json",
        "Application/JSON",
    ):
        headers = {"content-type": kind}
        assert (await ask(creating(MSGSPEC), "POST", "/", b'{"title": "t"}', headers)).status == 200
    twice = [("content-type", "application/json")] * 2
    assert (await ask(creating(MSGSPEC), "POST", "/", b"{}", twice)).status == 400


@libraries
async def test_behind_parsers_the_body_is_what_they_have_read(ask, faults, library: Library):
    before = [Parsers(parsers=["json", "urlencoded"])]
    response = await ask(creating(library), "POST", "/", {"title": "t", "pages": 3}, before=before)
    assert json.loads(response.body)[:2] == ["t", 3]
    response = await ask(creating(library), "POST", "/", {"pages": 0}, before=before)
    assert [one[1] for one in faults(response)] == ["#/title", "#/pages"]
    response = await ask(creating(library), "POST", "/", b"title=t", URLENCODED, before=before)
    assert response.status == 415

    @typed
    def numbers(numbers: Annotated[list[int], Body]) -> int:
        return sum(numbers)

    assert (await ask(numbers, "POST", "/", [1, 2, 3], before=before)).body == b"6"


async def test_lists_and_dicts_of_models_are_bodies(ask):
    @typed
    def titles(books: list[StructNewBook]) -> list[str]:
        return [book.title for book in books]

    @typed
    def by_name(books: dict[str, StructNewBook]) -> list[str]:
        return [book.title for book in books.values()]

    assert (await ask(titles, "POST", "/", [{"title": "t"}])).body == b'["t"]'
    assert (await ask(by_name, "POST", "/", {"a": {"title": "t"}})).body == b'["t"]'


async def test_the_body_stays_there_for_others(ask):
    @typed
    async def handler(conn: Conn, book: StructNewBook) -> str:
        assert not conn.body_params_fetched
        return (await conn.body()).decode()

    assert (await ask(handler, "POST", "/", b'{"title":"t"}', JSON)).body == b'{"title":"t"}'


@libraries
async def test_forms(ask, faults, library: Library):
    def create(conn, book):
        assert not conn.body_params_fetched
        return [book.title, book.pages, book.tags]

    create.__annotations__ = {
        "conn": Conn,
        "book": Annotated[library.new, Form],
        "return": list[Any],
    }
    handler = typed(create)
    response = await ask(handler, "POST", "/", b"title=t+1&pages=3&tags[]=a&tags[]=b", URLENCODED)
    assert json.loads(response.body) == ["t 1", 3, ["a", "b"]]
    found = faults(await ask(handler, "POST", "/", b"title=&pages=x", URLENCODED))
    assert [one[:2] for one in found] == [("form", "title"), ("form", "pages")]
    assert (await ask(handler, "POST", "/", {"title": "t"})).status == 415


async def test_files(ask, faults):
    @typed
    async def upload(title: Annotated[str, Form], file: Annotated[Upload, Form("cover")]) -> str:
        return f"{title} {file.filename} {(await file.read()).decode()}"

    def multipart(*parts: str) -> dict[str, Any]:
        body = "".join(f"--x\r\ncontent-disposition: form-data; {part}\r\n" for part in parts)
        return {
            "body": (body + "--x--\r\n").encode(),
            "headers": {"content-type": "multipart/form-data; boundary=x"},
        }

    title = 'name="title"\r\n\r\nDune'
    file = 'name="cover"; filename="a.png"\r\ncontent-type: image/png\r\n\r\nbytes'
    response = await ask(upload, "POST", "/", **multipart(title, file))
    assert response.body == b"Dune a.png bytes"
    response = await ask(upload, "POST", "/", **multipart(title, 'name="cover"\r\n\r\ntext'))
    assert faults(response) == [("form", "cover", "expected a file")]
    response = await ask(upload, "POST", "/", **multipart(file))
    assert faults(response) == [("form", "title", "is required")]
    assert len(faults(await ask(upload, "POST"))) == 2


@given(
    st.binary(max_size=60)
    | st.builds(
        lambda value: json.dumps(value).encode(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["title", "pages", "author", "tags", "name"]), inner
                )
            ),
            max_leaves=6,
        ),
    )
)
@pytest.mark.parametrize("library", [MSGSPEC, PYDANTIC], ids=["msgspec", "pydantic"])
def test_whatever_comes_is_taken_or_refused(library, body):
    router = Router()
    router.post("/", creating(library))
    sent = conn("POST", "/", body, JSON)
    try:
        call(router, sent)
    except Problem as problem:
        refused = json.loads(problem.resp_body)
    else:
        refused = None
    if refused is not None:
        assert refused["status"] in (400, 422)
    else:
        assert sent.status == 200
        title = json.loads(sent.resp_body)[0]
        assert 1 <= len(title) <= 20
