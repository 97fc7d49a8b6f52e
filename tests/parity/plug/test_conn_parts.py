"""The cases of Plug's test/plug/conn_test.exs on the headers of multipart parts (CVE-2026-8468)."""

import pytest

from plugpy.conn import RequestTooLargeError
from plugpy.testing import conn

MULTIPART = {"content-type": "multipart/form-data; boundary=limit"}


async def test_read_part_headers_returns_too_large_while_accumulating_multipart_headers() -> None:
    """The block never ends, and it is given up once it is longer than allowed."""
    body = b"--limit\r\nx-padding: " + b"p" * 10_000
    c = conn("POST", "/", body, MULTIPART, piece_size=50)
    with pytest.raises(RequestTooLargeError, match="longer than 200 bytes") as caught:
        await c.read_part_headers(length=200)
    assert caught.value.status == 413
    # Two pieces beyond the limit at most, not the 10,000 bytes that were sent.
    unread = b""
    while piece := await c.adapter.read_req_body(c, None, None):
        unread += piece
    assert len(unread) >= len(body) - 300


async def test_read_part_headers_returns_too_large_for_buffered_multipart_headers_over_the_limit() -> (  # noqa: E501 - Plug's name
    None
):
    """The block is there already, with all of the body, and it is longer than allowed."""
    long = b"x-padding: " + b"p" * 189
    body = b"--limit\r\na: b\r\n\r\none\r\n--limit\r\n" + long + b"\r\n\r\ntwo\r\n--limit--\r\n"
    c = conn("POST", "/", body, MULTIPART)
    assert await c.read_part_headers(length=200) == [("a", "b")]
    with pytest.raises(RequestTooLargeError) as caught:
        await c.read_part_headers(length=203)
    assert caught.value.status == 413
    c = conn("POST", "/", body, MULTIPART)
    assert await c.read_part_headers(length=204) == [("a", "b")]
    assert await c.read_part_headers(length=204) == [("x-padding", "p" * 189)]
