"""The cases of Plug's test/plug/rewrite_on_test.exs; the peer is a proxy on this machine."""

from typing import Any

import pytest

from plugpy.conn import Conn
from plugpy.plugs import RewriteOn
from plugpy.testing import conn


def rewrite(*headers: Any, host: str = "example.com", **sent: str) -> Conn:
    """The conn after RewriteOn; the headers that were sent by name, _ for -."""
    given = {name.replace("_", "-"): value for name, value in sent.items()}
    return RewriteOn(headers=headers)(conn("GET", "/", headers={"host": host, **given}))


def test_rewrites_http_to_https_based_on_x_forwarded_proto() -> None:
    c = rewrite("x-forwarded-proto", x_forwarded_proto="https")
    assert (c.scheme, c.port) == ("https", 443)


def test_rewrites_http_to_https_based_on_a_custom_header() -> None:
    c = rewrite(("scheme", "my-proto"), my_proto="https")
    assert (c.scheme, c.port) == ("https", 443)


def test_rewrites_http_to_https_when_x_forwarded_proto_value_wss() -> None:
    c = rewrite("x-forwarded-proto", x_forwarded_proto="wss")
    assert (c.scheme, c.port) == ("https", 443)


def test_doesn_t_change_the_port_when_it_doesn_t_match_the_scheme() -> None:
    c = rewrite("x-forwarded-proto", host="example.com:1234", x_forwarded_proto="https")
    assert (c.scheme, c.port) == ("https", 1234)


def test_rewrites_host_with_a_x_forwarded_host_header() -> None:
    c = rewrite("x-forwarded-host", x_forwarded_host="true.example.com")
    assert c.host == "true.example.com"


def test_rewrites_host_with_a_custom_header() -> None:
    assert rewrite(("host", "my-host"), my_host="true.example.com").host == "true.example.com"


def test_rewrites_port_with_a_x_forwarded_port_header() -> None:
    assert rewrite("x-forwarded-port", x_forwarded_port="3030").port == 3030


def test_rewrites_port_with_a_custom_header() -> None:
    assert rewrite(("port", "my-port"), my_port="3030").port == 3030


ADDRESSES = [
    ("bad", "127.0.0.1"),
    ("4.3.2.1", "4.3.2.1"),
    ("1.2.3.4,::1", "1.2.3.4"),
    # Plug takes the leftmost, which the client may have made up.
    ("::1,1.2.3.4", "1.2.3.4"),
    ("9.9.9.9,1.2.3.4", "1.2.3.4"),
]


@pytest.mark.parametrize(("value", "address"), ADDRESSES)
def test_rewrites_remote_ip_with_a_x_forwarded_for_header(value: str, address: str) -> None:
    assert rewrite("x-forwarded-for", x_forwarded_for=value).remote_ip == address


@pytest.mark.parametrize(("value", "address"), ADDRESSES)
def test_rewrites_remote_ip_with_a_custom_header(value: str, address: str) -> None:
    assert rewrite(("remote_ip", "my-for"), my_for=value).remote_ip == address


def test_rewrites_the_host_the_port_and_the_protocol() -> None:
    c = rewrite(
        "x_forwarded_host",
        "x_forwarded_port",
        "x_forwarded_proto",
        x_forwarded_host="true.example.com",
        x_forwarded_port="3030",
        x_forwarded_proto="https",
    )
    assert (c.scheme, c.host, c.port) == ("https", "true.example.com", 3030)


def test_rewrites_the_host_the_port_and_the_protocol_with_custom_headers() -> None:
    c = rewrite(
        ("host", "my-host"),
        ("port", "my-port"),
        ("scheme", "my-proto"),
        my_host="true.example.com",
        my_port="3030",
        my_proto="https",
    )
    assert (c.scheme, c.host, c.port) == ("https", "true.example.com", 3030)


@pytest.mark.parametrize(
    "header",
    ["x-forwarded-other", ("other", "value"), ("host", "Not A Name"), ("host",)],
)
def test_raises_when_receiving_an_unknown_rewrite(header: Any) -> None:
    with pytest.raises(ValueError, match="a header is one of"):
        RewriteOn(headers=[header])


def test_two_headers_must_not_tell_the_same() -> None:
    with pytest.raises(ValueError, match="both 'x-forwarded-for' and 'my-for'"):
        RewriteOn(headers=["x-forwarded-for", ("remote_ip", "my-for")])


@pytest.mark.parametrize("peer", ["203.0.113.9", "10.0.0.1"])
def test_a_peer_that_is_no_proxy_is_not_believed(peer: str) -> None:
    from plugpy.conn import PeerData

    c = conn("GET", "/", headers={"my-for": "1.2.3.4"}, peer=PeerData(peer, 4711))
    assert RewriteOn(headers=[("remote_ip", "my-for")])(c).remote_ip == peer
