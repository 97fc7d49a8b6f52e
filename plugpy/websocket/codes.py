"""Close codes (RFC 6455 section 7.4.1, and the IANA registry after it)."""

from typing import Final

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
NO_STATUS: Final = 1005
"""Never sent: the client's close frame had no code."""
ABNORMAL: Final = 1006
"""Never sent: the connection ended without a close frame."""
INVALID_DATA: Final = 1007
POLICY_VIOLATION: Final = 1008
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012
TRY_AGAIN_LATER: Final = 1013

_SENDABLE: Final = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013})

REASON_LIMIT: Final = 123
"""Bytes of reason that fit into a close frame (RFC 6455 section 5.5)."""


def check_close(code: int, reason: str) -> str:
    """The reason, cut to what fits. Raises ValueError for a code that may not be sent."""
    if code not in _SENDABLE and not 3000 <= code <= 4999:
        raise ValueError(
            f"{code} can't be sent as a close code: take 1000, one of 3000 to 3999 that is "
            "registered, or one of 4000 to 4999 of your own"
        )
    data = reason.encode()
    return reason if len(data) <= REASON_LIMIT else data[:REASON_LIMIT].decode(errors="ignore")
