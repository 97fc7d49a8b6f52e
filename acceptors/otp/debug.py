"""Debug: what `system.statistics` and `system.trace` have a server keep and tell.

Made when one of them is switched on; a server without it pays one comparison for each message.
Source: sys(3). Neither shows what a message contains: that may be a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acceptors.otp.calls import CallMessage, CastMessage, SystemMessage
from acceptors.otp.clock import current_clock
from acceptors.otp.reports import logger

if TYPE_CHECKING:
    from acceptors.otp.process import Process

_KINDS = {CallMessage: "calls", CastMessage: "casts", SystemMessage: "system"}


class Debug:
    """Counters since they were switched on, and whether every message is logged."""

    __slots__ = ("counting", "counts", "since", "tracing")

    def __init__(self) -> None:
        self.tracing = False
        self.counting = False
        self.since = 0.0
        self.counts: dict[str, int] = {}

    def count(self, on: bool) -> None:
        """Start counting from 0, or stop."""
        self.counting = on
        self.since = current_clock().now()
        self.counts = {"messages_in": 0, "calls": 0, "casts": 0, "system": 0, "info": 0}

    def statistics(self) -> dict[str, Any] | None:
        """What was counted and for how many seconds; None when nothing is."""
        if not self.counting:
            return None
        return {"seconds": current_clock().now() - self.since, **self.counts}

    def got(self, process: Process, message: Any) -> None:
        """Note a message that `process` is about to serve."""
        kind = _KINDS.get(type(message), "info")
        if self.counting:
            self.counts["messages_in"] += 1
            self.counts[kind] += 1
        if self.tracing:
            logger.info("trace of %r: got %s (%s)", process, type(message).__name__, kind)
