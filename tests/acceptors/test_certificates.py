"""Certificates of a listener: which one for which name, what is wrong with files, loading anew."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
import trustme

from acceptors import OptionError
from acceptors.certificate import parse_certificate, read_certificate
from acceptors.tls import Certificates, TlsOptions


def of(*pairs, **options):
    return Certificates(TlsOptions(certificates=pairs, **options))


def shown(client):
    """The names in the certificate that a client was shown."""
    names = client.writer.get_extra_info("peercert")["subjectAltName"]
    return {name for _, name in names}


async def test_each_name_gets_its_certificate(listen, connect, write_certificate, client_context):
    certificates = of(
        write_certificate("default.example"),
        write_certificate("a.example", "b.example"),
        write_certificate("*.wild.example"),
        write_certificate("exact.wild.example", "127.0.0.1"),
    )
    ref = await listen(ssl=certificates)

    async def ask(name, expected=None, **attributes):
        context = client_context(**attributes)
        client = await connect(ref, ssl=context, server_hostname=name)
        assert await client.echo(b"x")
        names = shown(client)
        await client.close()
        return names

    assert await ask("a.example") == await ask("b.example") == {"a.example", "b.example"}
    assert await ask("B.Example") == {"a.example", "b.example"}
    assert await ask("one.wild.example") == {"*.wild.example"}
    assert await ask("exact.wild.example") == {"exact.wild.example", "127.0.0.1"}
    # A wildcard is one label; and clients send no name for an address: both get the first.
    for name in ("two.labels.wild.example", "wild.example", "127.0.0.1", "nobody.example"):
        assert await ask(name, check_hostname=False) == {"default.example"}


async def test_two_kinds_of_key_for_the_same_names(
    listen, write_certificate, connect, client_context
):
    ecdsa = write_certificate("a.example", key_type=trustme.KeyType.ECDSA)
    rsa = write_certificate("a.example", key_type=trustme.KeyType.RSA)
    ref = await listen(ssl=of(ecdsa, rsa))
    for kind in ("ECDSA", "RSA"):
        context = client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
        context.set_ciphers(f"ECDHE-{kind}-AES128-GCM-SHA256")
        client = await connect(ref, ssl=context, server_hostname="a.example")
        assert kind in client.writer.get_extra_info("cipher")[0]
        await client.close()


def test_two_of_a_kind_for_the_same_names_are_a_mistake(write_certificate):
    with pytest.raises(OptionError, match="for the same names as one before it"):
        of(write_certificate("a.example"), write_certificate("a.example"))


async def test_client_certificates(
    listen, connect, write_certificate, client_context, authority, tmp_path
):
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    pair = write_certificate("localhost")
    ours = authority.issue_cert("ada@example.org")
    strangers = trustme.CA().issue_cert("eve@example.org")

    async def ask(ref, identity=None, version=ssl.TLSVersion.TLSv1_3):
        context = client_context(minimum_version=version, maximum_version=version)
        if identity is not None:
            identity.configure_cert(context)
        client = await connect(ref, ssl=context, server_hostname="localhost")
        # In TLS 1.3 the client is done before the server has judged its certificate.
        return await client.echo(b"x")

    required = await listen(ssl=of(pair, client_cert="required", ca_certs=str(ca)))
    optional = await listen(ssl=of(pair, client_cert="optional", ca_certs=str(ca)))
    none = await listen(ssl=of(pair))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert await ask(required, ours, version)
        assert await ask(optional, ours, version)
        assert await ask(optional, None, version)
        assert await ask(none, None, version)
        for ref, identity in ((required, None), (required, strangers), (optional, strangers)):
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                assert not await ask(ref, identity, version)


async def test_a_new_certificate_is_served_and_open_connections_stay(
    listen, connect, write_certificate, client_context, tmp_path
):
    pair = write_certificate("localhost", to=tmp_path)
    certificates = of(pair)
    ref = await listen(ssl=certificates)
    before = await connect(ref, ssl=client_context(), server_hostname="localhost")
    assert not certificates.changed()
    write_certificate("localhost", "new.example", to=tmp_path)
    assert certificates.changed()
    certificates.reload()
    assert not certificates.changed()
    after = await connect(ref, ssl=client_context(), server_hostname="new.example")
    assert shown(after) == {"localhost", "new.example"}
    assert await before.echo(b"x")
    assert await after.echo(b"x")
    await before.close()
    await after.close()


def test_a_broken_new_certificate_leaves_the_old_one(write_certificate, tmp_path):
    pair = write_certificate("a.example", to=tmp_path)
    certificates = of(pair)
    context = certificates.context_for("a.example")
    other, _ = write_certificate("a.example")
    shutil.copy(other, pair[0])  # its key follows a moment later
    assert certificates.changed()
    with pytest.raises(OptionError, match=r"key\.pem is not that of the certificate .*cert\.pem"):
        certificates.reload()
    assert certificates.context_for("a.example") is context
    assert not certificates.changed()  # it was tried: said once
    Path(pair[0]).unlink()
    assert certificates.changed()
    with pytest.raises(OptionError, match="No such file"):
        certificates.reload()
    assert certificates.context_for("a.example") is context


def encrypt(keyfile, password):
    subprocess.run(
        f"openssl pkcs8 -topk8 -in {keyfile} -out {keyfile}.enc -passout pass:{password}".split(),
        check=True,
        capture_output=True,
    )
    return keyfile + ".enc"


@pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl")
def test_encrypted_keys(write_certificate):
    certfile, keyfile = write_certificate("a.example")
    pair = certfile, encrypt(keyfile, "hunter2")
    assert of(pair, password="hunter2").context_for(None)
    assert "hunter2" not in repr(TlsOptions(certificates=[pair], password="hunter2"))
    with pytest.raises(OptionError, match="is encrypted, and no password was given") as none:
        of(pair)
    assert none.value.option == "keyfile_password"
    with pytest.raises(OptionError, match="the password does not open the key") as wrong:
        of(pair, password="hunter3")
    assert wrong.value.option == "keyfile_password"
    assert "hunter" not in str(wrong.value)


def test_what_is_wrong_is_said(write_certificate, tmp_path):
    certfile, keyfile = write_certificate("a.example")
    _, other_key = write_certificate("a.example")
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    garbage = tmp_path / "garbage.pem"
    garbage.write_bytes(b"-----BEGIN CERTIFICATE-----\nMIIBAA==\n-----END CERTIFICATE-----\n")

    def fails(option, message, *pairs, **options):
        with pytest.raises(OptionError, match=message) as caught:
            of(*pairs, **options)
        assert caught.value.option == option

    pair = certfile, keyfile
    fails("certfile", "No such file", ("nowhere.pem", keyfile))
    fails("keyfile", "nowhere.pem: No such file", (certfile, "nowhere.pem"))
    fails("certfile", "there is no certificate in it", (str(empty), keyfile))
    fails("certfile", "can't be read", (str(garbage), keyfile))
    fails("keyfile", "is not that of the certificate", (certfile, other_key))
    fails("keyfile", "the key .*empty.pem can't be read", (certfile, str(empty)))
    fails("keyfile", "the key .*cert.pem can't be read", (certfile, None))
    fails("certfile", "TLS needs a certificate")
    fails("ciphers", "OpenSSL knows no cipher in 'nonsense'", pair, ciphers="nonsense")
    fails("ca_certs", "without the authorities' file", pair, client_cert="required")
    fails("ca_certs", "No such file", pair, client_cert="required", ca_certs="nowhere.pem")
    fails("ca_certs", "no certificate", pair, client_cert="optional", ca_certs=str(empty))


def test_key_and_certificate_in_one_file(write_certificate, tmp_path):
    certfile, keyfile = write_certificate("a.example")
    both = tmp_path / "both.pem"
    both.write_bytes(Path(keyfile).read_bytes() + Path(certfile).read_bytes())
    assert of((str(both), None)).context_for("a.example")


def test_warnings(write_certificate):
    past = datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC)
    expired = write_certificate("a.example", not_after=past)
    good = write_certificate("b.example")
    certificates = of(expired, good)
    assert certificates.warnings() == [f"the certificate {expired[0]} expired on 2020-01-02"]
    before = past - datetime.timedelta(days=1)
    assert certificates.warnings(before) == [
        f"the certificate {expired[0]} expires on 2020-01-02",
    ]
    early = datetime.datetime(1999, 1, 1, tzinfo=datetime.UTC)
    assert "not valid before 2000-01-01" in certificates.warnings(early)[1]
    os.chmod(good[1], 0o644)
    assert f"the key {good[1]} can be read by every user of this machine" in certificates.warnings()


@pytest.mark.parametrize("kind", list(trustme.KeyType))
def test_reading_a_certificate(write_certificate, kind):
    names = ("a.example", "*.b.example", "127.0.0.1", "2001:db8::1", "xn--bcher-kva.example")
    until = datetime.datetime(2049, 12, 31, 23, 59, 58, tzinfo=datetime.UTC)
    certificate = read_certificate(write_certificate(*names, key_type=kind, not_after=until)[0])
    assert certificate.names == names
    assert certificate.not_after == until
    assert certificate.not_before.year == 2000


def test_a_cut_off_certificate_raises_value_error(write_certificate):
    pem = Path(write_certificate("a.example")[0]).read_text()
    data = ssl.PEM_cert_to_DER_cert(pem[: pem.index("-----END") + 25])
    for size in range(0, len(data), 7):
        with pytest.raises((ValueError, IndexError)):
            parse_certificate(data[:size])
