"""Templates and `conn.render`."""

from __future__ import annotations

import asyncio
import os
import sys

import jinja2
import pytest

from plugpy.conn import AlreadySentError, UnfetchedError
from plugpy.pipeline import Pipeline, wrap
from plugpy.plugs import CSRFProtection, Debugger, Flash, Session, Templates, put_flash
from plugpy.plugs.session import MemoryStore
from plugpy.plugs.templates import stream_template
from plugpy.router import Router, get, plug
from plugpy.testing import call, conn

HOSTILE = "<script>alert('&')</script>"
ESCAPED = "&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "layout.html").write_text("<title>{% block title %}{% endblock %}</title>")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "show.html").write_text(
        "{% extends 'layout.html' %}{% block title %}{{ name }}{% endblock %}"
    )
    for name in ("name.html", "name.html.j2", "name.xml", "name.svg", "name.txt", "name.txt.j2"):
        (tmp_path / name).write_text("{{ name }}")
    for name in ("name", "name.md", "name.csv", "name.json", "NAME.TXT"):
        (tmp_path / name).write_text("{{ name }}")
    return tmp_path


def rendered(templates, name, /, **assigns):
    return templates(conn("GET", "/")).render(name, **assigns)


def test_a_page_with_a_layout(folder):
    sent = rendered(Templates(folder), "pages/show.html", name="Ann")
    assert (sent.status, sent.adapter.sent_body) == (200, b"<title>Ann</title>")
    assert sent.get_resp_header("content-type") == ["text/html; charset=utf-8"]


@pytest.mark.parametrize(
    ("name", "kind", "escaped"),
    [
        ("name.html", "text/html; charset=utf-8", True),
        ("name.html.j2", "text/html; charset=utf-8", True),
        ("name", "text/html; charset=utf-8", True),
        ("name.xml", "text/xml; charset=utf-8", True),
        ("name.svg", "image/svg+xml; charset=utf-8", True),
        ("name.json", "application/json; charset=utf-8", True),
        ("name.txt", "text/plain; charset=utf-8", False),
        ("name.txt.j2", "text/plain; charset=utf-8", False),
        ("NAME.TXT", "text/plain; charset=utf-8", False),
        ("name.csv", "text/csv; charset=utf-8", False),
        ("name.md", "text/markdown; charset=utf-8", False),
    ],
)
def test_the_ending_says_what_it_is(folder, name, kind, escaped):
    sent = rendered(Templates(folder), name, name=HOSTILE)
    assert sent.get_resp_header("content-type") == [kind]
    assert sent.adapter.sent_body.decode() == (ESCAPED if escaped else HOSTILE)


def test_status_and_content_type_put_before_stay(folder):
    sent = Templates(folder)(conn("GET", "/")).put_status(404)
    sent.put_resp_content_type("application/xhtml+xml").render("name.html", name="none")
    assert sent.status == 404
    assert sent.get_resp_header("content-type") == ["application/xhtml+xml; charset=utf-8"]


def test_assigns_of_the_conn_are_seen_and_those_of_render_win():
    loader = jinja2.DictLoader({"a.txt": "{{ one }} {{ two }} {{ conn.method }} {{ template }}"})
    ready = Templates(loader=loader)(conn("GET", "/")).merge_assigns(one=1, two=1, conn="mine")
    assert ready.render("a.txt", two=2, template=3).resp_body == "1 2 GET 3"
    assert ready.assigns == {"one": 1, "two": 1, "conn": "mine"}


def test_a_name_that_nothing_was_given_for():
    loader = jinja2.DictLoader({"a.html": "[{{ nmae }}]"})
    with pytest.raises(jinja2.UndefinedError, match="nmae"):
        rendered(Templates(loader=loader), "a.html", name="x")
    assert rendered(Templates(loader=loader, strict=False), "a.html").resp_body == "[]"


def test_without_the_plug_it_says_what_to_do():
    with pytest.raises(UnfetchedError, match=r'put plug\(Templates, folder="templates"\)'):
        conn("GET", "/").render("a.html")


def test_after_the_response_nothing_is_rendered(folder):
    with pytest.raises(AlreadySentError):
        Templates(folder)(conn("GET", "/")).send_resp(200, "").render("name.html", name="x")


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "..", "pages/../../secret.txt"])
def test_no_template_lies_outside(folder, name):
    (folder.parent / "secret.txt").write_text("secret")
    with pytest.raises(jinja2.TemplateNotFound):
        rendered(Templates(folder), name)


def test_a_missing_template_says_where_it_was_looked_for(folder):
    with pytest.raises(jinja2.TemplateNotFound) as caught:
        rendered(Templates([folder / "pages", folder]), "shwo.html")
    assert caught.value.__notes__ == [f"looked for in {folder / 'pages'}, {folder}"]


def test_the_first_folder_wins(folder):
    (folder / "pages" / "name.html").write_text("mine")
    assert rendered(Templates([folder / "pages", folder]), "name.html").resp_body == "mine"


@pytest.mark.parametrize("reload", [True, False])
def test_a_changed_template_is_read_again(folder, reload):
    templates = Templates(folder, reload=reload)
    assert rendered(templates, "name.html", name="old").resp_body == "old"
    (folder / "name.html").write_text("new")
    os.utime(folder / "name.html", (1, 1))
    expected = "new" if reload else "old"
    assert rendered(templates, "name.html", name="old").resp_body == expected


def test_filters_globals_and_an_environment_of_ones_own():
    source = {"a.txt": "{{ 'a' | double }} {{ site }}"}
    templates = Templates(
        loader=jinja2.DictLoader(source), filters={"double": lambda x: x * 2}, globals_={"site": 7}
    )
    assert rendered(templates, "a.txt").resp_body == "aa 7"
    own = jinja2.Environment(loader=jinja2.DictLoader({"a.html": "{{ x }}"}), autoescape=True)
    assert rendered(Templates(environment=own), "a.html", x="<").resp_body == "&lt;"


def test_wrong_options(folder):
    loader = jinja2.DictLoader({})
    for options in ({}, {"folder": folder, "loader": loader}):
        with pytest.raises(TypeError, match="one of folder, loader and environment"):
            Templates(**options)
    with pytest.raises(ValueError, match="there is no folder"):
        Templates(folder / "nowhere")
    with pytest.raises(ValueError, match="names no folder"):
        Templates([])


def test_without_jinja_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r'pip install "plugpy\[templates\]"'):
        Templates("templates")


def test_another_language_can_render():
    class Shout:
        def render(self, conn, template, assigns):
            return "text/plain", f"{template}{assigns}".upper()

    ready = conn("GET", "/").put_private("plugpy_templates", Shout())
    assert ready.render("hello ", a=1).adapter.sent_body == b"HELLO {'A': 1}"


def test_forms_and_messages():
    loader = jinja2.DictLoader(
        {"form.html": "{{ csrf_token() }}|{{ csrf_token_for('/x') }}|{{ get_flash('info') }}"}
    )
    plugs = [
        Session(store=MemoryStore(), key="_app"),
        Flash(),
        CSRFProtection(),
        Templates(loader=loader),
    ]
    ready = Pipeline(plugs)(conn("GET", "/"))
    put_flash(ready, "info", HOSTILE).render("form.html")
    token, other, message = ready.resp_body.split("|")
    assert len(token) == len(other) == 48
    assert message == ESCAPED
    cookie = ready.resp_cookies["_app"]["value"]
    headers = {"cookie": f"_app={cookie}", "x-csrf-token": token}
    assert Pipeline(plugs)(conn("POST", "/", headers=headers)).halted is False


def test_in_a_router(folder):
    class App(Router):
        plug(Templates, folder=folder)

        @get("/:name")
        def show(self, conn, name):
            return conn.render("name.html", name=name)

    assert call(App(), conn("GET", "/ann")).resp_body == "ann"


def test_an_error_in_a_template_is_shown_at_its_line(folder):
    (folder / "broken.html").write_text("first line\n{{ 1 // zero }}\n")
    plugs = [wrap(Debugger), Templates(folder), lambda conn: conn.render("broken.html", zero=0)]
    sent = conn("GET", "/", headers={"accept": "text/html"})
    with pytest.raises(ZeroDivisionError):
        Pipeline(plugs)(sent)
    page = sent.adapter.sent_body.decode()
    assert f"{folder / 'broken.html'}:2" in page
    assert "{{ 1 // zero }}" in page


def test_a_page_in_chunks():
    loader = jinja2.DictLoader({"a.html": "{% for n in numbers %}{{ n }},{% endfor %}{{ late }}"})
    ready = Templates(loader=loader)(conn("GET", "/")).put_status(203).assign("late", HOSTILE)
    asyncio.run(stream_template(ready, "a.html", numbers=range(100)))
    assert (ready.status, ready.state) == (203, "chunked")
    assert ready.get_resp_header("content-type") == ["text/html; charset=utf-8"]
    assert 1 < len(ready.adapter.chunks) < 20  # not one for each part of the template
    numbers = ",".join(map(str, range(100)))
    assert ready.adapter.sent_body.decode() == f"{numbers},{ESCAPED}"


def test_chunks_need_the_plug():
    with pytest.raises(UnfetchedError, match="needs the plug Templates"):
        asyncio.run(stream_template(conn("GET", "/"), "a.html"))


def test_a_page_in_chunks_begins_before_it_is_whole():
    def broken():
        yield from range(1000)
        raise RuntimeError("in the middle")

    loader = jinja2.DictLoader({"a.html": "{% for n in numbers %}{{ n }},{% endfor %}"})
    ready = Templates(loader=loader)(conn("GET", "/"))
    with pytest.raises(RuntimeError, match="in the middle"):
        asyncio.run(stream_template(ready, "a.html", numbers=broken()))
    assert ready.sent
    assert ready.adapter.sent_body.startswith(b"0,1,2,")
