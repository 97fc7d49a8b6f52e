"""Debugger (Plug.Debugger)."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from plugpy.conn import BadRequestError, ClientDisconnected, NoRouteError
from plugpy.conn.query import encode
from plugpy.debugging import Action
from plugpy.debugging import actions as actions_module
from plugpy.pipeline import Pipeline, wrap
from plugpy.plugs import Debugger, ErrorHandler, Parsers, SecureHeaders, Session
from plugpy.plugs.session import MemoryStore
from plugpy.router import Router
from plugpy.testing import call, conn

HTML = {"accept": "text/html"}
HOSTILE = "</textarea></script><script>alert(1)</script><img src=x onerror=alert(1)>\"'`&\0\ud800"

WORD = "hunter" + str(2)
"""A secret that is not in the source as it is."""


def crash(conn):
    password = WORD
    raise RuntimeError(f"number {len(password)}")


async def crash_later(conn):
    await asyncio.sleep(0)
    raise RuntimeError("number 7")


def raising(error):
    def plug(conn):
        raise error

    return plug


def answered(plug, request=None, *, error=RuntimeError, **options):
    """What is sent when `plug` raises behind a Debugger with these options."""
    request = request or conn("GET", "/", headers=HTML)
    with pytest.raises(error):
        call(Pipeline([wrap(Debugger, **options), plug]), request)
    return request


def text(request):
    return request.adapter.sent_body.decode()


class Tags(HTMLParser):
    """The elements and attributes of a page, as a browser sees them."""

    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.attributes = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes


# formats ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("plug", [crash, crash_later])
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html", "text/html; charset=utf-8"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("application/json", "application/problem+json"),
        ("application/vnd.api+json", "application/problem+json"),
        ("application/json, text/plain, */*", "application/problem+json"),
        ("application/json, text/html;q=0", "application/problem+json"),
        ("text/plain", "text/markdown; charset=utf-8"),
        ("nonsense", "text/markdown; charset=utf-8"),
        (None, "text/markdown; charset=utf-8"),
    ],
)
def test_the_format_is_what_the_client_accepts(plug, accept, kind):
    sent = answered(plug, conn("GET", "/a", headers={"accept": accept} if accept else {}))
    assert sent.status == 500
    assert sent.get_resp_header("content-type") == [kind]
    assert sent.get_resp_header("cache-control") == ["no-store"]
    assert sent.get_resp_header("x-content-type-options") == ["nosniff"]
    assert "RuntimeError" in text(sent)
    assert "number 7" in text(sent)
    assert WORD not in text(sent)


def test_the_page_shows_the_request_without_secrets():
    def fail(conn):
        conn.assign("user", {"name": "ann-of-assigns", "api_key": WORD})
        conn.put_session("cart", "three-apples").put_session("access_token", WORD)
        raise RuntimeError

    pipeline = Pipeline(
        [
            wrap(Debugger),
            (Parsers, {"parsers": ["urlencoded"]}),
            Session(store=MemoryStore(), key="_app"),
            fail,
        ]
    )
    for accept in ("text/html", "application/json", "text/plain"):
        sent = conn(
            "POST",
            f"/pages/7?page=2&token={WORD}&user[password]={WORD}",
            body=f"title=first-post&password={WORD}",
            headers={
                "accept": accept,
                "content-type": "application/x-www-form-urlencoded",
                "cookie": f"theme=dark-green; sid={WORD}; _app={3 * WORD}",
                "authorization": f"Bearer {WORD}",
                "referer": f"http://www.example.com/?api_key={WORD}",
                "x-plain": "plain-header",
            },
        )
        with pytest.raises(RuntimeError):
            call(pipeline, sent)
        page = text(sent)
        assert WORD not in page
        for told in ("/pages/7", "first-post", "dark-green", "three-apples", "ann-of-assigns"):
            assert told in page
        assert "plain-header" in page
        assert "www.example.com" in page


def test_json_is_for_programs():
    sent = answered(crash, conn("GET", "/a", headers={"accept": "application/json"}))
    told = json.loads(text(sent))
    assert (told["status"], told["title"]) == (500, "Internal Server Error")
    assert told["detail"] == "RuntimeError: number 7"
    frame = told["errors"][0]["frames"][0]
    assert (frame["function"], frame["library"]) == ("crash", False)
    assert "raise RuntimeError" in frame["source"]
    assert ["method", "GET"] in told["request"]["Request"]


def test_markdown_can_not_be_broken_out_of():
    hostile = "```\n# heading\n````\n<script>"
    sent = answered(raising(RuntimeError(hostile)), conn("GET", "/`a`", headers={"x-a": "`` b"}))
    page = text(sent)
    assert f"`````text\nRuntimeError: {hostile}\n`````" in page
    assert "``` `` b ```" in page
    assert page.startswith("# RuntimeError at GET /\\`a\\`\n")


def test_head_has_no_body():
    assert answered(crash, conn("HEAD", "/", headers=HTML)).adapter.sent_body == b""


# hostile input ----------------------------------------------------------------------------------


def hostile_requests():
    quoted = "%3C/textarea%3E%3Cscript%3Ealert(1)%3C/script%3E"
    yield "path", conn("GET", f"/{HOSTILE}", headers=HTML)
    yield "query", conn("GET", f"/?{quoted}={quoted}&a[{quoted}]={quoted}", headers=HTML)
    yield "header", conn("GET", "/", headers={**HTML, "x-a": HOSTILE})
    yield "cookie", conn("GET", "/", headers={**HTML, "cookie": "a=<script>"})
    yield "host", conn("GET", "/", headers={**HTML, "host": "<script>alert(1)</script>"})


@pytest.mark.parametrize("where", dict(hostile_requests()))
def test_nothing_of_the_request_is_markup(where):
    is_plain(answered(crash, dict(hostile_requests())[where]))


def is_plain(sent):
    page = text(sent)
    assert "<script>alert" not in page
    found = Tags(page)
    assert found.tags.count("script") == 1
    assert found.tags.count("textarea") == 1
    assert found.tags.count("img") == 0
    assert not [name for name, _ in found.attributes if name.startswith("on")]


def test_nothing_of_the_exception_is_markup():
    def fail(conn):
        hostile_local = HOSTILE  # noqa: F841
        conn.assign(HOSTILE, HOSTILE)
        kind = type("</h1><script>alert(1)</script>", (Exception,), {})
        error = kind(HOSTILE)
        error.add_note(HOSTILE)
        raise error from ValueError(HOSTILE)

    is_plain(answered(fail, error=Exception, banner=lambda conn, status, error: HOSTILE))


def test_nothing_of_the_source_is_markup(tmp_path):
    file = tmp_path / "<script>alert(1)<script>.py"
    file.write_text("def fail(conn):\n    raise RuntimeError('</pre><script>alert(1)</script>')\n")
    namespace = {}
    exec(compile(file.read_text(), str(file), "exec"), namespace)
    sent = answered(namespace["fail"], editor='x://__FILE__"><script>:__LINE__')
    is_plain(sent)
    assert "&lt;/pre&gt;" in text(sent)


def test_the_page_allows_no_other_script():
    sent = answered(crash)
    (policy,) = sent.get_resp_header("content-security-policy")
    assert "default-src 'none'" in policy
    (nonce,) = set(re.findall(r"script-src 'nonce-([\w-]+)'", policy))
    assert f'<script nonce="{nonce}">' in text(sent)
    assert f'<style nonce="{nonce}">' in text(sent)
    assert nonce not in answered(crash).get_resp_header("content-security-policy")[0]


def test_policies_of_the_application_go():
    strict = {
        "content-security-policy": "default-src 'self'",
        "content-security-policy-report-only": "default-src 'none'",
    }
    for accept in ("text/html", "text/plain"):
        sent = conn("GET", "/", headers={"accept": accept})
        with pytest.raises(RuntimeError):
            Pipeline([wrap(Debugger), (SecureHeaders, {"headers": strict}), crash])(sent)
        assert "default-src 'self'" not in sent.get_resp_header("content-security-policy")
        assert sent.get_resp_header("content-security-policy-report-only") == []
        assert sent.get_resp_header("x-frame-options") != [] or sent.resp_headers


# what goes on ------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [BadRequestError("say please"), NoRouteError(), RuntimeError()])
def test_it_goes_on(error):
    with pytest.raises(type(error)) as caught:
        Pipeline([wrap(Debugger), raising(error)])(conn("GET", "/", headers=HTML))
    assert caught.value is error


def test_the_status_is_that_of_the_error():
    sent = answered(raising(BadRequestError("say please")), error=BadRequestError)
    assert sent.status == 400
    assert "say please" in text(sent)


@pytest.mark.parametrize("error", [NoRouteError(), ClientDisconnected()])
def test_answers_of_a_router_are_left_to_it(error):
    assert not answered(raising(error), error=type(error)).sent


def test_error_handlers_of_a_router_still_say_404():
    class App(Router):
        wrap(Debugger)

    app = App()
    app.get("/", crash)
    app.error(404)(lambda conn, error: "nothing of the kind")
    assert call(app, conn("GET", "/x", headers=HTML)).adapter.sent_body == b"nothing of the kind"


def test_a_response_that_has_begun_is_left_alone():
    def late(conn):
        conn.send_resp(200, "fine")
        raise RuntimeError

    assert answered(late).adapter.sent_body == b"fine"


def test_what_was_set_is_forgotten():
    def half(conn):
        conn.put_resp_header("etag", '"1"').put_resp_header("x-request-id", "7")
        conn.put_resp_content_type("image/png").resp(200, "image")
        raise RuntimeError

    sent = answered(half)
    assert sent.get_resp_header("etag") == []
    assert sent.get_resp_header("content-type") == ["text/html; charset=utf-8"]
    assert sent.get_resp_header("x-request-id") == ["7"]


def test_a_crash_in_before_send_is_shown():
    def broken(conn):
        raise RuntimeError("in the callback")

    sent = answered(lambda conn: conn.register_before_send(broken).send_resp(200, ""))
    assert "in the callback" in text(sent)


def test_a_page_that_can_not_be_sent_hides_no_error(caplog):
    def broken(conn, status, error):
        raise ZeroDivisionError

    sent = answered(crash, banner=broken)
    assert not sent.sent
    assert "ZeroDivisionError" in caplog.text


def test_nothing_happens_without_an_error():
    async def later(conn):
        return conn.send_resp(200, "fine")

    for plug in (later, lambda conn: conn.send_resp(200, "fine")):
        assert call(Pipeline([wrap(Debugger), plug]), conn("GET", "/")).status == 200


def test_query_that_can_not_be_read_is_said():
    sent = answered(
        lambda conn: conn.query_params, conn("GET", "/?a=%ff", headers=HTML), error=BadRequestError
    )
    assert sent.status == 400
    assert "can&#x27;t be read" in text(sent)


# options ----------------------------------------------------------------------------------------


def test_variables_can_be_left_out():
    assert "Variables" in text(answered(crash))
    assert "Variables" not in text(answered(crash, show_locals=False))


def test_further_secrets():
    def fail(conn):
        blood_type = "AB-" + "negative"
        raise RuntimeError(len(blood_type))

    whole = "-".join(["AB", "negative"])
    assert whole in text(answered(fail))
    assert whole not in text(answered(fail, secrets=["blood_type"]))


def test_frames_of_libraries_are_folded_without_a_script():
    def fail(conn):
        json.loads("{")

    page = text(answered(fail, error=json.JSONDecodeError))
    assert '<li class="library">' in page
    assert '<li class="application">' in page
    assert 'type="checkbox"' in page


def test_editor_links(monkeypatch, tmp_path):
    monkeypatch.setenv("PLUG_EDITOR", "editor://open?f=__FILE__&l=__LINE__&r=__RELATIVEFILE__")
    line = crash.__code__.co_firstlineno + 2
    page = text(answered(crash, root=os.path.dirname(__file__)))
    assert f"editor://open?f={__file__}&amp;l={line}&amp;r=test_debugger.py" in page
    assert f"code://{__file__}:{line}" in text(answered(crash, editor="code://__FILE__:__LINE__"))
    monkeypatch.setenv("PLUG_EDITOR", "javascript:alert(1)")
    assert "javascript:" not in text(answered(crash))


def test_style_and_banner():
    class Markup(str):
        def __html__(self):
            return self

    page = text(
        answered(
            crash,
            style={
                "primary": "#123456",
                "accent": "rgb(1, 2, 3)",
                "logo": "/logo.png",
                "dark": False,
            },
            banner=lambda conn, status, error: Markup(f"<b>{status} {type(error).__name__}</b>"),
        )
    )
    assert "--primary: #123456; --accent: rgb(1, 2, 3);" in page
    assert '<img alt="" src="/logo.png">' in page
    assert "<b>500 RuntimeError</b>" in page
    assert '<body class="light">' in page
    told = text(answered(crash, banner=lambda conn, status, error: "<b>"))
    assert "&lt;b&gt;" in told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"style": {"primary": "red;} body{display:none"}}, "colour"),
        ({"style": {"accent": "</style><script>"}}, "colour"),
        ({"style": {"logo": "javascript:alert(1)"}}, "URL of an image"),
        ({"style": {"primry": "red"}}, "style has no primry"),
        ({"editor": "javascript:alert(1)"}, "editor is a link"),
        ({"secrets": "name"}, "list of names"),
        ({"hosts": "name"}, "list of names"),
    ],
)
def test_wrong_options(options, said):
    with pytest.raises(ValueError, match=said):
        Pipeline([wrap(Debugger, **options), crash]).compile()


def test_it_goes_around_plugs():
    with pytest.raises(TypeError):
        Pipeline([Debugger]).compile()
    with pytest.raises(ValueError, match="Debugger needs ErrorHandler before it"):
        Pipeline([wrap(Debugger), wrap(ErrorHandler), crash]).compile()


# actions ----------------------------------------------------------------------------------------

done: list[str] = []


def repair(name):
    done.append(name)


async def repair_later(name):
    await asyncio.sleep(0)
    done.append(name)


def fails_too():
    raise ZeroDivisionError


class BrokenError(Exception):
    def __init__(self, *actions):
        super().__init__("broken")
        self._actions = actions

    def actions(self):
        return self._actions


def form_of(*actions, method="GET", host="localhost:4000", **options):
    page = text(
        answered(
            raising(BrokenError(*actions)),
            conn(method, "/notes/7", headers={**HTML, "host": host}, **options),
            error=BrokenError,
        )
    )
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page))
    (path,) = re.findall(r'<form method="post" action="([^"]+)">', page)
    return path, fields


def press(path, fields, *, headers=None, hosts=(), **options):
    headers = {"host": "localhost:4000", **(headers or {})}
    request = conn("POST", path, body=encode(fields), headers=headers, **options)
    return call(Pipeline([wrap(Debugger, hosts=hosts), crash]), request)


@pytest.fixture(autouse=True)
def _nothing_done():
    done.clear()


@pytest.mark.parametrize("function", [repair, repair_later])
@pytest.mark.parametrize("secret", [None, "x" * 64, "short"])
def test_a_button_calls_its_function(function, secret):
    path, fields = form_of(Action("Repair", function, "x<y"), secret_key_base=secret)
    assert path == "/__plug__/debugger/action"
    sent = press(path, fields, secret_key_base=secret)
    assert done == ["x<y"]
    assert (sent.status, sent.get_resp_header("location")) == (303, ["/notes/7"])


def test_a_button_does_not_repeat_what_changes_something():
    _, fields = form_of(Action("Repair", repair, "x"), method="POST")
    assert fields["last_path"] == "/"


def test_a_button_below_a_forward():
    inner = Router([wrap(Debugger)])
    inner.get("/x", raising(BrokenError(Action("Repair", repair, "x"))))
    outer = Router()
    outer.forward("/inner", inner)
    sent = conn("GET", "/inner/x", headers={**HTML, "host": "localhost"})
    with pytest.raises(BrokenError):
        call(outer, sent)
    assert 'action="/inner/__plug__/debugger/action"' in text(sent)
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', text(sent)))
    local = {"host": "localhost"}
    call(outer, conn("POST", "/inner/__plug__/debugger/action", encode(fields), local))
    assert done == ["x"]


def changed_tokens(token):
    payload, _, signature = token.partition(".")
    yield from ("", ".", "a.b", payload, f"{payload}.", f".{signature}", token + "=", token + "é")
    other = "A" if payload[10] != "A" else "B"
    yield f"{payload[:10]}{other}{payload[11:]}.{signature}"


def test_a_button_that_was_changed_does_nothing(monkeypatch):
    path, fields = form_of(Action("Repair", repair, "x"))
    for token in changed_tokens(fields["token"]):
        with pytest.raises(actions_module.InvalidActionError):
            press(path, {**fields, "token": token})
    with pytest.raises(actions_module.InvalidActionError):
        press(path, {"last_path": "/"})
    with pytest.raises(actions_module.InvalidActionError):
        press(path, fields, secret_key_base="y" * 64)
    with pytest.raises(actions_module.InvalidActionError):
        press(path, fields, headers={"sec-fetch-site": "cross-site"})
    now = actions_module.time.time()
    monkeypatch.setattr(actions_module.time, "time", lambda: now + actions_module.MAX_AGE + 1)
    with pytest.raises(actions_module.InvalidActionError):
        press(path, fields)
    assert done == []


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil", "a:b"]
)
def test_another_name_that_leads_here_gets_no_button(host):
    """DNS rebinding: the page of another site is taken for one of this machine."""
    with pytest.raises(ValueError, match="not enough values"):
        form_of(Action("Repair", repair, "x"), host=host)
    path, fields = form_of(Action("Repair", repair, "x"))
    with pytest.raises(actions_module.InvalidActionError):
        press(path, fields, headers={"host": host})
    assert done == []


@pytest.mark.parametrize(
    "host", ["localhost", "app.localhost:4000", "127.0.0.1:4000", "[::1]:4000", "192.168.1.7"]
)
def test_names_of_this_machine(host):
    path, fields = form_of(Action("Repair", repair, "x"), host=host)
    press(path, fields, headers={"host": host})
    assert done == ["x"]


def test_further_hosts():
    path, fields = form_of(Action("Repair", repair, "x"))
    press(path, fields, headers={"host": "Dev.Example"}, hosts=["dev.example"])
    assert done == ["x"]
    error = BrokenError(Action("Repair", repair, "x"))
    request = conn("GET", "/", headers={**HTML, "host": "dev.example"})
    sent = answered(raising(error), request, error=BrokenError, hosts=["dev.example"])
    assert "Repair</button>" in text(sent)


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "x", ["/"]]
)
def test_a_button_leads_nowhere_else(elsewhere):
    path, fields = form_of(Action("Repair", repair, "x"))
    key = "last_path[]" if isinstance(elsewhere, list) else "last_path"
    fields.pop("last_path")
    value = elsewhere[0] if isinstance(elsewhere, list) else elsewhere
    assert press(path, {**fields, key: value}).get_resp_header("location") == ["/"]


def test_a_button_that_fails_shows_its_page():
    path, fields = form_of(Action("Repair", fails_too))
    with pytest.raises(ZeroDivisionError):
        press(path, fields)


def test_there_are_not_endless_buttons():
    error = BrokenError(*[Action("Repair", repair, "x")] * 50, "no action")
    request = conn("GET", "/", headers={**HTML, "host": "localhost"})
    page = text(answered(raising(error), request, error=BrokenError))
    assert page.count("Repair</button>") == actions_module.MOST_ACTIONS


def test_other_requests_to_the_path_reach_the_application():
    with pytest.raises(RuntimeError):
        call(Pipeline([wrap(Debugger), crash]), conn("GET", "/__plug__/debugger/action"))


def test_an_action_is_a_function_of_a_module():
    for function in (lambda: None, [].append, len.__call__, "repair"):
        with pytest.raises(TypeError, match="function of a module"):
            Action("Repair", function)


# the server -------------------------------------------------------------------------------------


def test_it_is_not_imported_by_a_server_that_is_fine():
    """Nothing turns it on by itself: not even its code is there."""
    code = (
        "import sys, plugpy.server, plugpy.http, plugpy.router, plugpy.plugs, plugpy.cli\n"
        "assert not [name for name in sys.modules if 'debug' in name and 'plugpy' in name]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
