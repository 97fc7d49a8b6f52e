"""Request heads: h11 as oracle on valid ones, both parsers on any bytes, the memo, the limits."""

from __future__ import annotations

from types import SimpleNamespace

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.conn import Conn
from plugpy.http import PARSERS, HttpError, HttpOptions
from plugpy.http.faults import find_fault, within_limits, without_empty_lines
from plugpy.http.head import METHODS, HeadMemo, build_head, known_hosts, known_paths
from plugpy.http.request import read_request
from plugpy.testing import TestAdapter

parsers = {name: make() for name, make in PARSERS.items()}

TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
FRAMING = {"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade"}

names = st.text(TOKEN, min_size=1, max_size=12).filter(lambda name: name.lower() not in FRAMING)
visible = st.characters(min_codepoint=0x21, max_codepoint=0xFF).filter(lambda c: ord(c) != 0x7F)
values = st.text(st.one_of(visible, st.sampled_from(" \t")), max_size=20)
paths = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='#?"<>\\`{}%'),
    max_size=20,
).map(lambda path: "/" + path)
queries = st.none() | st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='#"<>'), max_size=20
)


@st.composite
def heads(draw):
    """A valid head without a body, as bytes."""
    method = draw(st.sampled_from(sorted(METHODS)))
    query = draw(queries)
    target = draw(paths) + ("" if query is None else f"?{query}")
    fields = draw(st.lists(st.tuples(names, values), max_size=5))
    fields.insert(draw(st.integers(0, len(fields))), ("Host", "example.com"))
    blank = draw(st.sampled_from(["", " ", "\t", "  "]))
    lines = "".join(f"{name}:{blank}{value}{blank}\r\n" for name, value in fields)
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


def shared(parser: str, **limits: int) -> SimpleNamespace:
    """What `read_request` asks of a listener's runtime."""
    options = HttpOptions(lambda conn: conn, http=parser, **limits)
    return SimpleNamespace(parser=parsers[parser], memo=HeadMemo(0), options=options)


SHARED = {name: shared(name) for name in PARSERS}


def verdict(data: bytes, parser: str, shared: dict[str, SimpleNamespace] = SHARED) -> object:
    """What a connection makes of a complete head: the verdict, or all that was read."""
    try:
        head, body = read_request(data, shared[parser])
    except HttpError as error:
        return error.verdict
    return (
        head.method,
        head.path,
        head.query,
        head.version,
        head.authority,
        head.keep_alive,
        head.plain,
        head.headers,
        body and (type(body.decoder).__name__, body.length, body.expects_continue),
    )


@given(heads())
def test_a_valid_head_is_read_as_h11_reads_it(data):
    oracle = h11.Connection(h11.SERVER)
    oracle.receive_data(data)
    event = oracle.next_event()
    for parser in PARSERS:
        read = verdict(data, parser)
        assert isinstance(read, tuple), read
        method, path, query, version, authority, _, _, headers, body = read
        assert (version, authority, body) == ("1.1", None, None)
        assert method.encode() == event.method
        target = path + ("?" + query if query or event.target.endswith(b"?") else "")
        assert target.encode() == event.target
        read = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        assert read == list(event.headers)


# Bytes that matter to a parser, and whole words that do.
PIECES = st.sampled_from(
    b"GET |POST |OPTIONS |CONNECT |PRI |/|/a?b|http://x/|http://|*| HTTP/1.1\r\n| HTTP/1.0\r\n|"
    b"HTTP/2.0|RTSP/1.0|ICE/1.0|\r\n|\r|\n| |\t|\0|:|\x7f|\xe4|#|@|[::1]|1|-|+|0x|A: b\r\n|"
    b"Host: x\r\n|Host:|x|Content-Length: 5\r\n|Content-Length:|Transfer-Encoding: chunked\r\n|"
    b"Transfer-Encoding:|chunked|,|gzip|Connection: close\r\n|Connection: upgrade\r\n|"
    b"Upgrade: h2c\r\n|Expect: 100-continue\r\n|Expect: x\r\n".split(b"|")
)
MUTATED = st.one_of(
    st.lists(PIECES, max_size=12).map(b"".join),
    st.lists(PIECES, max_size=8).map(lambda pieces: b"GET / HTTP/1.1\r\n" + b"".join(pieces)),
    st.lists(PIECES, max_size=8).map(
        lambda pieces: b"POST / HTTP/1.1\r\nHost: x\r\n" + b"".join(pieces)
    ),
    st.tuples(st.binary(max_size=30), st.binary(max_size=30)).map(
        lambda parts: parts[0] + b"GET / HTTP/1.1\r\nHost: x\r\n" + parts[1]
    ),
)


def one_head(data: bytes) -> bytes:
    """`data` as one head: up to its empty line, or with one added."""
    data = without_empty_lines(data) + b"\r\n\r\n"
    return data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


@given(MUTATED)
def test_both_parsers_give_one_verdict_on_any_head(data):
    complete = one_head(data)
    if complete == b"\r\n\r\n":
        return
    assert verdict(complete, "httptools") == verdict(complete, "h11")


@given(MUTATED)
def test_what_is_refused_early_would_be_refused_complete(data):
    complete = one_head(data)
    for end in range(1, len(complete)):
        fault = find_fault(complete[:end])
        if fault is not None:
            assert verdict(complete, "httptools") == fault.verdict
            return


@pytest.mark.parametrize("parser", PARSERS)
def test_a_parser_keeps_nothing_from_one_head_to_the_next(parser):
    accept = parsers[parser].accept
    with pytest.raises(HttpError):
        accept(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n")
    assert accept(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert not accept(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
    assert accept(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    # llhttp must not take what follows for data after a close, which it would swallow.
    assert accept(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(HttpError):
        accept(b"GET / HTTP/1.1\r\nHost: x\r\nbad\r\n\r\n")
    assert accept(b"GET / HTTP/1.0\r\n\r\n")
    assert not accept(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert accept(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")


def test_h11_missing_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h11", None)
    with pytest.raises(ModuleNotFoundError, match=r"plugpy\[h11\]"):
        PARSERS["h11"]()


@pytest.mark.parametrize(
    ("line", "fields", "reason"),
    [
        (40, [b"x:" + b"y" * 28, b"x:"], None),
        (41, [b"x:"], "target_too_long"),
        (40, [b"x:" + b"y" * 29, b"x:"], "header_too_long"),
        (40, [b"x:"] * 3, "too_many_headers"),
        (40, [b"x:" + b"y" * 28, b"x:" + b"y" * 20], None),
        (40, [b"x:" + b"y" * 28, b"x:" + b"y" * 21], "head_too_long"),
    ],
)
@pytest.mark.parametrize("parser", PARSERS)
def test_the_sizes_of_heads_are_bounded_exactly(parser, line, fields, reason):
    longest = 109 if len(fields[-1]) > 20 else 1000
    limits = shared(
        parser, max_request_line=40, max_header_line=30, max_headers=3, max_head=longest
    )
    target = b"/" + b"a" * (line - len(b"GET / HTTP/1.1"))
    data = b"".join(
        part + b"\r\n" for part in [b"GET %b HTTP/1.1" % target, b"host: x", *fields, b""]
    )
    assert within_limits(data, limits.options) == (reason is None)
    fault = find_fault(data, limits.options)
    assert (fault and fault.verdict) == reason
    got = verdict(data, parser, {parser: limits})
    assert got == reason if reason else isinstance(got, tuple)


def head_of(text: str):
    return build_head(f"GET / HTTP/1.1\r\nhost: x\r\n{text}\r\n")


def test_the_memo_keeps_what_was_seen_twice():
    memo = HeadMemo(2)
    for _ in range(2):
        memo.learn(b"one", head_of(""))
    memo.learn(b"two", head_of(""))
    assert list(memo) == [b"one"]


@pytest.mark.parametrize("name", ["Cookie", "authorization", "Proxy-Authorization"])
def test_the_memo_never_keeps_credentials(name):
    memo = HeadMemo(2)
    for _ in range(3):
        memo.learn(b"secret", head_of(f"{name}: secret\r\n"))
    assert not memo


def test_the_memo_is_bounded():
    memo = HeadMemo(8)
    for number in range(1000):
        for _ in range(2):
            memo.learn(b"%d" % number, head_of(""))
    assert len(memo) <= 8
    assert len(memo.seen) <= 8
    memo.learn(b"x" * 2000, head_of(""))
    memo.learn(b"x" * 2000, head_of(""))
    assert b"x" * 2000 not in memo


def test_no_memo_learns_nothing():
    memo = HeadMemo(0)
    for _ in range(3):
        memo.learn(b"one", head_of(""))
    assert not memo
    assert not memo.seen


@pytest.mark.parametrize("field", ["Host: other.example:81", "hOsT:other", "A: b\r\nHost: other\t"])
def test_an_absolute_target_replaces_the_host(field):
    head = build_head(f"GET http://Example.com:8080/a?b HTTP/1.1\r\n{field}\r\nX: y\r\n\r\n")
    assert head.get("host") == ["Example.com:8080"]
    assert head.lower == head.fields.lower()
    assert head.get("x") == ["y"]
    assert "other" not in head.fields
    conn = Conn(TestAdapter(), head)
    assert (conn.host, conn.port, conn.request_path) == ("example.com", 8080, "/a")


def test_what_is_known_of_targets_and_hosts_is_bounded():
    for number in range(3000):
        build_head(f"GET /{number} HTTP/1.1\r\nhost: x{number}\r\n\r\n")
        build_head(f"GET /?{number} HTTP/1.1\r\nhost: x\r\n\r\n")
    assert len(known_hosts) <= 1000
    assert len(known_paths) <= 1000
    assert not any("?" in path for path in known_paths)
