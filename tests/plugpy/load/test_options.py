"""What may be asked of a load run, and what is told of the rest."""

from typing import Any

import pytest

from plugpy.load import LoadError, LoadOptions


class TestRequest:
    def test_is_a_plain_get(self) -> None:
        assert LoadOptions(url="http://127.0.0.1:4000/a?b=c").request == (
            b"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:4000\r\nUser-Agent: plugpy-load\r\n"
            b"Accept: */*\r\n\r\n"
        )

    @pytest.mark.parametrize(
        ("url", "line", "host"),
        [
            ("http://example.com", b"GET / HTTP/1.1", b"Host: example.com"),
            ("http://example.com:80/", b"GET / HTTP/1.1", b"Host: example.com"),
            ("https://example.com:443/", b"GET / HTTP/1.1", b"Host: example.com"),
            ("http://[::1]:4000/", b"GET / HTTP/1.1", b"Host: [::1]:4000"),
            ("http://a/é x?q=ü z#part", b"GET /%C3%A9%20x?q=%C3%BC%20z HTTP/1.1", b"Host: a"),
            ("http://a/%2F?b=%20", b"GET /%2F?b=%20 HTTP/1.1", b"Host: a"),
            ("http://user:pass@a/", b"GET / HTTP/1.1", b"Host: a"),
        ],
    )
    def test_target_and_host(self, url: str, line: bytes, host: bytes) -> None:
        lines = LoadOptions(url=url).request.split(b"\r\n")
        assert lines[:2] == [line, host]

    def test_own_headers_replace_ours(self) -> None:
        request = LoadOptions(
            url="http://a/", headers=[("host", "b"), ("User-Agent", "me"), ("X-A", "1")]
        ).request
        assert request.count(b"ost: ") == 1
        assert b"\r\nhost: b\r\n" in request
        assert b"plugpy-load" not in request
        assert request.endswith(b"\r\nX-A: 1\r\n\r\n")

    def test_put_without_a_body_has_a_length(self) -> None:
        request = LoadOptions(url="http://a/", method="PUT").request
        assert b"\r\nContent-Length: 0\r\n" in request


class TestChecks:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"url": "ftp://a/"}, "not an http:// or https:// URL"),
            ({"url": "http://"}, "not an http:// or https:// URL"),
            ({"url": "http://a:port/"}, "not a URL"),
            ({"connections": 0}, "connections must be at least 1, got 0"),
            ({"requests": 0}, "requests must be at least 1"),
            ({"duration": 0}, "duration must be at least"),
            ({"rate": -1}, "rate must be at least"),
            ({"timeout": 0}, "timeout must be at least"),
            ({"method": "GE T"}, "not an HTTP method"),
            ({"method": "GET / HTTP/1.1\r\nX: y\r\n\r\n"}, "not an HTTP method"),
            ({"headers": [("X", "a\r\nY: b")]}, "a character that headers can't have"),
            ({"headers": [("X Y", "a")]}, "a character that headers can't have"),
            ({"body": b"x", "headers": [("Content-Length", "5")]}, "leave that header"),
        ],
    )
    def test_refuses(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(LoadError, match=message):
            LoadOptions(**{"url": "http://a/", **options})

    def test_ten_seconds_when_no_end_is_given(self) -> None:
        assert LoadOptions(url="http://a/").duration == 10
        assert LoadOptions(url="http://a/", requests=5).duration is None
