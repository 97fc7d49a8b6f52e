"""What is wrong with a request head: the one verdict on it, whoever refused it.

`find_fault` reads a head in the order of its bytes and stops at the first that can't be right. So
a beginning of a head gets no verdict that the whole would not get: how the bytes are cut into
pieces makes no difference, nor does the parser. It costs more than a parser, so it is asked only
where something is wrong, or where a head has not arrived whole.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from plugpy.http.errors import HttpError
from plugpy.http.framing import body_length
from plugpy.http.head import METHODS, build_head

LONGEST_METHOD = max(map(len, METHODS))

_EMPTY_LINES = re.compile(rb"(?:\r\n)*")
# RFC 9110 section 5.6.2; one more than any method has, so that it shows.
_METHOD = re.compile(rb"[!#$%%&'*+\-.^_`|~0-9A-Za-z]{0,%d}" % (LONGEST_METHOD + 1))
_VISIBLE = re.compile(rb"[\x21-\x7e]*")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]*")
# RFC 9110 section 5.5: visible characters, obs-text, spaces and tabs.
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_BLANK = re.compile(rb"[ \t]*")

_TLS_HANDSHAKE = b"\x16"


class HeadLimits(Protocol):
    """The limits on a head; HttpOptions has them."""

    max_request_line: int
    max_header_line: int
    max_headers: int
    max_head: int


@dataclass
class Unlimited:
    """No limits."""

    max_request_line: int = 1 << 62
    max_header_line: int = 1 << 62
    max_headers: int = 1 << 62
    max_head: int = 1 << 62


UNLIMITED = Unlimited()


def without_empty_lines(data: bytes) -> bytes:
    """`data` from its request line on: RFC 9112 section 2.2 has us ignore empty lines before."""
    match = _EMPTY_LINES.match(data)
    return data[match.end() :] if match else data


def find_fault(data: bytes, limits: HeadLimits = UNLIMITED) -> HttpError | None:
    """What shows to be wrong with a head, or with the beginning of one; None when nothing does.

    Empty lines before it don't count. The Host, the form of the target and the framing are not
    looked at: `diagnose` does that, once a head is complete.
    """
    data = without_empty_lines(data)
    try:
        end = _head(data[: limits.max_head], limits)
    except HttpError as error:
        return error
    if end < 0 and len(data) > limits.max_head:
        return HttpError("head_too_long")
    return None


def diagnose(data: bytes, limits: HeadLimits = UNLIMITED) -> HttpError:
    """The verdict on a complete head that was refused. It asks in a fixed order, so that a head
    with several faults gets one verdict."""
    fault = find_fault(data, limits)
    if fault is not None:
        return fault
    text = without_empty_lines(data).decode("latin-1")
    try:
        _check_framing(text)
        build_head(text)
    except HttpError as error:
        return error
    return HttpError("parser")


def within_limits(data: bytes, limits: HeadLimits) -> bool:
    """Whether a complete head keeps the limits.

    PERF: called only for heads that are long enough to break one; most are still shorter than any
    line may be, and then counting lines is all.
    """
    size = len(data)
    if size > limits.max_head or data.count(b"\r\n") - 2 > limits.max_headers:
        return False
    if size <= limits.max_request_line and size <= limits.max_header_line:
        return True
    line, *lines = data.split(b"\r\n")
    return (
        len(line) <= limits.max_request_line
        and max(map(len, lines), default=0) <= limits.max_header_line
    )


# Each returns the position after what it read, -1 where `data` ends before. They raise HttpError.


def _head(data: bytes, limits: HeadLimits) -> int:
    if data[:1] == _TLS_HANDSHAKE:
        raise HttpError("tls_on_plain_port")
    position = _request_line(data, limits.max_request_line)
    headers = 0
    while position >= 0:
        if data.startswith(b"\r\n", position):
            return position + 2
        if headers == limits.max_headers and data[position : position + 1] not in b"\r":
            raise HttpError("too_many_headers")
        position = _field(data, position, limits.max_header_line)
        headers += 1
    return -1


def _request_line(data: bytes, longest: int) -> int:
    """RFC 9112 section 3: method, target and version, one space between them."""
    end = _end(_METHOD, data, 0, longest)
    if end > LONGEST_METHOD:
        raise HttpError("unknown_method")
    if not data.startswith(b" ", end) or not end:
        return _stopped(data, end, longest, "target_too_long", "bad_request_line")
    method = data[:end].decode()
    if method not in METHODS and method != "PRI":  # HTTP/2's preface: its version is the fault
        raise HttpError("unknown_method")
    start = end + 1
    end = _end(_VISIBLE, data, start, longest)
    if not data.startswith(b" ", end):
        crlf = data.startswith(b"\r\n", end)
        other = "bad_request_line" if crlf else "bad_target"
        return _stopped(data, end, longest, "target_too_long", other)
    if end == start:
        raise HttpError("bad_request_line")
    if method == "PRI" and data[start:end] != b"*":
        raise HttpError("unknown_method")
    start = end + 1
    for position, expected in enumerate(b"HTTP/0.0", start):
        found = data[position : position + 1]
        if found != b"%c" % expected and not (expected == 48 and found.isdigit()):
            return _stopped(data, position, longest, "target_too_long", "bad_request_line")
        if position >= longest:
            raise HttpError("target_too_long")
    if data[start + 5 : start + 8] < b"1.0" or data[start + 5 : start + 6] != b"1":
        raise HttpError("version")
    if method == "PRI":
        raise HttpError("unknown_method")
    end = start + 8
    if data.startswith(b"\r\n", end):
        return end + 2
    return _stopped(data, end, longest, "target_too_long", "bad_request_line")


def _field(data: bytes, start: int, longest: int) -> int:
    """RFC 9112 section 5: name, colon, value; nothing folded, nothing before the colon."""
    limit = start + longest
    end = _end(_NAME, data, start, limit)
    first = data[end : end + 1]
    if end == start and first in (b" ", b"\t"):
        raise HttpError("obs_fold")
    if first in (b" ", b"\t"):
        end = _end(_BLANK, data, end, limit)
        colon = data.startswith(b":", end) and end < limit
        return _stopped(
            data, end, limit, "header_too_long", "space_before_colon" if colon else "bad_header"
        )
    if first != b":" or end == start or end >= limit:
        return _stopped(data, end, limit, "header_too_long", "bad_header")
    end = _end(_VALUE, data, end + 1, limit)
    if data.startswith(b"\r\n", end):
        return end + 2
    return _stopped(data, end, limit, "header_too_long", "bad_header")


def _end(pattern: re.Pattern[bytes], data: bytes, start: int, limit: int) -> int:
    match = pattern.match(data, start, limit)
    return match.end() if match else start


def _stopped(data: bytes, position: int, limit: int, too_long: str, fault: str) -> int:
    """What it means that a line stops being right at `position`: -1 where more bytes may make it
    right. `fault`: the verdict where its end comes too early, or a byte that may not be there."""
    found = data[position : position + 2]
    if found in (b"", b"\r"):
        return -1
    if found == b"\r\n":
        raise HttpError(fault)
    if position >= limit:
        raise HttpError(too_long)
    if found[:1] in (b"\r", b"\n"):
        raise HttpError("bare_newline")
    raise HttpError(fault)


def _check_framing(text: str) -> None:
    lengths: list[str] = []
    codings: list[str] = []
    line, *fields = text.split("\r\n")
    for field in fields:
        name, _, value = field.partition(":")
        if name.lower() == "content-length":
            lengths.append(value.strip(" \t"))
        elif name.lower() == "transfer-encoding":
            codings.append(value.strip(" \t"))
    body_length(lengths, codings, "1.0" if line.endswith("1.0") else "1.1")
