"""Handlers: which arguments they get, and what their return values become."""

import uuid
from collections.abc import Sequence
from datetime import date
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Optional

import pytest

from plugpy.conn import AlreadySentError, Conn, PlugError
from plugpy.pipeline import blocking
from plugpy.router import Router, get, register_converter
from plugpy.router.converters import CONVERTERS

# arguments ----------------------------------------------------------------------------------------


def respond(path: str, handler: Any, **options: Any) -> Router:
    router = Router()
    router.get(path, **options)(handler)
    return router


def test_path_variables_go_by_name(call):
    def handler(conn: Conn, b: str, a: str) -> str:
        return f"{a}-{b}"

    conn = call(respond("/:a/:b", handler), "GET", "/1/2")
    assert conn.resp_body == "1-2"
    assert conn.path_params == {"a": "1", "b": "2"}


def test_variables_that_nobody_asks_for_are_in_path_params(call):
    conn = call(respond("/:a/:_b/*rest", lambda conn: conn), "GET", "/1/2/3/4")
    assert conn.path_params == {"a": "1", "rest": ["3", "4"]}


def test_a_variable_with_an_underscore_may_be_asked_for(call):
    conn = call(respond("/:_a/*_rest", lambda conn, _a, _rest: [_a, _rest]), "GET", "/1/2")
    assert conn.resp_body == b'["1",["2"]]'
    assert conn.path_params == {}


def test_the_conn_goes_to_the_parameter_that_takes_it(call):
    def last(a: str, *, conn: Conn) -> str:
        return f"{conn.method} {a}"

    def renamed(a: str, connection: Conn) -> str:
        return f"{connection.method} {a}"

    def without(a: str) -> str:
        return a

    def anything(*arguments: Any, **variables: Any) -> str:
        return f"{arguments[0].method} {variables}"

    def positional(conn: Conn, /, a: str) -> str:
        return f"{conn.method} {a}"

    for handler, expected in (
        (last, "GET x"),
        (renamed, "GET x"),
        (without, "x"),
        (anything, "GET {'a': 'x'}"),
        (positional, "GET x"),
        (partial(renamed, connection=None), None),
    ):
        if expected is not None:
            assert call(respond("/:a", handler), "GET", "/x").resp_body == expected


def test_parameters_with_defaults_are_left_alone(call):
    def handler(conn: Conn, page: int = 1, *, a: str = "none") -> str:
        return f"{a} {page}"

    assert call(respond("/", handler), "GET", "/").resp_body == "none 1"
    assert call(respond("/:a", handler), "GET", "/x").resp_body == "x 1"


def test_a_parameter_that_nothing_fits_is_refused_at_start():
    def handler(conn: Conn, ident: str) -> str:
        return ident

    with pytest.raises(TypeError) as caught:
        respond("/users/:idnt", handler).compile()
    assert "takes 'ident', which is no variable of '/users/:idnt'" in str(caught.value)
    assert "did you mean 'idnt'?" in str(caught.value)


SOME_UUID = "12345678-1234-5678-1234-567812345678"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, "42", 42),
        (int, "-42", -42),
        (int, "007", 7),
        (int, "9" * 18, 10**18 - 1),
        (float, "1.50", 1.5),
        (float, "-2", -2.0),
        (str, "42", "42"),
        (uuid.UUID, SOME_UUID, uuid.UUID(SOME_UUID)),
        (uuid.UUID, SOME_UUID.upper(), uuid.UUID(SOME_UUID)),
        (Any, "x", "x"),
        (object, "x", "x"),
        ("int", "42", 42),
        ("uuid.UUID", SOME_UUID, uuid.UUID(SOME_UUID)),
        (Annotated[int, "an id"], "42", 42),
        (Optional[int], "42", 42),  # noqa: UP045
        (int | None, "42", 42),
    ],
)
def test_annotations_convert(call, kind, text, value):
    found = []

    def handler(conn: Conn, a):
        found.append(a)
        return conn

    handler.__annotations__["a"] = kind
    conn = call(respond("/:a", handler), "GET", f"/{text}")
    assert found == [value]
    assert type(found[0]) is type(value)
    assert conn.path_params == {"a": text}, "path_params keep the text"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((int, text) for text in ("x", "1_000", "+1", "%201", "1%20", "1.0", "--1", "-", "²")),
        (int, "%D9%A3"),  # an Arabic digit, which int() takes
        (int, "9" * 19),
        (int, "9" * 5000),
        *((float, text) for text in ("nan", "inf", "1e5", ".5", "5.", "1_0", "9" * 41)),
        *((uuid.UUID, text) for text in ("{" + SOME_UUID + "}", SOME_UUID.replace("-", ""), "x")),
    ],
)
def test_what_does_not_convert_does_not_match(call, kind, text):
    def handler(conn: Conn, a):
        raise AssertionError

    handler.__annotations__["a"] = kind
    router = respond("/:a", handler)
    router.get("/:other")(lambda conn, other: other)
    assert call(router, "GET", f"/{text}").status == 200
    assert call(respond("/:a", handler), "GET", f"/{text}").status == 404


def test_a_route_that_does_not_convert_leaves_no_variables(call):
    def handler(conn: Conn, a: str, b: int) -> Conn:
        raise AssertionError

    router = respond("/:a/:b", handler)
    router.get("/*rest")(lambda conn: conn.path_params)
    assert call(router, "GET", "/x/y").resp_body == b'{"rest":["x","y"]}'


def test_a_glob_is_a_list_or_a_path(call):
    def as_list(conn: Conn, rest: list[str]) -> list[str]:
        return rest

    def as_sequence(conn: Conn, rest: Sequence[str]) -> list[str]:
        return list(rest)

    def as_path(conn: Conn, rest: str) -> str:
        return rest

    assert call(respond("/*rest", as_list), "GET", "/a/b").resp_body == b'["a","b"]'
    assert call(respond("/*rest", as_list), "GET", "/").resp_body == b"[]"
    assert call(respond("/*rest", as_sequence), "GET", "/a/b").resp_body == b'["a","b"]'
    assert call(respond("/*rest", as_path), "GET", "/a/b").resp_body == "a/b"

    def wrong(conn: Conn, rest: list[int]) -> None: ...

    with pytest.raises(TypeError, match=r"the glob 'rest' is a list\[str\]"):
        respond("/*rest", wrong).compile()


def test_a_type_can_be_registered(call):
    register_converter(date, date.fromisoformat, date.isoformat)
    try:

        def handler(conn: Conn, day: date) -> str:
            return f"{day:%d}"

        router = respond("/on/:day", handler)
        assert call(router, "GET", "/on/2026-11-23").resp_body == "23"
        assert call(router, "GET", "/on/2026-13-23").status == 404
        assert router.path_for("handler", day=date(2026, 1, 2)) == "/on/2026-01-02"
    finally:
        del CONVERTERS[date]


def test_a_type_without_converter_is_refused_at_start():
    def handler(conn: Conn, a: date) -> None: ...

    with pytest.raises(TypeError, match=r"no converter makes date .* there is str, int, float"):
        respond("/:a", handler).compile()


def test_an_annotation_that_is_not_there_at_run_time():
    """`from __future__ import annotations` and imports for type checkers: only path variables
    need theirs."""

    def fine(conn: "OnlyForCheckers", a: "int") -> "OnlyForCheckers": ...  # noqa: F821

    def wrong(conn: Conn, a: "OnlyForCheckers") -> None: ...  # noqa: F821

    respond("/:a", fine).compile()
    with pytest.raises(TypeError, match="'OnlyForCheckers' of the path variable 'a' can't be eval"):
        respond("/:a", wrong).compile()


def test_an_instance_may_be_a_handler(call):
    class Show:
        def __call__(self, conn: Conn, a: int) -> dict[str, int]:
            return {"a": a}

    assert call(respond("/:a", Show()), "GET", "/3").resp_body == b'{"a":3}'


async def test_blocking_handlers_get_their_arguments(call_async):
    class App(Router):
        @get("/:number")
        @blocking
        def show(self, conn: Conn, number: int) -> dict[str, int]:
            return {"number": number}

    assert (await call_async(App(), "GET", "/3")).resp_body == b'{"number":3}'


# return values ------------------------------------------------------------------------------------


def typed(conn: Conn) -> list[str]:
    sent: list[str] = [value for name, value in conn.adapter.sent_headers if name == "content-type"]
    return sent


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize(
    ("value", "status", "body", "content_type"),
    [
        ("text", 200, b"text", "text/plain; charset=utf-8"),
        ("<b>", 200, b"<b>", "text/plain; charset=utf-8"),
        (b"raw", 200, b"raw", "application/octet-stream"),
        ({"a": 1}, 200, b'{"a":1}', "application/json"),
        ([1, 2], 200, b"[1,2]", "application/json"),
        ((201, "made"), 201, b"made", "text/plain; charset=utf-8"),
        ((HTTPStatus.CREATED, {"a": 1}), 201, b'{"a":1}', "application/json"),
        ((404, []), 404, b"[]", "application/json"),
    ],
)
async def test_return_values(call_async, way, value, status, body, content_type):
    async def later(conn: Conn) -> Any:
        return value

    handler = later if way == "async" else lambda conn: value
    conn = await call_async(respond("/", handler), "GET", "/")
    assert (conn.status, conn.adapter.sent_body) == (status, body)
    assert typed(conn) == [content_type]
    assert conn.sent


@pytest.mark.parametrize("value", ["text", b"raw", {"a": 1}])
def test_status_and_type_that_were_put_before_are_kept(call, value):
    def handler(conn: Conn) -> Any:
        conn.put_status(202).put_resp_content_type("text/csv")
        return value

    conn = call(respond("/", handler), "GET", "/")
    assert conn.status == 202
    assert typed(conn) == ["text/csv; charset=utf-8"]


@pytest.mark.parametrize("value", [None, 42, object(), (200, None), (200, "a", "b"), (True, "a")])
async def test_other_values_are_refused(call_async, value):
    async def later(conn: Conn) -> Any:
        return value

    for handler in (lambda conn: value, later):
        with pytest.raises(PlugError, match="to return a Conn, got"):
            await call_async(respond("/", handler), "GET", "/")


def test_a_value_after_the_response_was_sent_is_refused(call):
    def handler(conn: Conn) -> str:
        conn.send_resp(200, "one")
        return "two"

    with pytest.raises(AlreadySentError):
        call(respond("/", handler), "GET", "/")


async def test_plugs_must_return_the_conn(call_async):
    async def later(conn: Conn) -> Any:
        return "text"

    for plug in (lambda conn: "text", later):
        router = Router()
        router.get("/", to=plug)
        with pytest.raises(PlugError, match=r"to return a Conn, got 'text' \(did you forget"):
            await call_async(router, "GET", "/")
