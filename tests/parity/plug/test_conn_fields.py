"""The cases of Plug's test/plug/conn_test.exs on fields: request line, status, assigns, halting."""

import pytest

from plugpy.conn import AlreadySentError, Conn, PeerData, SockData, UnfetchedError
from plugpy.testing import conn

CACHE_CONTROL = ("cache-control", "max-age=0, private, must-revalidate")


def test_inspect_trims_adapter_payload() -> None:
    """Ours never shows it: neither the adapter nor headers, cookies and params are in a repr."""
    shown = repr(conn("GET", "/a?token=t0p", headers={"cookie": "sid=s3cret"}))
    assert shown == "<Conn GET /a unset>"


def test_inspect_removes_secret_key_base() -> None:
    c = conn("GET", "/", secret_key_base="s3cret" * 20)
    assert c.secret_key_base == "s3cret" * 20
    assert "s3cret" not in repr(c)


def test_assign() -> None:
    c = conn("GET", "/")
    assert "greeting" not in c.assigns
    assert c.assign("greeting", "hello") is c
    assert c.assigns["greeting"] == "hello"


def test_merge_assigns() -> None:
    c = conn("GET", "/").assign("kept", 1).merge_assigns(greeting="hello", number=2)
    assert c.assigns == {"kept": 1, "greeting": "hello", "number": 2}


def test_put_status() -> None:
    c = conn("GET", "/")
    assert c.put_status(200).status == 200
    assert c.put_status("not_found").status == 404
    assert c.put_status(None).status is None


def test_put_status_raises_when_the_connection_had_already_been_sent() -> None:
    c = conn("GET", "/").send_resp(200, "done")
    for status in (200, None):
        with pytest.raises(AlreadySentError):
            c.put_status(status)


def test_put_private() -> None:
    c = conn("GET", "/")
    assert "my_library" not in c.private
    assert c.put_private("my_library", "x") is c
    assert c.private["my_library"] == "x"


def test_merge_private() -> None:
    c = conn("GET", "/").put_private("a", 1).merge_private(b=2)
    assert c.private == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("scheme", "host", "expected"),
    [
        ("http", "www.example.com", ("http", "www.example.com", 80)),
        ("https", "127.0.0.1", ("https", "127.0.0.1", 443)),
        ("http", "example.com:8080", ("http", "example.com", 8080)),
        ("http", "[::1]:8080", ("http", "[::1]", 8080)),
        ("https", "EXAMPLE.com", ("https", "example.com", 443)),
    ],
)
def test_scheme_host_and_port_fields(
    scheme: str, host: str, expected: tuple[str, str, int]
) -> None:
    c = conn("GET", "/", headers={"host": host}, scheme=scheme)
    assert (c.scheme, c.host, c.port) == expected


def test_peer_data_and_remote_ip_fields() -> None:
    c = conn("GET", "/")
    assert c.remote_ip == "127.0.0.1"
    assert c.get_peer_data() == PeerData("127.0.0.1", 111317, None)
    assert c.get_sock_data() == SockData("127.0.0.1", 111318)
    assert c.get_ssl_data() is None


@pytest.mark.parametrize("path", ["/one/two", "/one/two/", "/one//two", "//one/two"])
def test_path_info(path: str) -> None:
    assert conn("GET", path).path_info == ["one", "two"]


@pytest.mark.parametrize(
    ("path", "query"), [("/", ""), ("/one?two", "two"), ("/one/two?a=b", "a=b"), ("/?a?b", "a?b")]
)
def test_query_string(path: str, query: str) -> None:
    assert conn("GET", path).query_string == query


@pytest.mark.parametrize("path", ["/", "/one", "/one/", "/one//two", "/one//two//", "/%2F"])
def test_request_path(path: str) -> None:
    assert conn("GET", path).request_path == path
    assert conn("GET", f"{path}?a=b").request_path == path


def url_of(url: str) -> str:
    """The request_url of a request for `url`."""
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    return conn("GET", f"/{path}", headers={"host": host}, scheme=scheme).request_url()


@pytest.mark.parametrize(
    "url", ["http://example.org/one?a=b&c=d", "https://example.org/one", "http://example.org/"]
)
def test_request_url(url: str) -> None:
    assert url_of(url) == url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.org:80/", "http://example.org/"),
        ("http://example.org:1234/", "http://example.org:1234/"),
        ("https://example.org:443/", "https://example.org/"),
        ("https://example.org:1234/", "https://example.org:1234/"),
        ("https://example.org:80/", "https://example.org:80/"),
    ],
)
def test_request_url_hides_the_default_port_number(url: str, expected: str) -> None:
    assert url_of(url) == expected


def test_status_resp_headers_and_resp_body() -> None:
    c = conn("GET", "/")
    assert c.status is None
    assert c.resp_headers == [CACHE_CONTROL]
    assert c.resp_body is None


def test_get_http_protocol_put_http_protocol() -> None:
    assert conn("GET", "/").get_http_protocol() == "HTTP/1.1"
    assert conn("GET", "/", http_protocol="HTTP/2").get_http_protocol() == "HTTP/2"


def test_halt_updates_halted_to_true() -> None:
    c = conn("GET", "/")
    assert c.halted is False
    assert c.halt() is c
    assert c.halted is True


def test_dynamic_access_on_unfetched_fields() -> None:
    """Query and cookies are fetched when they are used; the body is what needs a parser."""
    c = conn("GET", "/one?two=three")
    assert c.query_params["two"] == "three"
    with pytest.raises(UnfetchedError, match="parser"):
        _ = c.body_params["two"]


def test_default_adapter_doesn_t_cause_confusing_errors_for_beginners() -> None:
    """A Conn without an adapter can't be made."""
    with pytest.raises(TypeError, match="adapter"):
        Conn()  # type: ignore[call-arg]
