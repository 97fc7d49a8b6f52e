"""Reverse URLs and the table of routes."""

import uuid
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.conn import Conn
from plugpy.router import Router, UnknownRouteError, forward, get, match, post, table
from plugpy.testing import conn as make_conn


class Notes(Router):
    @get("/")
    def index(self, conn: Conn) -> str:
        return conn.route.name

    @get("/:number/edit")
    def edit(self, conn: Conn, number: int) -> str:
        return self.url_for("index", _conn=conn)


class Site(Router):
    @get("/")
    def home(self, conn: Conn) -> str:
        return "home"

    @get("/users/:number")
    @get("/people/:number/:tab")
    def user(self, conn: Conn, number: int) -> str:
        return "user"

    @get("/files/:name.json", name="file")
    def file_handler(self, conn: Conn, name: str) -> str:
        return name

    @get("/at/*rest")
    def at(self, conn: Conn, rest: list[str]) -> list[str]:
        return rest

    @get("/by/:ident/:size")
    def by(self, conn: Conn, ident: uuid.UUID, size: float) -> str:
        return "by"

    @get("/any/:value")
    def value(self, conn: Conn, value: str) -> list[str]:
        return [value]

    forward("/t/:tenant/notes", to=Notes, name="notes")
    forward("/plain", to=Notes)


SITE = Site()


@pytest.mark.parametrize(
    ("name", "variables", "path"),
    [
        ("home", {}, "/"),
        ("user", {"number": 3}, "/users/3"),
        ("user", {"number": -3, "tab": "a b"}, "/people/-3/a%20b"),
        ("file", {"name": "a/b%"}, "/files/a%2Fb%25.json"),
        ("at", {"rest": ["a", "b c"]}, "/at/a/b%20c"),
        ("at", {"rest": "a/b"}, "/at/a/b"),
        ("at", {"rest": []}, "/at"),
        ("by", {"ident": uuid.UUID(int=1), "size": 1.5}, f"/by/{uuid.UUID(int=1)}/1.5"),
        ("notes.edit", {"tenant": "ä", "number": 1}, "/t/%C3%A4/notes/1/edit"),
        ("notes.index", {"tenant": "x"}, "/t/x/notes"),
        ("index", {}, "/plain"),
    ],
)
def test_path_for(name, variables, path):
    assert SITE.path_for(name, **variables) == path
    assert SITE.url_for(name, **variables) == path


def test_query_and_fragment():
    path = SITE.path_for("home", _query={"a": "1 2", "b": "&"}, _fragment="part 1")
    assert path == "/?a=1+2&b=%26#part%201"


def test_names_that_nobody_has_are_listed():
    with pytest.raises(UnknownRouteError, match=r"no route is named 'usr'; did you mean 'user'\?"):
        SITE.path_for("usr")
    with pytest.raises(UnknownRouteError, match=r"there is at, by, edit, file, home, index"):
        SITE.path_for("zzzzzz")


@pytest.mark.parametrize(
    ("name", "variables", "kind", "message"),
    [
        ("user", {}, TypeError, "'user' takes number or number, tab; given: none"),
        ("home", {"x": 1}, TypeError, "'home' takes no variables; given: x"),
        ("user", {"number": "x"}, ValueError, "can't be 'x'"),
        ("user", {"number": 10**18}, ValueError, "the route would not match it"),
        ("value", {"value": ""}, ValueError, "can't be empty"),
        ("value", {"value": ".."}, ValueError, "resolved away by clients"),
        ("at", {"rest": ["a", ".", "b"]}, ValueError, "resolved away by clients"),
        ("by", {"ident": "x", "size": 1.0}, ValueError, "would not match"),
    ],
)
def test_wrong_variables(name, variables, kind, message):
    with pytest.raises(kind, match=message):
        SITE.path_for(name, **variables)


@given(st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: text.strip(".")))
def test_a_path_leads_back_to_its_value(text):
    path = SITE.path_for("value", value=text)
    assert path.isascii()
    conn = make_conn("GET", path)
    SITE(conn)
    assert conn.path_params == {"value": text}
    assert unquote(path) == f"/any/{text}"


def test_url_for_with_a_conn_is_absolute():
    conn = make_conn("GET", "/t/x%2Fy/notes/1/edit", headers={"host": "Example.org:8080"})
    SITE(conn)
    assert conn.resp_body == "http://example.org:8080/t/x%2Fy/notes"
    conn = make_conn("GET", "/", headers={"host": "example.org"}, scheme="https")
    assert SITE.url_for("user", number=3, _conn=conn) == "https://example.org/users/3"


def test_two_routes_of_one_given_name_are_refused():
    router = Router(routes=[get("/a", answer, name="x"), get("/b", answer, name="x")])
    with pytest.raises(ValueError, match="two routes are named 'x': /a and /b"):
        router.compile()


# the table ----------------------------------------------------------------------------------------


def warned(*routes: Any) -> dict[str, tuple[str, ...]]:
    return {row.path: row.warnings for row in table(Router(routes=list(routes)))}


def answer(conn: Conn) -> Conn:
    return conn


def typed(conn: Conn, number: int) -> Conn:
    return conn


def test_rows_tell_all_of_a_route():
    rows = {row.path: row for row in table(SITE)}
    assert list(rows) == [
        "/",
        "/users/:number",
        "/people/:number/:tab",
        "/files/:name.json",
        "/at/*rest",
        "/by/:ident/:size",
        "/any/:value",
        "/t/:tenant/notes/*_rest",
        "/t/:tenant/notes",
        "/t/:tenant/notes/:number/edit",
        "/plain/*_rest",
        "/plain",
        "/plain/:number/edit",
    ]
    row = rows["/files/:name.json"]
    assert row.methods == ("GET", "HEAD")
    assert row.name == "file"
    assert row.handler == f"{__name__}.Site.file_handler"
    line = Site.file_handler.__code__.co_firstlineno
    assert row.location == f"{__file__}:{line}"
    assert not row.forward
    assert row.warnings == ()
    assert rows["/plain/*_rest"].forward
    assert rows["/plain/*_rest"].methods == ("*",)


def test_rows_tell_hosts_guards_and_plugs():
    [row] = table(Router(routes=[match("/", answer, host="a.", when=bool, plugs=[typed_plug])]))
    assert row.methods == ("*",)
    assert row.host == "a."
    assert row.guard == "builtins.bool"
    assert row.plugs == (f"{__name__}.typed_plug",)


def typed_plug(conn: Conn) -> Conn:
    return conn


@pytest.mark.parametrize(
    ("routes", "shadowed"),
    [
        ([get("/a", answer), get("/a", answer, name="second")], "/a"),
        ([get("/:x", answer), get("/b", answer)], "/b"),
        ([match("/*rest", answer), get("/b", answer)], "/b"),
        ([forward("/a", to=answer), get("/a/:x/c", answer)], "/a/:x/c"),
        ([get("/:x", answer, host="a."), get("/b", answer, host="a.b")], "/b"),
        ([get("/:x", answer), get("/x-:y.json", answer)], "/x-:y.json"),
        ([get("/:number")(typed) and get("/1", answer)], None),
    ],
)
def test_routes_that_nothing_reaches_are_reported(routes, shadowed):
    found = [path for path, warnings in warned(*routes).items() if warnings]
    assert found == ([] if shadowed is None else [shadowed])


def test_the_warning_names_who_comes_first():
    [_, (warning,)] = warned(get("/:x", answer), get("/b", answer)).values()
    assert warning == (
        f"unreachable: /:x ({__name__}.answer) comes first and takes all its requests"
    )
    rows = warned(get("/:x", answer), post("/:y", answer), match("/b", answer, via=["GET", "PUT"]))
    assert rows["/b"] == (f"unreachable for GET: /:x ({__name__}.answer) comes first",)


@pytest.mark.parametrize(
    "routes",
    [
        [get("/b", answer), get("/:x", answer)],
        [post("/:x", answer), get("/b", answer)],
        [get("/:x", answer, when=bool), get("/b", answer)],
        [get("/:x", answer, host="a."), get("/b", answer)],
        [get("/:x.json", answer), get("/b", answer)],
        [get("/:x", answer), get("/b/c", answer)],
        [get("/:x", answer), get("/*rest", answer)],
        [get("/a/*rest", answer), get("/:x", answer)],
    ],
)
def test_routes_that_something_reaches_are_not(routes):
    assert not any(warned(*routes).values())


def test_a_conversion_shadows_only_what_converts():
    def routes(second: str) -> Router:
        router = Router()
        router.get("/:number")(typed)
        router.get(second)(answer)
        return router

    assert table(routes("/12"))[1].warnings
    assert not table(routes("/me"))[1].warnings
    assert not table(routes("/:other"))[1].warnings
