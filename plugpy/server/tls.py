"""TLS of a server: from its options to certificates, and the process that loads new ones."""

import logging
from collections.abc import Sequence
from typing import Any, Final

from acceptors.errors import OptionError
from acceptors.otp import NORMAL, Process, Reason, current_clock
from acceptors.otp.clock import TimerHandle
from acceptors.otp.supervision import caller_and_parent
from acceptors.tls import CIPHERS, Certificates, TlsOptions
from plugpy.server.errors import ConfigurationError, StartError
from plugpy.server.settings import Settings

logger = logging.getLogger("plugpy.server")

LOOK_INTERVAL: Final = 10.0
"""Seconds between two looks at the files of certificates."""

ALPN: Final = ("http/1.1", "http/1.0")
"""What is spoken here (RFC 7301 section 6)."""


def certificates_of(settings: Settings) -> Certificates:
    """The certificates that `settings` name, loaded.

    Raises ConfigurationError where there are none, or keys that can't be told to belong to them,
    and StartError for files that can't be used.
    """
    certfiles, keyfiles = settings["certfile"], settings["keyfile"]
    if keyfiles and len(keyfiles) != len(certfiles):
        raise ConfigurationError(
            f"{settings.source('keyfile')}: {len(keyfiles)} keys for {len(certfiles)} "
            "certificates; give one certfile for each keyfile, in the same order"
        )
    if not certfiles:
        raise ConfigurationError("https needs a certfile (--certfile or PLUGPY_CERTFILE)")
    try:
        return Certificates(
            TlsOptions(
                certificates=list(zip(certfiles, keyfiles or [None] * len(certfiles), strict=True)),
                password=settings["keyfile_password"],
                client_cert=settings["client_cert"],
                ca_certs=settings["ca_certs"],
                min_version=settings["tls_min_version"],
                ciphers=settings["ciphers"] or CIPHERS,
                alpn=ALPN,
            )
        )
    except OptionError as error:
        raise StartError(_sentence(error, settings)) from error


def _sentence(error: OptionError, settings: Settings) -> str:
    text = str(error).removeprefix(f"{error.option}: ")
    return f"{settings.source(error.option)}: {text}"


def log_warnings(certificates: Certificates) -> None:
    """Say what should be known of certificates that are good enough to start with."""
    for sentence in certificates.warnings():
        logger.warning("%s", sentence)


class CertificateWatch(Process):
    """Looks at the files of certificates, and loads them anew when they have changed.

    Open connections keep the certificate that they began with. Files that can't be used are logged
    and leave everything as it was, until they change again.
    """

    __slots__ = ("_certificates", "_timer")

    def __init__(self, certificates: Sequence[Certificates]) -> None:
        _, parent = caller_and_parent(True)
        super().__init__(parent)
        self.label = "certificates"
        self._certificates = list(certificates)
        self._timer: TimerHandle = current_clock().call_later(LOOK_INTERVAL, self._look)

    def _look(self) -> None:
        self._timer = current_clock().call_later(LOOK_INTERVAL, self._look)
        self.reload(changed=True)

    def reload(self, *, changed: bool = False) -> bool:
        """Load all anew, or only those whose files have changed; False where one could not be."""
        good = True
        for certificates in self._certificates:
            if changed and not certificates.changed():
                continue
            names = ", ".join(path for path, _ in certificates.options.certificates)
            try:
                certificates.reload()
            except OptionError as error:
                good = False
                logger.error("the certificates of before stay: %s", error)
            except OSError as error:  # it went away between two looks
                good = False
                logger.error("the certificates of before stay: %s", error)
            else:
                logger.info("new connections get the certificates of now (%s)", names)
                log_warnings(certificates)
        return good

    def _signalled(self, reason: Reason) -> None:
        self._exited(reason)

    def _exited(self, reason: Reason = NORMAL) -> None:
        self._timer.cancel()
        super()._exited(reason)

    def snapshot(self) -> dict[str, Any]:
        """What an observer shows: also the files, and until when their certificates are good."""
        return {
            **super().snapshot(),
            "certificates": {
                path: f"{certificate.not_after:%Y-%m-%d}"
                for certificates in self._certificates
                for path, certificate in certificates.loaded
            },
        }
