"""Static (Plug.Static; RFC 9110 sections 13 and 14; CVE-2017-1000052: NUL bytes)."""

from __future__ import annotations

import os

import pytest

from plugpy.conn import InvalidPathError
from plugpy.plugs import Static
from plugpy.testing import conn

DATA = b"0123456789"


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "public"
    (root / "css").mkdir(parents=True)
    (root / "a.txt").write_bytes(DATA)
    (root / "empty.txt").write_bytes(b"")
    (root / "css" / "app.css").write_bytes(b"body{}")
    (root / "css" / "app.css.gz").write_bytes(b"gzipped")
    (root / "css" / "app.css.br").write_bytes(b"brotli")
    (root / "with space é.bin").write_bytes(b"x")
    (root / ".secret").write_bytes(b"secret")
    (root / "favicon-1234.ico").write_bytes(b"ico")
    (tmp_path / "outside.txt").write_bytes(b"outside")
    (root / "out.txt").symlink_to(tmp_path / "outside.txt")
    (root / "in.txt").symlink_to(root / "a.txt")
    os.utime(root / "a.txt", (784111777, 784111777))
    return root


@pytest.fixture
def ask(folder):
    def ask(path, method="GET", plug_options=None, **headers):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        plug = Static(at="/s", from_=folder, **(plug_options or {}))
        return plug(conn(method, path, headers=sent))

    return ask


def header(sent, name):
    values = sent.get_resp_header(name)
    assert len(values) < 2
    return values[0] if values else None


def test_a_file(ask):
    sent = ask("/s/a.txt")
    assert (sent.status, sent.halted, sent.adapter.sent_body) == (200, True, DATA)
    assert header(sent, "content-type") == "text/plain; charset=utf-8"
    assert header(sent, "cache-control") == "public"
    assert header(sent, "last-modified") == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert header(sent, "accept-ranges") == "bytes"
    assert header(sent, "etag").startswith('"')
    assert header(sent, "vary") is None


def test_head(ask):
    sent = ask("/s/a.txt", "HEAD")
    assert (sent.status, sent.adapter.sent_body) == (200, b"")


@pytest.mark.parametrize("path", ["/s/with%20space%20%C3%A9.bin", "/s//css///app.css"])
def test_names_are_decoded(ask, path):
    assert ask(path).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/s",
        "/s/",
        "/s/none",
        "/s/css",
        "/other/a.txt",
        "/s/a.txt/x",
        "/s/.secret",
        "/s/out.txt",
        "/s/" + "x" * 5000,
    ],
)
def test_other_requests_go_on(ask, path):
    sent = ask(path)
    assert not sent.halted
    assert sent.status is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_go_on(ask, method):
    assert not ask("/s/a.txt", method).halted


@pytest.mark.parametrize(
    "path",
    [
        "/s/../outside.txt",
        "/s/css/../../outside.txt",
        "/s/%2e%2e/outside.txt",
        "/s/..%2foutside.txt",
        "/s/%2Fetc%2Fpasswd",
        "/s/..%5coutside.txt",
        "/s/a.txt%00.png",
        "/s/c:%2fx",
        "/s/a.txt:stream",
        "/s/./a.txt",
        "/s/%ff",
    ],
)
def test_paths_that_are_no_file_names_are_a_400(ask, path):
    with pytest.raises(InvalidPathError) as caught:
        ask(path)
    assert caught.value.status == 400


def test_what_is_not_in_only_is_not_judged(ask):
    assert not ask("/s/..%2f", plug_options={"only": ["a.txt"]}).halted


@pytest.mark.parametrize(
    ("options", "path", "served"),
    [
        ({"only": ["css"]}, "/s/css/app.css", True),
        ({"only": ["css"]}, "/s/a.txt", False),
        ({"only_matching": ["favicon"]}, "/s/favicon-1234.ico", True),
        ({"only_matching": ["favicon"]}, "/s/a.txt", False),
        ({"dotfiles": True}, "/s/.secret", True),
        ({"follow_symlinks": True}, "/s/out.txt", True),
        ({}, "/s/in.txt", True),
    ],
)
def test_what_may_be_served(ask, options, path, served):
    assert ask(path, plug_options=options).halted is served


def test_a_file_that_only_leaves_out(ask):
    options = {"only": ["favicon.ico"], "raise_on_missing_only": True}
    with pytest.raises(InvalidPathError, match=r"'favicon-1234\.ico' is in the folder"):
        ask("/s/favicon-1234.ico", plug_options=options)
    for path in ("/s/robots.txt", "/s/css", "/s/out.txt", "/s/..%2Foutside.txt"):
        assert not ask(path, plug_options=options).halted


def test_a_file_of_a_package():
    plug = Static(at="/s", from_=("plugpy", "plugs"))
    assert plug(conn("GET", "/s/static.py")).status == 200
    for place in (("plugpy", "nowhere"), ("no_such_package", "a"), ("plugpy",), 42, lambda: 42):
        with pytest.raises(ValueError, match="from_ is a folder"):
            Static(at="/s", from_=place)


# caches ---------------------------------------------------------------------------------------


def test_who_has_it_gets_a_304(ask):
    etag = header(ask("/s/a.txt"), "etag")
    for value in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        sent = ask("/s/a.txt", if_none_match=value)
        assert (sent.status, sent.adapter.sent_body, sent.halted) == (304, b"", True)
        assert header(sent, "etag") == etag
        assert header(sent, "content-type") is None
    assert ask("/s/a.txt", if_none_match='"x"').status == 200


def test_by_date(ask):
    assert ask("/s/a.txt", if_modified_since="Sun, 06 Nov 1994 08:49:37 GMT").status == 304
    assert ask("/s/a.txt", if_modified_since="Sun, 06 Nov 1994 08:49:36 GMT").status == 200


def test_a_precondition_that_fails(ask):
    assert ask("/s/a.txt", if_match='"x"').status == 412
    assert ask("/s/a.txt", if_unmodified_since="Sun, 06 Nov 1994 08:49:36 GMT").status == 412


def test_the_etag_changes_with_the_file(ask, folder):
    before = header(ask("/s/a.txt"), "etag")
    os.utime(folder / "a.txt", (784111777, 784111778))
    assert header(ask("/s/a.txt"), "etag") != before


def test_an_etag_of_ones_own(ask):
    assert header(ask("/s/a.txt", plug_options={"etag": lambda path, facts: "v1"}), "etag") == (
        '"v1"'
    )


def test_versions_are_kept_for_long(ask):
    sent = ask("/s/a.txt?vsn=d")
    assert header(sent, "cache-control") == "public, max-age=31536000, immutable"
    assert header(sent, "etag") is None


def test_cache_headers_of_ones_own(ask):
    options = {"cache_control_for_etags": "no-cache", "cache_control_for_vsn_requests": "private"}
    assert header(ask("/s/a.txt", plug_options=options), "cache-control") == "no-cache"
    assert header(ask("/s/a.txt?vsn=d", plug_options=options), "cache-control") == "private"
    options = dict.fromkeys(options)
    sent = ask("/s/a.txt?vsn=d", plug_options=options)
    assert header(sent, "etag") is None


@pytest.mark.parametrize("headers", [{"x-own": "1"}, lambda conn: {"x-own": "1"}])
def test_more_headers(ask, headers):
    assert header(ask("/s/a.txt", plug_options={"headers": headers}), "x-own") == "1"


# variants -------------------------------------------------------------------------------------

ALL = {"encodings": ["gzip", "br", "zstd"]}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("gzip, br", "br"),
        ("gzip", "gzip"),
        ("zstd, gzip", "gzip"),
        ("br;q=0, gzip;q=0.1", "gzip"),
        ("gzip;q=0", None),
        ("*", "br"),
        ("*;q=0", None),
        ("identity", None),
        (None, None),
        ("gzip;q=nonsense", None),
    ],
)
def test_precompressed_variants(ask, accept, expected):
    headers = {} if accept is None else {"accept_encoding": accept}
    sent = ask("/s/css/app.css", plug_options=ALL, **headers)
    assert header(sent, "content-encoding") == expected
    assert (
        sent.adapter.sent_body == {"br": b"brotli", "gzip": b"gzipped", None: b"body{}"}[expected]
    )
    assert header(sent, "content-type") == "text/css; charset=utf-8"
    assert header(sent, "vary") == "accept-encoding"


def test_variants_have_etags_of_their_own(ask):
    plain = ask("/s/css/app.css", plug_options=ALL)
    packed = ask("/s/css/app.css", plug_options=ALL, accept_encoding="br")
    assert header(plain, "etag") != header(packed, "etag")


def test_a_range_is_of_the_plain_file(ask):
    sent = ask("/s/css/app.css", plug_options=ALL, accept_encoding="br", range="bytes=0-3")
    assert (sent.status, sent.adapter.sent_body) == (206, b"body")
    assert header(sent, "content-encoding") is None


def test_the_vary_of_others_is_kept(folder):
    sent = conn("GET", "/s/css/app.css").put_resp_header("vary", "origin")
    sent = Static(at="/s", from_=folder, **ALL)(sent)
    assert header(sent, "vary") == "origin, accept-encoding"


# ranges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "status", "body", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=8-100", 206, b"89", "bytes 8-9/10"),
        ("BYTES = 1-1", 206, b"1", "bytes 1-1/10"),
        ("bytes=9-9", 206, b"9", "bytes 9-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=100-200", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=0-", 200, DATA, None),
        ("bytes=0-9", 200, DATA, None),
        ("bytes=-100", 200, DATA, None),
        ("bytes=3-2", 200, DATA, None),
        ("bytes=0-1,3-4", 200, DATA, None),
        ("bytes=a-b", 200, DATA, None),
        ("bytes=", 200, DATA, None),
        ("bytes=-", 200, DATA, None),
        ("bytes=--1", 200, DATA, None),
        ("bytes=0-" + "9" * 5000, 200, DATA, None),
        ("bytes=\u00b2-", 200, DATA, None),
        ("lines=0-3", 200, DATA, None),
        ("nonsense", 200, DATA, None),
    ],
)
def test_ranges(ask, value, status, body, content_range):
    sent = ask("/s/a.txt", range=value)
    assert (sent.status, sent.adapter.sent_body, sent.halted) == (status, body, True)
    assert header(sent, "content-range") == content_range


def test_a_range_of_an_empty_file_is_ignored(ask):
    assert ask("/s/empty.txt", range="bytes=0-1").status == 200


def test_if_range(ask):
    etag = header(ask("/s/a.txt"), "etag")
    date = header(ask("/s/a.txt"), "last-modified")
    for value, status in (
        (etag, 206),
        (date, 206),
        (f"W/{etag}", 200),
        ('"other"', 200),
        ("Sun, 06 Nov 1994 08:49:36 GMT", 200),
        ("nonsense", 200),
    ):
        assert ask("/s/a.txt", range="bytes=0-1", if_range=value).status == status, value


# types and options ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x.html", "text/html; charset=utf-8"),
        ("x.js", "text/javascript; charset=utf-8"),
        ("x.svg", "image/svg+xml; charset=utf-8"),
        ("x.json", "application/json; charset=utf-8"),
        ("x.PNG", "image/png"),
        ("x.woff2", "font/woff2"),
        ("x.wasm", "application/wasm"),
        ("x", "application/octet-stream"),
        ("x.tar.gz", "application/octet-stream"),
        ("x.data", "text/csv"),
        ("LICENSE", "text/plain"),
    ],
)
def test_content_types(ask, folder, name, expected):
    (folder / name).write_bytes(b"x")
    options = {"content_types": {".data": "text/csv", "LICENSE": "text/plain"}}
    assert header(ask(f"/s/{name}", plug_options=options), "content-type") == expected


@pytest.mark.parametrize(
    "options",
    [
        {"at": "static"},
        {"from_": "/nowhere/at/all"},
        {"only": "css"},
        {"encodings": ["gziip"]},
        {"encodings": "gzip"},
        {"headers": {"x": "a\r\nb"}},
    ],
)
def test_options_are_checked(folder, options):
    with pytest.raises(Exception, match=r"."):
        Static(**{"at": "/s", "from_": folder, **options})
