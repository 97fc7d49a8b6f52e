"""Python's logging for a server: messages on standard error, as text or as JSON lines."""

import json
import logging
import sys
import time
from typing import Any, Final

from plugpy.server.text import escape_controls, wants_color

_COLORS: Final = {
    logging.DEBUG: "\x1b[2m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[31;1m",
}

# What every record has; whatever else is on it was given by `extra=`.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure_logging(log_format: str = "text", log_level: str = "info") -> None:
    """Send the records of all loggers to standard error in `log_format` ("text" or "json").

    Nothing is done when the root logger has handlers already: the program is someone else's, and
    so is its logging.
    """
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter(wants_color(2)))
    if log_level != "debug":
        handler.addFilter(_is_no_progress)
    root.addHandler(handler)
    root.setLevel(log_level.upper())


def _is_no_progress(record: logging.LogRecord) -> bool:
    # As OTP's default handler: that a child was started is told to those who debug only.
    report = getattr(record, "report", None)
    return not (isinstance(report, dict) and report.get("report") == "progress")


def _moment(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


class TextFormatter(logging.Formatter):
    """`2026-11-23T12:00:01.123Z warning plugpy.server: message`.

    Control characters are written out and further lines indented, so that no message can forge a
    line of its own.
    """

    def __init__(self, color: bool = False) -> None:
        super().__init__()
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        """The record as text, with its traceback and stack where it has them."""
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        if record.stack_info:
            message += "\n" + self.formatStack(record.stack_info)
        level = record.levelname.lower()
        line = f"{_moment(record)} {level} {record.name}: " + escape_controls(
            message, keep_lines=True
        )
        color = _COLORS.get(record.levelno) if self._color else None
        return f"{color}{line}\x1b[0m" if color else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, pid, what `extra` gave, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line of ASCII; JSON writes control characters out by itself."""
        fields: dict[str, Any] = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and name not in fields:
                fields[name] = value
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = record.stack_info
        return json.dumps(fields, default=repr)
