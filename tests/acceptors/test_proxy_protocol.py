"""The PROXY protocol, versions 1 and 2, as bytes. Sections are those of HAProxy's specification."""

from __future__ import annotations

import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acceptors.proxy_protocol import (
    LONGEST_V1,
    LONGEST_V2,
    SIGNATURE,
    NoProxyHeaderError,
    ProxyHeader,
    ProxyProtocolError,
    ProxyTls,
    crc32c,
    decode,
    encode,
)

ports = st.integers(0, 65_535)
v4 = st.tuples(st.ip_addresses(v=4).map(str), ports)
v6 = st.tuples(st.ip_addresses(v=6).map(str), ports)
texts = st.text(st.characters(categories=["L", "N", "P"]), max_size=20)
# A path begins with no @, which stands for the zero of an abstract name.
paths = st.from_regex(r"/[a-z0-9/.]{0,106}", fullmatch=True)
optional = st.none


def canonical(address):
    import socket

    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.inet_ntop(family, socket.inet_pton(family, host)), port


@st.composite
def places(draw, families=("tcp4", "tcp6", "unix", "unspec")):
    family = draw(st.sampled_from(families))
    kinds = {"tcp4": v4.map(canonical), "tcp6": v6.map(canonical), "unix": paths}
    if family == "unspec":
        return {}
    kind = kinds[family]
    return {"family": family, "source": draw(kind), "destination": draw(kind)}


tls = st.builds(
    ProxyTls,
    version=st.none() | texts,
    verified=st.booleans(),
    common_name=st.none() | texts,
    cipher=st.none() | texts,
    sig_alg=st.none() | texts,
    key_alg=st.none() | texts,
    group=st.none() | texts,
    certificate=st.binary(max_size=50),
)
headers_v2 = st.builds(
    lambda place, **rest: ProxyHeader(**place, **rest),
    places(),
    alpn=st.none() | st.binary(max_size=10),
    authority=st.none() | texts,
    unique_id=st.none() | st.binary(max_size=128),
    netns=st.none() | texts,
    ssl=st.none() | tls,
    others=st.lists(st.tuples(st.integers(0xE0, 0xEF), st.binary(max_size=9)), max_size=3).map(
        tuple
    ),
)
headers_v1 = places(("tcp4", "tcp6", "unspec")).map(lambda place: ProxyHeader(version=1, **place))


@given(headers_v2, st.booleans(), st.binary(max_size=20))
def test_what_is_encoded_is_decoded(header, checksum, rest):
    data = encode(header, checksum=checksum)
    assert decode(data + rest) == (header, len(data))


@given(headers_v1, st.binary(max_size=20))
def test_what_is_encoded_is_decoded_in_version_1(header, rest):
    data = encode(header)
    assert len(data) <= LONGEST_V1
    assert decode(data + rest) == (header, len(data))


@given(st.one_of(headers_v1, headers_v2))
def test_a_header_is_not_there_before_its_last_byte(header):
    data = encode(header)
    for size in range(len(data)):
        assert decode(data[:size]) is None
    assert decode(data) == (header, len(data))


@given(st.one_of(headers_v2.map(encode), headers_v1.map(encode)), st.data())
def test_a_changed_byte_raises_nothing_else(data, choose):
    at = choose.draw(st.integers(0, len(data) - 1))
    changed = data[:at] + bytes([choose.draw(st.integers(0, 255))]) + data[at + 1 :]
    try:
        found = decode(changed)
    except ProxyProtocolError:
        return
    assert found is None or found[1] <= len(changed)


@given(st.binary(max_size=300))
def test_any_bytes_after_the_signature_raise_nothing_else(data):
    for whole in (SIGNATURE + data, SIGNATURE + b"\x21\x11" + data, b"PROXY " + data, data):
        try:
            found = decode(whole)
        except ProxyProtocolError:
            continue
        assert found is None or found[1] <= len(whole)


@given(headers_v2, st.data())
def test_the_checksum_finds_every_changed_bit_of_addresses_and_tlvs(header, choose):
    data = bytearray(encode(header, checksum=True))
    # Not the type of the checksum itself, which would be none then.
    at = choose.draw(st.integers(16, len(data) - 1).filter(lambda at: at != len(data) - 7))
    data[at] ^= 1 << choose.draw(st.integers(0, 7))
    # A length that is another makes another TLV of it; never the same header.
    try:
        found = decode(bytes(data))
    except ProxyProtocolError:
        return
    assert found is None or found[0] != header


def test_the_checksum_is_castagnolis():
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720 appendix B.4's polynomial, usual check


V1 = {
    b"PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\r\n": (("192.0.2.1", 56324), ("192.0.2.9", 443)),
    b"PROXY TCP6 2001:DB8::1 ::1 1 0\r\n": (("2001:db8::1", 1), ("::1", 0)),
    b"PROXY UNKNOWN\r\n": (None, None),
    b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n": (None, None),
}


@pytest.mark.parametrize("data", V1)
def test_version_1(data):
    header, size = decode(data + b"GET / HTTP/1.1\r\n")
    assert size == len(data)
    assert (header.source, header.destination) == V1[data]
    assert header.version == 1


def test_the_longest_line_of_version_1_is_taken_and_one_more_byte_is_not():
    line = b"PROXY UNKNOWN " + b"x" * (LONGEST_V1 - 16) + b"\r\n"
    assert len(line) == LONGEST_V1
    assert decode(line) is not None
    with pytest.raises(ProxyProtocolError):
        decode(line.replace(b"x\r\n", b"xx\r\n"))


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY TCP4 192.0.2.1 192.0.2.9 56324\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 56324 443 1\r\n",
        b"PROXY TCP4  192.0.2.1 192.0.2.9 56324 443\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 56324 443 \r\n",
        b"PROXY TCP4 192.0.2.01 192.0.2.9 56324 443\r\n",
        b"PROXY TCP4 192.0.2 192.0.2.9 56324 443\r\n",
        b"PROXY TCP4 0x7f.1.1.1 192.0.2.9 56324 443\r\n",
        b"PROXY TCP4 ::1 ::1 56324 443\r\n",
        b"PROXY TCP6 192.0.2.1 192.0.2.9 56324 443\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 56324 443\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 65536 443\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 -1 443\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 +1 443\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 01 443\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 1_0 443\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 \xb2 443\r\n",
        b"PROXY TCP4\t192.0.2.1 192.0.2.9 1 443\r\n",
        b"PROXY UDP4 192.0.2.1 192.0.2.9 1 443\r\n",
        b"PROXY tcp4 192.0.2.1 192.0.2.9 1 443\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 1 443\n",
        b"PROXY\r\n",
        b"PROXYTCP4 192.0.2.1 192.0.2.9 1 443\r\n",
    ],
)
def test_malformed_lines_of_version_1(data):
    with pytest.raises(ProxyProtocolError):
        decode(data)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1", b"POST ", b"\r\n\r\nG", b"\x16\x03", b"proxy "]
)
def test_what_is_no_header(data):
    with pytest.raises(NoProxyHeaderError):
        decode(data)


def v2(command=0x21, family=0x11, rest=b"", length=None):
    size = len(rest) if length is None else length
    return SIGNATURE + bytes([command, family]) + size.to_bytes(2) + rest


FOUR = bytes([192, 0, 2, 1, 192, 0, 2, 9]) + struct.pack("!HH", 56324, 443)


def test_version_2():
    data = v2(rest=FOUR)
    header, size = decode(data + b"\x16")
    assert size == len(data) == 28
    assert header.family == "tcp4"
    assert (header.source, header.destination) == (("192.0.2.1", 56324), ("192.0.2.9", 443))


def test_local_skips_whatever_is_said_of_addresses():
    assert decode(v2(command=0x20, family=0, rest=b"")) == (ProxyHeader(local=True), 16)
    assert decode(v2(command=0x20, family=0x11, rest=FOUR)) == (ProxyHeader(local=True), 28)


@pytest.mark.parametrize("family", [0x00, 0x01, 0x10, 0x12, 0x22, 0x32])
def test_combinations_that_are_not_supported_fall_back_to_unspecified(family):
    size = {0x12: 12, 0x22: 36, 0x32: 216}.get(family, 0)
    rest = bytes(size) + b"\x02\x00\x01a"
    header, length = decode(v2(family=family, rest=rest))
    assert (header.family, header.source, header.authority) == ("unspec", None, "a")
    assert length == 16 + len(rest)


def test_abstract_unix_sockets_are_shown_with_an_at():
    rest = b"\0abstract".ljust(108, b"\0") + b"/run/a".ljust(108, b"\0")
    header, _ = decode(v2(family=0x31, rest=rest))
    assert (header.source, header.destination) == ("@abstract", "/run/a")
    assert decode(encode(header))[0] == header


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (v2(command=0x11, rest=FOUR), "version"),
        (v2(command=0x22, rest=FOUR), "command"),
        (v2(family=0x41, rest=FOUR), "family"),
        (v2(family=0x13, rest=FOUR), "family"),
        (v2(rest=FOUR[:-1]), "too short"),
        (v2(family=0x21, rest=FOUR), "too short"),
        (v2(rest=FOUR + b"\x01\x00"), "cut off"),
        (v2(rest=FOUR + b"\x01\x00\x02a"), "longer than the header"),
        (v2(rest=FOUR + b"\x03\x00\x04abcd"), "checksum"),
        (v2(rest=FOUR + b"\x03\x00\x03abc"), "checksum"),
        (v2(rest=FOUR + b"\x05\x00\x81" + b"x" * 129), "unique id"),
        (v2(rest=FOUR + b"\x20\x00\x04" + bytes(4)), "cut off"),
        (v2(rest=FOUR + b"\x20\x00\x07" + b"\x01" + bytes(4) + b"\x21\x00"), "cut off"),
        (v2(rest=FOUR + b"\x02\x00\x02\xff\xfe"), "printable"),
        (v2(rest=FOUR + b"\x02\x00\x02\n\n"), "printable"),
        (v2(length=LONGEST_V2 - 15), "longer than 4096"),
    ],
)
def test_malformed_headers_of_version_2(data, why):
    with pytest.raises(ProxyProtocolError, match=why):
        decode(data)


def test_a_certificate_that_was_not_verified_is_not():
    # 2.2.6: `verify` is 0 also where no certificate was presented.
    for client, verify, verified in ((1, 0, False), (3, 0, True), (5, 0, True), (3, 1, False)):
        value = bytes([client]) + verify.to_bytes(4) + b"\x22\x00\x01x"
        header, _ = decode(v2(rest=FOUR + b"\x20" + len(value).to_bytes(2) + value))
        assert header.ssl is not None
        assert header.ssl.verified is verified
    plain, _ = decode(v2(rest=FOUR + b"\x20\x00\x05" + bytes(5)))
    assert plain.ssl is None


@pytest.mark.parametrize(
    "header",
    [
        ProxyHeader(version=1, family="unix", source="/a", destination="/b"),
        ProxyHeader(family="unix", source="/" * 109, destination="/b"),
        ProxyHeader(family="tcp4"),
        ProxyHeader(others=((0xE0, bytes(5_000)),)),
    ],
)
def test_what_can_not_be_said(header):
    with pytest.raises(ValueError, match=r"."):
        encode(header)


def test_it_does_not_need_ssl():
    assert "ssl" not in vars(sys.modules["acceptors.proxy_protocol"])
