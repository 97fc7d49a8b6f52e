"""What was measured so far: latencies, statuses, errors, bytes."""

from typing import Any, Final

from plugpy.load.errors import LoadError

HIGHEST_LATENCY: Final = 3_600_000_000
"""Microseconds: an hour, the top of the histogram."""
SIGNIFICANT_FIGURES: Final = 3

PRECISION_BITS: Final = 11
"""Latencies are counted by their 11 highest bits, 1 part in 1,024, as fine as the histogram."""


class Tally:
    """Counts of a run, cheap to add to.

    PERF: a latency is counted in a dict (0.2 us) and goes into the HdrHistogram, whose
    record_value takes 1.7 us, when the numbers are asked for. Rounding bounds the dict to some
    24,000 keys, so nothing has to be moved while requests are in flight.
    """

    __slots__ = (
        "_histogram",
        "_latencies",
        "answered",
        "bytes_received",
        "bytes_sent",
        "connects",
        "errors",
        "messages",
        "statuses",
    )

    def __init__(self) -> None:
        try:
            from hdrh.histogram import HdrHistogram
        except ImportError:
            raise LoadError(
                "plugpy load needs the package hdrhistogram, which is not installed; "
                "get it with: pip install 'plugpy[load]'"
            ) from None
        self._histogram: Any = HdrHistogram(1, HIGHEST_LATENCY, SIGNIFICANT_FIGURES)
        self._latencies: dict[int, int] = {}
        self.answered = 0
        self.bytes_received = 0
        self.bytes_sent = 0
        self.connects = 0
        self.statuses: dict[int, int] = {}
        self.errors: dict[str, int] = {}
        self.messages: dict[str, str] = {}

    def answer(self, status: int, seconds: float) -> None:
        """A whole answer arrived, `seconds` after the moment that its latency counts from."""
        self.answered += 1
        statuses = self.statuses
        statuses[status] = statuses.get(status, 0) + 1
        self.latency(seconds)

    def latency(self, seconds: float) -> None:
        """Count one latency, also of a request that was given up."""
        latencies = self._latencies
        microseconds = int(seconds * 1e6)
        if microseconds >> PRECISION_BITS:
            coarse = microseconds.bit_length() - PRECISION_BITS
            microseconds = microseconds >> coarse << coarse
        latencies[microseconds] = latencies.get(microseconds, 0) + 1

    def error(self, kind: str, message: str = "", count: int = 1) -> None:
        """Requests without a whole answer. The first message of each kind is kept."""
        self.errors[kind] = self.errors.get(kind, 0) + count
        if message:
            self.messages.setdefault(kind, message)

    @property
    def histogram(self) -> Any:
        """The HdrHistogram of all latencies so far, in microseconds."""
        self._fold()
        return self._histogram

    def _fold(self) -> None:
        record = self._histogram.record_value
        for microseconds, count in self._latencies.items():
            record(min(max(microseconds, 1), HIGHEST_LATENCY), count)
        self._latencies.clear()
