"""Routers: both forms, plugs around and inside, forwards, errors, automatic answers."""

import asyncio
from typing import Any

import pytest

from plugpy.conn import Conn, MethodNotAllowedError, NoRouteError
from plugpy.pipeline import Pipeline, compiled
from plugpy.router import (
    Route,
    Router,
    error,
    forward,
    get,
    head,
    match,
    options,
    plug,
    post,
    wrap,
)
from plugpy.testing import conn as make_conn


def mark(conn: Conn, name: str = "mark") -> Conn:
    conn.assigns.setdefault("marks", []).append(name)
    return conn


async def mark_later(conn: Conn, name: str = "later") -> Conn:
    await asyncio.sleep(0)
    return mark(conn, name)


def halting(conn: Conn) -> Conn:
    return conn.send_resp(401, "halted").halt()


def answering(text: str) -> Any:
    return lambda conn: text


def allow(conn: Conn) -> list[str]:
    values: list[str] = conn.get_resp_header("allow")
    return values


# both forms ---------------------------------------------------------------------------------------


class App(Router):
    plug(mark, name="pipeline")

    def __init__(self, word: str = "hello") -> None:
        self.word = word

    @get("/")
    def index(self, conn: Conn) -> str:
        return self.word

    @get("/users/:number", name="user")
    def show(self, conn: Conn, number: int) -> dict[str, int]:
        return {"number": number}

    @post("/users")
    async def create(self, conn: Conn) -> tuple[int, str]:
        return 201, "made"

    @staticmethod
    @get("/static")
    def plain(conn: Conn) -> str:
        return "a static method"

    for name in ("one", "two"):
        get(f"/loop/{name}", to=Pipeline([lambda conn, name=name: conn.resp(200, name)]))


async def test_class_form(call, call_async):
    app = App(word="hi")
    assert call(app, "GET", "/").resp_body == "hi"
    assert call(app, "GET", "/users/3").resp_body == b'{"number":3}'
    assert (await call_async(app, "POST", "/users")).status == 201
    assert call(app, "GET", "/loop/two").resp_body == "two"
    assert call(app, "GET", "/").assigns["marks"] == ["pipeline"]


def test_a_handler_can_be_called_in_a_test_of_its_own():
    assert App().show(make_conn(), number=4) == {"number": 4}


def test_a_method_below_another_decorator(call):
    class Wrapped(Router):
        @get("/")
        @staticmethod
        def plain(conn: Conn) -> str:
            return "static"

        @get("/class")
        @classmethod
        def of_class(cls, conn: Conn) -> str:
            return cls.__name__

    assert call(Wrapped(), "GET", "/").resp_body == "static"
    assert call(Wrapped(), "GET", "/class").resp_body == "Wrapped"


def test_instance_form(call):
    router = Router()
    router.plug(mark, name="pipeline")

    @router.get("/users/:number")
    def show(conn: Conn, number: int) -> dict[str, int]:
        return {"number": number}

    router.match("/any", to=lambda conn: conn.resp(200, "any"), via=("GET", "BREW"))
    for method in ("head", "post", "put", "patch", "delete", "options"):
        getattr(router, method)("/verb")(answering(method))
    assert show(make_conn(), 3) == {"number": 3}, "the function stays what it was"
    assert call(router, "GET", "/users/3").resp_body == b'{"number":3}'
    assert call(router, "BREW", "/any").resp_body == "any"
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
        assert call(router, method, "/verb").resp_body == method.lower()
    assert call(router, "GET", "/verb").status == 405


def test_values_form(call):
    router = Router(
        plugs=[(mark, {"name": "value"})],
        routes=[get("/", answering("index")), forward("/app", App)],
    )
    assert call(router, "GET", "/").resp_body == "index"
    assert call(router, "GET", "/app").resp_body == "hello"


def test_routes_of_a_class_are_shared_by_instances_that_differ(call):
    one, two = App("one"), App("two")
    two.get("/extra")(answering("extra"))
    assert call(one, "GET", "/").resp_body == "one"
    assert call(two, "GET", "/").resp_body == "two"
    assert call(two, "GET", "/extra").status == 200
    assert call(one, "GET", "/extra").status == 404


def test_routes_of_a_subclass_come_first_and_plugs_are_inherited(call):
    class Child(App):
        @get("/users/me")
        def me(self, conn: Conn) -> str:
            return "me"

        @match("/loop/*rest")
        def loop(self, conn: Conn) -> str:
            return "child"

        def show(self, conn: Conn, number: int) -> str:
            return f"child shows {number}"

    child = Child()
    assert call(child, "GET", "/users/me").resp_body == "me"
    assert call(child, "GET", "/loop/one").resp_body == "child"
    assert call(child, "GET", "/users/3").resp_body == "child shows 3", "the override is asked"
    assert call(child, "GET", "/").assigns["marks"] == ["pipeline"]


def test_two_methods_of_one_name_serve_their_own_routes(call):
    class Twice(Router):
        @get("/a")
        def page(self, conn: Conn) -> str:
            return "a"

        @get("/b")
        def page(self, conn: Conn) -> str:  # noqa: F811
            return "b"

    assert call(Twice(), "GET", "/a").resp_body == "a"
    assert call(Twice(), "GET", "/b").resp_body == "b"


def test_a_method_may_not_hide_the_routers_own():
    with pytest.raises(TypeError, match="the method 'get' of Hiding would hide"):

        class Hiding(Router):
            @match("/")
            def get(self, conn: Conn) -> Conn:
                return conn


def test_overriding_call_goes_around_the_router(call):
    class Timed(Router):
        @get("/")
        def index(self, conn: Conn) -> str:
            return "index"

        def __call__(self, conn: Conn) -> Any:
            result = super().__call__(conn)
            mark(conn, "after")
            return result

    for application in (Timed(), compiled(Timed()), Router(routes=[forward("/", Timed)])):
        assert call(application, "GET", "/").assigns["marks"] == ["after"]


def test_declaring_after_the_first_request_is_refused(call):
    router = Router(routes=[get("/", answering("x"))])
    call(router, "GET", "/")
    for declare in (router.get, router.match, router.forward):
        with pytest.raises(RuntimeError, match="after it was compiled"):
            declare("/late", to=mark)
    with pytest.raises(RuntimeError, match="after it was compiled"):
        router.error(404)


def test_wrong_declarations_teach():
    router = Router()
    with pytest.raises(TypeError, match=r"no option 'plug'; did you mean 'plugs'\?"):
        router.get("/", plug=[mark])
    with pytest.raises(TypeError, match="get has its method; use match"):
        router.get("/", via="POST")
    with pytest.raises(TypeError, match="two names of one option"):
        router.match("/", via="GET", methods=["GET"])
    with pytest.raises(ValueError, match="via takes names of methods such as 'GET', got 'G ET'"):
        router.match("/", via=["G ET"])
    with pytest.raises(ValueError, match="via has no methods"):
        router.match("/", via=[])
    with pytest.raises(TypeError, match="forward needs a plug"):
        router.forward("/admin")
    with pytest.raises(TypeError, match="host is a name"):
        router.get("/", host=3)
    with pytest.raises(TypeError, match="when takes a callable"):
        router.get("/", when=True)
    with pytest.raises(TypeError, match="error takes a status"):
        router.error(200)
    with pytest.raises(TypeError, match="mark has no option 'nme'; did you mean 'name'"):
        router.get("/", to=mark, nme="x")
    with pytest.raises(TypeError, match=r"no option 'not_fund'; did you mean 'not_found'\?"):
        Router(not_fund=False)
    with pytest.raises(TypeError, match="has a handler already"):
        get("/", to=mark)(mark)


# plugs and their place ----------------------------------------------------------------------------


def test_plugs_of_a_route_run_after_the_match(call):
    def check(conn: Conn) -> Conn:
        assert conn.path_params == {"number": "3"}
        assert conn.route.pattern == "/users/:number"
        return mark(conn, "check")

    router = Router(plugs=[mark])

    @router.get("/users/:number", plugs=[check, (mark, {"name": "second"})])
    def show(conn: Conn, number: int) -> str:
        return f"{number + 1}"

    conn = call(router, "GET", "/users/3")
    assert conn.resp_body == "4"
    assert conn.assigns["marks"] == ["mark", "check", "second"]
    assert conn.private == {}


def test_a_plug_of_a_route_may_halt_and_static_routes_have_them_too(call):
    router = Router()
    router.get("/secret", plugs=[halting])(answering("secret"))
    router.get("/open", plugs=[mark], assigns={"a": 1})(answering("open"))
    assert call(router, "GET", "/secret").resp_body == "halted"
    conn = call(router, "GET", "/open")
    assert (conn.resp_body, conn.assigns) == ("open", {"a": 1, "marks": ["mark"]})


async def test_async_plugs_of_a_route(call_async):
    router = Router(plugs=[mark_later])

    @router.get("/:number", plugs=[mark_later])
    async def show(conn: Conn, number: int) -> str:
        return f"{number + 1}"

    router.get("/static", plugs=[mark_later])(answering("static"))
    router.forward("/f/:at", to=mark_later, plugs=[mark_later])
    conn = await call_async(router, "GET", "/3")
    assert conn.resp_body == "4"
    assert conn.assigns["marks"] == ["later", "later"]
    assert (await call_async(router, "GET", "/static")).resp_body == "static"
    assert (await call_async(router, "GET", "/f/x/y")).assigns["marks"] == ["later"] * 3


class Split(Router):
    plug(mark, name="before")
    plug("match")
    plug("between")
    plug("dispatch")
    plug(mark, name="after")

    def between(self, conn: Conn) -> Conn:
        assert isinstance(conn.route, Route)
        return mark(conn, f"between {conn.path_params} {conn.assigns.get('level')}")

    def local(self, conn: Conn) -> Conn:
        return mark(conn, "local")

    @get("/static", assigns={"level": 1})
    def static(self, conn: Conn) -> Conn:
        return mark(conn, "static").resp(200, "")

    @get("/later/:number", plugs=["local"])
    async def later(self, conn: Conn, number: int) -> Conn:
        return mark(conn, f"later {number}").resp(200, "")

    @get("/halt")
    def halted(self, conn: Conn) -> Conn:
        return conn.resp(200, "").halt()


async def test_plugs_before_between_and_after_match_and_dispatch(call_async):
    split = Split()
    conn = await call_async(split, "GET", "/static")
    assert conn.assigns["marks"] == ["before", "between {} 1", "static", "after"]
    conn = await call_async(split, "GET", "/later/3")
    assert conn.assigns["marks"] == [
        "before",
        "between {'number': '3'} None",
        "local",
        "later 3",
        "after",
    ]
    assert conn.private == {}


async def test_plugs_between_do_not_run_without_a_match_nor_plugs_after_a_halt(call_async):
    conn = await call_async(Split(), "GET", "/nowhere")
    assert conn.status == 404
    assert conn.assigns["marks"] == ["before"]
    conn = await call_async(Split(), "GET", "/halt")
    assert conn.assigns["marks"][-1] == "between {} None"


def test_match_and_dispatch_go_together():
    for plugs in (["match"], ["dispatch"], ["dispatch", "match"], ["match", "match", "dispatch"]):
        router = Router(routes=[get("/", answering("x"))])
        for name in plugs:
            router.plug(name)
        with pytest.raises(ValueError, match=r"plug\('match'\) and plug\('dispatch'\) go together"):
            router.compile()


def test_a_halted_conn_is_not_routed():
    router = Router(routes=[get("/", answering("x"))])
    conn = make_conn().halt()
    assert router(conn) is conn
    assert conn.status is None


def test_a_guard_sees_the_variables_and_leaves_nothing_behind(call):
    router = Router()
    router.get("/:a", when=lambda conn: conn.path_params["a"] == "x")(answering("first"))
    router.get("/:b")(lambda conn: conn.path_params)
    router.get("/static", when=lambda conn: False)(answering("never"))
    assert call(router, "GET", "/x").resp_body == "first"
    assert call(router, "GET", "/y").resp_body == b'{"b":"y"}'
    assert call(router, "GET", "/static").resp_body == b'{"b":"static"}'
    refused = Router(routes=[get("/:a", answering("never"), when=lambda conn: False)])
    refused.match()(lambda conn: conn.path_params)
    assert call(refused, "GET", "/x").resp_body == b"{}"


# automatic answers --------------------------------------------------------------------------------


class Auto(Router):
    @get("/page")
    def page(self, conn: Conn) -> str:
        return "page"

    @post("/page")
    def make(self, conn: Conn) -> str:
        return "made"

    @get("/own")
    def own(self, conn: Conn) -> str:
        return "own"

    @head("/own")
    def own_head(self, conn: Conn) -> Conn:
        return conn.put_resp_header("x-own", "yes").send_resp(200, "")

    @options("/own")
    def own_options(self, conn: Conn) -> str:
        return "own options"

    @get("/n/:number")
    def number(self, conn: Conn, number: int) -> str:
        return "number"

    @get("/hosted", host="a.example")
    def hosted(self, conn: Conn) -> str:
        return "hosted"


def test_get_serves_head(call):
    conn = call(Auto(), "HEAD", "/page")
    assert conn.status == 200
    assert conn.method == "HEAD"
    assert call(Auto(), "HEAD", "/n/3").status == 200


def test_a_route_for_head_wins_over_get_of_the_same_path(call):
    assert call(Auto(), "HEAD", "/own").get_resp_header("x-own") == ["yes"]


def test_options_is_answered(call):
    conn = call(Auto(), "OPTIONS", "/page")
    assert (conn.status, conn.adapter.sent_body) == (204, b"")
    assert allow(conn) == ["GET, HEAD, POST, OPTIONS"]
    assert call(Auto(), "OPTIONS", "/own").resp_body == "own options"
    assert call(Auto(), "OPTIONS", "/nowhere").status == 404


def test_a_wrong_method_is_405_with_allow(call):
    conn = call(Auto(), "DELETE", "/page")
    assert conn.status == 405
    assert allow(conn) == ["GET, HEAD, POST, OPTIONS"]
    assert conn.resp_body == "Method Not Allowed"
    assert call(Auto(), "DELETE", "/n/3").status == 405
    assert call(Auto(), "DELETE", "/n/x").status == 404, "the variable does not convert"
    assert call(Auto(), "DELETE", "/hosted").status == 404, "it is another host's"
    assert call(Auto(), "DELETE", "/hosted", headers={"host": "a.example"}).status == 405
    assert call(Auto(), "BREW", "/page").status == 405


def test_each_automatic_answer_can_be_switched_off(call):
    class Bare(
        Auto,
        automatic_head=False,
        automatic_options=False,
        method_not_allowed=False,
        not_found=False,
    ):
        pass

    for method in ("HEAD", "OPTIONS", "DELETE"):
        with pytest.raises(NoRouteError, match=f"no route for {method} /page"):
            call(Bare(), method, "/page")
    router = Router(routes=[get("/page", answering("x"))], not_found=False)
    with pytest.raises(MethodNotAllowedError) as caught:
        call(router, "POST", "/page")
    assert caught.value.allow == ("GET", "HEAD", "OPTIONS")
    quiet = Router(routes=[get("/page", answering("x"))], automatic_options=False)
    assert allow(call(quiet, "POST", "/page")) == ["GET, HEAD"]
    assert call(quiet, "OPTIONS", "/page").status == 405


def test_404_is_text_or_a_problem_in_json(call):
    conn = call(Auto(), "GET", "/nowhere")
    assert (conn.status, conn.resp_body, conn.halted) == (404, "Not Found", True)
    assert conn.route is None
    conn = call(Auto(), "GET", "/nowhere", headers={"accept": "application/json"})
    assert conn.resp_body == b'{"type":"about:blank","title":"Not Found","status":404}'
    assert conn.get_resp_header("content-type") == ["application/problem+json"]
    conn = call(Auto(), "GET", "/nowhere", headers={"accept": "text/html, application/json"})
    assert conn.resp_body == "Not Found"


# forwards -----------------------------------------------------------------------------------------


def places(conn: Conn) -> tuple[list[str], list[str]]:
    return conn.script_name, conn.path_info


class Inner(Router):
    @get("/")
    def index(self, conn: Conn) -> list[Any]:
        return [*places(conn), conn.route.pattern]

    @get("/users/:number")
    def show(self, conn: Conn, number: int) -> list[Any]:
        return [*places(conn), conn.route.pattern, conn.path_params]

    @get("/later")
    async def later(self, conn: Conn) -> list[Any]:
        await asyncio.sleep(0)
        return [*places(conn), conn.route.pattern]

    @get("/fail")
    async def fail(self, conn: Conn) -> Conn:
        raise KeyError("fail")

    @get("/fail-at-once")
    def fail_at_once(self, conn: Conn) -> Conn:
        raise KeyError("fail")


class Middle(Router):
    forward("/inner", to=Inner)


class Outer(Router):
    forward("/:tenant/middle", to=Middle)
    forward("/inner", to=Inner)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/inner", b'[["inner"],[],"/inner"]'),
        ("/inner/", b'[["inner"],[],"/inner"]'),
        ("//inner//later", b'[["inner"],["later"],"/inner/later"]'),
        (
            "/t%2F1/middle/inner/users/3",
            (
                b'[["t%2F1","middle","inner"],["users","3"],'
                b'"/:tenant/middle/inner/users/:number",{"tenant":"t/1","number":"3"}]'
            ),
        ),
    ],
)
async def test_forwards_move_the_path_and_put_it_back(call_async, path, body):
    outer = Outer()
    for _ in range(2):  # the second time from the caches
        conn = await call_async(outer, "GET", path)
        assert conn.resp_body == body
        assert places(conn) == ([], [part for part in path.split("/") if part])
        assert conn.route_path == path


async def run(application: Any, conn: Conn) -> Any:
    result = application(conn)
    return result if result is conn else await result


async def test_forwards_put_the_path_back_after_an_error(call_async):
    for path in ("/inner/fail", "/inner/fail-at-once"):
        conn = make_conn("GET", path)
        with pytest.raises(KeyError):
            await run(Outer(), conn)
        assert places(conn) == ([], path.strip("/").split("/"))
        assert conn.route_path == path


def test_a_segment_is_decoded_once(call):
    router = Router()
    router.forward("/a", to=Inner2)
    assert call(router, "GET", "/a/x/%2541").resp_body == "%41"


class Inner2(Router):
    @get("/x/:value")
    def show(self, conn: Conn, value: str) -> str:
        return value


def test_a_404_below_a_forward_is_answered_at_the_top(call):
    conn = call(Outer(), "GET", "/inner/nowhere")
    assert (conn.status, conn.resp_body) == (404, "Not Found")
    conn = call(Outer(), "POST", "/acme/middle/inner/users/3")
    assert conn.status == 405
    assert allow(conn) == ["GET, HEAD, OPTIONS"]
    assert call(Outer(), "OPTIONS", "/inner/later").status == 204


def test_error_handlers_at_the_top_see_a_404_below(call):
    outer = Outer()
    outer.error(404)(lambda conn, error: "nothing here")
    conn = call(outer, "GET", "/inner/nowhere")
    assert (conn.status, conn.resp_body) == (404, "nothing here")


def test_error_handlers_below_come_first(call):
    class Below(Inner):
        @error(404)
        def missing(self, conn: Conn, error: Exception) -> str:
            return "below"

    outer = Router(routes=[forward("/below", to=Below)])
    outer.error(404)(lambda conn, error: "top")
    assert call(outer, "GET", "/below/nowhere").resp_body == "below"
    assert call(outer, "GET", "/nowhere").resp_body == "top"


async def test_forward_to_plugs_of_all_kinds(call_async):
    seen: list[Any] = []

    def function(conn: Conn) -> Conn:
        seen.append(places(conn))
        return conn

    async def later(conn: Conn) -> Conn:
        seen.append(places(conn))
        return conn

    router = Router()
    router.forward("/function", to=function)
    router.forward("/later", to=later)
    router.forward("/pipeline", to=Pipeline([function, later]))
    for name in ("function", "later", "pipeline"):
        conn = await call_async(router, "GET", f"/{name}/x")
        assert set(map(str, seen)) == {str(([name], ["x"]))}
        assert places(conn) == ([], [name, "x"])
        seen.clear()


async def test_a_forward_target_must_return_the_conn(call_async):
    async def later(conn: Conn) -> None: ...

    router = Router()
    router.forward("/sync", to=lambda conn: None)
    router.forward("/async", to=later)
    for path in ("/sync", "/async"):
        with pytest.raises(Exception, match="to return a Conn, got None"):
            await call_async(router, "GET", path)


def test_a_router_may_forward_to_itself(call):
    router = Router(routes=[get("/end", answering("end"))])
    router.forward("/again", to=router)
    assert call(router, "GET", "/again/again/end").resp_body == "end"
    assert call(router, "GET", "/again/nowhere").status == 404


# error handlers -----------------------------------------------------------------------------------


class TeapotError(Exception):
    status = 418


class Failing(Router):
    plug("sometimes")

    def sometimes(self, conn: Conn) -> Conn:
        if conn.query_params.get("plug"):
            raise TeapotError("in a plug")
        return conn

    @get("/value")
    def value(self, conn: Conn) -> Conn:
        raise ValueError("secret")

    @get("/teapot")
    async def teapot(self, conn: Conn) -> Conn:
        raise TeapotError

    @get("/unicode")
    def unicode(self, conn: Conn) -> Conn:
        return conn.text(b"\xff".decode())

    @get("/sent")
    def sent(self, conn: Conn) -> Conn:
        conn.send_resp(200, "sent")
        raise ValueError

    @error(ValueError)
    def on_value(self, conn: Conn, error: Exception) -> tuple[int, str]:
        return 422, f"{type(error).__name__}"

    @error(418)
    async def on_teapot(self, conn: Conn, error: Exception) -> dict[str, str]:
        return {"error": str(error)}

    @error(405)
    def on_method(self, conn: Conn, error: Exception) -> Conn:
        return conn.send_resp(conn.status, "try another")


async def test_errors_go_to_the_handler_of_their_class_or_status(call_async, caplog):
    app = Failing()
    conn = await call_async(app, "GET", "/value")
    assert (conn.status, conn.resp_body) == (422, "ValueError")
    conn = await call_async(app, "GET", "/unicode")
    assert (conn.status, conn.resp_body) == (422, "UnicodeDecodeError")
    conn = await call_async(app, "GET", "/teapot")
    assert (conn.status, conn.resp_body) == (418, b'{"error":""}')
    conn = await call_async(app, "GET", "/value?plug=1")
    assert (conn.status, conn.resp_body) == (418, b'{"error":"in a plug"}')
    conn = await call_async(app, "POST", "/value")
    assert (conn.status, conn.resp_body) == (405, "try another")
    assert allow(conn) == ["GET, HEAD, OPTIONS"]
    assert (await call_async(app, "GET", "/nowhere")).status == 404
    assert caplog.records == [], "expected errors are not logged"


async def test_an_error_after_the_response_goes_on(call_async):
    with pytest.raises(ValueError):  # noqa: PT011
        await call_async(Failing(), "GET", "/sent")


def test_an_error_that_nobody_expected_is_logged(call, caplog):
    router = Router(routes=[get("/", lambda conn: 1 / 0)])
    router.error(500)(lambda conn, error: "sorry")
    conn = call(router, "GET", "/")
    assert (conn.status, conn.resp_body) == (500, "sorry")
    assert "ZeroDivisionError: division by zero" in caplog.text


def test_a_handler_of_all_exceptions_answers_404_without_logging(call, caplog):
    router = Router(routes=[get("/", answering("x"))])
    router.error(Exception)(lambda conn, error: type(error).__name__)
    assert call(router, "GET", "/nowhere").resp_body == "NoRouteError"
    assert caplog.records == []


def test_errors_without_a_handler_go_through(call):
    router = Router(routes=[get("/", lambda conn: 1 / 0)])
    router.error(404)(lambda conn, error: "missing")
    with pytest.raises(ZeroDivisionError):
        call(router, "GET", "/")


def test_wrap_goes_around_matching(call):
    class Catch:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __call__(self, conn: Conn) -> Any:
            try:
                return self.inner(conn)
            except NoRouteError:
                return conn.send_resp(404, "caught")

    class Caught(Router, not_found=False):
        wrap(Catch)

        @get("/")
        def index(self, conn: Conn) -> str:
            return "index"

    assert call(Caught(), "GET", "/nowhere").resp_body == "caught"
    assert call(Caught(), "GET", "/").resp_body == "index"
