"""The security advisories of Plug, and those of Phoenix and its parts that have a counterpart here:
each attack is made, and must fail. The table of docs/security.md has a row for each."""

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import plugpy
from plugpy.conn import (
    InvalidHeaderError,
    InvalidPathError,
    InvalidQueryError,
    RequestTooLargeError,
)
from plugpy.conn.crypto import encrypt, sign
from plugpy.plugs import Parsers, Session, Static
from plugpy.plugs.parsers import ParseError
from plugpy.plugs.session import CookieStore
from plugpy.testing import call, conn

SECRET = "s" * 64
BOUNDARY = "limit"
MULTIPART = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def part(headers: str, content: bytes) -> bytes:
    return f"--{BOUNDARY}\r\n{headers}\r\n\r\n".encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


class Reads:
    """A body of which is counted how much is asked for."""

    def __init__(self, body: bytes, headers: dict[str, str] = MULTIPART) -> None:
        self.conn = conn("POST", "/", body, headers, piece_size=1_000, body_limit=10**9)
        self.taken = 0
        read: Callable[..., Any] = self.conn.adapter.read_req_body

        async def counting(*about: Any) -> bytes:
            piece: bytes = await read(*about)
            self.taken += len(piece)
            return piece

        self.conn.adapter.read_req_body = counting  # type: ignore[method-assign]


def is_refused_early(body: bytes, *, within: int, **options: Any) -> None:
    """413, and of the body no more was read than `within` bytes."""
    reads = Reads(body)
    with pytest.raises(RequestTooLargeError) as caught:
        call(Parsers(parsers=["multipart"], **options), reads.conn)
    assert caught.value.status == 413
    assert reads.taken <= within < len(body)


# Plug --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["a" + "[b]" * 33, "a" + "[]" * 33, "a" + "[b]" * 300_000])
def test_cve_2026_54892_nested_keys_of_a_query(key: str) -> None:
    """One key with a hundred thousand levels, `a[b][b][b]...`, took time that grows with the square
    of its length: a request of a few hundred kilobytes kept a core busy for minutes."""
    with pytest.raises(InvalidQueryError) as caught:
        conn("GET", f"/?{key}=1").fetch_query_params()
    assert caught.value.status == 400
    assert conn("GET", f"/?a{'[b]' * 31}=1").params != {}

    # The same keys come with forms.
    with pytest.raises(ParseError) as form:
        call(Parsers(parsers=["urlencoded"]), conn("POST", "/", f"{key}=1", FORM))
    assert form.value.status == 400
    field = part(f'content-disposition: form-data; name="{key[:59_998]}"', b"1")
    with pytest.raises(InvalidQueryError) as multipart:
        call(Parsers(parsers=["multipart"]), conn("POST", "/", field + END, MULTIPART))
    assert multipart.value.status == 400


def test_cve_2026_56814_parts_that_count_for_nothing() -> None:
    """The limit of a multipart body counted the fields alone. Files, parts without a name, which
    are skipped, and the headers of parts were free: endless ones filled the disk, or kept the
    request busy as long as the client liked."""
    many, limit = 200, 20_000
    file = part('content-disposition: form-data; name="a"; filename="f"', b"x" * 1_000)
    skipped = part("content-disposition: form-data", b"x" * 1_000)
    empty = part('content-disposition: form-data; name="a"; filename=""', b"x" * 1_000)
    headers = part(f'content-disposition: form-data; name="a"\r\nx-long: {"x" * 1_000}', b"")
    preamble = b"x" * 1_000 * many
    for body in (file * many, skipped * many, empty * many, headers * many, preamble):
        is_refused_early(body + END, within=limit + 1_000, length=limit)


def test_cve_2026_56814_files_of_a_refused_body_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had been written until the limit was reached is deleted."""
    monkeypatch.setenv("PLUG_TMPDIR", str(tmp_path))
    file = part('content-disposition: form-data; name="a[]"; filename="f"', b"x" * 1_000)
    is_refused_early(file * 50 + END, within=21_000, length=20_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["domain", "path", "same_site"])
def test_cve_2026_56813_attributes_of_cookies(option: str) -> None:
    """A path or domain that a user has a say in could bring attributes of its own, by a semicolon:
    `/; domain=example.com` gives the cookie to all subdomains."""
    c = conn("GET", "/")
    with pytest.raises((InvalidHeaderError, ValueError)):
        c.put_resp_cookie("a", "b", **{option: "/; domain=example.com"})
    with pytest.raises((InvalidHeaderError, ValueError)):
        c.delete_resp_cookie("a", **{option: "/; domain=example.com"})
    assert c.send_resp(200, "").get_resp_header("set-cookie") == []


def test_cve_2026_8468_endless_headers_of_a_part() -> None:
    """The headers of a part were read into memory until they ended: a part whose headers never do
    took all of it."""
    endless = f"--{BOUNDARY}\r\ncontent-disposition: form-data; x=".encode() + b"x" * 1_000_000
    is_refused_early(endless, within=66_000)
    lines = f"--{BOUNDARY}\r\n".encode() + b"x-a: b\r\n" * 200_000
    is_refused_early(lines, within=66_000)


def test_cve_2017_1000052_nul_in_the_path_of_a_file(tmp_path: Path) -> None:
    """Systems end a file name at a NUL byte: `secret.txt%00.html` passed checks of the ending and
    opened secret.txt."""
    (tmp_path / "secret.txt").write_text("secret")
    plug = Static(at="/", from_=tmp_path)
    for path in ("/secret.txt%00.html", "/secret.txt\0.html", "/a%00/secret.txt"):
        with pytest.raises(InvalidPathError) as caught:
            plug(conn("GET", path))
        assert caught.value.status == 400
    with pytest.raises(ValueError, match=r"(?i)nul"):
        conn("GET", "/").send_file(200, f"{tmp_path}/secret.txt\0.html")


class Evil:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return (ran.append, ("code",))


ran: list[str] = []


def test_ghsa_5v4m_terms_in_a_session_cookie_that_run() -> None:
    """Who knows the secret, or can have the server sign what he likes, sends a session that is not
    data but a term that runs code when it is opened. In Python that is a pickle: there is none,
    JSON makes nothing but data. What was signed rightly and is no JSON counts as no session."""
    evil = pickle.dumps({"a": Evil()})
    for encryption in (None, "e"):
        store = CookieStore(signing_salt="s", encryption_salt=encryption)
        plug = Session(store=store, key="app")
        if encryption is None:
            token = sign(SECRET, "plugpy.session:s", evil)
        else:
            token = encrypt(SECRET, "plugpy.session:s:e", evil)
        c = plug(conn("GET", "/", headers={"cookie": f"app={token}"}, secret_key_base=SECRET))
        assert c.get_session() == {}
    assert ran == []

    with pytest.raises(TypeError, match="JSON"):
        plug(conn("GET", "/", secret_key_base=SECRET)).put_session("a", Evil()).send_resp(200, "")

    source = Path(plugpy.__file__).parent
    for file in source.rglob("*.py"):
        used = re.findall(r"^\s*(?:import|from) (pickle|marshal|shelve)\b", file.read_text(), re.M)
        assert used == [], file


@pytest.mark.parametrize("bad", ["a\r\nset-cookie: admin=1", "a\nb", "a\rb", "a\0b", "a; b=c"])
def test_cve_2018_1000883_lines_in_the_value_of_a_cookie(bad: str) -> None:
    """A value that holds CR LF ends the header: what follows is a header of the attacker's, or the
    body of another answer."""
    c = conn("GET", "/")
    for name, value, options in (
        ("a", bad, {}),
        (bad, "a", {}),
        ("a", "b", {"path": bad}),
        ("a", "b", {"domain": bad}),
    ):
        with pytest.raises((InvalidHeaderError, ValueError)):
            c.put_resp_cookie(name, value, **options)
    if not bad.startswith("a;"):
        with pytest.raises((InvalidHeaderError, ValueError)):
            c.put_resp_cookie("a", "b", extra=bad)
        with pytest.raises((InvalidHeaderError, ValueError)):
            c.put_resp_header("x-a", bad)
    assert c.send_resp(200, "").get_resp_header("set-cookie") == []


# the table ---------------------------------------------------------------------------------------


def test_every_advisory_of_the_table_has_its_test_and_every_test_its_row() -> None:
    document = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
    named = {
        number.lower().replace("-", "_")
        for number in re.findall(r"^\| ((?:CVE|GHSA)-[\w-]+) \|", document, re.M)
    }
    tested = {
        found[1]
        for name in globals()
        if (found := re.match(r"test_((?:cve_\d+_\d+)|(?:ghsa_\w{4}))_", name))
    }
    assert tested
    assert named == tested
