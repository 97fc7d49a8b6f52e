"""The kit without a server: building, sent answers, cookies, sessions, peers (Plug.Test)."""

from pathlib import Path

import pytest

from plugpy import Router, get, plug, post
from plugpy.conn import Conn, InvalidHeaderError, UnfetchedError
from plugpy.pipeline import Pipeline
from plugpy.plugs import Parsers, Session
from plugpy.plugs.session import CookieStore, MemoryStore
from plugpy.testing import (
    acall,
    call,
    conn,
    delete_req_cookie,
    init_test_session,
    put_http_protocol,
    put_peer_data,
    put_req_cookie,
    put_sock_data,
    put_ssl_data,
    recycle_cookies,
    sent_chunks,
    sent_informs,
    sent_resp,
    sent_upgrades,
)

SECRET = "s" * 64


def test_params_are_the_query_of_every_method():
    made = conn("POST", "/x?a=1", params={"b": {"c": "d e"}, "l": ["1", "2"]})
    assert made.query_params == {"a": "1", "b": {"c": "d e"}, "l": ["1", "2"]}
    assert made.request_path == "/x"
    assert conn("GET", "/x", params={}).query_string == ""


async def test_json_and_form_are_read_by_parsers():
    parse = Parsers(parsers=["json", "urlencoded"])
    parsed = await acall(parse, conn("POST", "/", json={"a": [1, None]}))
    assert parsed.body_params == {"a": [1, None]}
    parsed = await acall(parse, conn("POST", "/", form={"u": {"n": "ä&="}, "t": ["1", "2"]}))
    assert parsed.body_params == {"u": {"n": "ä&="}, "t": ["1", "2"]}


def test_none_is_json_too():
    made = conn("POST", "/", json=None)
    assert made.get_req_header("content-type") == ["application/json"]


def test_a_content_type_that_is_given_wins():
    made = conn("POST", "/", json={}, headers={"Content-Type": "application/problem+json"})
    assert made.get_req_header("content-type") == ["application/problem+json"]


async def test_files_are_uploads(tmp_path: Path):
    page = tmp_path / "page.html"
    page.write_bytes(b"<p>")
    seen = {}

    def read(conn: Conn) -> Conn:
        for name, upload in conn.body_params["f"].items():
            with open(upload.path, "rb") as file:
                seen[name] = (upload.filename, upload.content_type, file.read())
        seen["fields"] = conn.body_params["user"], conn.body_params["tags"]
        return conn.send_resp(204, "")

    class App(Router):
        plug(Parsers(parsers=["multipart"]))

        @post("/")
        def index(self, conn: Conn) -> Conn:
            return read(conn)

    files = {
        "f[path]": page,
        "f[pair]": ('a"b.txt', "text"),
        "f[three]": ("x", b"a\r\n--plugpy-test-boundary\r\n\0", "image/png"),
        "f[bytes]": b"1",
    }
    form = {"user": {"name": "Ä"}, "tags": ["1", "2"]}
    sent = await acall(App, conn("POST", "/", form=form, files=files))
    assert sent.status == 204
    assert seen["path"] == ("page.html", "text/html", b"<p>")
    assert seen["pair"][1:] == ("text/plain", b"text")
    assert seen["three"] == ("x", "image/png", b"a\r\n--plugpy-test-boundary\r\n\0")
    assert seen["bytes"][1:] == ("application/octet-stream", b"1")
    assert seen["fields"] == ({"name": "Ä"}, ["1", "2"])


async def test_a_name_of_a_file_stays_in_its_header():
    made = conn("POST", "/", files={'a"\r\nx: y': ("b\r\n\r\nc", b"")})
    body = await made.body()
    assert body.count(b"\r\n\r\n") == 1
    assert b"\r\nx: y" not in body


def test_several_files_of_one_name():
    parsed = call(Parsers(parsers=["multipart"]), conn("POST", "/", files={"f[]": [b"1", b"22"]}))
    assert [upload.filename for upload in parsed.body_params["f"]] == ["f[]", "f[]"]


@pytest.mark.parametrize("bodies", [{"body": "x", "json": 1}, {"json": 1, "form": {}}])
def test_a_conn_has_one_body(bodies):
    with pytest.raises(ValueError, match="one body"):
        conn("POST", "/", **bodies)


def test_what_is_no_file():
    with pytest.raises(TypeError, match="'f' is bytes"):
        conn("POST", "/", files={"f": 7})


def test_body_params_without_a_parser():
    assert conn("POST", "/?b=2", body_params={"a": 1}).params == {"a": 1, "b": "2"}


def test_sent_resp_is_what_left():
    sent = sent_resp(conn("GET", "/").put_resp_cookie("a", "b").json({"x": 1}))
    assert sent.status == 200
    assert sent.json() == {"x": 1}
    assert sent.text == '{"x":1}'
    assert sent.get("Set-Cookie").startswith("a=b; ")
    assert sent.get("content-type") == "application/json"
    assert sent.get("nothing") is None
    assert sent_resp(conn("HEAD", "/").send_resp(200, "body")).body == b""


def test_nothing_was_sent():
    with pytest.raises(AssertionError, match=r"has sent no response$"):
        sent_resp(conn("GET", "/"))
    with pytest.raises(AssertionError, match="it was set, call"):
        sent_resp(conn("GET", "/").resp(200, "x"))


def test_a_conn_of_something_else():
    strange = conn("GET", "/")
    strange.adapter = object()
    with pytest.raises(TypeError, match="carried by object"):
        sent_resp(strange)


async def test_chunks_informs_upgrades():
    made = conn("GET", "/").inform(103, [("link", "</a>")])
    made.send_chunked(200)
    await made.chunk("a")
    await made.chunk("")
    await made.chunk("b")
    assert sent_chunks(made) == [b"a", b"b"]
    assert sent_resp(made).body == b"ab"
    assert sent_informs(made) == [(103, [("link", "</a>")])]
    raised = conn("GET", "/").upgrade_adapter("echo", {"a": 1})
    assert sent_upgrades(raised) == [("echo", {"a": 1})]


def test_cookies_of_the_request():
    made = conn("GET", "/", cookies={"a": "1", "b": "2"})
    assert made.cookies == {"a": "1", "b": "2"}
    put_req_cookie(made, "a", "3")
    assert made.cookies == made.req_cookies == {"a": "3", "b": "2"}
    assert delete_req_cookie(made, "a").cookies == {"b": "2"}
    assert delete_req_cookie(made, "b").cookies == {}
    assert made.get_req_header("cookie") == []
    with pytest.raises(InvalidHeaderError):
        put_req_cookie(made, "a", "1; b=2")
    with pytest.raises(TypeError):
        put_req_cookie(made, "a", 1)


@pytest.mark.parametrize("how", ["sign", "encrypt"])
def test_protected_cookies(how):
    made = conn("GET", "/", secret_key_base=SECRET)
    put_req_cookie(made, "user", {"id": 7}, **{how: True})
    assert made.cookies["user"] != {"id": 7}
    made.fetch_cookies(**{{"sign": "signed", "encrypt": "encrypted"}[how]: ["user"]})
    assert made.cookies["user"] == {"id": 7}
    with pytest.raises(UnfetchedError):
        put_req_cookie(conn("GET", "/"), "user", 7, **{how: True})


def test_cookies_go_on_as_in_a_browser():
    old = conn("GET", "/", cookies={"kept": "1", "changed": "1", "deleted": "1"})
    old.put_resp_cookie("changed", "2").put_resp_cookie("new", "3", max_age=60)
    old.delete_resp_cookie("deleted").put_resp_cookie("past", "4", max_age=-1)
    new = recycle_cookies(conn("GET", "/", cookies={"own": "0", "deleted": "x"}), old)
    assert new.req_cookies == {"own": "0", "kept": "1", "changed": "2", "new": "3"}


@pytest.mark.parametrize("store", [MemoryStore(), CookieStore(signing_salt="salt")])
def test_a_session_over_two_requests(store):
    session = Session(store=store, key="_app")
    first = session(conn("GET", "/", secret_key_base=SECRET)).put_session("user", 7)
    second = recycle_cookies(conn("GET", "/", secret_key_base=SECRET), first.send_resp(200, ""))
    assert session(second).get_session("user") == 7


class Account(Router):
    plug(Session(store=MemoryStore(), key="_app"))

    @get("/")
    def index(self, conn: Conn) -> Conn:
        return conn.json(conn.get_session())

    @post("/")
    def change(self, conn: Conn) -> Conn:
        return conn.put_session("more", 1).send_resp(204, "")


def test_a_session_without_the_plug():
    made = init_test_session(conn("GET", "/"), {"user": 7}, role="admin")
    assert made.fetch_session().get_session() == {"user": 7, "role": "admin"}


def test_a_session_before_the_plug():
    made = init_test_session(conn("GET", "/"), {"user": 7})
    answer = sent_resp(call(Account, made))
    assert answer.json() == {"user": 7}
    assert answer.get("set-cookie") is None


def test_a_session_before_the_plug_is_written_when_changed():
    account = Account()
    changed = call(account, init_test_session(conn("POST", "/"), {"user": 7}))
    assert sent_resp(call(account, recycle_cookies(conn("GET", "/"), changed))).json() == {
        "user": 7,
        "more": 1,
    }


def test_a_session_after_the_plug_is_fetched():
    session = Session(store=MemoryStore(), key="_app", fetch=False)
    made = init_test_session(session(conn("GET", "/")), {"user": 7})
    assert made.get_session() == {"user": 7}
    assert "_app" in made.send_resp(200, "").resp_cookies


def test_ends():
    made = put_peer_data(conn("GET", "/"), "2001:db8::1", 5, b"der")
    assert made.remote_ip == "2001:db8::1"
    assert made.get_peer_data() == ("2001:db8::1", 5, b"der")
    assert put_sock_data(made, "10.0.0.1", 443).get_sock_data() == ("10.0.0.1", 443)
    assert put_ssl_data(made, {"version": "TLSv1.3"}).get_ssl_data() == {"version": "TLSv1.3"}
    assert put_http_protocol(made, "HTTP/2").get_http_protocol() == "HTTP/2"


async def _async_plug(conn: Conn) -> Conn:
    return conn.send_resp(200, "x")


def test_call_runs_async_plugs():
    assert call(_async_plug, conn()).status == 200
    assert call(Account, conn()).status == 200


async def test_acall_runs_both():
    assert (await acall(_async_plug, conn())).status == 200
    assert (await acall(Account, conn())).status == 200


async def test_call_of_an_async_plug_in_a_loop_says_what_to_use():
    with pytest.raises(RuntimeError, match="await acall"):
        call(_async_plug, conn())
    with pytest.raises(RuntimeError, match="await acall"):
        call(Pipeline([_async_plug]), conn())
