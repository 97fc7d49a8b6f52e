"""What a WSGI application is told of a request (PEP 3333, RFC 3875)."""

from __future__ import annotations

import io
import warnings
from typing import Any
from urllib.parse import unquote
from wsgiref.validate import check_environ, validator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.conn import Conn, PeerData, SockData
from plugpy.interop import wsgi_plug
from plugpy.interop.wsgi_environ import make_environ, shared_environ
from plugpy.plugs import RewriteOn
from plugpy.router import Router
from plugpy.testing import call
from plugpy.testing import conn as make_conn

SHARED = shared_environ(multiprocess=False)


def environ_of(conn: Conn, root_path: str = "") -> dict[str, Any]:
    return make_environ(conn, root_path, SHARED)


def test_the_variables_of_a_request():
    conn = make_conn(
        "POST",
        "/caf%C3%A9/x%2Fy?a=%20b&c",
        headers=[("Host", "example.com:8080"), ("Content-Type", "text/plain"), ("X-One", "1")],
        peer=PeerData("192.0.2.1", 5555),
        sock=SockData("192.0.2.9", 8080),
    )
    environ = environ_of(conn)
    assert type(environ) is dict
    assert {key: environ[key] for key in environ if key.isupper() and "SOFTWARE" not in key} == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        # UTF-8 bytes as Latin-1 characters.
        "PATH_INFO": "/cafÃ©/x/y",
        "QUERY_STRING": "a=%20b&c",
        "REQUEST_URI": "/caf%C3%A9/x%2Fy?a=%20b&c",
        "RAW_URI": "/caf%C3%A9/x%2Fy?a=%20b&c",
        "SERVER_NAME": "192.0.2.9",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_PORT": "5555",
        "HTTP_HOST": "example.com:8080",
        "CONTENT_TYPE": "text/plain",
        "HTTP_X_ONE": "1",
    }
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.multithread"] is True
    assert environ["wsgi.multiprocess"] is environ["wsgi.run_once"] is False
    assert environ["wsgi.input_terminated"] is True


TOKENS = st.text("abcXYZ019-_!#$%&'*+.^`|~", min_size=1, max_size=12)
LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20)
SEGMENTS = st.lists(st.text("ab%2FC3A9:;@", max_size=6), max_size=4)


@given(SEGMENTS, SEGMENTS, LATIN, st.lists(st.tuples(TOKENS, LATIN), max_size=6))
def test_the_validator_is_content_with_any_environ(
    script: list[str], path: list[str], query: str, headers: list[tuple[str, str]]
):
    """Whatever a client sends, the environ is one by PEP 3333, and HTTP_PROXY is not in it."""
    headers = [pair for pair in headers if pair[0].lower() != "content-length"]
    conn = make_conn("GET", "/" + "/".join([*script, *path]), headers=[("Host", "a"), *headers])
    conn.query_string = query
    count = len([segment for segment in script if segment])
    conn.script_name, conn.path_info = conn.path_info[:count], conn.path_info[count:]
    environ = environ_of(conn)
    environ["wsgi.input"] = io.BytesIO()
    check_environ(environ)
    assert "HTTP_PROXY" not in environ
    assert all(isinstance(environ[key], str) for key in environ if key[:5] != "wsgi.")
    # Nothing is lost on the way to the application.
    whole = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    assert [part for part in unquote(conn.request_path, "latin-1").split("/") if part] == [
        part for part in whole.split("/") if part
    ]


def test_headers_that_come_twice_are_joined():
    headers = [("Accept", "a"), ("Accept", "b"), ("Cookie", "x=1"), ("Cookie", "y=2")]
    environ = environ_of(make_conn(headers=headers))
    assert environ["HTTP_ACCEPT"] == "a,b"
    assert environ["HTTP_COOKIE"] == "x=1; y=2"


@pytest.mark.parametrize(
    ("header", "variable"),
    [
        ("Proxy", "HTTP_PROXY"),
        ("proxy", "HTTP_PROXY"),
        ("Remote_User", "HTTP_REMOTE_USER"),
        ("X_Forwarded_For", "HTTP_X_FORWARDED_FOR"),
        ("Content_Length", "HTTP_CONTENT_LENGTH"),
    ],
)
def test_headers_that_would_be_taken_for_others_are_dropped(header: str, variable: str):
    for _ in range(2):  # also where the name is known by heart
        environ = environ_of(make_conn(headers=[(header, "evil")]))
        assert variable not in environ
        assert "evil" not in environ.values()


def test_nobody_is_logged_in_by_a_header():
    headers = [("Remote-User", "root"), ("Auth-Type", "Basic"), ("Authorization", "Basic cm9vdDo=")]
    environ = environ_of(make_conn(headers=headers))
    assert "REMOTE_USER" not in environ
    assert "AUTH_TYPE" not in environ
    # A proxy's header keeps its prefix.
    assert environ["HTTP_REMOTE_USER"] == "root"


def test_many_names_of_headers_are_not_kept_for_ever():
    from plugpy.interop import wsgi_environ

    for number in range(2_000):
        environ_of(make_conn(headers=[(f"x-{number}", "1")]))
    assert len(wsgi_environ._NAMES) <= wsgi_environ._MOST_NAMES


def test_the_host_of_an_absolute_target_wins():
    conn = make_conn(headers=[("Host", "header.example")])
    conn.head.authority = "target.example:81"
    assert environ_of(conn)["HTTP_HOST"] == "target.example:81"


def test_what_a_trusted_proxy_says_is_seen():
    rewrite = RewriteOn(headers=["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"])
    conn = make_conn(
        headers=[
            ("Host", "internal:4000"),
            ("X-Forwarded-For", "203.0.113.7"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "www.example.org"),
        ]
    )
    environ = environ_of(rewrite(conn))
    assert environ["REMOTE_ADDR"] == "203.0.113.7"
    assert "REMOTE_PORT" not in environ
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTPS"] == "on"
    assert environ["HTTP_HOST"] == "www.example.org"


def test_a_unix_socket_has_a_name_and_a_port_all_the_same():
    conn = make_conn(peer=PeerData("", 0), sock=SockData("/run/app.sock", 0))
    environ = environ_of(conn)
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("www.example.com", "80")
    assert environ["REMOTE_ADDR"] == ""


def test_the_certificate_of_the_client():
    peer = PeerData("192.0.2.1", 5, b"\x30\x00")
    environ = environ_of(make_conn(peer=peer, scheme="https"))
    assert environ["SSL_CLIENT_CERT"].startswith("-----BEGIN CERTIFICATE-----\nMAA=\n")
    # On a plain connection nobody has shown one.
    assert "SSL_CLIENT_CERT" not in environ_of(make_conn(peer=peer))


@pytest.mark.parametrize(
    ("path", "script", "rest"),
    [
        ("/admin", "/admin", ""),
        ("/admin/", "/admin", "/"),
        ("/admin/a/b/", "/admin", "/a/b/"),
        ("/admin//a", "/admin", "//a"),
        ("//admin/a%2Fb", "/admin", "/a/b"),
        ("/admin/admin/admin", "/admin", "/admin/admin"),
    ],
)
def test_below_a_forward(path: str, script: str, rest: str):
    seen: dict[str, Any] = {}

    def look(conn: Conn) -> Conn:
        seen.update(environ_of(conn, root_path="/app"))
        return conn.send_resp(200, "")

    router = Router()
    router.forward("/admin", to=look)
    call(router, make_conn("GET", path))
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("/app" + script, rest)
    assert seen["REQUEST_URI"] == path


def test_a_path_that_a_plug_has_chosen():
    conn = make_conn("GET", "/en/about/")
    conn.path_info = ["about"]
    assert environ_of(conn)["PATH_INFO"] == "/about"


def test_options_of_the_whole_server():
    conn = make_conn("OPTIONS", "/")
    conn.request_path = "*"
    assert environ_of(conn)["PATH_INFO"] == "*"


@pytest.mark.parametrize(
    ("method", "body", "fields"),
    [
        ("GET", b"", ()),
        ("HEAD", b"", ()),
        ("POST", b"x" * 10, ("Content-Type: text/plain",)),
        ("POST", b"", ()),
        ("PUT", b"\0" * 200_000, ("Content-Type: application/octet-stream",)),
    ],
)
async def test_the_validator_of_the_standard_library_is_content(
    serve_wsgi, errors, capsys, method: str, body: bytes, fields: tuple[str, ...]
):
    @validator
    def app(environ: Any, start_response: Any) -> Any:
        stream = environ["wsgi.input"]
        size = len(stream.read(3)) + len(stream.readline()) + len(stream.read(-1))
        size += sum(map(len, stream.readlines())) + sum(map(len, stream))
        environ["wsgi.errors"].flush()
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Size", str(size))])
        return [b"a", b"b"]

    server = await serve_wsgi(app)
    client = await server.connect()
    lines = "".join(f"{line}\r\n" for line in ("Host: a", f"Content-Length: {len(body)}", *fields))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.send(f"{method} /a%20b?c HTTP/1.1\r\n{lines}\r\n".encode() + body)
        response = await client.response(method)
    assert response.status == 200
    assert response.get(b"x-size") == str(len(body)).encode()
    assert response.body == (b"" if method == "HEAD" else b"ab")
    assert errors() == []
    # The validator speaks of an iterator that was not closed by writing to standard error.
    assert capsys.readouterr().err == ""


def test_without_a_server_the_plug_runs_by_the_test_kit():
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return io.BytesIO(environ["wsgi.input"].read() + b"\nsecond")

    conn = call(wsgi_plug(app), make_conn("POST", "/", body="first"))
    assert (conn.status, conn.adapter.sent_body) == (200, b"first\nsecond")
