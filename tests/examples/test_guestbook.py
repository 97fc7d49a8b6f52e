"""examples/guestbook.py, as people and as attackers use it."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import sys
from contextlib import closing

import pytest

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100
PASSWORD = "correct horse"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "kept"


@pytest.fixture
def server(example, live_server, folder):
    application = example("guestbook:Guestbook", GUESTBOOK_FOLDER=folder)
    cost = sys.modules["guestbook"].COST
    assert cost["n"] * cost["r"] * cost["p"] >= 2**14 * 8 * 5
    cost.update(n=2, p=1)  # tests have no time for what makes guessing slow
    return live_server(application)


class Person:
    """Somebody with a browser of their own."""

    def __init__(self, http):
        self.http = http

    def token(self, path="/"):
        return re.search(r'name="_csrf_token" value="([^"]+)"', self.http.get(path).text)[1]

    def sign_in(self, name="Ann", password=PASSWORD):
        form = {"_csrf_token": self.token("/login"), "name": name, "password": password}
        return self.http.post("/login", data=form)

    def write(self, text="Hello", files=None, **fields):
        form = {"_csrf_token": self.token(), "text": text, **fields}
        return self.http.post("/", data=form, files=files or {"picture": ("", b"")})


@pytest.fixture
def person(server, client):
    return lambda: Person(client(server))


@pytest.fixture
def ann(person):
    ann = person()
    assert ann.sign_in().headers["location"] == "/"
    return ann


def test_from_signing_in_to_signing_out(person):
    ann, stranger = person(), person()
    assert "Nobody has written anything yet" in ann.http.get("/").text
    answer = ann.sign_in()
    assert (answer.status_code, answer.headers["location"]) == (302, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Ann" not in cookie
    assert "Welcome, Ann." in ann.http.get("/").text
    assert "Welcome" not in ann.http.get("/").text

    assert ann.write("What a nice book").status_code == 302
    own = ann.http.get("/").text
    assert "Thank you!" in own
    for page in (own, stranger.http.get("/").text):
        assert "<p>What a nice book</p>" in page
        assert "<footer>Ann, 20" in page
    assert "<textarea" not in stranger.http.get("/").text

    answer = ann.http.post("/logout", data={"_csrf_token": ann.token()})
    assert (answer.status_code, answer.headers["location"]) == (302, "/")
    assert "Sign in" in ann.http.get("/").text


def test_a_name_belongs_to_who_had_it_first(ann, person):
    for name in ("Ann", "ANN"):
        other = person()
        answer = other.sign_in(name, "another password")
        assert answer.status_code == 403
        assert "not the password of this name" in answer.text
        assert "Sign in" in other.http.get("/").text
    again = person()
    assert again.sign_in().status_code == 302


def test_passwords_are_kept_as_hashes(ann, folder):
    with closing(sqlite3.connect(folder / "guestbook.sqlite3")) as db:
        (row,) = db.execute("select * from people").fetchall()
    assert row[0] == "Ann"
    assert len(row[2]) == 64
    assert PASSWORD.encode() not in b"".join(path.read_bytes() for path in folder.glob("*.sqlite3"))


@pytest.mark.parametrize(
    ("name", "password"),
    [
        *((name, PASSWORD) for name in ("", "a b", "<b>", "x" * 31)),
        *(("Ann", password) for password in ("", "short", "x" * 101)),
    ],
)
def test_names_and_passwords_that_are_none(person, name, password):
    answer = person().sign_in(name, password)
    assert answer.status_code == 422
    assert "<b>" not in answer.text


def test_passwords_are_not_tried_forever(person):
    guesser = person()
    answers = [guesser.sign_in("Ann", f"guess {guess:04}").status_code for guess in range(12)]
    assert answers[:10] == [302, *[403] * 9]
    assert 429 in answers[10:]


def test_a_form_without_its_token_is_refused(ann, person):
    others = person()
    others.sign_in("Bob")
    for token in ({}, {"_csrf_token": "x"}, {"_csrf_token": others.token()}):
        for path in ("/", "/login", "/logout"):
            answer = ann.http.post(path, data={"text": "forged", "name": "Ann", **token})
            assert answer.status_code == 403
    forged = {"text": "forged", "_csrf_token": ann.token()}
    marked = {"sec-fetch-site": "cross-site"}
    assert ann.http.post("/", data=forged, headers=marked).status_code == 403
    assert "forged" not in ann.http.get("/").text
    assert 'id="person">Ann<' in ann.http.get("/").text


def test_a_token_from_before_signing_in_is_worth_nothing_after(person):
    ann = person()
    before = ann.token("/login")
    ann.sign_in()
    assert ann.http.post("/", data={"text": "x", "_csrf_token": before}).status_code == 403


def test_nobody_writes_who_has_not_signed_in(person):
    stranger = person()
    form = {"text": "anonymous", "_csrf_token": stranger.token("/login")}
    assert stranger.http.post("/", data=form).headers["location"] == "/login"
    assert "Please sign in first." in stranger.http.get("/login").text
    assert "anonymous" not in stranger.http.get("/").text


def test_a_cookie_that_was_changed_is_none(ann):
    value = ann.http.cookies["_guestbook"]
    ann.http.cookies.set("_guestbook", value[:-5] + "AAAAA", domain="127.0.0.1")
    changed = ann.http.get("/", headers={"cookie": f"_guestbook={value[:-5]}AAAAA"})
    assert "Ann" not in changed.text


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "</textarea><img src=x onerror=alert(1)>",
        "'); drop table entries; --",
        "{{ conn.secret_key_base }}",
    ],
)
def test_what_is_written_is_shown_as_text(ann, text):
    assert ann.write(text).status_code == 302
    answer = ann.http.get("/")
    escaped = text.replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#39;")
    assert f"<p>{escaped}</p>" in answer.text
    assert "<script" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("text", ["", "   ", "x" * 1_001])
def test_a_text_that_is_too_short_or_too_long_stays_in_the_form(ann, text):
    answer = ann.write(text)
    assert answer.status_code == 422
    assert f">{text.strip()[:1_000]}</textarea>" in answer.text
    assert "<article>" not in answer.text


@pytest.mark.parametrize(
    "name", ["me.png", "../../../evil.html", "..\\evil.php", "/etc/passwd", "a\0.html", ".bashrc"]
)
def test_a_picture_is_kept_under_a_name_of_ours(ann, folder, tmp_path, name):
    assert ann.write(files={"picture": (name, PNG, "text/html")}).status_code == 302
    (kept,) = (folder / "pictures").iterdir()
    assert re.fullmatch(r"[0-9a-f]{32}\.png", kept.name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]
    source = re.search(r'<img src="([^"]+)"', ann.http.get("/").text)[1]
    shown = ann.http.get(source)
    assert (shown.status_code, shown.content) == (200, PNG)
    assert shown.headers["content-type"] == "image/png"
    assert shown.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<script>alert(1)</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"PNG",
        b"%PDF",
    ],
)
def test_what_is_no_picture_is_refused_whatever_it_is_called(ann, folder, content):
    answer = ann.write("kept text", files={"picture": ("picture.png", content, "image/png")})
    assert answer.status_code == 422
    assert "Only pictures, please" in answer.text
    assert ">kept text</textarea>" in answer.text
    assert list((folder / "pictures").iterdir()) == []


@pytest.mark.parametrize(
    ("start", "ending"),
    [(b"\xff\xd8\xff\xe0", "jpg"), (b"GIF89a", "gif"), (b"RIFF\0\0\0\0WEBPVP8 ", "webp")],
)
def test_other_kinds_of_pictures(ann, folder, start, ending):
    ann.write(files={"picture": ("x", start + b"\0" * 20)})
    assert [path.suffix for path in (folder / "pictures").iterdir()] == [f".{ending}"]


def test_a_picture_that_is_too_large(ann, folder):
    answer = ann.write(files={"picture": ("large.png", PNG + b"\0" * 2_000_000)})
    assert answer.status_code == 413
    assert "more than 2000000 bytes" in answer.text
    two = [("picture", ("a.png", PNG)), ("picture", ("b.png", PNG))]
    assert ann.write(files=two).status_code == 413
    assert list((folder / "pictures").iterdir()) == []


def test_only_pictures_and_the_style_are_served(ann):
    for path in ("/pictures/", "/pictures/../guestbook.sqlite3", "/static/dashboard.js"):
        assert ann.http.get(path).status_code == 404
    for path in ("/pictures/..%2fguestbook.sqlite3", "/static/..%2f..%2fguestbook.py"):
        assert ann.http.get(path).status_code in (400, 404)
    assert ann.http.get("/static/guestbook.css").headers["content-type"].startswith("text/css")


def test_a_fault_of_ours_tells_nothing(ann, folder, caplog):
    with closing(sqlite3.connect(folder / "guestbook.sqlite3")) as db:
        db.execute("drop table entries")
    answer = ann.http.get("/")
    assert answer.status_code == 500
    assert "That was our fault." in answer.text
    assert "entries" not in answer.text
    assert "no such table" in caplog.text


async def test_a_browser_shows_what_was_written_and_runs_none_of_it(server, person, browse):
    """The style is loaded under the policy, a picture is shown, a script stays text."""
    ann = person()
    hostile = "<script>document.title = 'attacked'</script><img src=x onerror=document.title='x'>"

    def write():
        ann.sign_in()
        ann.write(hostile, files={"picture": ("x.png", PNG)})

    await asyncio.to_thread(write)
    dom = await browse(server.url)
    assert "<title>Guestbook</title>" in dom
    assert "&lt;script&gt;" in dom
    assert "<script" not in dom
    assert dom.count("<img") == 1
