"""The subject of a certificate as text (RFC 4514)."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID, ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from acceptors.subject import subject_of

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)

KNOWN = [
    NameOID.COMMON_NAME,
    NameOID.LOCALITY_NAME,
    NameOID.STATE_OR_PROVINCE_NAME,
    NameOID.STREET_ADDRESS,
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.USER_ID,
]


def certificate(*names: list[x509.NameAttribute]) -> bytes:
    subject = x509.Name([x509.RelativeDistinguishedName(name) for name in names])
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the issuer")]),
        subject_name=subject,
        public_key=KEY.public_key(),
        serial_number=7,
        not_valid_before=NOW,
        not_valid_after=NOW,
    )
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def one(text: str, oid: ObjectIdentifier = NameOID.COMMON_NAME, **kind: _ASN1Type) -> bytes:
    return certificate([x509.NameAttribute(oid, text, **kind)])


def test_the_last_part_comes_first():
    der = certificate(
        [x509.NameAttribute(NameOID.COUNTRY_NAME, "SE")],
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example, Inc.")],
        [x509.NameAttribute(NameOID.COMMON_NAME, "Ann")],
    )
    assert subject_of(der) == r"CN=Ann,O=Example\, Inc.,C=SE"
    assert subject_of(certificate()) == ""


def test_a_part_with_two_names():
    pair = [x509.NameAttribute(oid, "a") for oid in (NameOID.COMMON_NAME, NameOID.USER_ID)]
    assert sorted(subject_of(certificate(pair)).split("+")) == ["CN=a", "UID=a"]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (' a"b+c,d;e<f>g\\ ', r"\ a\"b\+c\,d\;e\<f\>g\\\ "),
        ("#1", r"\#1"),
        (" ", r"\ "),
        ("  ", r"\ \ "),
        ("a#b c", "a#b c"),
        ("Åsa=1", "Åsa=1"),
        ("a\x00b\r\n", r"a\00b\0D\0A"),
    ],
)
def test_what_is_escaped(text: str, escaped: str):
    assert subject_of(one(text)) == f"CN={escaped}"


def test_a_type_without_a_name_is_der():
    # Section 2.4, and the form of its example.
    assert subject_of(one("OK", ObjectIdentifier("1.3.6.1.4.1.1466.0"))) == (
        "1.3.6.1.4.1.1466.0=#0c024f4b"
    )
    long = subject_of(one("x" * 300, ObjectIdentifier("2.999.1")))
    assert long == "2.999.1=#0c82012c" + "78" * 300


def test_other_kinds_of_string():
    assert subject_of(one("Åsa", _type=_ASN1Type.BMPString)) == "CN=Åsa"
    assert subject_of(one("Asa", _type=_ASN1Type.PrintableString)) == "CN=Asa"
    assert subject_of(one("example", NameOID.DOMAIN_COMPONENT)) == "DC=example"
    # An IA5String that is none.
    assert subject_of(one("é", NameOID.DOMAIN_COMPONENT)) == "DC=#1602c3a9"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(KNOWN),
            st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1),
        ),
        max_size=4,
    )
)
def test_as_another_implementation_has_it(parts: list[tuple[ObjectIdentifier, str]]):
    der = certificate(*([x509.NameAttribute(oid, text[:60])] for oid, text in parts))
    assert subject_of(der) == x509.load_der_x509_certificate(der).subject.rfc4514_string()


@given(st.binary(max_size=60) | st.integers(0, 200).map(lambda size: one("Ann")[:size]))
def test_what_is_no_certificate(data: bytes):
    with pytest.raises(ValueError, match=r"."):
        subject_of(data)
