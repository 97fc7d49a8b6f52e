"""Conditional requests: entity tags, dates, and what follows from them (RFC 9110 section 13)."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Literal, Protocol

# RFC 9110 section 8.8.3; obs-text too.
_ENTITY_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_SEPARATOR = re.compile(r"[ \t]*(?:,[ \t]*)*")


class SupportsHeaders(Protocol):
    """What `evaluate` asks of a conn."""

    def get_req_header(self, key: str) -> list[str]:
        """The values of a request header."""
        ...


def entity_tags(values: Sequence[str]) -> list[tuple[bool, str]] | Literal["*"]:
    """The tags of an If-Match or If-None-Match header: pairs (weak, opaque), or "*".

    What is no tag ends the list.

    >>> entity_tags(['W/"a", "b,c"'])
    [(True, 'a'), (False, 'b,c')]
    """
    text = ",".join(values).strip(" \t")
    if text == "*":
        return "*"
    found: list[tuple[bool, str]] = []
    position = 0
    while position < len(text):
        match = _ENTITY_TAG.match(text, position)
        if match is None:
            break
        found.append((match[1] is not None, match[2]))
        separator = _SEPARATOR.match(text, match.end())
        assert separator is not None
        if separator.end() == match.end():
            break
        position = separator.end()
    return found


def matches(values: Sequence[str], etag: str | None, *, weak: bool) -> bool:
    """Whether an If-Match or If-None-Match header names `etag`, or anything ("*").

    etag: as it is sent, with quotes; None where there is none. weak: the weak comparison, for which
    W/"a" and "a" are the same (RFC 9110 section 8.8.3.2).
    """
    tags = entity_tags(values)
    if tags == "*":
        return True
    own = _ENTITY_TAG.fullmatch(etag) if etag is not None else None
    if own is None:
        return False
    if weak:
        return any(opaque == own[2] for _, opaque in tags)
    return own[1] is None and (False, own[2]) in tags


def http_date(seconds: float) -> str:
    """Seconds since 1970 as IMF-fixdate (RFC 9110 section 5.6.7).

    >>> http_date(784111777)
    'Sun, 06 Nov 1994 08:49:37 GMT'
    """
    return format_datetime(datetime.fromtimestamp(int(seconds), UTC), usegmt=True)


def parse_http_date(values: Sequence[str]) -> int | None:
    """Seconds since 1970 of a header with one date in any of the three forms; None otherwise.

    >>> parse_http_date(["Sunday, 06-Nov-94 08:49:37 GMT"])
    784111777
    """
    if len(values) != 1:
        return None
    try:
        parsed = parsedate_to_datetime(values[0])
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=UTC)  # asctime has no zone, and means GMT
        return int(parsed.timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def evaluate(
    method: str,
    headers: SupportsHeaders,
    etag: str | None,
    last_modified: int | None,
) -> Literal[304, 412] | None:
    """What the preconditions of a request say: 304 not modified, 412 failed, None: go on.

    headers: anything with `get_req_header`. etag: of the current representation, with quotes, or
    None. last_modified: seconds since 1970, or None. In the order of RFC 9110 section 13.2.2.
    """
    safe = method in ("GET", "HEAD")
    if_match = headers.get_req_header("if-match")
    if if_match:
        if not matches(if_match, etag, weak=False):
            return 412
    elif last_modified is not None:
        since = parse_http_date(headers.get_req_header("if-unmodified-since"))
        if since is not None and last_modified > since:
            return 412
    if_none_match = headers.get_req_header("if-none-match")
    if if_none_match:
        if matches(if_none_match, etag, weak=True):
            return 304 if safe else 412
    elif safe and last_modified is not None:
        since = parse_http_date(headers.get_req_header("if-modified-since"))
        if since is not None and last_modified <= since:
            return 304
    return None
