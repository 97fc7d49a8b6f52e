"""What start_response takes: any argument is understood, or refused by an error that says why."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from plugpy.conn import InvalidHeaderError
from plugpy.interop import WsgiError
from plugpy.interop.asgi_headers import MEMO_SIZE
from plugpy.interop.wsgi_headers import HOP_BY_HOP, StartMemo, parse_start

STATUS = st.from_regex(r"[1-9][0-9]{2} [A-Z a-z]{0,9}", fullmatch=True)
ANY = st.none() | st.integers() | st.binary() | st.text()
TEXT = st.text(st.characters(max_codepoint=300), max_size=9)
NAMES = TEXT | st.sampled_from(["Content-Length", "TE", "Upgrade", "X-A"])
HEADERS = st.lists(st.tuples(NAMES, TEXT) | st.tuples(ANY, ANY) | ANY, max_size=4)


@given(STATUS | ANY, HEADERS | ANY)
def test_it_is_understood_or_refused(status: Any, headers: Any):
    try:
        start = parse_start(status, headers)
    except (WsgiError, InvalidHeaderError):
        return
    assert 200 <= start.status <= 999
    head = "".join(f"{name}: {value}\r\n" for name, value in start.pairs).encode("latin-1")
    # As many lines as headers, and none of the connection.
    assert len(head.split(b"\r\n")) == len(start.pairs) + 1
    assert b"\r" not in head.replace(b"\r\n", b"")
    assert b"\n" not in head.replace(b"\r\n", b"")
    assert not {name for name, _ in start.pairs} & HOP_BY_HOP


def test_status_and_length():
    start = parse_start("404 My words", [("Content-Length", "5"), ("X-A", "é")])
    assert start[:3] == (404, [("content-length", "5"), ("x-a", "é")], 5)
    assert start.block == "HTTP/1.1 404 Not Found\r\nx-a: é\r\n".encode("latin-1")
    assert parse_start("200", ())[:3] == (200, [], None)


def test_what_is_known_by_heart():
    memo = StartMemo()
    first = memo.of("200 OK", [("X-A", "1")])
    assert memo.of("200 OK", [("X-A", "1")]) is first
    assert memo.of("200 OK", [("X-A", "2")]) is not first
    assert memo.of("200 OK", [["X-A", "1"]]) == first
    memo.of("200 OK", [("Set-Cookie", "id=secret")])
    assert "secret" not in str(memo)
    for number in range(2 * MEMO_SIZE):
        memo.of("200 OK", [("X-A", str(number))])
    assert len(memo) <= MEMO_SIZE
