"""The cases of Plug's test/plug/static_test.exs."""

import os
import zlib
from pathlib import Path
from typing import Any

import pytest

from plugpy.conn import Conn, InvalidPathError
from plugpy.pipeline import Pipeline
from plugpy.plugs import Static
from plugpy.testing import call, conn

TEXT = "text/plain; charset=utf-8"
FILE = "/public/files/hello.txt"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = tmp_path / "files"
    (files / "below").mkdir(parents=True)
    for name, content in {
        "hello.txt": "HELLO",
        "hello.txt.gz": "GZIP",
        "hello.txt.br": "BROTLI",
        "hello.txt.zst": "ZSTD",
        "with spaces.txt": "SPACES",
        "manifest": "[]",
        "name-1234.txt": "HASHED",
        "below/file.txt": "BELOW",
    }.items():
        (files / name).write_text(content)
    return tmp_path


class Asked:
    """What came back, as the tests read it."""

    def __init__(self, answered: Conn) -> None:
        self.conn = answered
        self.passed = not answered.halted
        self.status = answered.status
        self.body = answered.adapter.sent_body.decode()

    def header(self, name: str) -> str | None:
        values = self.conn.get_resp_header(name)
        assert len(values) <= 1
        return values[0] if values else None


def ask(root: Path, path: str = FILE, sent: Any = (), method: str = "GET", **options: Any) -> Asked:
    plug = Static(
        **{
            "at": "/public",
            "from_": root,
            "headers": {"x-custom": "yes"},
            "content_types": {"manifest": "application/manifest+json"},
            **options,
        }
    )
    return Asked(plug(conn(method, path, headers=sent)))


def is_hello(answer: Asked) -> None:
    assert (answer.status, answer.body, answer.header("content-type")) == (200, "HELLO", TEXT)
    assert answer.header("content-encoding") is None


def is_not_there(answer: Asked) -> None:
    assert answer.passed
    assert (answer.status, answer.header("x-custom")) == (None, None)


def is_not_modified(answer: Asked, etag: str | None, vary: str | None) -> None:
    assert (answer.status, answer.body) == (304, "")
    assert answer.header("etag") == etag
    assert answer.header("cache-control") == "public"
    assert answer.header("vary") == vary
    assert answer.header("content-type") is None
    assert answer.header("content-encoding") is None
    # Plug leaves it out; it may say who may read this answer (access-control-allow-origin).
    assert answer.header("x-custom") == "yes"


def checksum(path: str, facts: os.stat_result) -> str:
    """Etags by content."""
    return f'"{zlib.crc32(Path(path).read_bytes()):x}"'


def test_serves_the_file(root: Path) -> None:
    is_hello(ask(root))


def test_serves_the_file_with_a_custom_content_type(root: Path) -> None:
    answer = ask(root, "/public/files/manifest")
    assert (answer.body, answer.header("content-type")) == ("[]", "application/manifest+json")


def with_type(root: Path, **options: Any) -> Asked:
    c = conn("GET", FILE).put_resp_header("content-type", "application/octet-stream")
    return Asked(Static(at="/public", from_=root, **options)(c))


def test_overwrites_content_type_by_default(root: Path) -> None:
    is_hello(with_type(root))


def test_preserves_original_content_type_if_requested(root: Path) -> None:
    answer = with_type(root, content_types=False)
    assert (answer.status, answer.header("content-type")) == (200, "application/octet-stream")


def test_serves_the_file_with_a_urlencoded_filename(root: Path) -> None:
    answer = ask(root, "/public/files/with%20spaces.txt")
    assert (answer.status, answer.body, answer.header("content-type")) == (200, "SPACES", TEXT)


def test_performs_etag_negotiation(root: Path) -> None:
    answer = ask(root)
    is_hello(answer)
    etag = answer.header("etag") or ""
    assert etag[0] == etag[-1] == '"'
    assert (answer.header("cache-control"), answer.header("x-custom")) == ("public", "yes")
    known = ask(root, sent={"if-none-match": etag}, encodings=["gzip"])
    is_not_modified(known, etag, "accept-encoding")


def test_performs_etag_negotiation_for_gzip_encoded_files(root: Path) -> None:
    sent = {"accept-encoding": "gzip"}
    answer = ask(root, sent=sent, encodings=["gzip"])
    assert (answer.body, answer.header("content-encoding")) == ("GZIP", "gzip")
    assert (answer.header("vary"), answer.header("x-custom")) == ("accept-encoding", "yes")
    etag = answer.header("etag") or ""
    assert etag != ask(root).header("etag")
    known = ask(root, sent={**sent, "if-none-match": etag}, encodings=["gzip"])
    is_not_modified(known, etag, "accept-encoding")


def test_performs_etag_negotiation_with_user_defined_etag_generation(root: Path) -> None:
    answer = ask(root, etag=checksum)
    assert answer.header("etag") == f'"{zlib.crc32(b"HELLO"):x}"'
    known = ask(root, sent={"if-none-match": answer.header("etag")}, etag=checksum)
    is_not_modified(known, answer.header("etag"), None)


def test_sets_the_cache_control_for_vsn_requests_when_there_s_a_query_string(root: Path) -> None:
    answer = ask(root, FILE + "?vsn=d")
    is_hello(answer)
    assert answer.header("cache-control") == "public, max-age=31536000, immutable"
    assert (answer.header("etag"), answer.header("x-custom")) == (None, "yes")


NO_CACHE = {"cache_control_for_etags": None, "cache_control_for_vsn_requests": None}


def test_doesn_t_set_cache_control_headers(root: Path) -> None:
    for path in (FILE, FILE + "?vsn=d"):
        answer = ask(root, path, **NO_CACHE)
        assert answer.header("cache-control") == "max-age=0, private, must-revalidate"
        assert (answer.header("etag"), answer.header("x-custom")) == (None, "yes")


def test_passes_through_on_other_paths(root: Path) -> None:
    is_not_there(ask(root, "/another/fallback.txt"))
    is_not_there(ask(root, "/publicity/files/hello.txt"))


def test_passes_through_on_non_existing_files(root: Path) -> None:
    is_not_there(ask(root, "/public/files/unknown.txt"))


def test_passes_through_on_directories(root: Path) -> None:
    for path in ("/public", "/public/", "/public/files", "/public/files/"):
        is_not_there(ask(root, path))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_passes_for_non_get_non_head_requests(root: Path, method: str) -> None:
    is_not_there(ask(root, method=method))


def test_passes_through_does_not_check_path_validity(root: Path) -> None:
    is_not_there(ask(root, "/another/fallback%2Ftxt"))
    is_not_there(ask(root, "/other%00/..", only=["files"]))


@pytest.mark.parametrize(
    "path",
    [
        "/public/files/../files/below/file.txt",
        "/public/files/%2E%2E/files/below/file.txt",
        "/public/./files/hello.txt",
        "/public/c:%5Cfoo.txt",
        "/public/c:\\foo.txt",
        "/public/files%2fhello.txt",
        "/public/hello.txt%00.html",
        "/public/hello.txt\0.html",
    ],
)
def test_returns_400_for_unsafe_paths(root: Path, path: str) -> None:
    with pytest.raises(InvalidPathError, match="no file name") as caught:
        ask(root, path)
    assert caught.value.status == 400


def serves_variant(root: Path, coding: str, body: str) -> None:
    answer = ask(root, sent={"accept-encoding": coding}, encodings=[coding])
    assert (answer.status, answer.body, answer.header("content-encoding")) == (200, body, coding)
    assert answer.header("content-type") == TEXT
    assert (answer.header("vary"), answer.header("x-custom")) == ("accept-encoding", "yes")

    c = conn("GET", FILE, headers={"accept-encoding": "*"}).put_resp_header("vary", "whatever")
    answer = Asked(Static(at="/public", from_=root, encodings=[coding])(c))
    assert (answer.body, answer.header("content-encoding")) == (body, coding)
    assert answer.header("vary") == "whatever, accept-encoding"


def test_serves_gzipped_file(root: Path) -> None:
    serves_variant(root, "gzip", "GZIP")


def test_only_serves_gzipped_file_if_available(root: Path) -> None:
    sent = {"accept-encoding": "gzip"}
    answer = ask(root, "/public/files/with%20spaces.txt", sent, encodings=["gzip"])
    assert (answer.body, answer.header("content-encoding")) == ("SPACES", None)
    assert answer.header("vary") == "accept-encoding"


def test_call_serves_files_from_the_app_directory_using_a_from_with_an_application_name(
    root: Path,
) -> None:
    answer = ask(root, "/public/py.typed", from_=("plugpy", "."))
    assert (answer.status, answer.header("x-custom")) == (200, "yes")


@pytest.mark.parametrize("place", [42, None, ("plugpy",), "/no/such/folder"])
def test_raises_an_exception_if_from_isn_t_a_binary_or_an_atom(root: Path, place: Any) -> None:
    with pytest.raises(ValueError, match="from_ is a folder"):
        ask(root, from_=place)


def is_part(answer: Asked, body: str, content_range: str) -> None:
    assert (answer.status, answer.body) == (206, body)
    assert answer.header("accept-ranges") == "bytes"
    assert answer.header("content-range") == content_range


def test_range_request_serves_entire_file_if_range_is_0(root: Path) -> None:
    is_hello(ask(root, sent={"range": "bytes=0-"}))


def test_range_request_serves_requested_range_of_file_starting_from_byte_0(root: Path) -> None:
    answer = ask(root, sent={"range": "bytes=0-1"})
    is_part(answer, "HE", "bytes 0-1/5")
    assert answer.header("content-type") == TEXT


def test_range_request_serves_entire_file_if_range_contains_non_integers(root: Path) -> None:
    answer = ask(root, sent={"range": "bytes=00-FF"})
    is_hello(answer)
    assert answer.header("accept-ranges") == "bytes"


def test_range_request_serves_the_file_with_a_custom_content_type(root: Path) -> None:
    answer = ask(root, "/public/files/manifest", {"range": "bytes=-1"})
    is_part(answer, "]", "bytes 1-1/2")
    assert answer.header("content-type") == "application/manifest+json"


def test_range_request_serves_tail_of_file_if_range_is_n(root: Path) -> None:
    is_part(ask(root, sent={"range": "bytes=-3"}), "LLO", "bytes 2-4/5")


def test_range_request_serves_tail_of_file_if_range_end_greater_than_file_length(
    root: Path,
) -> None:
    is_part(ask(root, sent={"range": "bytes=4-1024"}), "O", "bytes 4-4/5")


def test_range_request_returns_entire_file_if_range_does_not_contain_either_start_or_end(
    root: Path,
) -> None:
    is_hello(ask(root, sent={"range": "bytes=-"}))


def test_range_request_returns_entire_file_if_range_contains_non_integers(root: Path) -> None:
    is_hello(ask(root, sent={"range": "bytes=nope"}))


def test_range_request_returns_entire_file_if_range_is_missing(root: Path) -> None:
    is_hello(ask(root, sent={"range": "bytes"}))


def test_range_request_returns_entire_file_if_range_contains_multiple_byte_ranges(
    root: Path,
) -> None:
    is_hello(ask(root, sent={"range": "bytes=0-1,3-4"}))


def test_range_request_of_a_range_past_the_end(root: Path) -> None:
    # Since Plug 1.20.
    answer = ask(root, sent={"range": "bytes=5-9"})
    assert (answer.status, answer.body) == (416, "")
    assert answer.header("content-range") == "bytes */5"
    (root / "files" / "empty.txt").write_text("")
    assert ask(root, "/public/files/empty.txt", {"range": "bytes=0-1"}).status == 200


def test_range_request_performs_etag_negotiation(root: Path) -> None:
    answer = ask(root, sent={"range": "bytes=0-1"})
    is_part(answer, "HE", "bytes 0-1/5")
    assert answer.header("cache-control") == "public"
    etag = answer.header("etag")
    is_not_modified(ask(root, sent={"range": "bytes=0-1", "if-none-match": etag}), etag, None)


def test_range_request_performs_etag_negotiation_with_user_defined_etag_generation(
    root: Path,
) -> None:
    answer = ask(root, sent={"range": "bytes=0-1"}, etag=checksum)
    is_part(answer, "HE", "bytes 0-1/5")
    etag = answer.header("etag")
    assert etag == f'"{zlib.crc32(b"HELLO"):x}"'
    sent = {"range": "bytes=0-1", "if-none-match": etag}
    is_not_modified(ask(root, sent=sent, etag=checksum), etag, None)


def test_range_request_sets_the_cache_control_for_vsn_requests_when_there_s_a_query_string(
    root: Path,
) -> None:
    answer = ask(root, FILE + "?vsn=d", {"range": "bytes=0-1"})
    is_part(answer, "HE", "bytes 0-1/5")
    assert answer.header("cache-control") == "public, max-age=31536000, immutable"
    assert (answer.header("etag"), answer.header("x-custom")) == (None, "yes")


def test_range_request_doesn_t_set_cache_control_headers(root: Path) -> None:
    answer = ask(root, sent={"range": "bytes=0-1"}, **NO_CACHE)
    is_part(answer, "HE", "bytes 0-1/5")
    assert answer.header("cache-control") == "max-age=0, private, must-revalidate"
    assert (answer.header("etag"), answer.header("x-custom")) == (None, "yes")


def test_encodings_serves_file_if_no_accept_encoding_header(root: Path) -> None:
    answer = ask(root, encodings=["br", "gzip"])
    is_hello(answer)
    assert (answer.header("vary"), answer.header("x-custom")) == ("accept-encoding", "yes")


@pytest.mark.parametrize("accepted", ["zstd", "gzip;q=0", "xgzip", "identity"])
def test_encodings_serves_file_if_unknown_value_in_accept_encoding_header(
    root: Path, accepted: str
) -> None:
    answer = ask(root, sent={"accept-encoding": accepted}, encodings=["br", "gzip"])
    is_hello(answer)
    assert answer.header("vary") == "accept-encoding"


def test_encodings_serves_first_known_extension(root: Path) -> None:
    def body(accepted: str, *encodings: str) -> str:
        return ask(root, sent={"accept-encoding": accepted}, encodings=encodings).body

    assert body("*", "zstd", "br", "gzip") == "ZSTD"
    assert body("gzip, br, zstd", "zstd", "br", "gzip") == "ZSTD"
    assert body("gzip, br, zstd", "br", "gzip") == "BROTLI"
    assert body("gzip, br, zstd", "gzip") == "GZIP"
    answer = ask(root, sent={"accept-encoding": "gzip, br, zstd"}, encodings=[])
    is_hello(answer)
    assert answer.header("vary") is None


def test_encodings_serves_gzipped_file(root: Path) -> None:
    serves_variant(root, "gzip", "GZIP")


def test_encodings_serves_brotlied_file(root: Path) -> None:
    serves_variant(root, "br", "BROTLI")


def test_encodings_serves_zstandarded_file(root: Path) -> None:
    serves_variant(root, "zstd", "ZSTD")


def test_serves_only_allowed_files(root: Path) -> None:
    files = root / "files"
    plugs = Pipeline(
        [
            Static(at="/", from_=files, only=["below", "hello.txt"]),
            Static(at="/", from_=files, only_matching=["name"]),
        ]
    )

    def status(path: str) -> int | None:
        return call(plugs, conn("GET", path)).status

    assert status("/hello.txt") == status("/below/file.txt") == status("/name-1234.txt") == 200
    assert status("/") is status("/manifest") is status("/files/hello.txt") is None


def guarded(root: Path, path: str, **options: Any) -> Asked:
    return ask(root, path, raise_on_missing_only=True, **options)


def test_raise_on_missing_only_option_validates_static_files_against_only_list(
    root: Path,
) -> None:
    options: dict[str, Any] = {"from_": root / "files", "only": ["name.txt", "hello.txt"]}
    with pytest.raises(InvalidPathError, match=r"'name-1234\.txt' is in the folder"):
        guarded(root, "/public/name-1234.txt", **options)
    assert guarded(root, "/public/hello.txt", **options).status == 200
    is_not_there(guarded(root, "/public/unknown.txt", **options))


def test_mfa_headers(root: Path) -> None:
    def headers(c: Conn) -> dict[str, str]:
        return {"x-custom": c.method}

    assert ask(root, headers=headers).header("x-custom") == "GET"


def test_mfa_from(root: Path) -> None:
    is_hello(ask(root, from_=lambda: root))


def test_raise_on_missing_only_passes_through_when_path_has_colons_and_does_not_match_only(
    root: Path,
) -> None:
    is_not_there(guarded(root, "/public/resource:identifier", only=["assets"]))


def test_raise_on_missing_only_passes_through_when_path_has_dot_dot_segments(root: Path) -> None:
    is_not_there(guarded(root, "/public/..%2Fsecret", only=["assets"]))
    is_not_there(guarded(root, "/public/../secret", only=["assets"]))
    # There is a file at the end of this way.
    way = f"/public/../{root.name}/files/hello.txt"
    is_not_there(guarded(root, way, only=["assets"], dotfiles=True))


def test_raise_on_missing_only_passes_through_when_path_has_null_bytes(root: Path) -> None:
    is_not_there(guarded(root, "/public/file%00.txt", only=["assets"]))


def test_raise_on_missing_only_passes_through_when_non_existent_file_does_not_match_only(
    root: Path,
) -> None:
    is_not_there(guarded(root, "/public/nonexistent.txt", only=["assets"]))


def test_raise_on_missing_only_passes_through_with_only_matching_when_path_does_not_match_prefix(
    root: Path,
) -> None:
    is_not_there(guarded(root, "/public/resource:identifier", only_matching=["assets"]))


def test_raise_on_missing_only_raises_when_existing_file_is_not_in_only_list(root: Path) -> None:
    with pytest.raises(InvalidPathError, match="is in the folder, and left out by `only`"):
        guarded(root, FILE, only=["assets"])


def test_raise_on_missing_only_serves_file_normally_when_it_matches_only_list(
    root: Path,
) -> None:
    is_hello(guarded(root, FILE, only=["files"]))
