"""The one line that says that the server is up."""

import logging
import sys

from plugpy._version import __version__
from plugpy.server.settings import Settings
from plugpy.server.text import escape_controls, wants_color


def announce(settings: Settings, url: str, how: str, pid: int) -> None:
    """`plugpy 0.1.0 serves app:Router on http://127.0.0.1:4000 (100 acceptors, pid 4711)`.

    On standard error; with JSON logs it is a record like any other.
    """
    line = f"plugpy {__version__} serves {settings.app} on {url} ({how}, pid {pid})"
    if settings["log_format"] == "json":
        logging.getLogger("plugpy.server").info(line, extra={"url": url})
        return
    line = escape_controls(line)
    if wants_color(2):
        line = line.replace(url, f"\x1b[36;4m{url}\x1b[0m", 1)
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def format_workers(count: int) -> str:
    """`1 worker`, `4 workers`."""
    return f"{count} worker{'s' if count != 1 else ''}"
