"""The PROXY protocol, versions 1 and 2: a proxy says first whose connection it passes on.

Theory (the specification in HAProxy's doc/proxy-protocol.txt; sections are its own):

    v1   "PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\\r\\n", at most 107 bytes (2.1)
    v2   12 bytes of signature, version and command, family and transport, the length of the rest
         (2 bytes); then addresses, then TLVs (2.2)

Nothing but bytes here: `decode` and `encode` are functions, acceptors.arrival reads the socket.
A header is hostile input like any other, until its sender is known to be trusted.
"""

from __future__ import annotations

import re
import socket
import struct
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

Family = Literal["tcp4", "tcp6", "unix", "unspec"]
Address = tuple[str, int] | str | None

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
"""How a header of version 2 begins (2.2); no other protocol that one may meet does."""

LONGEST_V1: Final = 107
"""Bytes of a header of version 1 with its CRLF (2.1)."""

LONGEST_V2: Final = 4_096
"""Bytes of a header of version 2 that are taken; those of proxies stay below 536 (2.2), unless a
client certificate is in it."""

LONGEST_ID: Final = 128
"""Bytes of a unique id (2.2.5)."""

ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL, NETNS = 0x01, 0x02, 0x03, 0x04, 0x05, 0x20, 0x30
SSL_VERSION, SSL_CN, SSL_CIPHER, SSL_SIG_ALG, SSL_KEY_ALG = 0x21, 0x22, 0x23, 0x24, 0x25
SSL_GROUP, SSL_SIG_SCHEME, SSL_CLIENT_CERT = 0x26, 0x27, 0x28
CLIENT_SSL, CLIENT_CERT_CONN, CLIENT_CERT_SESS = 0x01, 0x02, 0x04


class ProxyProtocolError(ValueError):
    """A header that is not as the specification says; the connection can only be closed."""


class NoProxyHeaderError(ProxyProtocolError):
    """What came is not the beginning of a header, of either version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyTls:
    """TLS between the client and the proxy (2.2.6).

    version "TLSv1.3", cipher, sig_alg, key_alg, group: names in the words of OpenSSL, None where
    they were not said. verified: the client has presented a certificate and it was verified.
    common_name: of that certificate. certificate: in DER form, b"" where it was not passed on.
    """

    version: str | None = None
    verified: bool = False
    common_name: str | None = None
    cipher: str | None = None
    sig_alg: str | None = None
    key_alg: str | None = None
    group: str | None = None
    certificate: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyHeader:
    """What a proxy said about one connection.

    version      1 or 2
    local        True: the proxy speaks for itself (a health check); addresses are the socket's
    family       "tcp4", "tcp6", "unix", or "unspec": the addresses are not known
    source       of the client, destination: where the client has connected to; (host, port), the
                 path of a unix socket, None where they are not known
    alpn         protocol agreed on with the client, authority: the name that it asked for (SNI)
    unique_id    opaque bytes that name the connection, netns: the name of a network namespace
    ssl          ProxyTls where the client speaks TLS with the proxy, else None
    others       (type, value) of further TLVs, as they came
    """

    version: int = 2
    local: bool = False
    family: Family = "unspec"
    source: Address = None
    destination: Address = None
    alpn: bytes | None = None
    authority: str | None = None
    unique_id: bytes | None = None
    netns: str | None = None
    ssl: ProxyTls | None = None
    others: tuple[tuple[int, bytes], ...] = ()


def decode(data: bytes) -> tuple[ProxyHeader, int] | None:
    """The header at the beginning of `data` and its length in bytes; None while it is not complete.

    Raises NoProxyHeaderError where `data` can't be the beginning of one, ProxyProtocolError where
    it is one that is malformed.
    """
    if data[:5] == b"PROXY":
        return _decode_v1(data)
    if data[:12] == SIGNATURE:
        return _decode_v2(data)
    if b"PROXY ".startswith(data) or SIGNATURE.startswith(data):
        return None
    raise NoProxyHeaderError("there is no PROXY header")


def encode(header: ProxyHeader, *, checksum: bool = False) -> bytes:
    """The bytes of a header. checksum: with a CRC32C (version 2).

    Raises ValueError for what its version or family can't say.
    """
    return _encode_v1(header) if header.version == 1 else _encode_v2(header, checksum)


# version 1 --------------------------------------------------------------------------------------

_PORT = re.compile(rb"0|[1-9][0-9]{0,4}")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,45}")


def _decode_v1(data: bytes) -> tuple[ProxyHeader, int] | None:
    end = data.find(b"\r\n", 0, LONGEST_V1)
    if end < 0:
        if len(data) >= LONGEST_V1:
            raise ProxyProtocolError(f"no CRLF in {LONGEST_V1} bytes (2.1)")
        _check_v1_prefix(data)
        return None
    words = data[:end].split(b" ")
    if words[:2] == [b"PROXY", b"UNKNOWN"]:
        _check_v1_prefix(data[: end + 1])
        # "The receiver must ignore anything presented before the CRLF" (2.1).
        return ProxyHeader(version=1), end + 2
    if len(words) != 6 or words[0] != b"PROXY" or words[1] not in (b"TCP4", b"TCP6"):
        raise ProxyProtocolError("not PROXY, family, two addresses and two ports (2.1)")
    four = words[1] == b"TCP4"
    source, destination = (_address_v1(word, four) for word in words[2:4])
    ports = []
    for word in words[4:]:
        if not _PORT.fullmatch(word) or int(word) > 65_535:
            raise ProxyProtocolError("a port is not a number from 0 to 65535 (2.1)")
        ports.append(int(word))
    header = ProxyHeader(
        version=1,
        family="tcp4" if four else "tcp6",
        source=(source, ports[0]),
        destination=(destination, ports[1]),
    )
    return header, end + 2


def _check_v1_prefix(data: bytes) -> None:
    """Raise for a line that can't become a header: who sends one need not be waited for."""
    kinds = (b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN")
    if not any(kind.startswith(data[: len(kind)]) for kind in kinds):
        raise ProxyProtocolError("the family is not TCP4, TCP6 or UNKNOWN (2.1)")
    if b"\n" in data or b"\r" in data[:-1]:
        raise ProxyProtocolError("a bare CR or LF (2.1)")


def _address_v1(word: bytes, four: bool) -> str:
    family = socket.AF_INET if four else socket.AF_INET6
    try:
        text = word.decode("ascii")
        # inet_pton takes dotted quads without leading zeros, and no zone.
        packed = socket.inet_pton(family, text)
    except (OSError, ValueError):
        raise ProxyProtocolError(
            f"an address is no {'IPv4' if four else 'IPv6'} address (2.1)"
        ) from None
    return socket.inet_ntop(family, packed)


def _encode_v1(header: ProxyHeader) -> bytes:
    if header.local or header.family == "unspec":
        return b"PROXY UNKNOWN\r\n"
    if header.family == "unix":
        raise ValueError("version 1 knows no unix sockets")
    (source, port), (destination, own_port) = _pair(header.source), _pair(header.destination)
    family = header.family.upper()
    return f"PROXY {family} {source} {destination} {port} {own_port}\r\n".encode("ascii")


# version 2 --------------------------------------------------------------------------------------

_FAMILIES: Final[dict[int, tuple[Family, int]]] = {
    # Family and transport in one byte -> (family, bytes of the two addresses). Of the
    # combinations of 2.2 those for datagrams are "unspec": a receiver that does not support one
    # falls back to that.
    0x00: ("unspec", 0),
    0x01: ("unspec", 0),
    0x02: ("unspec", 0),
    0x10: ("unspec", 0),
    0x11: ("tcp4", 12),
    0x12: ("unspec", 0),
    0x20: ("unspec", 0),
    0x21: ("tcp6", 36),
    0x22: ("unspec", 0),
    0x30: ("unspec", 0),
    0x31: ("unix", 216),
    0x32: ("unspec", 0),
}
_SKIPPED: Final = {0x12: 12, 0x22: 36, 0x32: 216}
"""Bytes of the addresses of datagrams, which are skipped to find the TLVs."""


def _decode_v2(data: bytes) -> tuple[ProxyHeader, int] | None:
    if len(data) > 12:
        version, command = data[12] >> 4, data[12] & 15
        if version != 2 or command > 1:
            raise ProxyProtocolError("the version is not 2, or the command is unknown (2.2)")
    if len(data) > 13 and data[13] not in _FAMILIES:
        raise ProxyProtocolError("the family or the transport is unknown (2.2)")
    if len(data) < 16:
        return None
    end = 16 + int.from_bytes(data[14:16])
    if end > LONGEST_V2:
        raise ProxyProtocolError(f"it is longer than {LONGEST_V2} bytes")
    if len(data) < end:
        return None
    header = data[:end]
    if data[12] & 15 == 0:
        # LOCAL: family, addresses and TLVs mean nothing (2.2), but must be skipped.
        return ProxyHeader(local=True), end
    family, size = _FAMILIES[data[13]]
    at = 16 + (size or _SKIPPED.get(data[13], 0))
    if at > end:
        raise ProxyProtocolError("it is too short for its addresses (2.2)")
    source: Address = None
    destination: Address = None
    if family == "unix":
        source, destination = _path(header[16:124]), _path(header[124:232])
    elif family != "unspec":
        kind = socket.AF_INET if family == "tcp4" else socket.AF_INET6
        half = (size - 4) // 2
        port, own_port = struct.unpack_from("!HH", header, 16 + 2 * half)
        source = socket.inet_ntop(kind, header[16 : 16 + half]), port
        destination = socket.inet_ntop(kind, header[16 + half : 16 + 2 * half]), own_port
    return _with_tlvs(header, at, family, source, destination), end


def _with_tlvs(
    header: bytes, start: int, family: Family, source: Address, destination: Address
) -> ProxyHeader:
    known: dict[int, bytes] = {}
    others: list[tuple[int, bytes]] = []
    for kind, at, value in _tlvs(header, start):
        if kind == CRC32C:
            zeroed = header[:at] + bytes(4) + header[at + 4 :]
            if len(value) != 4 or int.from_bytes(value) != crc32c(zeroed):
                raise ProxyProtocolError("the checksum is wrong (2.2.3)")
        elif kind in (ALPN, AUTHORITY, UNIQUE_ID, SSL, NETNS):
            known.setdefault(kind, value)
        elif kind != NOOP:
            others.append((kind, value))
    unique_id = known.get(UNIQUE_ID)
    if unique_id is not None and len(unique_id) > LONGEST_ID:
        raise ProxyProtocolError(f"the unique id is longer than {LONGEST_ID} bytes (2.2.5)")
    return ProxyHeader(
        family=family,
        source=source,
        destination=destination,
        alpn=known.get(ALPN),
        authority=_text(known.get(AUTHORITY)),
        unique_id=unique_id,
        netns=_text(known.get(NETNS)),
        ssl=_tls(known[SSL]) if SSL in known else None,
        others=tuple(others),
    )


def _tlvs(data: bytes, start: int) -> list[tuple[int, int, bytes]]:
    """(type, where its value begins, value) of each TLV (2.2.7)."""
    found = []
    at = start
    while at < len(data):
        if at + 3 > len(data):
            raise ProxyProtocolError("a TLV is cut off (2.2)")
        end = at + 3 + int.from_bytes(data[at + 1 : at + 3])
        if end > len(data):
            raise ProxyProtocolError("a TLV is longer than the header (2.2)")
        found.append((data[at], at + 3, data[at + 3 : end]))
        at = end
    return found


def _tls(value: bytes) -> ProxyTls | None:
    if len(value) < 5:
        raise ProxyProtocolError("the TLV of TLS is cut off (2.2.6)")
    client = value[0]
    parts: dict[int, bytes] = {}
    for kind, _, part in _tlvs(value, 5):
        parts.setdefault(kind, part)
    if not client & CLIENT_SSL:
        return None
    presented = client & (CLIENT_CERT_CONN | CLIENT_CERT_SESS)
    return ProxyTls(
        version=_text(parts.get(SSL_VERSION)),
        # 0 is "verified", also where there was no certificate to verify (2.2.6).
        verified=bool(presented) and value[1:5] == bytes(4),
        common_name=_text(parts.get(SSL_CN)),
        cipher=_text(parts.get(SSL_CIPHER)),
        sig_alg=_text(parts.get(SSL_SIG_ALG)),
        key_alg=_text(parts.get(SSL_KEY_ALG)),
        group=_text(parts.get(SSL_GROUP)),
        certificate=parts.get(SSL_CLIENT_CERT, b""),
    )


def _text(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = ""
    if not text.isprintable() or (value and not text):
        raise ProxyProtocolError("a text in a TLV is not printable UTF-8 (2.2)")
    return text


def _path(value: bytes) -> str | None:
    """A path of a unix socket, filled up with zeros. A name in Linux's abstract namespace begins
    with one, and is shown with an @ in its place."""
    abstract = value[:1] == b"\0"
    path = value[abstract:].partition(b"\0")[0].decode(errors="surrogateescape")
    return "@" * (abstract and bool(path)) + path or None


def _encode_v2(header: ProxyHeader, checksum: bool) -> bytes:
    family = {"tcp4": 0x11, "tcp6": 0x21, "unix": 0x31, "unspec": 0x00}[header.family]
    addresses = b""
    if header.local:
        family = 0
    elif header.family == "unix":
        for one in (header.source, header.destination):
            path = (one if isinstance(one, str) else "").encode(errors="surrogateescape")
            if len(path) > 108:
                raise ValueError("the path of a unix socket has at most 108 bytes")
            if path[:1] == b"@":
                path = b"\0" + path[1:]
            addresses += path.ljust(108, b"\0")
    elif header.family != "unspec":
        kind = socket.AF_INET if header.family == "tcp4" else socket.AF_INET6
        (source, port), (destination, own_port) = _pair(header.source), _pair(header.destination)
        addresses = socket.inet_pton(kind, source) + socket.inet_pton(kind, destination)
        addresses += struct.pack("!HH", port, own_port)
    tlvs = b"" if header.local else _encode_tlvs(header)
    if checksum:
        tlvs += _tlv(CRC32C, bytes(4))
    rest = addresses + tlvs
    if 16 + len(rest) > LONGEST_V2:
        raise ValueError(f"a header has at most {LONGEST_V2} bytes")
    command = 0x20 if header.local else 0x21
    whole = SIGNATURE + bytes([command, family]) + len(rest).to_bytes(2) + rest
    return whole[:-4] + crc32c(whole).to_bytes(4) if checksum else whole


def _encode_tlvs(header: ProxyHeader) -> bytes:
    data = b""
    if header.alpn is not None:
        data += _tlv(ALPN, header.alpn)
    if header.authority is not None:
        data += _tlv(AUTHORITY, header.authority.encode())
    if header.unique_id is not None:
        data += _tlv(UNIQUE_ID, header.unique_id)
    if header.netns is not None:
        data += _tlv(NETNS, header.netns.encode())
    if (tls := header.ssl) is not None:
        texts = (
            (SSL_VERSION, tls.version),
            (SSL_CN, tls.common_name),
            (SSL_CIPHER, tls.cipher),
            (SSL_SIG_ALG, tls.sig_alg),
            (SSL_KEY_ALG, tls.key_alg),
            (SSL_GROUP, tls.group),
        )
        client = CLIENT_SSL | (CLIENT_CERT_CONN if tls.verified else 0)
        value = bytes([client, 0, 0, 0, not tls.verified])
        value += b"".join(_tlv(kind, text.encode()) for kind, text in texts if text is not None)
        if tls.certificate:
            value += _tlv(SSL_CLIENT_CERT, tls.certificate)
        data += _tlv(SSL, value)
    return data + b"".join(_tlv(kind, value) for kind, value in header.others)


def _tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2) + value


def _pair(address: Address) -> tuple[str, int]:
    if not isinstance(address, tuple):
        raise ValueError(f"expected (host, port), got {address!r}")
    return address


@cache
def _crc_table() -> list[int]:
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    return table


def crc32c(data: bytes) -> int:
    """The checksum of RFC 3309 (CRC-32C, Castagnoli)."""
    table = _crc_table()
    value = 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF
