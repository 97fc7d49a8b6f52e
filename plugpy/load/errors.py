"""What can go wrong with one request of a load run, and with the run itself."""

import os
import ssl
from typing import Final

REFUSED: Final = "refused"
CONNECT: Final = "connect"
TLS: Final = "tls"
RESET: Final = "reset"
CLOSED: Final = "closed"
TIMEOUT: Final = "timeout"
BAD_RESPONSE: Final = "bad_response"
NOT_SENT: Final = "not_sent"

ERROR_KINDS: Final[dict[str, str]] = {
    REFUSED: "connection refused",
    CONNECT: "connection failed",
    TLS: "TLS handshake failed",
    RESET: "connection reset",
    CLOSED: "closed before the whole answer",
    TIMEOUT: "no answer in time",
    BAD_RESPONSE: "not an HTTP response",
    NOT_SENT: "due, but never sent",
}
"""Kind of error, as `--json` names it, and what a person reads."""


class LoadError(Exception):
    """The run could not be started; the message says what to do."""


def kind_of(error: BaseException) -> str:
    """The kind of a failure to connect, or of a connection that was lost."""
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    if isinstance(error, TimeoutError):
        return TIMEOUT
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return RESET
    if isinstance(error, ssl.SSLError | ssl.CertificateError):
        return TLS
    return CONNECT


def message_of(error: BaseException) -> str:
    """What the system says of it, in the same words on every event loop."""
    if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno)
    return str(error)
