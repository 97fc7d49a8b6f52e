"""A latency plot out of characters.

The way across is the percentile in nines (0, 90, 99, 99.9 ... at equal distances), as in HDR
histogram plots: the tail, where servers differ, gets as much room as the bulk.
"""

from collections.abc import Callable
from typing import Final

EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
ASCII: Final = " .:-=+*##"

ROWS: Final = 8
MARGIN: Final = 13
NINES: Final = 4
"""The plot ends at 99.99 %."""


def percentile_plot(
    percentiles: Callable[[tuple[float, ...]], dict[float, float]],
    *,
    width: int = 80,
    ascii_only: bool = False,
) -> list[str]:
    """Lines of a bar plot of the latency by percentile.

    percentiles: seconds for each of the given percentiles. width: columns in all, at least 40.
    """
    columns = max(width, 40) - MARGIN - 4
    columns -= columns % NINES
    points = tuple(100 * (1 - 10 ** -(column * NINES / columns)) for column in range(columns + 1))
    values = list(percentiles(points).values())
    return _bars(values, ASCII if ascii_only else EIGHTHS) + _axis(columns, ascii_only)


def _bars(values: list[float], blocks: str) -> list[str]:
    highest = max(values) or 1.0
    steps = len(blocks) - 1
    # At least the lowest block, so that every column is seen to have a value.
    heights = [max(1, round(value / highest * ROWS * steps)) for value in values]
    lines = []
    for row in range(ROWS, 0, -1):
        label = (
            f"{highest * row / ROWS * 1000:,.3f}"
            if highest < 0.1
            else (f"{highest * row / ROWS * 1000:,.0f}")
        )
        bar = "".join(blocks[min(max(height - (row - 1) * steps, 0), steps)] for height in heights)
        lines.append(f"  {label:>{MARGIN - 6}} ms {bar}".rstrip())
    return lines


def _axis(columns: int, ascii_only: bool) -> list[str]:
    tick, line = ("+", "-") if ascii_only else ("┴", "─")
    step = columns // NINES
    ruler = "".join(tick if column % step == 0 else line for column in range(columns + 1))
    labels = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"]
    text = ""
    for number, label in enumerate(labels):
        text = text.ljust(number * step - (len(label) // 2 if number else 0)) + label
    indent = " " * MARGIN
    return [indent + ruler, indent + text]
