"""Cases of Plug's test/plug/router_test.exs, asked of plugpy.router."""

from typing import Any, ClassVar

import pytest

from plugpy.conn import Conn, RequestTooLargeError
from plugpy.router import (
    Router,
    delete,
    error,
    forward,
    get,
    head,
    match,
    options,
    patch,
    plug,
    post,
    put,
    wrap,
)
from plugpy.telemetry import attach, detach
from plugpy.testing import call as run_plug
from plugpy.testing import conn as make_conn


class SamplePlug:
    def __init__(self, **given: Any) -> None:
        self.given = {"world": True} if "hello" in given else given

    def __call__(self, conn: Conn) -> Conn:
        return conn.send_resp(200, repr(self.given))


class OutcomeError(Exception):
    """Stands for Elixir's throw and exit."""


class Watch:
    """Wrapped around the pipeline of Forward, as overriding call/2 is in Plug."""

    calls = 0

    def __init__(self, inner):
        self.inner = inner

    def __call__(self, conn):
        try:
            return self.inner(conn)
        finally:
            Watch.calls += 1


class Forward(Router):
    handled: ClassVar[list[tuple[int | None, Exception]]] = []

    wrap(Watch)

    forward("/forward_via", via=["put", "post"], to=SamplePlug, route="via")

    @get("/")
    def root(self, conn):
        return conn.resp(200, "forwarded")

    @get("/script_name")
    def script_name(self, conn):
        return conn.resp(200, ",".join(conn.script_name))

    @match("/params")
    def params(self, conn):
        return conn.resp(200, conn.params["param"])

    @match("/throw", via=["GET", "POST"])
    def throw(self, conn):
        raise OutcomeError("oops")

    @match("/raise")
    def too_large(self, conn):
        raise RequestTooLargeError

    @match("/send_and_exit")
    def send_and_exit(self, conn):
        conn.send_resp(200, "ok")
        raise OutcomeError("oops")

    @match("/fancy_id/:id")
    def fancy_id(self, conn):
        return conn.send_resp(200, f"{conn.path_params['id']}--{conn.path_info[-1]}")

    get("/plug/match", to=SamplePlug)
    get("/plug/match/options", to=SamplePlug, init_opts={"hello": True})

    @error(Exception)
    def handle_errors(self, conn, error):
        assert Watch.calls  # it was wrapped around what raised
        Forward.handled.append((conn.status, error))
        return "Something went wrong"


class Reforward(Router):
    plug("match")
    plug("dispatch")

    forward("/step2", to=Forward)


class Sample(Router):
    plug("match")
    plug("verify_router_options")
    plug("dispatch")

    @get("/", host="foo.bar")
    def foo_bar(self, conn):
        return conn.resp(200, "foo.bar root")

    @get("/", host="foo.")
    def foo(self, conn):
        return conn.resp(200, "foo.* root")

    forward("/", to=Forward, host="foo.")

    @get("/")
    def root(self, conn):
        return conn.resp(200, "root")

    @get("/1/bar")
    def literal(self, conn):
        return conn.resp(200, "ok")

    @get("/2/:bar")
    @get("/3/bar-:bar")
    @get("/4/*bar")
    @get("/9/:bar.json")
    @get("/9/:bar-foo")
    @get("/9/:bar@foo")
    @get("/10/foo-:bar.json")
    @get("/11/:bar.js.map")
    def show_bar(self, conn, bar):
        return conn.resp(200, repr(bar))

    @match("/6/bar")
    def any_verb(self, conn):
        return conn.resp(200, "ok")

    @get("/7/:bar", when=lambda conn: len(conn.path_params["bar"]) <= 3)
    def guarded(self, conn, bar):
        return conn.resp(200, repr(bar))

    @get("/8/bar baz/:bat")
    def spaced(self, conn, bat):
        return conn.resp(200, bat)

    @get("/11/:foo/:bar@app/baz/:bat.js.map")
    def suffixes(self, conn, foo, bar, bat):
        return conn.resp(200, f"{foo} {bar} {bat}")

    get("/plug/match", to=SamplePlug)
    get("/plug/match/options", to=SamplePlug, init_opts={"hello": True})

    forward("/step1", to=Reforward)
    forward("/forward", to=Forward)
    forward("/nested/forward", to=Forward)

    @match("/params/get/:param")
    def get_param(self, conn):
        return conn.resp(200, conn.params["param"])

    forward("/params/forward/:param", to=Forward)

    @get("/options/map", private={"an_option": "a_value"})
    def options_map(self, conn):
        return conn.resp(200, repr(conn.private))

    @get("/options/assigns", assigns={"an_option": "a_value"})
    def options_assigns(self, conn):
        return conn.resp(200, repr(conn.assigns))

    @head("/head")
    @post("/post")
    @put("/put")
    @patch("/patch")
    @delete("/delete")
    @options("/options")
    def empty(self, conn):
        return conn.resp(200, "")

    forward(
        "/options/forward",
        to=Forward,
        private={"an_option": "a_value"},
        assigns={"another_option": "another_value"},
    )

    forward("/plug/forward", to=SamplePlug)
    forward("/plug/init_opts", to=SamplePlug, init_opts={"hello": True}, private={"baz": "qux"})
    forward("/plug/forward_local", to="local")
    match("/plug/match_local", to="local")
    forward("/plug/forward_local_opts", to="local", said="hello", private={"baz": "qux"})
    match("/plug/match_local_opts", to="local", said="hello", private={"baz": "qux"})

    def local(self, conn, said=None):
        return conn.resp(200, repr(said))

    @match()
    def oops(self, conn):
        return conn.resp(404, "oops")

    def verify_router_options(self, conn):
        if conn.path_info == ["options", "map"] and "an_option" not in conn.private:
            raise AssertionError("should be able to read option after match")
        return conn


SAMPLE = Sample()


def call(method: str, path: str, host: str = "www.example.com", **options: Any) -> Conn:
    conn = make_conn(method, path, headers={"host": host}, **options)
    assert SAMPLE(conn) is conn
    return conn


def body(method: str, path: str, **options: Any) -> Any:
    return call(method, path, **options).resp_body


@pytest.fixture(autouse=True)
def _clean():
    Forward.handled.clear()
    Watch.calls = 0


def test_dispatch_root():
    assert body("GET", "/") == "root"


def test_dispatch_literal_segment():
    assert body("GET", "/1/bar") == "ok"


def test_dispatch_dynamic_segment():
    assert body("GET", "/2/value") == "'value'"


def test_dispatch_dynamic_segment_with_prefix():
    assert body("GET", "/3/bar-value") == "'value'"


@pytest.mark.parametrize("path", ["/9/value.json", "/9/value-foo", "/9/value@foo"])
def test_dispatch_dynamic_segment_with_suffix(path):
    conn = call("GET", path)
    assert conn.resp_body == "'value'"
    assert conn.params == {"bar": "value"}
    assert conn.path_params == {"bar": "value"}
    assert body("GET", "/9/value") == "oops"


def test_dispatch_dynamic_segment_with_prefix_and_suffix():
    conn = call("GET", "/10/foo-value.json")
    assert conn.resp_body == "'value'"
    assert conn.params == conn.path_params == {"bar": "value"}
    assert body("GET", "/10/foo-value") == "oops"


def test_dispatch_dynamic_segment_with_multiple_suffixes():
    conn = call("GET", "/11/value.js.map")
    assert conn.resp_body == "'value'"
    assert conn.params == conn.path_params == {"bar": "value"}


def test_dispatch_multiple_dynamic_segments_with_multiple_suffixes():
    conn = call("GET", "/11/foo_value/bar_value@app/baz/bat_value.js.map")
    assert conn.resp_body == "foo_value bar_value bat_value"
    values = {"bar": "bar_value", "bat": "bat_value", "foo": "foo_value"}
    assert conn.params == conn.path_params == values
    assert body("GET", "/11/foo_value/bar_value/baz/bat_value.js.map") == "oops"
    assert body("GET", "/11/foo_value/bar_value@app/baz/bat_value.js") == "oops"
    assert body("GET", "/11/foo_value/bar_value/baz/bat_value") == "oops"


def test_dispatch_glob_segment():
    assert body("GET", "/4/value") == "['value']"
    assert body("GET", "/4/value/extra") == "['value', 'extra']"
    assert body("GET", "/4") == "[]"


def test_dispatch_custom_route():
    assert body("GET", "/6/bar") == "ok"


def test_dispatch_with_guards():
    assert body("GET", "/7/a") == "'a'"
    assert body("GET", "/7/ab") == "'ab'"
    assert body("GET", "/7/abc") == "'abc'"
    assert body("GET", "/7/abcd") == "oops"


def test_dispatch_after_decoding_guards():
    assert body("GET", "/8/bar baz/bat") == "bat"
    assert body("GET", "/8/bar%20baz/bat bag") == "bat bag"
    assert body("GET", "/8/bar%20baz/bat%20bag") == "bat bag"


def test_dispatch_wrong_verb():
    assert body("POST", "/1/bar") == "oops"


def test_dispatch_to_plug():
    assert body("GET", "/plug/match") == "{}"
    assert body("GET", "/plug/match/options") == "{'world': True}"


def test_dispatch_with_forwarding():
    conn = call("GET", "/forward")
    assert conn.resp_body == "forwarded"
    assert conn.path_info == ["forward"]


def test_dispatch_to_plug_with_forwarding_with_runtime_init():
    """There is one way of making plugs, so this asks for the result only."""
    assert body("GET", "/forward/plug/match") == "{}"
    assert body("GET", "/forward/plug/match/options") == "{'world': True}"


def test_dispatch_with_forwarding_with_custom_call():
    call("GET", "/forward")
    assert Watch.calls == 1


def test_dispatch_with_forwarding_including_slashes():
    conn = call("GET", "/nested/forward")
    assert conn.resp_body == "forwarded"
    assert conn.path_info == ["nested", "forward"]


def test_dispatch_with_forwarding_handles_urlencoded_path_segments():
    expected = "+ANcgj1jZc/9O+--%2BANcgj1jZc%2F9O%2B"
    assert body("GET", "/nested/forward/fancy_id/%2BANcgj1jZc%2F9O%2B") == expected


def test_dispatch_with_forwarding_handles_un_urlencoded_path_segments():
    assert body("GET", "/nested/forward/fancy_id/+ANcgj1jZc9O+") == "+ANcgj1jZc9O+--+ANcgj1jZc9O+"


def test_dispatch_with_forwarding_modifies_script_name():
    assert body("GET", "/nested/forward/script_name") == "nested,forward"
    assert body("GET", "/step1/step2/script_name") == "step1,step2"


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "UNKNOWN"]
)
def test_dispatch_any_verb(method):
    assert body(method, "/6/bar") == "ok"


def test_dispatches_based_on_host():
    assert body("GET", "/", host="foo.bar") == "foo.bar root"
    assert body("GET", "/", host="foo.other") == "foo.* root"
    assert body("GET", "/script_name", host="foo.other") == ""


def test_dispatch_not_found():
    conn = call("GET", "/unknown")
    assert conn.status == 404
    assert conn.resp_body == "oops"


def test_handle_errors(caplog):
    """Differs: the error is logged, not raised again: that would end the connection."""
    conn = call("GET", "/forward/throw")
    [(status, error)] = Forward.handled
    assert status == 500
    assert isinstance(error, OutcomeError)
    assert conn.sent
    assert conn.resp_body == "Something went wrong"
    assert "OutcomeError: oops" in caplog.text


def test_handle_errors_translates_exceptions_to_status_code():
    conn = call("GET", "/forward/raise")
    [(status, error)] = Forward.handled
    assert status == 413
    assert isinstance(error, RequestTooLargeError)
    assert conn.sent
    assert conn.status == 413


def test_handle_errors_when_response_was_sent():
    with pytest.raises(OutcomeError, match="oops"):
        call("GET", "/forward/send_and_exit")
    assert Forward.handled == []


def test_match_path():
    assert call("GET", "/params/get/a_value").route.pattern == "/params/get/:param"


def test_match_path_on_forward_to_router():
    """Differs: forwards add their path alone, without a glob between."""
    conn = call("GET", "/step1/step2/fancy_id/abc123")
    assert conn.route.pattern == "/step1/step2/fancy_id/:id"
    assert conn.route.parent.pattern == "/step1/step2/*_rest"


def test_assigns_path_params_to_conn_params_and_path_params():
    conn = call("GET", "/params/get/a_value")
    assert conn.params["param"] == "a_value"
    assert conn.path_params["param"] == "a_value"
    assert conn.resp_body == "a_value"


def test_assigns_path_params_to_conn_params_and_path_params_on_forward():
    conn = call("GET", "/params/forward/a_value/params")
    assert conn.params["param"] == "a_value"
    assert conn.path_params["param"] == "a_value"
    assert conn.resp_body == "a_value"


def test_path_params_have_priority_over_body_and_query_params():
    conn = make_conn("POST", "/params/get/p_value?param=q_value&other=1")
    conn.body_params = {"param": "b_value"}
    assert conn.params["param"] == "b_value"
    SAMPLE(conn)
    assert conn.resp_body == "p_value"
    assert conn.params == {"param": "p_value", "other": "1"}


def test_assigns_route_options_to_private_conn_map():
    conn = call("GET", "/options/map")
    assert conn.private["an_option"] == "a_value"
    assert "'an_option': 'a_value'" in conn.resp_body


def test_assigns_route_options_to_assigns_conn_map_on_get_requests():
    conn = call("GET", "/options/assigns")
    assert conn.assigns == {"an_option": "a_value"}
    assert conn.resp_body == "{'an_option': 'a_value'}"


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_declare_and_call_requests(method):
    """Plug's cases "declare and call HEAD requests" to "... OPTIONS requests"."""
    assert call(method, f"/{method.lower()}").status == 200


def test_forwards_only_via_methods():
    for method in ("POST", "PUT"):
        conn = Forward()(make_conn(method, "/forward_via"))
        assert conn.status == 200
        assert conn.resp_body == "{'route': 'via'}"
    assert Forward()(make_conn("GET", "/forward_via")).status == 405


def test_assigns_options_on_forward():
    conn = call("GET", "/options/forward")
    assert conn.private["an_option"] == "a_value"
    assert conn.assigns["another_option"] == "another_value"
    assert conn.resp_body == "forwarded"


def test_forwards_to_a_plug():
    assert body("GET", "/plug/forward") == "{}"


def test_forwards_to_a_plug_with_init_options():
    conn = call("GET", "/plug/init_opts")
    assert conn.private["baz"] == "qux"
    assert conn.resp_body == "{'world': True}"


def test_forwards_to_a_function_plug():
    assert body("GET", "/plug/forward_local") == "None"


def test_matches_to_a_function_plug():
    assert body("GET", "/plug/match_local") == "None"


def test_forwards_to_a_function_plug_with_options():
    conn = call("GET", "/plug/forward_local_opts")
    assert conn.private["baz"] == "qux"
    assert conn.resp_body == "'hello'"


def test_matches_to_a_function_plug_with_options():
    conn = call("GET", "/plug/match_local_opts")
    assert conn.private["baz"] == "qux"
    assert conn.resp_body == "'hello'"


def test_error_is_raised_with_expected_message_when_match_is_not_given_to_or_do_option():
    class NoHandler(Router):
        match("/")

    with pytest.raises(TypeError, match="the route / has no handler: decorate a function"):
        NoHandler().compile()


def test_error_is_raised_with_expected_message_when_no_routes_are_defined():
    class NoRoutes(Router):
        plug("match")
        plug("dispatch")

    with pytest.raises(ValueError, match="no routes are defined in NoRoutes"):
        NoRoutes().compile()


class Observed(Router, telemetry=True):
    @get("/")
    def root(self, conn: Conn) -> str:
        return "root"

    @get("/users/:number")
    async def show(self, conn: Conn, number: int) -> dict[str, int]:
        return {"number": number}

    @get("/crash", plugs=[SamplePlug])
    def crash(self, conn: Conn) -> str:
        raise RuntimeError("crash")

    @get("/crash-later")
    async def crash_later(self, conn: Conn) -> str:
        raise RuntimeError("crash")


class Above(Router):
    forward("/above", to=Observed)


@pytest.mark.parametrize(
    ("router", "path", "route", "end"),
    [
        (Observed, "/", "/", "stop"),
        (Observed, "/users/7", "/users/:number", "stop"),
        (Observed, "/crash", "/crash", "exception"),
        (Observed, "/crash-later", "/crash-later", "exception"),
        (Above, "/above/users/7", "/above/users/:number", "stop"),
        (Observed, "/nowhere", None, None),
        (Observed, "/users/seven", None, None),
    ],
)
def test_emit_start_and_stop_event_when_router_dispatches(
    router: type[Router], path: str, route: str | None, end: str | None
) -> None:
    seen: list[tuple[str, Any, Any]] = []
    for name in ("start", "stop", "exception"):
        event = f"plugpy.router_dispatch.{name}"
        attach(event, event, lambda event, numbers, about: seen.append((event, numbers, about)))
    c = make_conn("GET", path)
    try:
        if end == "exception":
            with pytest.raises(RuntimeError):
                run_plug(router(), c)
        else:
            run_plug(router(), c)
    finally:
        for name in ("start", "stop", "exception"):
            detach(f"plugpy.router_dispatch.{name}")
    if end is None:
        assert (c.status, seen) == (404, [])
        return
    (started, system, about), (ended, numbers, result) = seen
    assert (started, ended) == ("plugpy.router_dispatch.start", f"plugpy.router_dispatch.{end}")
    assert list(system) == ["system_time"]
    assert list(numbers) == ["duration"]
    for metadata in (about, result):
        assert metadata["conn"] is c
        assert metadata["route"] == route
        assert type(metadata["router"]) is Observed
    assert ("reason" in result) is (end == "exception")
