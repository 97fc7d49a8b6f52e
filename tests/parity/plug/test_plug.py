"""Cases of Plug's test/plug_test.exs: Plug.run/3 and Plug.forward/4."""

import logging

import pytest

from plugpy.conn import Conn, PlugError
from plugpy.pipeline import run
from plugpy.router import Router, forward_conn, get
from plugpy.testing import conn


class Response(Router):
    @get("/*path")
    def show(self, conn: Conn, path: str) -> str:
        script_name, path_info = "/".join(conn.script_name), "/".join(conn.path_info)
        return f"path: {path}\nscript_name: {script_name}\npath_info: {path_info}\n"


def forwarding(conn: Conn):
    if conn.path_info[:1] == ["prefix"]:
        return forward_conn(conn, conn.path_info[1:], Response())
    return Response()(conn)


class Halter:
    def __call__(self, conn: Conn) -> Conn:
        return conn.halt()


class NotPlug:
    def __call__(self, conn: Conn):
        return {}


def head_to_get(conn: Conn) -> Conn:
    conn.method = "GET"
    return conn


def fail(conn: Conn) -> Conn:
    raise AssertionError(f"should not be called with {conn}")


def test_forward_strips_segments_of_the_path_affecting_path_matching_for_the_called_plug():
    result = forwarding(conn("GET", "/prefix/more/segments"))
    assert (
        result.resp_body == "path: more/segments\nscript_name: prefix\npath_info: more/segments\n"
    )
    assert result.path_info == ["prefix", "more", "segments"]
    assert result.script_name == []


def test_forward_refuses_a_path_that_is_not_the_end():
    with pytest.raises(ValueError, match="is not the end of the path"):
        forward_conn(conn("GET", "/a/b"), ["c"], Response())


def test_run_invokes_plugs():
    assert run(conn("HEAD", "/"), [head_to_get]).method == "GET"
    result = run(conn("HEAD", "/"), [head_to_get, lambda conn: conn.send_resp(200, "ok")])
    assert (result.method, result.status) == ("GET", 200)


async def test_run_invokes_async_plugs():
    async def later(conn: Conn) -> Conn:
        return conn.assign("later", True)

    result = await run(conn(), [later, head_to_get])
    assert result.assigns == {"later": True}


def test_run_does_not_invoke_plugs_if_halted():
    assert run(conn().halt(), [fail]).halted


def test_run_aborts_if_plug_halts():
    assert run(conn(), [Halter, fail]).halted


def test_run_logs_when_halting(caplog):
    caplog.set_level(logging.ERROR)
    assert run(conn(), [(Halter, {})], log_on_halt="error").halted
    assert "run halted in Halter.__call__" in caplog.text
    caplog.clear()
    assert run(conn(), [lambda conn: conn.halt()], log_on_halt="error").halted
    assert "<lambda>" in caplog.text


def test_run_raises_exception_with_invalid_return():
    with pytest.raises(PlugError, match=r"expected NotPlug.__call__ to return a Conn, got \{\}"):
        run(conn(), [NotPlug])
    with pytest.raises(PlugError, match=r"expected .*<lambda> to return a Conn, got \{\}"):
        run(conn(), [lambda conn: {}])
