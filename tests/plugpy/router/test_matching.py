"""Which route serves a request: the compiled matcher against a naive one, and hostile paths."""

import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugpy.conn import Conn, InvalidPathError, NoRouteError
from plugpy.router import Router
from plugpy.router.pattern import parse, split
from plugpy.testing import conn as make_conn

TEXTS = st.sampled_from(["a", "b", "ab", "a.json", "x-1", "12", "7"])
METHODS = ["GET", "POST", "HEAD", "PUT", "OPTIONS", "BREW"]


@st.composite
def patterns(draw: st.DrawFn) -> str:
    """Patterns over a small alphabet, so that they overlap as often as possible."""
    parts: list[str] = []
    for number in range(draw(st.integers(0, 4))):
        form = draw(st.sampled_from(["text", "text", ":v", ":v", "a:v", ":v.json", "x-:v", ":_v"]))
        parts.append(draw(TEXTS) if form == "text" else form.replace("v", f"v{number}"))
    if draw(st.integers(0, 4)) == 0:
        parts.append("*rest")
    return "/" + "/".join(parts)


@st.composite
def routes(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Routes with random methods, hosts, guards and conversions to int."""
    found = []
    for _ in range(draw(st.integers(1, 12))):
        via = draw(st.sampled_from([None, ["GET"], ["POST"], ["GET", "POST"], ["HEAD"], ["BREW"]]))
        found.append(
            {
                "path": draw(patterns()),
                "via": via,
                "host": draw(st.sampled_from([None, None, None, "a.example", "a."])),
                "guard": draw(st.sampled_from([None, None, None, True, False])),
                "int": draw(st.booleans()),
            }
        )
    return found


@st.composite
def paths(draw: st.DrawFn) -> str:
    parts = draw(st.lists(st.one_of(TEXTS, st.sampled_from(["", "%61", "c", "é"])), max_size=6))
    return "/" + "/".join(parts)


def expression(path: str, integers: bool) -> "re.Pattern[str]":
    """A naive matcher of one pattern: a regular expression over decoded segments."""
    pattern = parse(path)
    source = ""
    for number, segment in enumerate(pattern.segments):
        source += "/" + re.escape(segment.prefix)
        if segment.name is not None:
            first = integers and number == _first_variable(pattern)
            source += "-?[0-9]{1,18}" if first else "[^/]+"
            source += re.escape(segment.suffix)
    if pattern.glob is not None:
        source += "(/[^/]+)*"
    return re.compile(source)


def _first_variable(pattern: Any) -> int:
    return next((n for n, s in enumerate(pattern.segments) if s.name is not None), -1)


def naive(declared: list[dict[str, Any]], conn: Conn) -> int | None:
    """The index of the first route that fits, by asking one after the other."""
    decoded = "".join("/" + part.replace("%61", "a") for part in split(conn.request_path))
    explicit = {
        (parse(route["path"]).shape, route["host"])
        for route in declared
        if route["via"] and "HEAD" in route["via"]
    }
    for index, route in enumerate(declared):
        via = route["via"]
        if via is not None and conn.method not in via:
            key = (parse(route["path"]).shape, route["host"])
            if not (conn.method == "HEAD" and "GET" in via and key not in explicit):
                continue
        if route["host"] == "a.example" and conn.host != "a.example":
            continue
        if route["host"] == "a." and not conn.host.startswith("a."):
            continue
        if route["guard"] is False:
            continue
        if expression(route["path"], route["int"]).fullmatch(decoded):
            return index
    return None


def build(declared: list[dict[str, Any]]) -> Router:
    router = Router(not_found=False, automatic_options=False, method_not_allowed=False)
    for index, route in enumerate(declared):
        pattern = parse(route["path"])
        first = _first_variable(pattern)
        name = pattern.segments[first].name if first >= 0 else None
        if route["int"] and name is not None:
            source = f"def handler(conn, {name}: int): return conn.assign('index', {index})"
            space: dict[str, Any] = {}
            exec(source, space)
            handler = space["handler"]
        else:

            def handler(conn: Conn, index: int = index) -> Conn:
                return conn.assign("index", index)

        guard = route["guard"]
        router.match(
            route["path"],
            via=route["via"],
            host=route["host"],
            when=None if guard is None else lambda conn, guard=guard: guard,
        )(handler)
    return router


@settings(max_examples=100, deadline=None)
@given(
    routes(),
    st.lists(
        st.tuples(st.sampled_from(METHODS), paths(), st.sampled_from(["a.example", "a.x", "b"])),
        min_size=1,
        max_size=12,
    ),
)
def test_the_compiled_matcher_agrees_with_asking_route_after_route(declared, requests):
    application = build(declared).compile()
    for method, path, host in requests:
        conn = make_conn(method, path, headers={"host": host})
        expected = naive(declared, conn)
        with suppress(NoRouteError):
            application(conn)
        assert conn.assigns.get("index") == expected, (method, path, host)


@settings(max_examples=40, deadline=None)
@given(routes(), st.lists(st.tuples(st.sampled_from(METHODS), paths()), min_size=1, max_size=8))
def test_a_router_behind_a_forward_agrees_too(declared, requests):
    inner = build(declared)
    outer = Router(not_found=False)
    outer.forward("/mount/:at", to=inner)
    for method, path in requests:
        conn = make_conn(method, "/mount/here" + path)
        expected = naive(declared, make_conn(method, path))
        with suppress(NoRouteError):
            outer(conn)
        assert conn.assigns.get("index") == expected
        assert conn.script_name == []
        assert conn.request_path == "/mount/here" + path


def handler_of(name: str) -> Any:
    return lambda conn: conn.assign("found", name)


def router_of(*declared: str, **options: Any) -> Router:
    router = Router(**options)
    for path in declared:
        router.get(path)(handler_of(path))
    return router


@pytest.mark.parametrize(
    ("declared", "path", "expected"),
    [
        (["/:id", "/static"], "/static", "/:id"),
        (["/static", "/:id"], "/static", "/static"),
        (["/a/*rest", "/a/b"], "/a/b", "/a/*rest"),
        (["/*rest", "/"], "/", "/*rest"),
        (["/a/b/:x", "/:y/b/c"], "/a/b/c", "/a/b/:x"),
        (["/:y/b/c", "/a/b/:x"], "/a/b/c", "/:y/b/c"),
        (["/a/b/c", "/a/*rest"], "/a/b/d", "/a/*rest"),
        (["/a/:x/c", "/a/b/*rest"], "/a/b/d", "/a/b/*rest"),
        (["/:x/c/d", "/a/*rest"], "/a/c/d", "/:x/c/d"),
        (["/a/:x.json/*rest", "/a/*all"], "/a/q.json/r", "/a/:x.json/*rest"),
        (["/a/:x.json", "/a/:x"], "/a/q.json", "/a/:x.json"),
        (["/a/:x", "/a/:x.json"], "/a/q.json", "/a/:x"),
        (["/a/:x.json", "/a/*rest"], "/a/q", "/a/*rest"),
    ],
)
def test_the_first_route_in_definition_order_wins(call, declared, path, expected):
    assert call(router_of(*declared), "GET", path).assigns["found"] == expected


@pytest.mark.parametrize("path", ["/a/b", "//a//b", "/a/b/", "///a/b///", "/%61/b", "/a/%62/"])
def test_empty_segments_and_escapes_make_no_difference(call, path):
    assert call(router_of("/a/b"), "GET", path).assigns["found"] == "/a/b"
    assert call(router_of("/a//b/"), "GET", path).assigns["found"] == "/a//b/"
    assert call(router_of("/:x/b"), "GET", path).path_params == {"x": "a"}


def test_an_escaped_slash_stays_inside_its_segment(call):
    router = router_of("/files/:name", "/*rest")
    assert call(router, "GET", "/files/a%2Fb").path_params == {"name": "a/b"}
    assert call(router, "GET", "/x/a%2Fb/c").path_params == {"rest": ["x", "a/b", "c"]}


def test_plus_stays_plus_and_bad_escapes_stay_as_they_are(call):
    router = router_of("/:name")
    assert call(router, "GET", "/a+b").path_params == {"name": "a+b"}
    assert call(router, "GET", "/a%zz%2").path_params == {"name": "a%zz%2"}
    assert call(router, "GET", "/%25zz").path_params == {"name": "%zz"}


def test_a_percent_in_a_pattern_is_text(call):
    router = router_of("/100%/x", "/*rest")
    assert call(router, "GET", "/100%25/x").assigns["found"] == "/100%/x"
    assert call(router, "GET", "/100%/x").assigns["found"] == "/100%/x"


@pytest.mark.parametrize("path", ["/%ff", "/a/%C3%28", "/%ED%A0%80"])
def test_a_path_that_is_not_utf8_is_a_bad_request(path):
    with pytest.raises(InvalidPathError) as caught:
        router_of("/*rest")(make_conn("GET", path))
    assert caught.value.status == 400


def test_a_path_of_too_many_segments_is_refused():
    router = router_of("/*rest")
    assert router(make_conn("GET", "/a" * 256)).path_params == {"rest": ["a"] * 256}
    with pytest.raises(InvalidPathError) as caught:
        router(make_conn("GET", "/a" * 257))
    assert caught.value.status == 414


def test_the_target_of_options_asterisk_is_no_path(call):
    conn = call(router_of("/"), "OPTIONS", "/x")
    assert conn.status == 404
    conn = make_conn("OPTIONS", "/")
    conn.request_path = conn.route_path = "*"
    router_of("/a")(conn)
    assert (conn.status, conn.get_resp_header("allow")) == (204, ["GET, HEAD, OPTIONS"])


class Counting(dict[str, Any]):
    """A dict of children that counts how often it is asked."""

    asked = 0

    def get(self, *key: Any) -> Any:
        Counting.asked += 1
        return super().get(*key)


def visits(router: Router, path: str) -> int:
    """How many nodes of the tree one request asks."""
    router.endpoints()
    stack = [router._matcher.root]
    while stack:
        node = stack.pop()
        node.child = Counting(node.children).get
        stack += [*node.children.values(), *([node.variable] if node.variable else [])]
    Counting.asked = 0
    router(make_conn("GET", path))
    return Counting.asked


def test_the_work_does_not_grow_with_the_number_of_routes():
    def routes(count: int) -> Router:
        return router_of(*(f"/r{n}/:id/x" for n in range(count)), *(f"/s{n}" for n in range(count)))

    for path in ("/r3/1/x", "/r3/1/y", "/nothing/at/all", "/s3/x"):
        assert visits(routes(10), path) == visits(routes(400), path)


def test_a_path_cannot_make_the_search_explode():
    """Text and variable at each level, and no leaf that fits: a backtracking matcher that forgets
    would take two to the power of the depth."""
    depth = 60
    chains = [
        "/".join(["a"] * left + [":v"] + ["a"] * (depth - left - 1)).replace(":v", f":v{left}")
        for left in range(depth)
    ]
    router = router_of(*(f"/{chain}/end" for chain in chains))
    nodes = sum(range(depth + 2)) + depth * 2
    assert visits(router, "/" + "a/" * depth + "no") <= 3 * nodes
    assert visits(router, "/" + "a/" * 250) <= 3 * nodes


def test_a_plug_that_assigns_path_info_changes_what_is_matched(call):
    def without_language(conn: Conn) -> Conn:
        conn.path_info = conn.path_info[1:]
        return conn

    router = router_of("/page", "/users/:id", plugs=[without_language])
    assert call(router, "GET", "/de/page").assigns["found"] == "/page"
    assert call(router, "GET", "/de/users/1").path_params == {"id": "1"}
    assert call(router, "GET", "/de/x/y").status == 404


def test_reading_path_info_changes_nothing(call):
    def reader(conn: Conn) -> Conn:
        assert conn.path_info == ["page"]
        return conn

    assert call(router_of("/page", plugs=[reader]), "GET", "/page").assigns["found"] == "/page"
