"""One verdict per stream of bytes: whichever parser reads it, however it is cut, whatever came
before it on the connection, and whether its heads are known by heart.

The streams are messages that are nearly valid, and files of corpus/ with a few bytes changed.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
PREFIX = b"GET /before HTTP/1.1\r\nhost: x\r\n\r\n"


def unescape(path: Path) -> bytes:
    text = path.read_text().replace("\n", "")
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


FILES = [unescape(path) for path in sorted(CORPUS.glob("*.http"))]


def mostly(good: list[bytes], odd: list[bytes]) -> st.SearchStrategy[bytes]:
    """A good choice four times of five."""
    return st.sampled_from(good * (4 * len(odd) // len(good) + 1) + odd)


methods = mostly(
    [b"GET", b"POST", b"HEAD", b"OPTIONS", b"DELETE"],
    [b"get", b"CONNECT", b"PRI", b"TRACE", b"X" * 12, b"", b"G\0T", b"\r\nGET", b" GET", b"\x16"],
)
targets = mostly(
    [b"/", b"/a?b=c", b"*", b"http://y/a", b"/%20"],
    [b"", b"a", b"//", b"http://", b"http://@/", b"/#", b"/\xe4", b"/%", b"/\\", b"/\t", b"*?"],
)
versions = mostly(
    [b"HTTP/1.1", b"HTTP/1.0"],
    [b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"HTTP/1.1 ", b"", b"RTSP/1.0"],
)
ends = mostly([b"\r\n"], [b"\n", b"\r", b"\r\r\n", b"\r\n ", b""])
spaces = mostly([b" "], [b"  ", b"\t", b"", b"\r"])
names = mostly(
    [
        b"Host",
        b"Content-Length",
        b"Transfer-Encoding",
        b"Connection",
        b"Expect",
        b"Upgrade",
        b"X-A",
    ],
    [b"", b" A", b"A ", b"\xe4", b"A\0", b"content-length", b"TRANSFER-ENCODING", b"hOST", b"A B"],
)
values = mostly(
    [b"x", b"5", b"chunked", b"close", b"keep-alive", b"100-continue", b"upgrade", b"websocket"],
    [
        b"",
        b"0",
        b"+5",
        b"5, 5",
        b"05",
        b"0x5",
        b"99999999999999999999",
        b"gzip, chunked",
        b"chunked, gzip",
        b"chunked\t",
        b",chunked",
        b"\xa05",
        b"x:80",
        b"[::1]",
        b"x y",
        b"a\0",
        b"a\x0bb",
        b"close, upgrade",
    ],
)
colons = mostly([b": ", b":"], [b" :", b"", b":\t", b":  "])
bodies = mostly(
    [b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"1;a=b\r\nx\r\n0\r\nX-T: 1\r\n\r\n"],
    [b"5\nhello", b"-1\r\n", b"5;\r\nhello\r\n", b"0\r\n\r\n\r\n", b"1\r\nxy\r\n", b"f" * 17],
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A request that is right but for little, or wrong in some way."""
    raw = draw(methods) + draw(spaces) + draw(targets) + draw(spaces) + draw(versions) + draw(ends)
    if draw(st.integers(0, 9)):
        raw += b"Host: x\r\n"
    for _ in range(draw(st.integers(0, 3))):
        raw += draw(names) + draw(colons) + draw(values) + draw(ends)
    return raw + b"\r\n" + draw(bodies)


SNIPPETS = st.sampled_from(
    (
        b"\r\n|\r|\n|\0| |\t|:|;|,|0|5|x|\xe4|\x7f|\r\n\r\n|Content-Length: 5\r\n|"
        b"Transfer-Encoding: chunked\r\n|Host: x\r\n|Connection: close\r\n|GET / HTTP/1.1\r\n|"
        b"Upgrade: x\r\nConnection: upgrade\r\n|Expect: 100-continue\r\n|chunked|HTTP/1.0|"
        b"0\r\n\r\n"
    ).split(b"|")
)


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """A file of the corpus with up to three changes."""
    raw = draw(st.sampled_from(FILES))
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted((draw(st.integers(0, len(raw))), draw(st.integers(0, len(raw)))))
        kind = draw(st.sampled_from(["insert", "insert", "cut", "replace", "repeat"]))
        if kind == "insert":
            raw = raw[:start] + draw(SNIPPETS) + raw[start:]
        elif kind == "replace":
            raw = raw[:start] + draw(SNIPPETS) + raw[start + 1 :]
        elif kind == "cut":
            raw = raw[:start] + raw[min(end, start + 8) :]
        else:
            raw = raw[:end] + raw[start:]
    return raw


streams = st.one_of(st.lists(messages(), min_size=1, max_size=3).map(b"".join), mutants())


@pytest.mark.asyncio(loop_factories=["asyncio"])
@given(raw=streams, places=st.lists(st.integers(0, 300), max_size=4))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150
)
async def test_one_verdict(judge, raw, places):
    wanted = await judge([raw], "httptools", 0)
    assert await judge([raw], "h11", 0) == wanted, "the parsers disagree"
    bounds = sorted({0, len(raw), *(place % (len(raw) + 1) for place in places)})
    parts = [raw[start:end] for start, end in pairwise(bounds)]
    served, refusal = wanted
    for parser in ("httptools", "h11"):
        assert await judge(parts, parser) == wanted, f"{parser}: cut in {parts}"
        alone = [raw[at : at + 1] for at in range(len(raw))]
        assert await judge(alone, parser) == wanted, f"{parser}: byte by byte"
        for turn in range(3):  # the memo learns a head when it sees it again
            assert await judge([raw], parser) == wanted, f"{parser}: turn {turn} with a memo"
        after = await judge([PREFIX + raw], parser)
        assert after == ([b"GET /before 1.1", *served], refusal), f"{parser}: after another"
