"""Text that is safe to print."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.server.text import escape_controls, mask_query, wants_color


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain", "plain"),
        ("größe", "größe"),
        ("a\nb", "a\\nb"),
        ("a\r\nb", "a\\r\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("\u2028\u202e", "\\u2028\\u202e"),
    ],
)
def test_control_characters_are_written_out(text: str, escaped: str) -> None:
    assert escape_controls(text) == escaped


@given(st.text())
def test_an_escaped_text_is_one_line_without_control_characters(text: str) -> None:
    escaped = escape_controls(text)
    assert len(escaped.splitlines()) <= 1
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in escaped)


@given(st.text())
def test_kept_lines_can_not_pass_for_new_ones(text: str) -> None:
    first, *further = escape_controls(text, keep_lines=True).split("\n")
    assert "\x1b" not in first
    assert all(line.startswith("  ") for line in further)


@pytest.mark.parametrize(
    ("query", "masked"),
    [
        ("", ""),
        ("x=1&y=2", "x=1&y=2"),
        ("x=1&password=p&y=2", "x=1&password=[masked]&y=2"),
        ("Access_Token=t", "Access_Token=[masked]"),
        ("user%5Bpassword%5D=p", "user%5Bpassword%5D=[masked]"),
        ("%70assword=p", "%70assword=[masked]"),
        ("api-key=k&apikey=k", "api-key=[masked]&apikey=[masked]"),
        ("password=a=b", "password=[masked]"),
        ("password", "password"),
        ("q=password", "q=password"),
        ("q=100%25", "q=100%25"),
    ],
)
def test_values_of_secrets_are_masked(query: str, masked: str) -> None:
    assert mask_query(query) == masked


def test_colors_go_to_terminals_only(tmp_path: object) -> None:
    import os

    main, terminal = os.openpty()
    try:
        assert wants_color(terminal, {})
        assert not wants_color(terminal, {"NO_COLOR": "1"})
        assert not wants_color(terminal, {"TERM": "dumb"})
    finally:
        os.close(main)
        os.close(terminal)
    reading, writing = os.pipe()
    try:
        assert not wants_color(writing, {})
    finally:
        os.close(reading)
        os.close(writing)
    assert not wants_color(writing, {})
