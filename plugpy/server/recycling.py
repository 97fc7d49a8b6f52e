"""When a worker has done enough: max-requests and max-rss, each with a jitter of its own.

The worker looks once a second, with its sign of life, and tells the master, which replaces it as
in a roll: nothing is refused, and no more than one worker at a time is being replaced. So a worker
goes on for up to a second and the start of its successor after it has reached a limit.
"""

import os
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from plugpy.server.units import format_size

_GOLDEN: Final = 0.6180339887498949

_PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def jittered(limit: int, jitter: int, start: int) -> int:
    """The limit of the worker that was the `start`-th that the master started; 0 stays 0 (none).

    Between `limit` and `limit + jitter`. The fractional parts of the multiples of the golden ratio
    fill an interval evenly and keep any few in a row far apart, which random numbers do not: of
    four workers that start together no two are within a seventh of the jitter.
    """
    return limit + int(start * _GOLDEN % 1.0 * (jitter + 1)) if limit else 0


def resident_size() -> int | None:
    """Bytes of memory that this process has resident; None where nobody tells.

    Linux tells by /proc/self/statm; elsewhere psutil does, when it is installed.
    """
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        pass
    try:
        psutil = import_module("psutil")
    except ImportError:
        return None
    return int(psutil.Process().memory_info().rss)


class Limits:
    """The limits of one worker. `resident`: its bytes when it was ready, None where unknown."""

    __slots__ = ("max_requests", "max_rss", "resident")

    def __init__(self, settings: Any, start: int, resident: int | None) -> None:
        self.max_requests = jittered(
            settings["max_requests"], settings["max_requests_jitter"], start
        )
        self.max_rss = jittered(settings["max_rss"], settings["max_rss_jitter"], start)
        self.resident = resident

    def complaint(self) -> str | None:
        """Why max-rss can't be kept at all, as a sentence for the log; the limit is off then."""
        if not self.max_rss:
            return None
        if self.resident is None:
            self.max_rss = 0
            return "max-rss is not looked at: this system does not tell a process its size"
        if self.resident >= self.max_rss:
            limit, self.max_rss = self.max_rss, 0
            return (
                f"max-rss is {format_size(limit)}, and the application takes "
                f"{_rounded(self.resident)} when it has just started: the limit is ignored"
            )
        return None

    def reached(self, requests: int, resident: int | None) -> str | None:
        """Which limit a worker is over that has served so many requests and has so many bytes."""
        if self.max_requests and requests >= self.max_requests:
            return f"{requests} requests served, the limit is {self.max_requests}"
        if self.max_rss and resident is not None and resident >= self.max_rss:
            return f"{_rounded(resident)} resident, the limit is {_rounded(self.max_rss)}"
        return None


def _rounded(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
