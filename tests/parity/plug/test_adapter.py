"""The cases of Plug's test/plug/adapters/test/conn_test.exs: the adapter of the test kit."""

import pytest

from plugpy.conn import PeerData, SockData, UnfetchedError
from plugpy.conn.query import encode
from plugpy.testing import conn


async def test_read_req_body() -> None:
    """The size of a piece is the adapter's; the end is an empty piece, again and again."""
    c = conn("POST", "/", b"0123456789", piece_size=4)
    pieces = [await c.adapter.read_req_body(c, None, None) for _ in range(5)]
    assert pieces == [b"0123", b"4567", b"89", b"", b""]


def test_custom_params() -> None:
    """Parameters are given as what a client sends: a query or a body."""
    query = encode({"a": {"b": 0, "c": 5}, "d": [{"e": "f"}]})
    c = conn("GET", f"/?{query}")
    assert c.query_string == "a[b]=0&a[c]=5&d[][e]=f"
    assert c.query_params == {"a": {"b": "0", "c": "5"}, "d": [{"e": "f"}]}
    assert c.params == c.query_params
    with pytest.raises(UnfetchedError):
        _ = c.body_params

    c = conn("POST", "/?a=query&b=query")
    c.body_params = {"a": "body", "c": 42}
    assert c.query_params == {"a": "query", "b": "query"}
    assert c.params == {"a": "body", "b": "query", "c": 42}


async def test_no_body_or_params() -> None:
    c = conn("GET", "/")
    assert [name for name, _ in c.req_headers] == ["host"]
    assert await c.adapter.read_req_body(c, None, None) == b""


def test_no_path() -> None:
    assert conn("GET", "/").path_info == []


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_custom_params_sets_no_content_type_for_get_head_requests(method: str) -> None:
    assert conn(method, "/?a=b").get_req_header("content-type") == []


def test_use_existing_conn_host_if_exists() -> None:
    c = conn("GET", "/", headers={"Host": "example.org"})
    assert c.host == "example.org"
    c.host = "other.example"
    assert c.request_url() == "http://other.example/"


def test_use_existing_conn_remote_ip_if_exists() -> None:
    c = conn("GET", "/", peer=PeerData("151.236.219.228", 1))
    assert c.remote_ip == "151.236.219.228"
    c.remote_ip = "10.0.0.1"
    assert c.remote_ip == "10.0.0.1"
    assert c.get_peer_data().address == "151.236.219.228"


def test_use_existing_conn_port_if_exists() -> None:
    c = conn("GET", "/")
    c.port = 4200
    assert c.request_url() == "http://www.example.com:4200/"


def test_inform_adds_to_the_informational_responses_to_the_list() -> None:
    one, two = [("link", "</a.css>; rel=preload")], [("link", "</b.js>; rel=preload")]
    c = conn("GET", "/").inform("early_hints", one).inform("early_hints", two)
    assert c.adapter.informs == [(103, one), (103, two)]


def test_upgrade_the_supported_upgrade_request_to_the_list() -> None:
    c = conn("GET", "/").upgrade_adapter("echo", {"size": 1})
    assert c.adapter.upgrades == [("echo", {"size": 1})]


@pytest.mark.parametrize("path", ["one", "", "http://example.org/one"])
def test_conn_writes_message_to_stderr_when_uri_path_does_not_start_with_forward_slash(
    path: str,
) -> None:
    """A wrong path raises; a message on stderr would be overlooked."""
    with pytest.raises(ValueError, match="starts with '/'"):
        conn("GET", path)


def test_use_custom_peer_data() -> None:
    peer = PeerData("2001:db8::1", 4711, b"certificate")
    assert conn("GET", "/", peer=peer).get_peer_data() == peer


def test_use_custom_sock_data() -> None:
    sock = SockData("/run/app.sock", 0)
    assert conn("GET", "/", sock=sock).get_sock_data() == sock


def test_use_custom_ssl_data() -> None:
    c = conn("GET", "/", scheme="https")
    c.adapter.ssl_data = {"version": "TLSv1.3"}
    assert c.get_ssl_data() == {"version": "TLSv1.3"}


def test_custom_params_sets_content_type_to_multipart_mixed_when_content_type_is_not_set() -> None:
    """A form is sent as a browser sends it."""
    assert conn("POST", form={"a": 1}).get_req_header("content-type") == [
        "application/x-www-form-urlencoded"
    ]
    (kind,) = conn("POST", form={"a": 1}, files={"b": b"c"}).get_req_header("content-type")
    assert kind.startswith("multipart/form-data; boundary=")


def test_custom_params_does_not_change_content_type_when_set() -> None:
    c = conn("POST", form={"a": 1}, headers={"content-type": "text/plain"})
    assert c.get_req_header("content-type") == ["text/plain"]
