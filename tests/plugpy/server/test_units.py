"""Spans and sizes as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.server.units import format_size, format_span, parse_size, parse_span


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("5m", 300.0),
        ("500ms", 0.5),
        ("250us", 0.00025),
        ("1m30s", 90.0),
        ("1h", 3600.0),
        ("2d", 172_800.0),
        ("1.5s", 1.5),
        ("15", 15.0),
        ("0", 0.0),
        (" 3S ", 3.0),
    ],
)
def test_spans_are_read(text: str, seconds: float) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "-1s", "5 minutes", "1x", "1s2", "s1", "1e3", "٣s", "1m 30s", "nan", "1s-"]
)
def test_what_is_no_span_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write it as 30s"):
        parse_span(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8MB", 8_000_000),
        ("8mb", 8_000_000),
        ("64KiB", 65_536),
        ("1 GB", 1_000_000_000),
        ("512", 512),
        ("7B", 7),
        ("1.5KB", 1500),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "8 megabytes", "1e9", "0x10", "٣"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write it as 8MB"):
        parse_size(text)


@given(st.integers(0, 10**12))
def test_a_formatted_size_is_the_same_size(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.integers(0, 10**12).map(lambda micros: micros / 1_000_000))
def test_a_formatted_span_is_the_same_span(seconds: float) -> None:
    assert parse_span(format_span(seconds)) == pytest.approx(seconds, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize(
    ("seconds", "text"), [(15.0, "15s"), (300.0, "5m"), (75.0, "75s"), (0.5, "500ms"), (0.0, "0s")]
)
def test_spans_are_formatted_as_people_write_them(seconds: float, text: str) -> None:
    assert format_span(seconds) == text
