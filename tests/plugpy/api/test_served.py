"""Typed handlers of a running server."""

import json
import logging
import subprocess
import sys

import httpx
import pytest

from plugpy.api import Problem, typed
from plugpy.pipeline import wrap
from plugpy.plugs import Debugger
from plugpy.router import Router

from .models import StructBook, StructNewBook


@typed(status=201)
async def create(book: StructNewBook) -> StructBook:
    return StructBook(title=book.title, id=1)


@typed
def number(x: int) -> int:
    return x


def broken(conn):
    raise Problem(503, "Come back later.")


def make(**options):
    router = Router(**options)
    router.post("/books", create)
    router.get("/number", number)
    router.get("/broken", broken)
    return router


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("plugs", [[], [wrap(Debugger)]], ids=["plain", "debugger"])
def test_over_a_socket(serve, caplog, debug, plugs):
    with caplog.at_level(logging.WARNING):
        http = serve(make(plugs=plugs), debug=debug)
        response = http.post("/books", json={"title": "t"})
        assert (response.status_code, response.json()["id"]) == (201, 1)
        response = http.post("/books", json={"title": ""}, headers={"accept": "text/html"})
        assert response.status_code == 422
        # What a client has done wrong is no failure to look into: its answer is the same one.
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["errors"][0]["pointer"] == "#/title"
        assert http.get("/number?x=5").json() == 5
        assert http.get("/number?x=y").status_code == 422
    assert caplog.records == []


def test_the_limit_of_the_route_holds(serve):
    router = Router()
    router.post("/", create, max_body=20)
    http = serve(router)
    assert http.post("/", json={"title": "t"}).status_code == 201
    assert http.post("/", json={"title": "long enough"}).status_code == 413


def test_a_problem_of_the_server_is_answered_and_logged(serve, caplog):
    response = serve(make()).get("/broken")
    assert response.status_code == 503
    assert response.json()["detail"] == "Come back later."
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_debug_shows_the_report_of_a_500(serve):
    response = serve(make(), debug=True).get("/broken", headers={"accept": "text/html"})
    assert response.status_code == 503
    assert "Problem" in response.text
    assert response.headers["content-type"].startswith("text/html")


async def test_as_an_asgi_application():
    transport = httpx.ASGITransport(app=make())
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as http:
        assert (await http.post("/books", json={"title": "t"})).json()["title"] == "t"
        assert (await http.get("/number?x=y")).status_code == 422


def test_as_a_wsgi_application():
    with httpx.Client(transport=httpx.WSGITransport(app=make()), base_url="http://a") as http:
        assert http.get("/number?x=5").json() == 5
        assert http.get("/number?x=y").json()["errors"][0]["name"] == "x"


SCRIPT = """
import sys
for name in {hidden!r}:
    sys.modules[name] = None  # an import of it raises ImportError
from plugpy.api import typed
from plugpy.conn import Conn
from plugpy.router import Router
from plugpy.testing import call, conn

def plain(conn: Conn, id: int) -> dict:
    return {{"id": id}}

router = Router()
router.get("/plain/:id", plain)
assert call(router, conn("GET", "/plain/5")).status == 200
assert "msgspec" not in sys.modules or sys.modules["msgspec"] is None
assert "pydantic" not in sys.modules or sys.modules["pydantic"] is None
router = Router()
router.get("/", typed(lambda x=1: str(x)))
try:
    print(call(router, conn("GET", "/?x=5")).resp_body)
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("hidden", "output"),
    [
        (["pydantic"], "5"),
        (["msgspec"], "5"),
        (
            ["msgspec", "pydantic"],
            'typed handlers need msgspec or pydantic: pip install "plugpy[api]"',
        ),
    ],
)
def test_with_either_library_and_with_none(hidden, output):
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(hidden=hidden)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (ran.stdout.strip(), ran.stderr) == (output, "")


def test_routes_that_are_not_typed_import_nothing_of_this():
    script = (
        "import sys\n"
        "from plugpy import Conn, Router\n"
        "router = Router()\n"
        "def show(conn: Conn, id: int) -> Conn: ...\n"
        "router.get('/:id', show)\n"
        "router.compile()\n"
        "print(json.dumps([name for name in sys.modules if name.startswith('plugpy.api')]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", "import json\n" + script],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert json.loads(ran.stdout) == []
