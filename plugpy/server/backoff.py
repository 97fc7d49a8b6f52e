"""How long a worker that keeps failing waits until it is started again.

OTP starts again at once. A worker takes a fraction of a second of CPU to import its application,
so from the second failure in a row each start waits twice as long as the one before. When the
master gives up is OTP's restart intensity (acceptors.otp.restarts).
"""

from typing import Final

FIRST_DELAY: Final = 0.1
"""Seconds before the second start in a row; the first is at once."""

LONGEST_DELAY: Final = 5.0
"""Seconds that a start waits at most."""


def backoff(failures: int) -> float:
    """Seconds to wait before the start that follows `failures` failures in a row (1, 2, ...)."""
    if failures <= 1:
        return 0.0
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures - 2, 30))
