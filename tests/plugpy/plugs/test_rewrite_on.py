"""RewriteOn: what proxies say of the client, and who is believed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy import testing
from plugpy.conn import PeerData
from plugpy.plugs import RewriteOn
from plugpy.plugs.rewrite_on import HEADERS, MOST_HOPS, Element, parse_forwarded

TRUSTED = ["10.0.0.0/8", "2001:db8::/32"]


def rewritten(*headers: tuple[str, str], peer: str = "10.0.0.1", **options: Any) -> Any:
    """A conn from `peer` with those headers, after RewriteOn that believes in all headers."""
    options = {"headers": HEADERS, "trusted_proxies": TRUSTED, **options}
    conn = testing.conn("GET", "/", headers=headers, peer=PeerData(peer, 1))
    assert RewriteOn(**options)(conn) is conn
    return conn


ALL = (
    ("x-forwarded-for", "203.0.113.9"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "Shop.Example:8443"),
)


def test_a_trusted_proxy_is_believed() -> None:
    conn = rewritten(*ALL)
    assert (conn.remote_ip, conn.scheme, conn.host, conn.port) == (
        "203.0.113.9",
        "https",
        "shop.example",
        8443,
    )
    assert conn.get_peer_data().address == "10.0.0.1"


@pytest.mark.parametrize("peer", ["192.0.2.1", "11.0.0.1", "2001:db9::1", "::ffff:192.0.2.1"])
def test_anybody_else_is_not(peer: str) -> None:
    conn = rewritten(*ALL, ("forwarded", "for=203.0.113.9;proto=https;host=a.example"), peer=peer)
    assert (conn.remote_ip, conn.scheme, conn.host, conn.port) == (
        peer,
        "http",
        "www.example.com",
        80,
    )


@pytest.mark.parametrize("peer", ["", "::ffff:10.1.2.3", "2001:db8::7"])
def test_who_is_trusted_too(peer: str) -> None:
    assert rewritten(*ALL, peer=peer).remote_ip == "203.0.113.9"


def test_this_machine_is_trusted_where_nobody_says_otherwise() -> None:
    for peer, expected in {
        "127.0.0.1": "1.1.1.1",
        "::1": "1.1.1.1",
        "10.0.0.1": "10.0.0.1",
    }.items():
        conn = testing.conn(headers={"x-forwarded-for": "1.1.1.1"}, peer=PeerData(peer, 1))
        assert RewriteOn(headers=["x-forwarded-for"])(conn).remote_ip == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6, 203.0.113.9"], "203.0.113.9"),  # the first is the client's own invention
        (["6.6.6.6", "203.0.113.9"], "203.0.113.9"),  # two lines are one list
        (["203.0.113.9, 10.0.0.2, 10.0.0.3"], "203.0.113.9"),  # our own proxies are passed over
        (["6.6.6.6, 10.0.0.2, 203.0.113.9, 10.0.0.3"], "203.0.113.9"),
        (["10.0.0.5, 10.0.0.2"], "10.0.0.5"),  # nobody else: the one farthest away
        (["203.0.113.9:1234"], "203.0.113.9"),
        (["[2001:DB9::9]:1234"], "2001:db9::9"),
        (["2001:DB9:0::9"], "2001:db9::9"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, ,"], "203.0.113.9"),
        # What can't be read ends the walk: to its left there is hearsay.
        (["unknown"], "10.0.0.1"),
        (["6.6.6.6, unknown"], "10.0.0.1"),
        (["6.6.6.6, unknown, 10.0.0.2"], "10.0.0.2"),
        (["203.0.113.9 6.6.6.6"], "10.0.0.1"),
        (["<script>"], "10.0.0.1"),
        (["203.0.113.999"], "10.0.0.1"),
        (["0177.0.0.1"], "10.0.0.1"),
        (["2130706433"], "10.0.0.1"),
        (["fe80::1%eth0"], "10.0.0.1"),
        (["203.0.113.9:port:8"], "10.0.0.1"),
        ([""], "10.0.0.1"),
        ([], "10.0.0.1"),
    ],
)
def test_the_client_is_the_rightmost_that_is_no_proxy_of_ours(
    lines: list[str], expected: str
) -> None:
    assert rewritten(*(("x-forwarded-for", line) for line in lines)).remote_ip == expected


def test_a_chain_without_end_is_not_followed() -> None:
    line = "6.6.6.6, " + ", ".join(["10.0.0.2"] * 1_000)
    assert rewritten(("x-forwarded-for", line)).remote_ip == "10.0.0.2"
    line = "6.6.6.6, " + ", ".join(["10.0.0.2"] * (MOST_HOPS - 1))
    assert rewritten(("x-forwarded-for", line)).remote_ip == "6.6.6.6"


@pytest.mark.parametrize(
    ("value", "scheme", "port"),
    [
        ("https", "https", 443),
        ("HTTPS", "https", 443),
        ("wss", "https", 443),
        ("http", "http", 80),
        ("ws", "http", 80),
        ("javascript", "http", 80),
        ("https; x", "http", 80),
        ("http, https", "https", 443),  # as many as hops can't be told: the last one added
    ],
)
def test_the_scheme(value: str, scheme: str, port: int) -> None:
    conn = rewritten(("x-forwarded-proto", value))
    assert (conn.scheme, conn.port) == (scheme, port)


def test_each_proxy_has_added_its_own_scheme() -> None:
    conn = rewritten(
        ("x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.0.0.2"),
        ("x-forwarded-proto", "http, https, http"),
    )
    assert (conn.remote_ip, conn.scheme) == ("203.0.113.9", "https")


def test_the_port_of_the_host_header_stays_where_only_the_scheme_is_told() -> None:
    conn = rewritten(("host", "a.example:8080"), ("x-forwarded-proto", "https"))
    assert (conn.host, conn.port, conn.scheme) == ("a.example", 8080, "https")


def test_a_port_that_is_told_wins_over_the_schemes() -> None:
    for order in ((0, 1), (1, 0)):
        pairs = [("x-forwarded-port", "80"), ("x-forwarded-proto", "https")]
        conn = rewritten(*(pairs[at] for at in order))
        assert (conn.scheme, conn.port) == ("https", 80)


@pytest.mark.parametrize("value", ["0", "65536", "-1", "+80", "8_0", "eighty", "80 80", ""])
def test_bad_ports(value: str) -> None:
    assert rewritten(("x-forwarded-port", value)).port == 80


@pytest.mark.parametrize(
    ("value", "host", "port"),
    [
        ("shop.example", "shop.example", 80),
        ("shop.example:8080", "shop.example", 8080),
        ("[2001:DB8::1]:8080", "[2001:db8::1]", 8080),
        ("evil.example/path", "www.example.com", 80),
        ("evil.example@shop.example", "www.example.com", 80),
        ("evil.example\tx", "www.example.com", 80),
        ("evil.example:99999", "www.example.com", 80),
        ("evil.example:http", "www.example.com", 80),
        ("<script>", "www.example.com", 80),
        ("a" * 20 + "?x", "www.example.com", 80),
    ],
)
def test_hosts(value: str, host: str, port: int) -> None:
    conn = rewritten(("x-forwarded-host", value))
    assert (conn.host, conn.port) == (host, port)


def test_only_the_headers_that_were_named() -> None:
    conn = rewritten(*ALL, headers=["x_forwarded_proto"])
    assert (conn.remote_ip, conn.scheme, conn.host) == ("10.0.0.1", "https", "www.example.com")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=203.0.113.9;proto=https;host=shop.example", ("203.0.113.9", "https", "shop.example")),
        ('For="[2001:db9::9]:4711"', ("2001:db9::9", "http", "www.example.com")),
        ('for="203.0.113.9:1"; proto="https"', ("203.0.113.9", "https", "www.example.com")),
        (
            "for=6.6.6.6;host=evil.example, for=203.0.113.9;proto=https, for=10.0.0.2;proto=http",
            ("203.0.113.9", "https", "www.example.com"),
        ),
        ("for=6.6.6.6, for=_hidden;proto=https", ("10.0.0.1", "https", "www.example.com")),
        ("proto=https", ("10.0.0.1", "https", "www.example.com")),
        ("by=10.0.0.1;secret=x;for=203.0.113.9", ("203.0.113.9", "http", "www.example.com")),
        # Malformed ones say nothing at all.
        ("for=203.0.113.9;for=6.6.6.6", ("10.0.0.1", "http", "www.example.com")),
        ('for="203.0.113.9', ("10.0.0.1", "http", "www.example.com")),
        ("for=203.0.113.9;proto=https; bad", ("10.0.0.1", "http", "www.example.com")),
        ("203.0.113.9", ("10.0.0.1", "http", "www.example.com")),
    ],
)
def test_forwarded(value: str, expected: tuple[str, str, str]) -> None:
    conn = rewritten(("forwarded", value))
    assert (conn.remote_ip, conn.scheme, conn.host) == expected


def test_parsing_forwarded() -> None:
    # The examples of RFC 7239 section 4.
    assert parse_forwarded('for="_gazonk"') == [Element("_gazonk")]
    assert parse_forwarded('For="[2001:db8:cafe::17]:4711"') == [
        Element("[2001:db8:cafe::17]:4711")
    ]
    assert parse_forwarded("for=192.0.2.60;proto=http;by=203.0.113.43") == [
        Element("192.0.2.60", "http")
    ]
    assert parse_forwarded("for=192.0.2.43, for=198.51.100.17") == [
        Element("192.0.2.43"),
        Element("198.51.100.17"),
    ]
    assert parse_forwarded(r'for="a\"b,c;d"') == [Element('a"b,c;d')]


@given(st.text(max_size=60), st.sampled_from(list(HEADERS)))
def test_no_value_raises(value: str, name: str) -> None:
    conn = rewritten((name, value))
    assert conn.scheme in {"http", "https"}
    assert 0 < conn.port <= 65_535
    assert conn.remote_ip


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match="x-real-ip"):
        RewriteOn(headers=["x-real-ip"])
    with pytest.raises(ValueError, match="has host bits set"):
        RewriteOn(headers=["forwarded"], trusted_proxies=["10.0.0.1/8"])
    with pytest.raises(ValueError, match="list of names"):
        RewriteOn(headers="forwarded")
    with pytest.raises(ValueError, match="list of texts"):
        RewriteOn(headers=["forwarded"], trusted_proxies="10.0.0.0/8")
