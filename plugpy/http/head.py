"""From the bytes of a request head to a RequestHead: one verdict, whichever parser read it.

llhttp (or h11) decides whether the bytes are a message; `build_head` adds what they leave open:
the version, the Host, and the forms of the target. Headers stay text. What is wrong with a head
that was refused, plugpy.http.faults tells.

A HeadMemo knows request heads by heart: clients on kept-alive connections repeat themselves, byte
for byte. Only a head seen twice is kept, never one with credentials, none above 1 KB.
"""

import re

from plugpy.conn import RequestHead
from plugpy.http.authority import check_host, is_authority, known_hosts
from plugpy.http.errors import HttpError

METHODS = frozenset(
    # What llhttp knows, less CONNECT (no proxy here), TRACE (it would echo credentials that scripts
    # may not read) and PRI (HTTP/2's preface).
    [
        "DELETE",
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "OPTIONS",
        "COPY",
        "LOCK",
        "MKCOL",
        "MOVE",
        "PROPFIND",
        "PROPPATCH",
        "SEARCH",
        "UNLOCK",
        "BIND",
        "REBIND",
        "UNBIND",
        "ACL",
        "REPORT",
        "MKACTIVITY",
        "CHECKOUT",
        "MERGE",
        "M-SEARCH",
        "NOTIFY",
        "SUBSCRIBE",
        "UNSUBSCRIBE",
        "PATCH",
        "PURGE",
        "MKCALENDAR",
        "LINK",
        "UNLINK",
        "SOURCE",
        "QUERY",
    ]
)
"""Methods that are let through to the plugs; any other token is a 501."""

new = object.__new__

_ORIGIN = re.compile(
    # RFC 3986 sections 3.3 and 3.4. Browsers send a few more characters as they are (WHATWG URL),
    # and so they pass; what no browser leaves in a path does not: backslashes, quotes, angle
    # brackets, braces, and a percent sign that encodes nothing.
    r"(/[a-z0-9\-._~!$&'()*+,;=:@/\[\]|^]*(?:%[0-9a-f]{2}[a-z0-9\-._~!$&'()*+,;=:@/\[\]|^]*)*)"
    r"(?:\?([a-z0-9\-._~!$&'()*+,;=:@/?%\[\]|^`{}\\]*))?",
    re.IGNORECASE | re.ASCII,
)
_ABSOLUTE = re.compile(r"https?://([^/?]+)(.*)", re.IGNORECASE)

known_paths: set[str] = set()
"""Targets without a query that were found valid. PERF: a look-up costs a fifth of _ORIGIN."""

LONGEST_KNOWN = 100
"""Characters of a target above which it is not worth keeping."""


def build_head(text: str) -> RequestHead:
    """A RequestHead from the text of a complete head that a parser has accepted.

    text: Latin-1, from the method to the empty line. Raises HttpError.
    """
    parts = text.split(" ", 2)
    if len(parts) != 3:
        raise HttpError("bad_request_line")
    method, target, fields = parts
    lower = fields.lower()
    # llhttp lets HTTP/0.9, RTSP and ICE pass too.
    version = fields[:9]
    is_1_1 = version == "HTTP/1.1\r"
    if not is_1_1 and version != "HTTP/1.0\r":
        raise HttpError("version")
    hosts = lower.count("\r\nhost:")
    if hosts == 1:
        start = lower.find("\r\nhost:") + 7
        host = lower[start : lower.find("\r\n", start)]
        if host not in known_hosts:
            check_host(host)
    elif hosts > 1:
        raise HttpError("host_repeated")
    elif is_1_1:
        raise HttpError("host_missing")
    if method not in METHODS:
        raise HttpError("unknown_method")
    # PERF: RequestHead(...) written out: calling the class costs twice as much.
    head = new(RequestHead)
    head.method = method
    head.path = target
    head.query = ""
    head.version = "1.1" if is_1_1 else "1.0"
    head.fields = fields
    head.lower = lower
    head.authority = None
    head.owned = False
    head._headers = None
    head._header_bytes = None
    if target not in known_paths:
        _read_target(head, target)
    if "\r\nexpect:" in lower and is_1_1:
        for value in head.get("expect"):
            for expectation in value.lower().split(","):
                if expectation.strip(" \t") not in ("100-continue", ""):
                    raise HttpError("expectation")
    head.keep_alive = _persists(lower, is_1_1) if "\r\nconnection:" in lower else is_1_1
    head.plain = is_1_1 and head.keep_alive and method != "HEAD"
    return head


def _read_target(head: RequestHead, target: str) -> None:
    """Path and query of a target in one of the forms of RFC 9112 section 3.2, less CONNECT's."""
    if target[:1] == "/":
        origin = _ORIGIN.fullmatch(target)
        if origin is None:
            raise HttpError("bad_target")
        path, query = origin.groups()
        if query is not None:  # never kept: it may hold secrets
            head.path = path
            head.query = query
        elif len(target) <= LONGEST_KNOWN:
            if len(known_paths) >= 1000:
                known_paths.clear()
            known_paths.add(target)
    elif target != "*" or head.method != "OPTIONS":
        _read_absolute(head, target)


def _read_absolute(head: RequestHead, target: str) -> None:
    """RFC 9112 section 3.2.2: the target tells the host, and what Host says is ignored. So that
    nobody takes it for true, it is replaced."""
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or not is_authority(absolute[1]):
        raise HttpError("bad_target")
    authority, rest = absolute.groups()
    origin = _ORIGIN.fullmatch(rest if rest[:1] == "/" else "/" + rest)
    if origin is None:
        raise HttpError("bad_target")
    head.authority = authority
    head.path = origin[1]
    head.query = origin[2] or ""
    if head.method == "OPTIONS" and not rest:
        head.path = "*"  # RFC 9112 section 3.2.4
    start = head.lower.find("\r\nhost:") + 7
    if start > 7:  # HTTP/1.0 may have none
        end = head.lower.index("\r\n", start)
        head.fields = f"{head.fields[:start]} {authority}{head.fields[end:]}"
        head.lower = f"{head.lower[:start]} {authority.lower()}{head.lower[end:]}"


def _persists(lower: str, default: bool) -> bool:
    """Whether the connection outlives this message (RFC 9112 section 9.3)."""
    options: list[str] = []
    for part in lower.split("\r\nconnection:")[1:]:
        line = part.partition("\r\n")[0]  # without one where another Connection follows
        options += [option.strip(" \t") for option in line.split(",")]
    if "close" in options:
        return False
    return default or "keep-alive" in options


MEMO_LARGEST = 1024
"""Bytes of a head above which it is not worth keeping."""

_CREDENTIALS = ("\r\ncookie:", "\r\nauthorization:", "\r\nproxy-authorization:")


class HeadMemo(dict[bytes, RequestHead]):
    """Complete heads that were seen before -> what they mean.

    PERF: bytes cache their hash, so the look-up of a fresh head costs one pass over it. Measured on
    CPython 3.11, a whole request without system calls: 1.7 us when its head is known, 4.4 us when
    it has 40 bytes and is parsed, 7.1 us when it has 600. Both generations are dropped when full:
    a flood of different heads costs a hash each and `size` entries of memory, no more.
    """

    __slots__ = ("seen", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.seen: set[int] = set()

    def learn(self, data: bytes, head: RequestHead) -> None:
        """Keep `head` when `data` was seen before."""
        key = hash(data)
        seen = self.seen
        if key not in seen:
            if len(seen) >= self.size:
                seen.clear()
            if self.size:
                seen.add(key)
            return
        lower = head.lower
        if len(data) <= MEMO_LARGEST and not any(name in lower for name in _CREDENTIALS):
            if len(self) >= self.size:
                self.clear()
            self[data] = head
