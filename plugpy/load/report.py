"""The result of a load run: figures, as a dict for machines and as text for people."""

from typing import Any, Final

from plugpy.load.errors import ERROR_KINDS
from plugpy.load.options import LoadOptions
from plugpy.load.plot import percentile_plot
from plugpy.load.tally import Tally

PERCENTILES: Final = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)

BUSY: Final = 0.9
"""Share of a core from which on the client itself may be what limits a closed loop."""


class LoadReport:
    """Figures of one run. `failed` counts requests without a whole answer and answers of 400 and
    above; `in_flight` those that were dropped when the run was stopped, which count nowhere else.

    problem: why the run could not be done at all, else None.
    """

    def __init__(
        self,
        options: LoadOptions,
        tally: Tally,
        *,
        sent: int,
        in_flight: int,
        seconds: float,
        client_cpu: float,
        interrupted: bool = False,
        problem: str | None = None,
    ) -> None:
        self.options = options
        self.tally = tally
        self.sent = sent
        self.in_flight = in_flight
        self.seconds = seconds
        self.client_cpu = client_cpu
        self.interrupted = interrupted
        self.problem = problem

    @property
    def errors(self) -> int:
        """Requests that got no whole answer."""
        return sum(self.tally.errors.values())

    @property
    def failed(self) -> int:
        refused = sum(n for status, n in self.tally.statuses.items() if status >= 400)
        return self.errors + refused

    @property
    def requests_per_second(self) -> float:
        """Answers a second, whatever their status."""
        return self.tally.answered / self.seconds

    def percentiles(self, points: tuple[float, ...] = PERCENTILES) -> dict[float, float]:
        """Seconds by percentile (0..100)."""
        values = self.tally.histogram.get_percentile_to_value_dict(list(points))
        return {point: values[point] / 1e6 for point in points}

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints. Times are seconds, latencies milliseconds; docs/how-to/load.md
        lists the keys."""
        options, tally, histogram = self.options, self.tally, self.tally.histogram
        latency: dict[str, Any] | None = None
        if histogram.get_total_count():
            latency = {
                "min": histogram.get_min_value() / 1000,
                "mean": round(histogram.get_mean_value() / 1000, 3),
                "stddev": round(histogram.get_stddev() / 1000, 3),
                "max": histogram.get_max_value() / 1000,
                "percentiles": {
                    f"{point:g}": round(value * 1000, 3)
                    for point, value in self.percentiles().items()
                },
            }
        return {
            "url": options.url,
            "method": options.method,
            "mode": "closed" if options.rate is None else "open",
            "rate": options.rate,
            "connections": options.connections,
            "keep_alive": options.keep_alive,
            "interrupted": self.interrupted,
            "problem": self.problem,
            "seconds": round(self.seconds, 6),
            "requests": {
                "sent": self.sent,
                "answered": tally.answered,
                "failed": self.failed,
                "in_flight": self.in_flight,
            },
            "requests_per_second": round(self.requests_per_second, 3),
            "bytes_received": tally.bytes_received,
            "bytes_sent": tally.bytes_sent,
            "connects": tally.connects,
            "statuses": {str(status): n for status, n in sorted(tally.statuses.items())},
            "errors": {
                kind: {"count": count, "message": tally.messages.get(kind, ERROR_KINDS[kind])}
                for kind, count in sorted(tally.errors.items())
            },
            "latency_ms": latency,
            "client_cpu": round(self.client_cpu / self.seconds, 3),
        }

    def as_text(self, *, width: int = 80, ascii_only: bool = False) -> str:
        """What a person reads. width: columns for the plot."""
        if self.problem:
            return f"\n  {self.problem}\n"
        tally = self.tally
        lines = [
            "",
            _row("Requests", f"{self.sent:,}", f"in {self.seconds:.2f} s"),
            _row("Answers", f"{tally.answered:,}", f"{self.requests_per_second:,.0f}/s"),
            _row(
                "Received",
                _bytes(tally.bytes_received),
                f"{_bytes(tally.bytes_received / self.seconds)}/s",
            ),
            _row("Connections", f"{tally.connects:,} opened"),
        ]
        if self.interrupted:
            lines.append(_row("Interrupted", f"{self.in_flight:,} in flight were dropped"))
        lines.append("")
        lines += [
            _row(f"Status {status}", f"{n:,}") for status, n in sorted(tally.statuses.items())
        ]
        for kind, count in sorted(tally.errors.items()):
            words = ERROR_KINDS[kind]
            message = tally.messages.get(kind)
            detail = f"{words} ({message})" if message and message.lower() != words else words
            lines.append(_row("Failed", f"{count:,}", detail))
        lines += self._latency_lines(width, ascii_only)
        if self.options.rate is None and self.client_cpu / self.seconds > BUSY:
            lines += [
                "",
                "  plugpy load itself used a whole core: the server may be faster than this.",
            ]
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def _latency_lines(self, width: int, ascii_only: bool) -> list[str]:
        histogram = self.tally.histogram
        if not histogram.get_total_count():
            return []
        rate = self.options.rate
        if rate is not None:
            since = f"from the moment that each request was due, at {rate:,g}/s"
        elif self.options.keep_alive:
            since = "from the sending of each request"
        else:
            since = "from the connect of each request"
        return [
            "",
            f"  Latency, {since}",
            _row(
                "mean",
                _milliseconds(histogram.get_mean_value() / 1e6),
                f"min {_milliseconds(histogram.get_min_value() / 1e6)}, "
                f"standard deviation {_milliseconds(histogram.get_stddev() / 1e6)}",
            ),
            *(
                _row(f"{point:g} %", _milliseconds(value))
                for point, value in self.percentiles().items()
            ),
            _row("max", _milliseconds(histogram.get_max_value() / 1e6)),
            "",
            *percentile_plot(self.percentiles, width=width, ascii_only=ascii_only),
        ]


def _row(name: str, value: str, more: str = "") -> str:
    return f"  {name:<12} {value:>16}   {more}"


def _milliseconds(seconds: float) -> str:
    milliseconds = seconds * 1000
    digits = (
        3 if milliseconds < 10 else 2 if milliseconds < 100 else 1 if milliseconds < 1000 else 0
    )
    return f"{milliseconds:,.{digits}f} ms"


def _bytes(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
