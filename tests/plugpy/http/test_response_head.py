"""Responses are valid HTTP whatever a plug does: status x method x version x body x headers."""

from __future__ import annotations

import asyncio

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugpy.conn import Conn, ConnError, ContentLengthError, InvalidHeaderError, RequestHead
from plugpy.http.blocks import date_field, has_body
from plugpy.http.head import build_head
from plugpy.http.response_head import response_head

DATE = date_field()


def conn_of(method="GET", version="1.1", connection=None, status=200) -> Conn:
    line = f"connection: {connection}\r\n" if connection else ""
    head: RequestHead = build_head(f"{method} / HTTP/{version}\r\nhost: x\r\n{line}\r\n")
    conn = Conn(None, head)
    conn.status = status
    return conn


def judge(method: str, raw: bytes, *, closed: bool) -> tuple[h11.Response, bytes]:
    """The response that h11 reads from the wire; it must use up all bytes."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(raw)
    if closed:
        client.receive_data(b"")
    response = client.next_event()
    assert isinstance(response, h11.Response)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage), event
    assert client.trailing_data[0] == b""
    return response, body


any_text = st.text(st.characters(max_codepoint=0x17F), max_size=12)
good_names = st.sampled_from(["x-a", "x-b", "server", "vary", "set-cookie", "date", "connection"])
good_values = st.sampled_from(["", "a", "a, b", "close", "keep-alive", "Basic x=\t1", "\xe4"])


@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "PUT"]),
    version=st.sampled_from(["1.0", "1.1"]),
    connection=st.sampled_from([None, "close", "keep-alive"]),
    status=st.integers(200, 999),
    body=st.sampled_from([b"", b"a", b"hello" * 100]),
    streamed=st.booleans(),
    promise=st.booleans(),
    headers=st.lists(st.tuples(good_names, good_values), max_size=4)
    | st.lists(st.tuples(good_names | any_text, good_values | any_text), max_size=3),
)
def test_what_is_sent_is_valid_or_raises(
    method, version, connection, status, body, streamed, promise, headers
):
    conn = conn_of(method, version, connection, status)
    conn.resp_headers += headers
    if promise:
        conn.resp_headers.append(("content-length", str(len(body))))
    try:
        head = response_head(conn, None if streamed else len(body), DATE, close=False)
    except ConnError:
        return
    raw = head.data
    if head.body:
        if head.chunked:
            raw += (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        else:
            raw += body
    response, received = judge(method, raw, closed=head.close)
    assert response.status_code == status
    assert received == (body if head.body else b"")
    fields = dict(response.headers)
    sent = {name for name, _ in response.headers}
    assert sent <= {name.encode() for name, _ in [*headers, *conn.resp_headers]} | {
        b"date",
        b"content-length",
        b"transfer-encoding",
        b"connection",
    }
    # A client knows where the body ends, and whether the connection goes on.
    if head.close:
        assert fields[b"connection"] == b"close"
    elif head.body:
        assert b"content-length" in fields or fields.get(b"transfer-encoding") == b"chunked"
    if version == "1.0":
        assert b"transfer-encoding" not in fields
        assert head.close or fields[b"connection"] == b"keep-alive"
    assert len([name for name, _ in response.headers if name == b"content-length"]) <= 1
    if status == 204:
        assert b"content-length" not in fields


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-a", "1\r\nx-evil: 1"),
        ("x-a", "1\nx"),
        ("x-a", "1\r"),
        ("x-a", "\0"),
        ("x-a", "\x1b[31m"),
        ("x-a", "\u20ac"),
        ("x-a\r\nx-evil", "1"),
        ("x a", "1"),
        ("x:a", "1"),
        ("", "1"),
        ("\xe4", "1"),
        ("Content-Length", "1"),  # upper case would slip past the server's own framing
        ("Transfer-Encoding", "chunked"),
    ],
)
def test_assigned_headers_cannot_change_the_message(name, value):
    for _ in range(2):  # nor when their name was seen before
        conn = conn_of()
        conn.resp_headers = [(name, value)]
        with pytest.raises(InvalidHeaderError):
            response_head(conn, 0, DATE, close=False)
        conn.resp_headers = [("x-a", "fine")]
        response_head(conn, 0, DATE, close=False)


@pytest.mark.parametrize("value", ["4", "6", "x", "-5", "+5", "", "5 5", "\u0665"])
def test_a_wrong_content_length_is_the_developers_error(value):
    conn = conn_of()
    conn.resp_headers.append(("content-length", value))
    with pytest.raises(ContentLengthError):
        response_head(conn, 5, DATE, close=False)


def test_a_304_may_tell_the_length_of_the_200():
    conn = conn_of(status=304)
    conn.put_resp_header("content-length", "5")
    assert b"content-length: 5\r\n" in response_head(conn, 0, DATE, close=False).data


def test_a_205_has_length_0():
    head = response_head(conn_of(status=205), 5, DATE, close=False)
    assert b"content-length: 0\r\n" in head.data
    assert not head.body


def test_which_statuses_have_a_body():
    assert [status for status in range(100, 600) if not has_body(status)] == [
        *range(100, 200),
        204,
        205,
        304,
    ]


def test_the_date_of_the_user_wins():
    conn = conn_of()
    conn.put_resp_header("date", "Thu, 01 Jan 1970 00:00:00 GMT")
    data = response_head(conn, 0, DATE, close=False).data
    assert data.count(b"date:") == 1
    assert b"date: Thu, 01 Jan 1970" in data


async def chunks(conn: Conn, status: int) -> Conn:
    conn.send_chunked(status)
    await conn.chunk("hel")
    return await conn.chunk("lo")


async def plain_chunks(conn: Conn, status: int) -> Conn:
    conn.put_resp_header("content-length", "5").send_chunked(status)
    await conn.chunk("hel")
    return await conn.chunk("lo")


async def trailing(conn: Conn, status: int) -> Conn:
    return (await chunks(conn, status)).put_resp_trailer("x-sum", "1")


KINDS = {
    "text": lambda conn, status: conn.send_resp(status, "hello"),
    "bytes": lambda conn, status: conn.send_resp(status, b"hello"),
    "empty": lambda conn, status: conn.send_resp(status, ""),
    "set": lambda conn, status: conn.resp(status, "hello"),
    "json": lambda conn, status: conn.put_status(status).json([1, 2]),
    "html": lambda conn, status: conn.html("hello", status),
    "redirect": lambda conn, status: conn.put_status(status).redirect("/x"),
    "file": lambda conn, status: conn.send_file(status, __file__, 0, 5),
    "inform": lambda conn, status: conn.inform(103, {"link": "x"}).send_resp(status, "hello"),
    "crash": lambda conn, status: 1 // 0,
    "nothing": lambda conn, status: conn,
    "chunks": chunks,
    "plain_chunks": plain_chunks,
    "trailing": trailing,
}


@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS"]),
    version=st.sampled_from(["1.0", "1.1"]),
    connection=st.sampled_from(["", "connection: close\r\n", "connection: keep-alive\r\n"]),
    status=st.integers(200, 999),
    kind=st.sampled_from(sorted(KINDS)),
    headers=st.dictionaries(
        st.sampled_from(["x-a", "vary", "content-type", "connection", "transfer-encoding"]),
        st.sampled_from(["a", "close", "chunked", "text/css"]),
        max_size=2,
    ),
    unread=st.sampled_from([b"", b"hello"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_way_to_send_is_valid_http(
    wired, method, version, connection, status, kind, headers, unread
):
    def application(conn: Conn) -> object:
        return KINDS[kind](conn.merge_resp_headers(headers), status)

    served, wire = wired(application)
    length = f"content-length: {len(unread)}\r\n" if unread else ""
    request = f"{method} / HTTP/{version}\r\nhost: x\r\n{connection}{length}\r\n".encode() + unread
    served.data_received(request)
    while served.conn is not None:
        await asyncio.sleep(0)
    closed = wire.closing or wire.ended
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(wire.sent)
    if closed:
        client.receive_data(b"")
    event = client.next_event()
    if isinstance(event, h11.InformationalResponse):
        assert version == "1.1"
        event = client.next_event()
    assert isinstance(event, h11.Response)
    expected = 500 if kind in ("crash", "nothing") else status
    assert event.status_code == expected
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert client.trailing_data[0] == b""
    if method == "HEAD" or expected in (204, 205, 304):
        assert body == b""
    elif kind in ("text", "bytes", "set", "html", "inform", "chunks", "plain_chunks", "trailing"):
        assert body == b"hello"
    # What the client is told of the connection is what happens to it.
    wants = "close" not in connection and (version == "1.1" or "keep-alive" in connection)
    if closed:
        assert client.their_state is h11.MUST_CLOSE or not wants
    else:
        assert wants
        assert client.their_state is h11.DONE
