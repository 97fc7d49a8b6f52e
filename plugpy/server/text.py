"""Text for terminals and logs: control characters made harmless, secrets masked, colours."""

import os
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_plus

MASK: Final = "[masked]"

# Names of parameters whose values open something; matched anywhere in the decoded name.
_SECRET_NAME = re.compile(
    r"passw|pwd|secret|token|api[-_.]?key|signature|\bsig\b|auth|session|credential|jwt|csrf|otp",
    re.IGNORECASE,
)

# C0, DEL, C1, and the characters that end a line or turn the direction of writing in Unicode.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNSAFE_BUT_LINES = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def escape_controls(text: str, *, keep_lines: bool = False) -> str:
    """`text` with control characters written out (`\\x1b`), so that it stays on its line.

    keep_lines: line feeds and tabs stay, and further lines are indented so that none of them can
    be taken for a log line of its own.
    """
    if text.isascii() and text.isprintable():
        return text
    if keep_lines:
        escaped = _UNSAFE_BUT_LINES.sub(_write_out, text.replace("\r\n", "\n"))
        return escaped.replace("\n", "\n  ") if "\n" in escaped else escaped
    return _UNSAFE.sub(_write_out, text)


def _write_out(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def mask_query(query: str) -> str:
    """`query` (raw, without "?") with the values of secret-looking names masked."""
    # PERF: most queries name no secret and hide none behind percent-encoding.
    if "%" not in query and not _SECRET_NAME.search(query):
        return query
    return "&".join(_mask_pair(pair) for pair in query.split("&"))


def _mask_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={MASK}" if equals and _SECRET_NAME.search(unquote_plus(name)) else pair


def wants_color(descriptor: int, environment: Mapping[str, str] = os.environ) -> bool:
    """Colours go to terminals, unless NO_COLOR is set (no-color.org) or TERM is dumb."""
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    try:
        return os.isatty(descriptor)
    except OSError:
        return False
