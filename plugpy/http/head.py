"""From the bytes of a request head to a RequestHead: one verdict, whichever parser read it.

llhttp (or h11) decides whether the bytes are a message; `build_head` adds what they leave open:
the version, the Host, and the forms of the target. Headers stay text.

A HeadMemo knows request heads by heart: clients on kept-alive connections repeat themselves, byte
for byte. Only a head seen twice is kept, never one with credentials, none above 1 KB.
"""

import re

from plugpy.conn import RequestHead
from plugpy.http.errors import HttpError

METHODS = frozenset(
    # What llhttp knows, less CONNECT (no proxy here) and PRI (HTTP/2's preface).
    [
        "DELETE",
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "OPTIONS",
        "TRACE",
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

_ABSOLUTE = re.compile(r"https?://([^/?#\s]+)(/[^?#]*)?(?:\?([^#]*))?", re.IGNORECASE)
_AUTHORITY = re.compile(
    # RFC 3986 section 3.2.2: a registered name, an IPv4 address, or an IPv6 literal; then a port.
    # The characters of an IPv6 literal are checked, not its grammar.
    r"(?:[a-z0-9\-._~%!$&'()*+;=]*|\[[0-9a-f:.]+\])(?::[0-9]*)?",
    re.IGNORECASE,
)
_NEWLINE = re.compile(rb"[\r\n]")
_NOT_VISIBLE = re.compile(rb"[^\x21-\x7e]")
_EMPTY_LINES = re.compile(rb"(?:\r\n)*")
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
_LENGTH = re.compile(rb"[0-9]{1,19}")
_HEADER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")


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
        if host not in _known_hosts:
            _learn_host(host)
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
    if target[:1] != "/":
        _split_target(head, target)
    elif "?" in target:
        head.path, _, head.query = target.partition("?")
    if "#" in target or not (target.isascii() and target.isprintable()):
        raise HttpError("bad_target")
    if "\r\nexpect:" in lower and is_1_1:
        for value in head.get("expect"):
            if value.lower() != "100-continue":
                raise HttpError("expectation")
    head.keep_alive = _persists(lower, is_1_1) if "\r\nconnection:" in lower else is_1_1
    head.plain = is_1_1 and head.keep_alive and method != "HEAD"
    return head


_known_hosts: set[str] = set()
"""Values of Host that were found valid. PERF: a look-up costs a tenth of the expression."""


def _learn_host(host: str) -> None:
    """Raise HttpError where the value of a Host header is not valid (RFC 9112 section 3.2)."""
    if not _AUTHORITY.fullmatch(host.strip(" \t")):
        raise HttpError("host")
    if len(_known_hosts) >= 1000:
        _known_hosts.clear()
    _known_hosts.add(host)


def _split_target(head: RequestHead, target: str) -> None:
    """The forms of a target that do not begin with a slash (RFC 9112 sections 3.2.2 to 3.2.4)."""
    if target == "*" and head.method == "OPTIONS":
        return
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or not _AUTHORITY.fullmatch(absolute[1]):
        raise HttpError("bad_target")
    head.authority = absolute[1]
    head.path = absolute[2] or "/"
    head.query = absolute[3] or ""


def _persists(lower: str, default: bool) -> bool:
    """Whether the connection outlives this message (RFC 9112 section 9.3)."""
    options: list[str] = []
    for part in lower.split("\r\nconnection:")[1:]:
        line = part[: part.index("\r\n")]
        options += [option.strip() for option in line.split(",")]
    if "close" in options:
        return False
    return default or "keep-alive" in options


def check_size(head: bytes, request_line: int, header_line: int, headers: int) -> None:
    """Raise HttpError where a head breaks a limit on its lines.

    PERF: called only for heads that are long enough to break one; most are still shorter than any
    line may be, and then counting lines is all.
    """
    if len(head) <= request_line and len(head) <= header_line:
        if head.count(b"\r\n") - 2 > headers:  # the request line, and the empty line at the end
            raise HttpError("too_many_headers")
        return
    lines = head.split(b"\r\n")
    if len(lines[0]) > request_line:
        raise HttpError("target_too_long")
    if len(lines) - 3 > headers:  # the request line, and two empty pieces after the last CRLF
        raise HttpError("too_many_headers")
    if max(map(len, lines[1:]), default=0) > header_line:
        raise HttpError("header_too_long")


def diagnose(data: bytes) -> HttpError:
    """The verdict on a complete head that was refused: what exactly is wrong, as far as it shows.
    It asks in a fixed order, so that a head with several faults gets one verdict, whoever found
    the first."""
    fault = find_fault(data)
    if fault is not None:
        return fault
    try:
        build_head(without_empty_lines(data).decode("latin-1"))
    except HttpError as error:
        return error
    return HttpError("parser")


def without_empty_lines(data: bytes) -> bytes:
    """`data` from its request line on: RFC 9112 section 2.2 has us ignore empty lines before."""
    match = _EMPTY_LINES.match(data)
    return data[match.end() :] if match else data


def find_fault(data: bytes) -> HttpError | None:
    """What is wrong with a head, or with the beginning of one; None when nothing shows."""
    data = without_empty_lines(data)
    if data[:1] == b"\x16":  # a TLS handshake record
        return HttpError("tls_on_plain_port")
    head, ended, _ = data.partition(b"\r\n\r\n")
    if not ended:
        head = head.removesuffix(b"\r")
    line, *fields = head.split(b"\r\n")
    # In the order of the bytes, so that the verdict is the same however they arrive.
    begin = _NEWLINE.split(line, 1)[0]
    words = begin.split(b" ")
    if (words[0] or len(words) > 1) and not _TOKEN.fullmatch(words[0]):
        return HttpError("bad_request_line")
    if len(words) > 1:
        if words[0].decode() not in METHODS:
            return HttpError("unknown_method")
        if _NOT_VISIBLE.search(words[1]):
            return HttpError("bad_target")
    if len(words) > 3:
        return HttpError("bad_request_line")
    if len(begin) < len(line):
        return HttpError("bare_newline")
    if not fields and not ended:
        return None
    if len(words) != 3 or not _VERSION.fullmatch(words[2]):
        return HttpError("bad_request_line")
    if words[2] not in (b"HTTP/1.0", b"HTTP/1.1"):
        return HttpError("version")
    if ended:
        return _find_fault_in_fields(fields) or _find_fault_in_framing(
            fields, words[2] == b"HTTP/1.0"
        )
    # The last line is not complete, and the one before may yet turn out to be folded.
    *fields, rest = fields
    if rest:
        fields.append(rest[:1] if rest[:1] in b" \t" else b"")
    else:
        del fields[-1:]
    return _find_fault_in_fields(fields)


def _find_fault_in_fields(fields: list[bytes]) -> HttpError | None:
    for field in fields:
        if not field:
            continue
        if field[:1] in b" \t":
            return HttpError("obs_fold")
        if _NEWLINE.search(field):
            return HttpError("bare_newline")
        name, colon, _ = field.partition(b":")
        if colon and name.rstrip(b" \t") != name:
            return HttpError("space_before_colon")
        if not _HEADER.fullmatch(field):
            return HttpError("bad_header")
    return None


def _find_fault_in_framing(fields: list[bytes], is_1_0: bool) -> HttpError | None:
    lengths: list[bytes] = []
    codings: list[bytes] = []
    for field in fields:
        name, _, value = field.partition(b":")
        if name.lower() == b"content-length":
            lengths.append(value.strip(b" \t"))
        elif name.lower() == b"transfer-encoding":
            codings.append(value.strip(b" \t").lower())
    if lengths and codings:
        return HttpError("length_and_chunked")
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        return HttpError("content_length")
    if codings and is_1_0:
        return HttpError("chunked_in_1_0")
    if codings and codings != [b"chunked"]:
        return HttpError("transfer_coding")
    return None


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
