"""`plugpy routes`."""

import json
from pathlib import Path
from typing import Any

import pytest

from plugpy.cli.commands import run

ROUTES = """
from plugpy.pipeline import plug as declare
from plugpy.plugs import ETag, Logger, RequestId
from plugpy.router import Router, forward, get, match, post

def plug(conn):
    return conn

class Api(Router):
    @get("/items/:id")
    def item(self, conn, id: int):
        return conn

class Good(Router):
    @get("/")
    def index(self, conn):
        return conn

    @get("/users/:id")
    def show(self, conn, id: int):
        return conn

    @post("/users")
    def create(self, conn):
        return conn

    api = forward("/api", to=Api)

class Lacking(Router):
    declare(ETag)

    @get("/")
    def index(self, conn):
        return conn

class Odd(Router):
    declare(Logger)
    declare(RequestId)

    @get("/", plugs=[Logger, RequestId])
    def index(self, conn):
        return conn

class Below(Router):
    forward("/below", to=Odd)

class Shadowed(Router):
    @match("/*rest")
    def everything(self, conn, rest):
        return conn

    @get("/never")
    def never(self, conn):
        return conn
"""


@pytest.fixture
def routes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Any:
    """Run `plugpy routes`: exit code, standard output, standard error."""
    (tmp_path / "routed.py").write_text(ROUTES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "routed", raising=False)

    def routes(*arguments: str) -> tuple[int, str, str]:
        code = run(["routes", *arguments])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return routes


def test_the_table_shows_method_path_handler_and_where(routes: Any) -> None:
    code, out, err = routes("routed:Good", "--check")
    assert (code, err) == (0, "")
    head, *lines = out.splitlines()
    assert head.split() == ["METHOD", "PATH", "NAME", "HANDLER", "WHERE"]
    assert any(
        "GET HEAD" in line and "/users/:id" in line and "routed.py:1" in line for line in lines
    )
    assert any("POST" in line and "/users " in line for line in lines)
    assert any("/api/items/:id" in line for line in lines)


def test_the_table_as_json(routes: Any) -> None:
    code, out, _ = routes("routed:Good", "--json")
    rows = json.loads(out)
    assert code == 0
    assert [row["path"] for row in rows][:3] == ["/", "/users/:id", "/users"]
    assert rows[1]["methods"] == ["GET", "HEAD"]


def test_a_route_that_is_never_reached_is_warned_of(routes: Any) -> None:
    code, out, err = routes("routed:Shadowed")
    assert code == 0
    assert "/never" in out
    assert "plugpy: warning: /never: unreachable" in err
    assert routes("routed:Shadowed", "--check")[0] == 1


def test_a_plug_that_lacks_another_is_warned_of(routes: Any) -> None:
    code, _, err = routes("routed:Lacking")
    assert code == 0
    assert "plugpy: warning: ETag without ConditionalGet" in err
    assert routes("routed:Lacking", "--check")[0] == 1


def test_plugs_in_an_odd_order_are_warned_of(routes: Any, caplog: pytest.LogCaptureFixture) -> None:
    for target in ("routed:Odd", "routed:Below"):
        code, _, err = routes(target)
        assert code == 0
        assert "plugpy: warning: the order of plugs in Odd: Logger comes before RequestId: " in err
        assert "; put RequestId first" in err
        assert routes(target, "--check")[0] == 1
    assert caplog.records == []


@pytest.mark.parametrize(
    ("request_line", "code", "expected"),
    [
        ("GET /users/3", 0, ["another path", "matches id='3'"]),
        ("get /users/3?x=1", 0, ["matches id='3'"]),
        ("GET /users/x", 1, ["a variable does not convert", "no route serves GET /users/x"]),
        ("DELETE /users", 1, ["another method", "no route serves DELETE /users"]),
        ("GET /api/items/7", 0, ["forwards", "matches id='7'"]),
        ("GET /api/nothing", 1, ["forwards", "no route serves"]),
    ],
)
def test_what_serves_a_request(
    routes: Any, request_line: str, code: int, expected: list[str]
) -> None:
    found, out, err = routes("routed:Good", "--info", request_line)
    assert found == code
    for text in expected:
        assert text in out + err


def test_the_explanation_as_json(routes: Any) -> None:
    _, out, _ = routes("routed:Good", "--info", "GET /users/3", "--json")
    last = json.loads(out)[-1]
    assert (last["path"], last["matches"], last["variables"]) == ("/users/:id", True, {"id": "3"})


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["routed:plug"], 3, "routed:plug is a function, and only a Router has a table"),
        (["routed:Good", "--info", "nonsense"], 2, 'write it as "GET /users/3"'),
        ([], 2, "which application?"),
    ],
)
def test_mistakes(routes: Any, arguments: list[str], code: int, message: str) -> None:
    found, _, err = routes(*arguments)
    assert found == code
    assert message in err
