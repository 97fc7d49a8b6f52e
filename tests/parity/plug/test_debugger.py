"""The cases of Plug's test/plug/debugger_test.exs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from plugpy.conn import Conn, UnsupportedMediaTypeError
from plugpy.conn.query import encode
from plugpy.debugging import Action
from plugpy.debugging.actions import InvalidActionError
from plugpy.pipeline import Pipeline, wrap
from plugpy.plugs import Debugger, Parsers, Session
from plugpy.plugs.session import MemoryStore
from plugpy.testing import call, conn

HTML = {"accept": "text/html"}
HERE = Path(__file__)
ROOT = HERE.parents[3]


class ForbiddenError(Exception):
    status = 403


done: list[str] = []


def repair(word: str) -> None:
    done.append(word)


class ActionableError(Exception):
    status = 418

    def actions(self) -> list[Action]:
        return [Action("Send message", repair, "done")]


def render(
    error: Exception,
    method: str = "GET",
    path: str = "/boom",
    sent: dict[str, str] | None = None,
    *,
    body: str = "",
    before: Any = (),
    secret: str | None = None,
    **options: Any,
) -> Conn:
    """The conn after `error` was raised behind a Debugger with these options, as HTML."""

    def crash(c: Conn) -> Conn:
        raise error

    headers = {"host": "localhost", **(HTML if sent is None else sent)}
    c = conn(method, path, body, headers, secret_key_base=secret)
    with pytest.raises(type(error)):
        call(Pipeline([wrap(Debugger, **options), *before, crash]), c)
    return c


def page(*about: Any, **more: Any) -> str:
    text: str = render(*about, **more).adapter.sent_body.decode()
    return text


def test_call_is_overridden() -> None:
    c = render(RuntimeError("<oops>"))
    assert (c.sent, c.status) == (True, 500)
    assert c.get_resp_header("content-type") == ["text/html; charset=utf-8"]
    text = c.adapter.sent_body.decode()
    assert "<title>RuntimeError at GET /boom</title>" in text
    assert "&lt;oops&gt;" in text
    assert "<oops>" not in text


def test_call_is_overridden_and_warns_on_non_500_errors(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("DEBUG", "plugpy.plugs.debugger"):
        c = render(ForbiddenError("oops"))
        render(RuntimeError("the server logs it"))
    assert c.status == 403
    assert "ForbiddenError at GET /boom</title>" in c.adapter.sent_body.decode()
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("DEBUG", "GET /boom is a 403")
    assert isinstance(record.exc_info and record.exc_info[1], ForbiddenError)


def test_call_is_overridden_but_is_a_no_op_when_response_is_already_sent() -> None:
    def send(c: Conn) -> Conn:
        return c.send_resp(200, "sent")

    c = render(RuntimeError("oops"), before=[send])
    assert (c.status, c.adapter.sent_body) == (200, b"sent")


def test_call_is_overridden_and_unwrapps_wrapped_errors() -> None:
    def policy(c: Conn) -> Conn:
        return c.put_resp_header("content-security-policy", "abcdef")

    c = render(ForbiddenError("oops"), before=[policy])
    assert c.status == 403
    assert c.get_resp_header("content-security-policy") != ["abcdef"]
    assert "ForbiddenError at GET /boom</title>" in c.adapter.sent_body.decode()


def test_call_is_overridden_and_handles_errors_without_sources() -> None:
    scope: dict[str, Any] = {}
    exec(compile("def crash(conn):\n    None.id", "<nowhere>", "exec"), scope)
    c = conn("GET", "/nil", headers=HTML)
    with pytest.raises(AttributeError):
        call(Pipeline([wrap(Debugger), scope["crash"]]), c)
    text = c.adapter.sent_body.decode()
    assert "<title>AttributeError at GET /nil</title>" in text
    assert "&lt;nowhere&gt;" in text


def test_exception_page_for_exceptions() -> None:
    text = page(UnsupportedMediaTypeError("bodies of type foo/bar"))
    assert "UnsupportedMediaTypeError" in text
    assert "at GET /boom" in text
    assert "bodies of type foo/bar" in text


def test_shows_request_info() -> None:
    text = page(RuntimeError(), "GET", "/foo/bar?baz=bat")
    assert ">Request<" in text
    assert "http://localhost/foo/bar" in text
    for shown in (">Query parameters<", "baz", "bat"):
        assert shown in text


def test_shows_headers() -> None:
    text = page(RuntimeError(), sent={**HTML, "my-header": "my-value"})
    assert ">Headers<" in text
    assert "my-header" in text
    assert "my-value" in text


def test_shows_params() -> None:
    sent = {**HTML, "content-type": "application/x-www-form-urlencoded"}
    parsers = Parsers(parsers=["urlencoded"])
    text = page(
        RuntimeError(), "POST", "/?in-query=one", sent, body="in-body=two", before=[parsers]
    )
    for shown in (">Query parameters<", "in-query", "one", ">Body parameters<", "in-body", "two"):
        assert shown in text


def test_shows_no_query_params_on_bad_query_string() -> None:
    text = page(RuntimeError("oops"), "GET", "/foo?q=%ff")
    assert "RuntimeError at GET /foo" in text
    assert "oops" in text
    assert "can&#x27;t be read" in text


def test_shows_session() -> None:
    def put(c: Conn) -> Conn:
        return c.put_session("session_key", "session_value")

    session = Session(store=MemoryStore(), key="app")
    text = page(RuntimeError(), before=[session, put])
    for shown in (">Session<", "session_key", "session_value"):
        assert shown in text


def test_shows_copy_markdown_button() -> None:
    text = page(RuntimeError("oops"))
    assert '<button type="button" id="copy" hidden>Copy</button>' in text
    assert "# RuntimeError at GET /boom" in text


SCRIPT = "<script>alert(document.domain)</script>"


def test_sanitizes_output() -> None:
    sent = {**HTML, "x-script": SCRIPT}
    text = page(RuntimeError(SCRIPT), "GET", f"/foo?{SCRIPT}={SCRIPT}", sent)
    assert text.count("&lt;script&gt;alert(document.domain)&lt;/script&gt;") >= 4
    assert "<script>alert" not in text


def test_uses_plug_editor_with_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUG_EDITOR", "hello://open?file=__FILE__&line=__LINE__")
    found = re.search(r"hello://open\?file=([^&]+)&amp;line=(\d+)", page(RuntimeError()))
    assert found is not None
    assert found[1] == str(HERE)
    assert "raise error" in HERE.read_text().splitlines()[int(found[2]) - 1]


def test_uses_plug_editor_with_relativefile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUG_EDITOR", "hello://open?file=__RELATIVEFILE__&line=__LINE__")
    text = page(RuntimeError(), root=ROOT)
    assert "hello://open?file=tests/parity/plug/test_debugger.py&amp;line=" in text


def test_styles_can_be_overridden() -> None:
    text = page(RuntimeError(), style={"primary": "#c0ffee", "logo": "/my-logo.png"})
    assert "#c0ffee" in text
    assert 'src="/my-logo.png"' in text
    assert "<img" not in page(RuntimeError())


class Markup(str):
    def __html__(self) -> str:
        return self


def test_custom_banners_can_be_rendered() -> None:
    def banner(c: Conn, status: int, error: Exception) -> Markup:
        return Markup(f"<h2>{c.method} {status} {error}</h2>")

    assert "<h2>GET 500 oops</h2>" in page(RuntimeError("oops"), banner=banner)


def test_if_the_accept_header_is_something_else_than_text_html_markdown_is_rendered() -> None:
    c = render(RuntimeError("oops"), sent={"accept": "text/plain"})
    assert c.get_resp_header("content-type") == ["text/markdown; charset=utf-8"]
    assert c.adapter.sent_body.startswith(b"# RuntimeError at GET /boom\n")
    assert b"oops" in c.adapter.sent_body
    c = render(RuntimeError("oops"), sent={"accept": "application/json"})
    assert c.get_resp_header("content-type") == ["application/problem+json"]
    assert json.loads(c.adapter.sent_body)["detail"] == "RuntimeError: oops"


ACTION = '<form method="post" action="/__plug__/debugger/action">'


def test_render_actions_when_an_implementation_of_plug_exception_has_it() -> None:
    text = page(ActionableError(), secret="s" * 64)
    assert ACTION in text
    assert "Send message</button>" in text


def test_does_not_render_actions_when_the_exception_don_t_implement_plug_exception() -> None:
    assert ACTION not in page(ForbiddenError(), secret="s" * 64)


def test_does_not_render_actions_when_no_secret_key_base_is_present() -> None:
    # A process without a secret signs by one of its own.
    assert ACTION in page(ActionableError(), secret=None)


def test_only_render_actions_if_request_is_html() -> None:
    for accept in ("text/plain", "application/json"):
        assert "__plug__" not in page(ActionableError(), sent={"accept": accept}, secret="s" * 64)


def last_path(*about: Any, **more: Any) -> str:
    found = re.search(r'name="last_path" value="([^"]*)"', page(ActionableError(), *about, **more))
    assert found is not None
    return found[1]


def test_sets_last_path_as_the_current_request_path_when_is_a_get_without_query_string() -> None:
    assert last_path("GET", "/notes") == "/notes"


def test_sets_last_path_as_the_current_request_path_when_is_a_get_with_query_string() -> None:
    # Without it: it may hold secrets, which the page hides.
    assert last_path("GET", "/notes?a=b&c=%22") == "/notes"


def test_sets_last_path_as_the_referer_header_when_request_is_not_a_get() -> None:
    for referer in ("http://localhost/form?a=b", "https://evil.example/form", "/form"):
        assert last_path("POST", "/notes", {**HTML, "referer": referer}) == "/"


def test_sets_last_path_as_when_request_is_not_a_get_and_tehre_is_no_referer() -> None:
    assert last_path("POST", "/notes") == "/"


def press(fields: dict[str, str]) -> Conn:
    c = conn("POST", "/__plug__/debugger/action", encode(fields), {"host": "localhost"})
    return call(Pipeline([wrap(Debugger), Parsers(parsers=["json"])]), c)


def token() -> str:
    found = re.search(r'name="token" value="([^"]*)"', page(ActionableError()))
    assert found is not None
    return found[1]


def test_executes_an_action() -> None:
    done.clear()
    c = press({"token": token(), "last_path": "/notes?a=b"})
    assert done == ["done"]
    assert (c.status, c.get_resp_header("location")) == (303, ["/notes?a=b"])


def test_does_not_execute_an_action_that_was_tampered() -> None:
    done.clear()
    good = token()
    for bad in ("", "invalid", good[:-4] + "AAAA", "e30" + good, good.partition(".")[0] + "."):
        with pytest.raises(InvalidActionError):
            press({"token": bad, "last_path": "/"})
    assert done == []


def test_stacktrace_from_otp_app() -> None:
    text = page(RuntimeError(), root=ROOT)
    assert '<li class="application">' in text
    assert "tests/parity/plug/test_debugger.py" in text
    assert "raise error" in text


def test_stacktrace_from_elixir() -> None:
    def parse(c: Conn) -> Conn:
        json.loads("{")
        return c

    c = conn("GET", "/", headers=HTML)
    with pytest.raises(json.JSONDecodeError):
        call(Pipeline([wrap(Debugger), parse]), c)
    text = c.adapter.sent_body.decode()
    assert '<li class="library">' in text
    assert "decoder.py" in text


def test_stacktrace_from_test() -> None:
    text = page(RuntimeError())
    assert re.search(r"\bcrash\b", text)
    assert "raise error" in text


def test_stacktrace_at_the_end_of_file(tmp_path: Path) -> None:
    file = tmp_path / "last.py"
    file.write_text("def crash(conn):\n    raise RuntimeError('the last line')")
    scope: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), scope)
    c = conn("GET", "/", headers=HTML)
    with pytest.raises(RuntimeError):
        call(Pipeline([wrap(Debugger, root=tmp_path), scope["crash"]]), c)
    assert "raise RuntimeError(&#x27;the last line&#x27;)" in c.adapter.sent_body.decode()
