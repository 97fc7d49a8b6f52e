"""The subject of a certificate as text (RFC 4514), such as `CN=Ann,O=Example,C=SE`.

The module ssl has no such form, and tells nothing of a certificate that a proxy has passed on.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from acceptors.certificate import elements

_VERSION: Final = 0xA0

# RFC 4514 section 3.
_TYPES: Final = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
}

# X.680 section 8.4: the kinds of string that names are made of.
_STRINGS: Final = {
    0x0C: "utf-8",
    0x12: "ascii",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1A: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}


def subject_of(certificate: bytes) -> str:
    """The distinguished name of the subject of a certificate in DER form; "" for an empty one.

    Raises ValueError for what is no certificate.
    """
    try:
        ((_, body),) = elements(certificate)
        fields = elements(elements(body)[0][1])
        if fields[0][0] == _VERSION:
            fields = fields[1:]
        # serialNumber, signature, issuer, validity, subject
        names = elements(fields[4][1])
        # Section 2.1: the last one comes first.
        return ",".join("+".join(map(_pair, elements(name))) for _, name in reversed(names))
    except IndexError as error:
        raise ValueError(f"the certificate can't be read: {error}") from error


def _pair(pair: tuple[int, bytes]) -> str:
    (_, oid), (kind, value) = elements(pair[1])
    dotted = _dotted(oid)
    name = _TYPES.get(dotted)
    if name is not None and kind in _STRINGS:
        with suppress(UnicodeDecodeError):
            return f"{name}={_escaped(value.decode(_STRINGS[kind]))}"
    # Section 2.4: what has no form as text stays DER.
    return f"{name or dotted}=#{_element(kind, value).hex()}"


def _dotted(oid: bytes) -> str:
    numbers = [0]
    for byte in oid:
        numbers[-1] = numbers[-1] << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(0)
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:-1]]))


def _element(kind: int, value: bytes) -> bytes:
    size = len(value)
    if size < 0x80:
        return bytes([kind, size]) + value
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([kind, 0x80 | len(length)]) + length + value


def _escaped(text: str) -> str:
    # Section 2.4; a control character could end a line of a log.
    escaped = "".join(
        f"\\{character}"
        if character in '"+,;<>\\'
        else "".join(f"\\{byte:02X}" for byte in character.encode())
        if not character.isprintable()
        else character
        for character in text
    )
    if escaped[:1] in (" ", "#"):
        escaped = "\\" + escaped
    if len(text) > 1 and text.endswith(" "):
        escaped = escaped[:-1] + "\\ "
    return escaped
