"""How fast a worker that keeps failing is started again, and when the master gives up.

As OTP's restart intensity (supervisor(3)): more than `limit` restarts within `window` seconds is
one too many. OTP starts again at once; a worker takes a fraction of a second of CPU to import its
application, so from the second failure in a row each start waits twice as long as the one before.
"""

from typing import Final

from acceptors.otp.restarts import add_restart

FIRST_DELAY: Final = 0.1
"""Seconds before the second start in a row; the first is at once."""

LONGEST_DELAY: Final = 5.0
"""Seconds that a start waits at most."""


def backoff(failures: int) -> float:
    """Seconds to wait before the start that follows `failures` failures in a row (1, 2, ...)."""
    if failures <= 1:
        return 0.0
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures - 2, 30))


class Intensity:
    """Counts restarts. `limit` may happen within `window` seconds."""

    def __init__(self, limit: int, window: float) -> None:
        self.limit = limit
        self.window = window
        self._restarts: list[float] = []

    def exceeded(self, now: float) -> bool:
        """Take note of a restart at `now` (seconds of a monotonic clock): is it one too many?"""
        self._restarts, go_on = add_restart(self._restarts, now, self.limit, self.window)
        return not go_on
