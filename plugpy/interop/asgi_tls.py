"""The extension `tls` of a scope (ASGI TLS extension 0.2)."""

import ssl
from functools import cache
from typing import Any, Final

from acceptors.subject import subject_of
from plugpy.conn.adapter import Adapter

VERSIONS: Final = {
    "SSLv3": 0x0300,
    "TLSv1": 0x0301,
    "TLSv1.1": 0x0302,
    "TLSv1.2": 0x0303,
    "TLSv1.3": 0x0304,
}


def tls_extension(adapter: Adapter) -> dict[str, Any] | None:
    """What the connection knows of its TLS session; None without one.

    Also where a trusted proxy has ended it and says so by the PROXY protocol. Not known, so None:
    the certificate that was sent (`server_cert`).
    """
    facts = adapter.get_ssl_data()
    if facts is None:
        return None
    certificate = adapter.get_peer_data().ssl_cert
    chain: list[str] = []
    name: str | None = None
    if certificate is not None:
        try:
            name = subject_of(certificate)
        except ValueError:
            pass  # a proxy may pass anything on; who can't be named is nobody
        else:
            chain.append(ssl.DER_cert_to_PEM_cert(certificate))
    cipher = facts.get("cipher")
    return {
        "server_cert": None,
        "client_cert_chain": chain,
        "client_cert_name": name,
        # What can't be verified does not get through the handshake.
        "client_cert_error": None,
        "tls_version": VERSIONS.get(facts.get("version") or ""),
        "cipher_suite": _suites().get(cipher[0]) if cipher else None,
    }


@cache
def _suites() -> dict[str, int]:
    """OpenSSL's name of each cipher suite -> its number in the registry of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return {suite["name"]: suite["id"] & 0xFFFF for suite in context.get_ciphers()}
