"""Ranges of bytes (RFC 9110 section 14)."""

from collections.abc import Sequence
from typing import Literal


def parse_range(
    values: Sequence[str], size: int
) -> tuple[int, int] | Literal["unsatisfiable"] | None:
    """The bytes that a range header asks for: (offset, length), "unsatisfiable", or None where
    the header is to be ignored: another unit, several ranges, all of the file, nonsense.

    >>> parse_range(["bytes=0-9"], 100), parse_range(["bytes=-10"], 100)
    ((0, 10), (90, 10))
    >>> parse_range(["bytes=100-"], 100)
    'unsatisfiable'
    """
    if len(values) != 1 or size == 0:
        return None
    unit, equals, text = values[0].partition("=")
    first, dash, last = text.strip(" \t").partition("-")
    if unit.strip().lower() != "bytes" or not equals or not dash:
        return None
    if not all(
        part.isascii() and part.isdigit() and len(part) < 20 for part in (first, last) if part
    ):
        return None
    if not first:
        if not last:
            return None
        length = min(int(last), size)
        if length == 0:
            return "unsatisfiable"
        return None if length == size else (size - length, length)
    offset = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < offset:
        return None
    if offset >= size:
        return "unsatisfiable"
    if offset == 0 and end == size - 1:
        return None
    return offset, end - offset + 1
