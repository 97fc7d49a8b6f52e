"""One function a parser seam: any bytes in, AssertionError where the seam breaks a promise.

A seam may refuse bytes with the errors it documents; any other exception is a find. Each target
also holds the seam against something: the other parser, another way to cut the bytes, h11.

To add a seam: a function here, a line in TARGETS, a few seeds in
seeds/<target>/.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import h11
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from acceptors import proxy_protocol
from plugpy.conn import ConnError, RequestHead, cookies, query
from plugpy.conn.multipart import PartHeaders, PartReader, Signal
from plugpy.http import PARSERS, VERDICTS, HttpError, HttpOptions
from plugpy.http.body import ChunkedDecoder, RequestBody
from plugpy.http.faults import find_fault, without_empty_lines
from plugpy.http.head import METHODS, HeadMemo
from plugpy.http.request import read_request
from plugpy.websocket.codec import Codec

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "plugpy/websocket"))

from wire import Wire  # noqa: E402 - the connection without sockets of the tests

MESSAGES = HERE.parent / "plugpy/http/corpus"

OPTIONS = HttpOptions(lambda conn: conn, max_request_line=300, max_header_line=200, max_head=2000)
SHARED = {
    name: SimpleNamespace(parser=make(), memo=HeadMemo(0), options=OPTIONS)
    for name, make in PARSERS.items()
}


def _request(data: bytes, parser: str) -> tuple[object, ...]:
    try:
        head, body = read_request(data, SHARED[parser])
    except HttpError as error:
        refusal = error
    else:
        return _facts(head, body)
    assert VERDICTS[refusal.verdict][0] == refusal.status
    return (refusal.verdict,)


def _facts(head: RequestHead, body: RequestBody | None) -> tuple[object, ...]:
    length = None if body is None else (type(body.decoder).__name__, body.length)
    facts = (head.method, head.path, head.query, head.version, head.authority, head.keep_alive)
    return (*facts, head.headers, length)


def head(data: bytes) -> None:
    """A request head: both parsers give one verdict, and no beginning of it gets another."""
    data = without_empty_lines(data).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    if without_empty_lines(data) != data:
        return
    read = _request(data, "httptools")
    assert read == _request(data, "h11"), "the parsers disagree"
    assert read != ("parser",), "a refusal that nothing explains"
    for end in range(1, min(len(data), 400)):
        fault = find_fault(data[:end], OPTIONS)
        if fault is not None:
            assert read == (fault.verdict,), f"another verdict after {end} bytes"
            break
    if len(read) == 1:
        return
    method, path, text, version, _, _, headers, length = read
    assert method in METHODS
    assert version in ("1.0", "1.1")
    assert isinstance(path, str)
    assert path == "*" or path.startswith("/")
    for part in (path, text):
        assert isinstance(part, str)
        assert part.isascii()
        assert not set(part) & set(' "<>#\x7f')
        assert part.isprintable()
    assert isinstance(headers, list)
    names = [name for name, _ in headers]
    assert names.count("host") == 1 or (version == "1.0" and "host" not in names)
    assert not ("content-length" in names and "transfer-encoding" in names)
    assert names.count("content-length") <= 1
    assert "transfer-encoding" not in names or (length is not None and version == "1.1")
    for name, value in headers:
        assert name.lower() == name
        assert name
        assert not set(name) & set(' \t:()<>@,;\\"/[]?={}')
        assert not any((c < " " and c != "\t") or c == "\x7f" for c in value)


def _chunks(parts: list[bytes]) -> tuple[object, ...]:
    body = RequestBody(ChunkedDecoder(OPTIONS), expects_continue=False)
    rest = b""
    try:
        for part in parts:
            if body.ended:
                rest += part
                continue
            rest += body.feed(part)
            while body.waiting:
                rest += body.feed(b"")
    except HttpError as error:
        return (error.verdict,)
    return (b"".join(body.pieces), body.ended and rest, body.decoder.trailers)


def chunks(data: bytes) -> None:
    """A chunked body: the same however it is cut; what is taken, h11 takes for the same."""
    whole = _chunks([data])
    middle = len(data) // 2
    for parts in ([data[:middle], data[middle:]], [data[at : at + 1] for at in range(len(data))]):
        again = _chunks(parts)
        # Where the body has not ended, pieces may show a fault that the whole does not show yet.
        assert again == whole or (len(whole) == 3 and whole[1] is False and len(again) == 1)
    if len(whole) == 1 or whole[1] is False:
        return
    # h11 does not know the white space that RFC 9112 section 7.1.1 allows before an extension, and
    # judges trailers that are ignored here (RFC 9110 section 6.5.1).
    if re.search(rb"[ \t]+;|content-length|transfer-encoding", data, re.IGNORECASE):
        return
    judge = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    judge.receive_data(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
    judge.next_event()
    body = b""
    while isinstance(event := judge.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert body == whole[0]
    assert judge.trailing_data[0] == whole[1]


def _parts(pieces: list[bytes]) -> tuple[object, ...]:
    reader = PartReader(b"x")
    waiting = iter([*pieces, b""])
    found: list[object] = []
    try:
        while (event := reader.next()) is not Signal.END:
            if event is Signal.MORE:
                reader.feed(next(waiting))
            elif isinstance(event, PartHeaders):
                found.append((event.headers, b""))
            elif isinstance(event, bytes):
                headers, body = found[-1]  # type: ignore[misc]
                found[-1] = (headers, body + event)
    except ConnError as error:
        return (type(error).__name__,)
    return (found,)


def multipart(data: bytes) -> None:
    """A multipart body with the boundary x: the same however it is cut."""
    pieces = [piece for piece in (data[: len(data) // 2], data[len(data) // 2 :]) if piece]
    whole = _parts([data] if data else [])
    assert _parts(pieces) == whole
    assert _parts([data[at : at + 1] for at in range(len(data))]) == whole


def query_string(data: bytes) -> None:
    """A query string or URL-encoded form: what was decoded survives a round trip."""
    try:
        params = query.decode(data)
    except ConnError:
        return
    for depth in (1, 2):
        try:
            query.decode(data, max_depth=depth, max_pairs=2)
        except ConnError:
            continue
    _only_text(params)


def _only_text(value: object) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            assert isinstance(key, str)
            _only_text(item)
    elif isinstance(value, list):
        for item in value:
            _only_text(item)
    else:
        assert isinstance(value, str)
        value.encode()  # no lone surrogates: it was UTF-8


def cookie_header(data: bytes) -> None:
    """A Cookie header: names are not empty, and nothing of it can end a header line."""
    text = data.decode("latin-1")
    try:
        jar = cookies.decode(text)
    except ConnError:
        return
    for name, value in jar.items():
        assert name
        assert not set(name) & set("=; \t\r\n")
        assert not set(value) & set(";\r\n")
        try:
            line = cookies.encode(name, {"value": value})
        except ConnError:
            continue
        assert not set(line) & set("\r\n\0")


def proxy(data: bytes) -> None:
    """A PROXY protocol header: no prefix of a good one is refused or read as another one."""
    try:
        read = proxy_protocol.decode(data)
    except proxy_protocol.ProxyProtocolError:
        return
    if read is None:
        return
    header, size = read
    assert 0 < size <= len(data)
    assert proxy_protocol.decode(data[:size]) == (header, size)
    for end in range(size):
        assert proxy_protocol.decode(data[:end]) is None


def websocket(data: bytes) -> None:
    """Frames of a WebSocket client: one outcome however they are cut, and what is sent back are
    frames of a server. The first byte says whether messages may be compressed."""
    compressed, data = data[:1] > b"\x7f", data[1:]
    outcomes = []
    for step in (len(data) or 1, 1, 7):
        extensions = (PerMessageDeflate(False, False, 12, 12),) if compressed else ()
        wire = Wire(Codec(extensions, 500, 1000, 0))
        for start in range(0, len(data), step):
            wire.connection.data_received(data[start : start + step])
            wire.run()
        outcomes.append((wire.messages, wire.sent, wire.over))
    assert outcomes[0] == outcomes[1] == outcomes[2], "another outcome when cut"
    messages, sent, over = outcomes[0]
    assert all(len(message) <= 1000 for message in messages)
    reader = StreamReader()
    reader.feed_data(sent)
    frames = []
    while reader.buffer:
        try:
            next(Frame.parse(reader.read_exact, mask=False))
        except StopIteration as parsed:
            frames.append(parsed.value)
    assert all(frame.opcode in (Opcode.PONG, Opcode.CLOSE) for frame in frames)
    assert sum(frame.opcode is Opcode.CLOSE for frame in frames) == (over is not None)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "head": head,
    "chunks": chunks,
    "multipart": multipart,
    "query": query_string,
    "cookies": cookie_header,
    "proxy": proxy,
    "websocket": websocket,
}


def _message(path: Path) -> bytes:
    text = path.read_text().replace("\n", "")
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def seeds(target: str) -> list[bytes]:
    """Inputs to begin with: for heads and chunks the corpus of messages, else seeds/<target>/."""
    if target in ("head", "chunks"):
        messages = [_message(path) for path in sorted(MESSAGES.glob("*.http"))]
        if target == "head":
            return messages
        bodies = [
            data.partition(b"\r\n\r\n")[2] for data in messages if b"Encoding: chunked\r\n" in data
        ]
        return [body for body in bodies if body]
    return [path.read_bytes() for path in sorted((HERE / "seeds" / target).iterdir())]
