"""When the next request may be sent: the two kinds of load.

Closed loop: a client sends its next request when it has the answer to the last one. A slow server
is asked less often, so a stall of one second is seen by one request of each client, and the
percentiles tell little of what independent users would see (coordinated omission).

Open loop: request k is due at start + k / rate, whatever the server does. Its latency counts from
that moment, so the time that it waited for a free client is in it, and a stall is seen by all the
requests that fell into it.

Both hand out the moment (time.perf_counter) from which the latency counts, or None.
"""

import math
from typing import Protocol


class Pacing(Protocol):
    """How the requests of a run are handed out."""

    issued: int
    """Requests handed out so far."""

    def start(self, now: float) -> None:
        """The run begins at `now`."""

    def take(self, now: float) -> float | None:
        """One request to send now: the moment its latency counts from; None when none is due."""

    def exhausted(self, now: float) -> bool:
        """Whether there is nothing to hand out any more, now or later."""

    def next_due(self) -> float | None:
        """When the next request falls due; None where clients need not be woken for it."""


class ClosedLoop:
    """Requests as fast as answers come, until `requests` are handed out or `duration` is over."""

    __slots__ = ("deadline", "duration", "issued", "requests")

    def __init__(self, requests: int | None, duration: float | None) -> None:
        self.requests = math.inf if requests is None else requests
        self.duration = math.inf if duration is None else duration
        self.deadline = math.inf
        self.issued = 0

    def start(self, now: float) -> None:
        self.deadline = now + self.duration

    def take(self, now: float) -> float | None:
        if self.issued >= self.requests or now >= self.deadline:
            return None
        self.issued += 1
        return now

    def exhausted(self, now: float) -> bool:
        return self.issued >= self.requests or now >= self.deadline

    def next_due(self) -> float | None:
        return None


class OpenLoop:
    """`rate` requests a second; `requests` in all, or those that fall due during `duration`."""

    __slots__ = ("began", "issued", "rate", "requests")

    def __init__(self, rate: float, requests: int | None, duration: float | None) -> None:
        self.rate = rate
        self.requests = min(
            math.inf if requests is None else requests,
            math.inf if duration is None else max(1, math.ceil(rate * duration)),
        )
        self.began = math.inf
        self.issued = 0

    def start(self, now: float) -> None:
        self.began = now

    def take(self, now: float) -> float | None:
        due = self.began + self.issued / self.rate
        if due > now or self.issued >= self.requests:
            return None
        self.issued += 1
        return due

    def exhausted(self, now: float) -> bool:
        return self.issued >= self.requests

    def next_due(self) -> float | None:
        return None if self.issued >= self.requests else self.began + self.issued / self.rate

    def overdue(self, now: float) -> int:
        """How many requests are due by `now` and were not handed out."""
        due = min(math.floor((now - self.began) * self.rate) + 1, self.requests)
        return max(0, int(due) - self.issued)
