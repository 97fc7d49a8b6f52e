"""TLS of a listener: contexts with safe settings, certificates by name, and loading them anew.

    TlsOptions                 what a listener is told
      -> Certificates          the option `ssl` of a listener; context_for(name) for each connection
           -> ssl.SSLContext   one for each set of names

A context is chosen by the name in the ClientHello (acceptors.client_hello) before OpenSSL sees it.
Each has its own keys for session tickets, so a session is never resumed under another name.
"""

from __future__ import annotations

import datetime
import os
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from acceptors.certificate import Certificate, read_certificate
from acceptors.errors import OptionError

ClientCert = Literal["none", "optional", "required"]
Version = Literal["1.2", "1.3"]

CIPHERS: Final = ":".join(
    # Mozilla's "intermediate" for TLS 1.2, less DHE: forward secrecy and authenticated encryption
    # only. Those of TLS 1.3 are all good, and OpenSSL's own.
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    ]
)

VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
CLIENT_CERTS: Final = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}

Signature = tuple[tuple[int, int, int, int] | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """What the TLS of a listener is made of. Files are PEM.

    certificates   (certfile, keyfile) pairs; keyfile None: the key is in the certfile. The first is
                   for clients that ask for no name, or for none of the others'. The names of each
                   are those in it. Two for the same names (RSA and ECDSA) serve side by side
    password       of encrypted keys
    client_cert    "none"; "optional": verified where the client has one; "required" (mTLS)
    ca_certs       file of the authorities that client certificates are verified by
    min_version    "1.2" or "1.3"
    ciphers        of TLS 1.2, in OpenSSL's words
    alpn           protocols, best first; a client that offers only others is refused (RFC 7301)
    """

    certificates: Sequence[tuple[str, str | None]]
    password: str | None = field(default=None, repr=False)
    client_cert: ClientCert = "none"
    ca_certs: str | None = None
    min_version: Version = "1.2"
    ciphers: str = CIPHERS
    alpn: Sequence[str] = ()


class Certificates:
    """The contexts of TlsOptions, to be the option `ssl` of a listener.

    Raises OptionError that names "certfile", "keyfile", "ca_certs" or "ciphers".
    alpn      as in the options, in bytes
    """

    __slots__ = ("_default", "_names", "_signature", "alpn", "loaded", "options")

    def __init__(self, options: TlsOptions) -> None:
        self.options = options
        self.alpn = tuple(name.encode("ascii") for name in options.alpn)
        self.loaded: list[tuple[str, Certificate]] = []
        self._signature: Signature = ()
        self._load()

    def context_for(self, server_name: str | None) -> ssl.SSLContext:
        """The context for a name as clients send it in SNI, in lower case; None for no name."""
        names = self._names
        if server_name is None:
            return self._default
        context = names.get(server_name)
        if context is None:
            # RFC 6125 section 6.4.3: a wildcard stands for one label, the leftmost.
            context = names.get("*." + server_name.partition(".")[2])
        return context or self._default

    @property
    def default(self) -> ssl.SSLContext:
        """The context of the first certificate."""
        return self._default

    def reload(self) -> None:
        """Read all files anew, for the next connections. Raises OptionError as the start does;
        then everything stays as it was."""
        self._load()

    def changed(self) -> bool:
        """Whether a file is another than when all were last read, or tried to be."""
        return self._sign() != self._signature

    def warnings(self, now: datetime.datetime | None = None) -> list[str]:
        """What is not an error, but should be said: sentences."""
        now = now or datetime.datetime.now(datetime.UTC)
        found = []
        for path, certificate in self.loaded:
            if certificate.not_after <= now:
                found.append(f"the certificate {path} expired on {certificate.not_after:%Y-%m-%d}")
            elif certificate.not_before > now:
                found.append(
                    f"the certificate {path} is not valid before {certificate.not_before:%Y-%m-%d}"
                )
            elif certificate.not_after - now < datetime.timedelta(days=3):
                found.append(f"the certificate {path} expires on {certificate.not_after:%Y-%m-%d}")
            if not certificate.names:
                found.append(f"the certificate {path} is for no name: clients will refuse it")
        for certfile, keyfile in self.options.certificates:
            path = keyfile or certfile
            if os.stat(path).st_mode & stat.S_IROTH:
                found.append(f"the key {path} can be read by every user of this machine")
        return found

    # loading --------------------------------------------------------------------------------------

    def _load(self) -> None:
        # First, so that what changes while it is read is read again.
        self._signature = self._sign()
        contexts: dict[frozenset[str], ssl.SSLContext] = {}
        keys: set[tuple[frozenset[str], bytes]] = set()
        names: dict[str, ssl.SSLContext] = {}
        loaded: list[tuple[str, Certificate]] = []
        if not self.options.certificates:
            raise OptionError("certfile", "TLS needs a certificate")
        for certfile, keyfile in self.options.certificates:
            certificate = _read(certfile)
            loaded.append((certfile, certificate))
            those = frozenset(certificate.names)
            if (those, certificate.key) in keys:
                # OpenSSL would let the last one win, which of two nobody can have meant.
                raise OptionError("certfile", f"{certfile} is for the same names as one before it")
            keys.add((those, certificate.key))
            context = contexts.get(those)
            if context is None:
                context = contexts[those] = make_context(self.options)
            _load_chain(context, certfile, keyfile, self.options.password)
            for name in certificate.names:
                names.setdefault(name, context)
        self._names = names
        self._default = next(iter(contexts.values()))
        self.loaded = loaded

    def _sign(self) -> Signature:
        options = self.options
        files = [one for pair in options.certificates for one in pair if one is not None]
        if options.ca_certs is not None:
            files.append(options.ca_certs)
        return tuple(map(_stat, files))


def make_context(options: TlsOptions) -> ssl.SSLContext:
    """A context with the settings of `options`, without certificates.

    Python adds to them: no compression, no TLS 1.1, the server's order of ciphers counts.
    Raises OptionError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[options.min_version]
    # A client could make us do the expensive half of a handshake over and over (CVE-2011-1473).
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.set_ciphers(options.ciphers)
    except ssl.SSLError:
        raise OptionError("ciphers", f"OpenSSL knows no cipher in {options.ciphers!r}") from None
    if options.alpn:
        context.set_alpn_protocols(list(options.alpn))
    context.verify_mode = CLIENT_CERTS[options.client_cert]
    if options.client_cert != "none":
        if options.ca_certs is None:
            raise OptionError(
                "ca_certs", "client certificates can't be verified without the authorities' file"
            )
        try:
            context.load_verify_locations(cafile=options.ca_certs)
        except ssl.SSLError:
            raise OptionError(
                "ca_certs", f"{options.ca_certs} holds no certificate that can be read"
            ) from None
        except OSError as error:
            raise OptionError(
                "ca_certs", f"{options.ca_certs}: {error.strerror or error}"
            ) from error
    return context


def _read(certfile: str) -> Certificate:
    try:
        return read_certificate(certfile)
    except OSError as error:
        raise OptionError("certfile", f"{certfile}: {error.strerror or error}") from error
    except ValueError as error:
        raise OptionError("certfile", f"{certfile}: {error}") from error


class _PasswordNeededError(Exception):
    pass


def _load_chain(
    context: ssl.SSLContext, certfile: str, keyfile: str | None, password: str | None
) -> None:
    asked = False

    def secret() -> str:
        # Without this, OpenSSL would ask on the terminal.
        nonlocal asked
        asked = True
        if password is None:
            raise _PasswordNeededError
        return password

    key = keyfile or certfile
    try:
        context.load_cert_chain(certfile, keyfile, secret)
    except _PasswordNeededError:
        raise OptionError(
            "keyfile_password", f"the key {key} is encrypted, and no password was given"
        ) from None
    except ssl.SSLError as error:
        option, message = _explain(error, certfile, key, asked)
        raise OptionError(option, message) from None
    except OSError as error:
        raise OptionError("keyfile", f"{key}: {error.strerror or error}") from error


def _explain(error: ssl.SSLError, certfile: str, key: str, asked: bool) -> tuple[str, str]:
    """OpenSSL's reasons in words for those who have not its sources at hand: (option, sentence).
    asked: for the password."""
    reason = error.reason or ""
    if reason == "KEY_VALUES_MISMATCH":
        return "keyfile", f"the key {key} is not that of the certificate {certfile}"
    if asked:
        return "keyfile_password", f"the password does not open the key {key}"
    if reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        return "certfile", f"OpenSSL finds the certificate {certfile} too weak ({reason})"
    return "keyfile", f"the key {key} can't be read ({reason or 'not a key in PEM'})"


def _stat(path: str) -> tuple[int, int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
