"""What a server must know of its own certificate: for which names it is, and how long it is good.

The module ssl tells that only of certificates that it has verified, so it is read here, as far as
it is needed (RFC 5280 section 4.1, in DER: X.690). The file is the server's own, not hostile.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SEQUENCE, _OCTETS, _OID, _UTC_TIME, _VERSION, _EXTENSIONS = 0x30, 0x04, 0x06, 0x17, 0xA0, 0xA3
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87
_SUBJECT_ALT_NAME: Final = bytes([0x55, 0x1D, 0x11])
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Certificate:
    """names: DNS names in lower case, "*.example.com" too, and IP addresses as text, of the
    extension subjectAltName. key: the algorithm of its key, as bytes of its OID. not_before,
    not_after: aware datetimes."""

    names: tuple[str, ...]
    key: bytes
    not_before: datetime.datetime
    not_after: datetime.datetime


def read_certificate(path: str) -> Certificate:
    """The first certificate of a PEM file, which is the server's own (RFC 8446 section 4.4.2).

    Raises OSError, ValueError where there is none or it can't be read.
    """
    found = _PEM.search(Path(path).read_bytes())
    if found is None:
        raise ValueError("there is no certificate in it (no -----BEGIN CERTIFICATE-----)")
    try:
        return parse_certificate(ssl.PEM_cert_to_DER_cert(found[0].decode("ascii")))
    except (IndexError, ValueError) as error:
        raise ValueError(f"the certificate in it can't be read: {error}") from error


def parse_certificate(data: bytes) -> Certificate:
    """A certificate in DER form. Raises ValueError, IndexError."""
    ((_, certificate),) = elements(data)
    fields = elements(elements(certificate)[0][1])
    if fields[0][0] == _VERSION:
        fields = fields[1:]
    # serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo
    not_before, not_after = (_time(*one) for one in elements(fields[3][1]))
    key = elements(elements(fields[5][1])[0][1])[0][1]
    names: list[str] = []
    for kind, value in fields[6:]:
        if kind == _EXTENSIONS:
            for _, extension in elements(elements(value)[0][1]):
                parts = elements(extension)
                if parts[0] == (_OID, _SUBJECT_ALT_NAME):
                    names = _names(parts[-1][1])
    return Certificate(tuple(names), key, not_before, not_after)


def _names(octets: bytes) -> list[str]:
    names = []
    ((_, sequence),) = elements(octets)
    for kind, value in elements(sequence):
        if kind == _DNS_NAME:
            names.append(value.decode("ascii").lower())
        elif kind == _IP_ADDRESS:
            names.append(str(ipaddress.ip_address(value)))
    return names


def _time(kind: int, value: bytes) -> datetime.datetime:
    text = value.decode("ascii")
    if kind == _UTC_TIME:
        # RFC 5280 section 4.1.2.5.1: two digits from 50 on are of the last century.
        text = ("19" if text >= "50" else "20") + text
    moment = datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ")
    return moment.replace(tzinfo=datetime.UTC)


def elements(data: bytes) -> list[tuple[int, bytes]]:
    """The (tag, value) pairs that follow each other in `data`, DER. Raises ValueError, IndexError
    where it is cut off."""
    found = []
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size]), at + size
        if at + length > len(data):
            raise ValueError("it is cut off")
        found.append((tag, data[at : at + length]))
        at += length
    return found
