"""ASGI and WSGI applications below a path of a router."""

from typing import Any

import pytest

from plugpy.conn import Conn
from plugpy.interop import lifespan_of
from plugpy.pipeline import Pipeline, parts_of
from plugpy.router import Router, forward, get, match, plug
from plugpy.testing import acall, call
from plugpy.testing import conn as make_conn


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError
    body = f"{scope['root_path']}|{scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def wsgi(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]


class Framework:
    """An application as most frameworks make one: an object."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                event = (await receive())["type"]
                self.calls.append(event)
                if event == "lifespan.startup":
                    scope["state"]["calls"] = self.calls
                await send({"type": f"{event}.complete"})
                if event == "lifespan.shutdown":
                    return
        self.calls.append("request")
        body = str(len(scope["state"])).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


def body_of(router: Any, path: str) -> bytes:
    conn: Conn = call(router, make_conn("GET", path))
    body: bytes = conn.adapter.sent_body  # type: ignore[attr-defined]
    return body


class App(Router):
    forward("/asgi", to=asgi)
    forward("/wsgi", to=wsgi)
    match("/one/*rest", to=asgi)

    @get("/")
    def index(self, conn: Conn) -> str:
        return "index"


def test_root_path_and_path() -> None:
    app = App()
    assert body_of(app, "/asgi/a%20b/") == b"/asgi|/asgi/a b/"
    assert body_of(app, "/asgi") == b"/asgi|/asgi"
    assert body_of(app, "/wsgi/a%20b/") == b"/wsgi|/a b/"
    assert body_of(app, "/wsgi") == b"/wsgi|"
    # Only forward moves the path.
    assert body_of(app, "/one/two") == b"|/one/two"
    assert body_of(app, "/") == b"index"


def test_below_two_routers() -> None:
    outer = Router()
    outer.forward("/v1", to=App)
    assert body_of(outer, "/v1/asgi/x") == b"/v1/asgi|/v1/asgi/x"
    assert body_of(outer, "/v1/wsgi/x") == b"/v1/wsgi|/x"


def test_with_options() -> None:
    router = Router()
    router.forward("/a", to=asgi, root_path="/proxy")
    router.forward("/w", to=wsgi, root_path="/proxy", threads=1)
    assert body_of(router, "/a/x") == b"/proxy/a|/proxy/a/x"
    assert body_of(router, "/w/x") == b"/proxy/w|/x"


def needs_option(conn: Conn, realm: str) -> Conn:
    return conn.send_resp(200, realm)


def test_a_plug_with_an_option_is_no_wsgi_application() -> None:
    router = Router()
    router.forward("/a", to=needs_option, realm="x")
    assert body_of(router, "/a") == b"x"
    router = Router()
    router.forward("/a", to=needs_option)
    with pytest.raises(TypeError, match="a plug takes one conn, this takes conn, realm"):
        router.compile()


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        (asgi, {"threads": 3}, r"asgi_plug has no option 'threads'"),
        (wsgi, {"thread": 1}, r"wsgi_plug has no option 'thread'; did you mean 'threads'"),
        (needs_option, {"real": 1}, r"needs_option has no option 'real'; did you mean 'realm'"),
        (lambda a, b, c, d: None, {}, "is not a plug"),
        (5, {}, "is not a plug"),
    ],
)
def test_what_can_not_be_mounted(target: Any, options: dict[str, Any], message: str) -> None:
    def mount() -> None:
        router = Router()
        router.forward("/a", to=target, **options)
        router.compile()

    with pytest.raises(TypeError, match=message):
        mount()


async def test_what_is_mounted_twice_is_started_once() -> None:
    framework = Framework()
    router = Router()
    router.forward("/a", to=framework)
    router.forward("/b", to=framework)
    async with lifespan_of(router):
        assert framework.calls == ["lifespan.startup"]
        for path in ("/a", "/b"):
            conn = await acall(router, make_conn("GET", path))
            assert conn.adapter.sent_body == b"1"  # type: ignore[attr-defined]
    assert framework.calls == ["lifespan.startup", "request", "request", "lifespan.shutdown"]


async def test_lifespans_are_found_however_deep() -> None:
    apps = [Framework() for _ in range(6)]

    class Inner(Router):
        forward("/inner", to=apps[0])

    class Overriding(Router):
        forward("/deep", to=Inner)
        forward("/own", to=apps[1])

        def __call__(self, conn: Conn) -> Any:
            return super().__call__(conn)

    class Rescuing(Router):
        plug(lambda conn: conn)
        forward("/", to=apps[2])

        def failed(self, conn: Conn, error: Exception) -> Conn:
            return conn

    outer = Router()
    outer.forward("/o", to=Overriding)
    outer.error(404)(lambda conn, error: conn)
    outer.get("/x", to=apps[3], plugs=[Pipeline([Rescuing()])])
    pipeline = Pipeline([outer])
    pipeline.wrap(lambda inner: inner)
    async with lifespan_of(pipeline):
        assert [app.calls for app in apps[:4]] == [["lifespan.startup"]] * 4
    assert [len(app.calls) for app in apps] == [2, 2, 2, 2, 0, 0]


def test_parts_of_a_router_that_forwards_to_itself() -> None:
    router = Router()
    router.forward("/again", to=router)
    router.get("/", lambda conn: conn.send_resp(200, "x"))
    assert list(parts_of(router)).count(router) == 1


def test_attributes_of_others_are_no_parts() -> None:
    def odd(conn: Conn) -> Conn:
        return conn

    odd.parts = 5  # type: ignore[attr-defined]
    odd.lifespan = "long"  # type: ignore[attr-defined]
    assert list(parts_of(odd)) == [odd]
    assert not lifespan_of(odd)


async def test_where_one_can_not_start_those_before_are_stopped() -> None:
    first = Framework()

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    router = Router()
    router.forward("/a", to=first)
    router.forward("/b", to=broken)
    with pytest.raises(RuntimeError, match="no database"):
        async with lifespan_of(router):
            raise AssertionError
    assert first.calls == ["lifespan.startup", "lifespan.shutdown"]


def test_lifespan_of_takes_no_class() -> None:
    with pytest.raises(TypeError, match="an instance of App, not the class"):
        lifespan_of(App)


async def test_the_last_that_was_started_is_stopped_first() -> None:
    events: list[str] = []

    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        async def startup(self) -> None:
            events.append(f"{self.name} starts")

        async def shutdown(self) -> None:
            events.append(f"{self.name} stops")

    def taking_part(name: str) -> Any:
        def plug(conn: Conn) -> Conn:
            return conn

        plug.lifespan = Named(name)  # type: ignore[attr-defined]
        return plug

    def around(inner: Any) -> Any:
        return taking_part("around")

    pipeline = Pipeline([taking_part("first"), taking_part("second")])
    pipeline.wrap(around)
    async with lifespan_of(pipeline):
        assert events == ["first starts", "second starts", "around starts"]
    assert events[3:] == ["around stops", "second stops", "first stops"]
