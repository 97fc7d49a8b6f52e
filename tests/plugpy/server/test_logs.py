"""Messages of Python's logging as text and as JSON lines."""

import json
import logging

from plugpy.server.logs import JsonFormatter, TextFormatter


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    found = logging.LogRecord("app.views", logging.WARNING, __file__, 1, message, args, None)
    found.created, found.msecs = 1_795_420_800.25, 250.0
    vars(found).update(extra)
    return found


def with_traceback() -> logging.LogRecord:
    import sys

    found = record("broken")
    try:
        raise ValueError("no\x1b")
    except ValueError:
        found.exc_info = sys.exc_info()
    return found


def test_text() -> None:
    line = TextFormatter().format(record("hello %s", "you"))
    assert line == "2026-11-23T08:00:00.250Z warning app.views: hello you"


def test_text_in_color() -> None:
    assert TextFormatter(color=True).format(record("x")).startswith("\x1b[33m2026")


def test_no_message_can_forge_a_line_of_text() -> None:
    line = TextFormatter().format(
        record("user %s", "a\n2026-11-23T08:00:00.250Z info x: forged\x1b[")
    )
    _, second = line.split("\n")
    assert second.startswith("  2026")
    assert "\x1b" not in line


def test_a_traceback_is_part_of_both() -> None:
    text = TextFormatter().format(with_traceback())
    assert "\n  Traceback (most recent call last):" in text
    assert "ValueError: no\\x1b" in text
    fields = json.loads(JsonFormatter().format(with_traceback()))
    assert "ValueError: no\x1b" in fields["exception"]


def test_json_has_what_extra_gave() -> None:
    line = JsonFormatter().format(record("a\nb", url="http://x", odd={1, 2}))
    assert "\n" not in line
    fields = json.loads(line)
    assert fields["message"] == "a\nb"
    assert (fields["level"], fields["logger"]) == ("warning", "app.views")
    assert (fields["url"], fields["odd"]) == ("http://x", "{1, 2}")
