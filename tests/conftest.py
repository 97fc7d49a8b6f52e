"""What all tests share."""

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import settings

# No deadline for one example: this suite runs on machines that are busy with other things.
settings.register_profile("plugpy", deadline=None)
settings.load_profile("plugpy")


@pytest.fixture(scope="session")
def authority() -> "trustme.CA":
    """A certificate authority of this run; clients that shall trust it: `client_context`."""
    return trustme.CA()


@pytest.fixture(scope="session")
def write_certificate(
    authority: "trustme.CA", tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[str, str]]:
    """`write_certificate("a.example", ..., to=folder, **options)`: files of a new certificate and
    of its key, (certfile, keyfile). The options are those of trustme's issue_cert."""

    def write(*names: str, to: Path | None = None, **options: Any) -> tuple[str, str]:
        folder = to or tmp_path_factory.mktemp("certificate")
        made = authority.issue_cert(*names, **options)
        certfile, keyfile = folder / "cert.pem", folder / "key.pem"
        certfile.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        keyfile.write_bytes(made.private_key_pem.bytes())
        keyfile.chmod(0o600)
        return str(certfile), str(keyfile)

    return write


@pytest.fixture(scope="session")
def client_context(authority: "trustme.CA") -> Callable[..., ssl.SSLContext]:
    """`client_context(**attributes)`: a context of a client that trusts the authority."""

    def make(alpn: Sequence[str] = (), **attributes: Any) -> ssl.SSLContext:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        for name, value in attributes.items():
            setattr(context, name, value)
        return context

    return make
