"""Spans of time and sizes, as they are written on command lines: `30s`, `500ms`, `8MB`.

A span is a float of seconds, a size an int of bytes. A bare number is seconds or bytes. What is
formatted parses to the same value again, to the microsecond.
"""

import re
from typing import Final

SPAN_UNITS: Final[dict[str, float]] = {
    "us": 0.000001,
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
"""Seconds in each unit of time."""

SIZE_UNITS: Final[dict[str, int]] = {
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}
"""Bytes in each unit of size, in lower case: SI units by 1000, IEC units (`KiB`) by 1024."""

_SPAN_PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([a-z]*)", re.ASCII)


def parse_span(text: str) -> float:
    """Seconds in `text`: `"30s"`, `"1m30s"`, `"500ms"`, `"2h"`, or a bare number of seconds.

    Raises ValueError that says what is understood.
    """
    stripped = text.strip().lower()
    if _NUMBER.fullmatch(stripped):
        return float(stripped)
    seconds, end = 0.0, 0
    for part in _SPAN_PART.finditer(stripped):
        if part.start() != end:
            break
        seconds += float(part[1]) * SPAN_UNITS[part[2]]
        end = part.end()
    if end == 0 or end != len(stripped):
        raise ValueError(f"{text!r} is not a span of time; write it as 30s, 5m, 1m30s or 500ms")
    return seconds


def format_span(seconds: float) -> str:
    """`seconds` in the largest unit that keeps it short: 90.0 is `"90s"`, 0.5 is `"500ms"`."""
    for unit in ("d", "h", "m"):
        if seconds >= 2 * SPAN_UNITS[unit] and seconds % SPAN_UNITS[unit] == 0:
            return f"{seconds / SPAN_UNITS[unit]:.0f}{unit}"
    micros = round(seconds * 1_000_000)
    if micros >= 1_000_000 or micros == 0:
        return f"{micros / 1_000_000:.6f}".rstrip("0").rstrip(".") + "s"
    return f"{micros // 1000}ms" if micros % 1000 == 0 else f"{micros}us"


def parse_size(text: str) -> int:
    """Bytes in `text`: `"8MB"` (8,000,000), `"64KiB"` (65,536), or a bare number of bytes.

    Raises ValueError that says what is understood.
    """
    match = _SIZE.fullmatch(text.strip().lower())
    unit = SIZE_UNITS.get(match[2] or "b") if match else None
    if match is None or unit is None:
        raise ValueError(f"{text!r} is not a size; write it as 8MB, 64KiB or a number of bytes")
    return int(float(match[1]) * unit) if "." in match[1] else int(match[1]) * unit


def format_size(size: int) -> str:
    """`size` bytes in the largest unit that divides it: 8000000 is `"8MB"`, 65536 is `"64KiB"`."""
    for unit in ("GB", "GiB", "MB", "MiB", "KB", "KiB"):
        if size and size % SIZE_UNITS[unit.lower()] == 0:
            return f"{size // SIZE_UNITS[unit.lower()]}{unit}"
    return str(size)
