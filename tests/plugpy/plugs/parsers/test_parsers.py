"""Parsers (Plug.Parsers and its three parsers)."""

from __future__ import annotations

import gc
import os

import pytest

from plugpy.conn import (
    BadEncodingError,
    BadRequestError,
    InvalidQueryError,
    RequestTooLargeError,
    UnfetchedError,
    UnsupportedMediaTypeError,
)
from plugpy.plugs import Parsers
from plugpy.plugs.parsers import Json, Multipart, ParseError, UrlEncoded
from plugpy.plugs.parsers.json import _standard_loads
from plugpy.testing import call, conn

FORM = "application/x-www-form-urlencoded"
ALL = ["urlencoded", "multipart", "json"]


def post(body=b"", kind: str | None = FORM, method="POST", path="/", **options):
    headers = {} if kind is None else {"content-type": kind}
    return conn(method, path, body, headers, **options)


def parsed(sent, *parsers, **options):
    return call(Parsers(parsers=parsers or ALL, **options), sent).body_params


# who is parsed --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_methods_whose_body_is_read(method):
    assert parsed(post(b"a=1", method=method)) == {"a": "1"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_methods_whose_body_is_not_read(method):
    sent = Parsers(parsers=ALL)(post(b"a=1", method=method, path="/?q=1"))
    assert sent.query_params == {"q": "1"}
    with pytest.raises(UnfetchedError):
        _ = sent.body_params


def test_without_a_content_type_there_are_no_params():
    assert parsed(post(b"a=1", kind=None)) == {}


def test_a_body_that_was_read_before_is_kept():
    sent = post(b"a=1")
    sent.body_params = {"mine": True}
    assert Parsers(parsers=ALL)(sent).body_params == {"mine": True}


def test_params_are_path_over_body_over_query():
    sent = post(b"a=body&b=body&c=body", path="/?a=query&d=query")
    sent.path_params = {"b": "path"}
    assert call(Parsers(parsers=ALL), sent).params == {
        "a": "body",
        "b": "path",
        "c": "body",
        "d": "query",
    }


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/octet-stream", "nonsense", "", "multipart/byteranges"]
)
def test_other_types_are_a_415(kind):
    with pytest.raises(UnsupportedMediaTypeError) as caught:
        parsed(post(b"x", kind=kind))
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("passed", "kind"),
    [("*/*", "nonsense"), ("*/*", "text/plain"), ("text/*", "text/csv"), ("text/csv", "text/csv")],
)
def test_types_that_are_passed_stay_unread(passed, kind):
    sent = Parsers(parsers=ALL, pass_=[passed])(post(b"x", kind=kind))
    with pytest.raises(UnfetchedError):
        _ = sent.body_params
    assert call(lambda conn: read(conn), sent).assigns["body"] == b"x"


async def read(sent):
    return sent.assign("body", await sent.body())


def test_two_content_types_are_a_400():
    sent = conn("POST", "/", b"", [("content-type", FORM), ("content-type", "text/plain")])
    with pytest.raises(BadRequestError):
        parsed(sent)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
def test_compressed_bodies_are_not_inflated(encoding):
    sent = conn("POST", "/", b"a=1", {"content-type": FORM, "content-encoding": encoding})
    with pytest.raises(UnsupportedMediaTypeError, match="content-encoding"):
        parsed(sent)


def test_a_query_too_long_is_a_414():
    with pytest.raises(InvalidQueryError) as caught:
        Parsers(parsers=ALL, query_string_length=10)(conn("GET", "/?" + "a" * 11))
    assert caught.value.status == 414


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parsers": []}, "needs parsers"),
        ({"parsers": "json"}, "a list"),
        ({"parsers": ["jsn"]}, "did you mean 'json'"),
        ({"parsers": [object()]}, "no parser"),
        ({"parsers": ALL, "pass_": ["*"]}, "content-types"),
        ({"parsers": ALL, "pass_": "text/*"}, "a list"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        Parsers(**options)


def test_the_raw_body_stays_for_others():
    async def signed(sent):
        sent.assign("raw", await sent.body())
        return await Parsers(parsers=ALL)(sent)

    sent = call(signed, post(b'{"a":1}', "application/json"))
    assert sent.assigns["raw"] == b'{"a":1}'
    assert sent.body_params == {"a": 1}


def test_a_parser_of_ones_own():
    class Csv:
        def accepts(self, kind):
            return (kind.type, kind.subtype) == ("text", "csv")

        async def parse(self, sent, kind):
            return {"rows": (await sent.body()).decode().split(",")}

    assert parsed(post(b"a,b", "text/csv"), Csv, "json") == {"rows": ["a", "b"]}


# urlencoded -----------------------------------------------------------------------------------


def test_forms_nest():
    body = b"user[name]=Ann+Lee&user[tags][]=a&user[tags][]=%C3%A9&empty"
    assert parsed(post(body)) == {"user": {"name": "Ann Lee", "tags": ["a", "é"]}, "empty": ""}


@pytest.mark.parametrize("kind", [FORM.upper(), FORM + "; charset=utf-8"])
def test_the_content_type_of_a_form(kind):
    assert parsed(post(b"a=1", kind)) == {"a": "1"}


def test_an_empty_form():
    assert parsed(post(b"")) == {}


def test_a_form_too_long_is_a_413():
    with pytest.raises(RequestTooLargeError):
        parsed(post(b"a=" + b"1" * 9), UrlEncoded(length=10))
    assert parsed(post(b"a=" + b"1" * 8), UrlEncoded(length=10)) == {"a": "1" * 8}


def test_a_form_has_a_limit_of_its_own():
    with pytest.raises(RequestTooLargeError):
        parsed(post(b"a=" + b"1" * 1_000_000))


def test_the_limit_holds_for_a_body_that_was_read_before():
    async def both(sent):
        await sent.body()
        return await Parsers(parsers=[UrlEncoded(length=2)])(sent)

    with pytest.raises(RequestTooLargeError):
        call(both, post(b"a=1"))


def test_the_limit_of_a_route_is_the_smaller_one():
    class Route:
        max_body = 2

    sent = post(b"a=1")
    sent.route = Route()
    with pytest.raises(RequestTooLargeError):
        parsed(sent)


def test_bad_utf8_in_a_form():
    with pytest.raises(BadEncodingError, match="form is not UTF-8"):
        parsed(post(b"a=%FF"))
    assert parsed(post(b"a=%FF"), UrlEncoded(validate_utf8=False)) == {"a": "\ufffd"}


@pytest.mark.parametrize(
    "body", [b"a" + b"[b]" * 40 + b"=1", b"&".join(b"a=1" for _ in range(5000))]
)
def test_forms_too_deep_or_with_too_many_pairs_are_a_400(body):
    with pytest.raises(ParseError) as caught:
        parsed(post(body))
    assert caught.value.status == 400
    assert "query" not in str(caught.value)


# json -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
        (b"[1, 2]", {"_json": [1, 2]}),
        (b'"text"', {"_json": "text"}),
        (b"null", {"_json": None}),
        (b"", {}),
    ],
)
@pytest.mark.parametrize("kind", ["application/json", "application/vnd.api+json; charset=utf-8"])
def test_json(body, expected, kind):
    assert parsed(post(body, kind)) == expected


def test_everything_below_json():
    assert parsed(post(b'{"a":1}', "application/json"), Json(nest_all=True)) == {"_json": {"a": 1}}


@pytest.mark.parametrize(
    "body",
    [b"{", b"nope", b'{"a":NaN}', b"[" * 100_000, b'{"a":"\xff"}', b"\xff\xfe{\x00}\x00", b"1 2"],
)
@pytest.mark.parametrize("decoder", [None, _standard_loads])
def test_what_is_not_json_is_a_400(body, decoder):
    with pytest.raises(ParseError, match="not JSON"):
        parsed(post(body, "application/json"), Json(decoder=decoder))


def test_json_too_long_is_a_413():
    with pytest.raises(RequestTooLargeError):
        parsed(post(b'{"a":1}', "application/json"), Json(length=6))


def test_the_decoder_is_checked_at_once():
    with pytest.raises(TypeError, match="decoder"):
        Json(decoder="json")


# multipart ------------------------------------------------------------------------------------


def multipart(*parts: tuple[str, bytes], boundary="xyz"):
    body = b"".join(
        b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary.encode(), headers.encode(), data)
        for headers, data in parts
    )
    return body + b"--%b--\r\n" % boundary.encode()


def field(name, data):
    return f'Content-Disposition: form-data; name="{name}"', data


def file(name, filename, data, kind="text/plain"):
    return (
        "\r\n".join(
            [
                f'Content-Disposition: form-data; name="{name}"; filename="{filename}"',
                f"Content-Type: {kind}",
            ]
        ),
        data,
    )


MULTIPART = "multipart/form-data; boundary=xyz"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PLUG_TMPDIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("piece_size", [1, 7, 65_536])
def test_fields_and_files(folder, piece_size):
    body = multipart(
        field("user[name]", "Änn".encode()),
        file("user[photo]", "C:\\pics\\me.png", b"\x89PNG\r\n--xy", "image/png"),
        field("tags[]", b"a"),
        field("tags[]", b"b"),
    )
    sent = post(body, MULTIPART, piece_size=piece_size)
    params = parsed(sent)
    photo = params["user"]["photo"]
    assert params["user"]["name"] == "Änn"
    assert params["tags"] == ["a", "b"]
    assert photo.filename == "me.png"
    assert photo.content_type == "image/png"
    assert photo.size == 10
    with photo.open() as opened:
        assert opened.read() == b"\x89PNG\r\n--xy"
    assert os.stat(photo.path).st_mode & 0o777 == 0o600
    assert os.path.dirname(photo.path) == str(folder)


def test_files_vanish_with_the_request(folder):
    sent = post(multipart(file("f", "a.txt", b"data")), MULTIPART)
    parsed(sent)
    assert len(os.listdir(folder)) == 1
    del sent
    gc.collect()
    assert os.listdir(folder) == []


def test_a_file_that_is_kept_or_moved_stays(folder, tmp_path_factory):
    async def handle(sent):
        await Parsers(parsers=ALL)(sent)
        uploads = sent.body_params
        assert await uploads["b"].read() == b"two"
        kept = uploads["a"].keep()
        moved = await uploads["b"].move(target / "b.txt")
        uploads["c"].delete()
        return sent.merge_assigns(kept=kept, moved=moved)

    target = tmp_path_factory.mktemp("target")
    body = multipart(
        file("a", "a.txt", b"one"), file("b", "b.txt", b"two"), file("c", "c.txt", b"three")
    )
    sent = call(handle, post(body, MULTIPART))
    kept, moved = sent.assigns["kept"], sent.assigns["moved"]
    del sent
    gc.collect()
    assert [os.path.join(folder, name) for name in os.listdir(folder)] == [kept]
    with open(moved, "rb") as opened:
        assert opened.read() == b"two"


def test_a_move_replaces_nobody(folder, tmp_path_factory):
    async def handle(sent):
        await Parsers(parsers=ALL)(sent)
        await sent.body_params["a"].move(target)
        return sent

    target = tmp_path_factory.mktemp("target") / "there.txt"
    target.write_text("mine")
    with pytest.raises(FileExistsError):
        call(handle, post(multipart(file("a", "a.txt", b"one")), MULTIPART))
    assert target.read_text() == "mine"


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        ('form-data; name="a"; filename=""', {}),
        ("form-data", {}),
        ('form-data; filename="x.txt"', {}),
        ('form-data; name="a"', {"a": "data"}),
        ("form-data; name=a", {"a": "data"}),
        ('form-data; name="\\"q\\""', {'"q"': "data"}),
    ],
)
def test_parts_without_name_or_file(folder, disposition, expected):
    body = multipart((f"Content-Disposition: {disposition}", b"data"), field("z", b"1"))
    assert parsed(post(body, MULTIPART)) == {**expected, "z": "1"}
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ("filename*=utf-8''%e2%82%ac.txt", "\u20ac.txt"),
        ("filename=\"x.txt\"; filename*=UTF-8'en'y.txt", "y.txt"),
        ('filename="../../etc/passwd"', "passwd"),
        ('filename="/"', "unnamed"),
        ('filename="été.txt"', "été.txt"),
    ],
)
def test_file_names(folder, disposition, filename):
    body = multipart((f'Content-Disposition: form-data; name="a"; {disposition}', b"data"))
    assert parsed(post(body, MULTIPART))["a"].filename == filename


def test_a_file_name_that_is_not_utf8(folder):
    body = multipart(("Content-Disposition: form-data; name=\"a\"; filename*=utf-8''%ff", b""))
    with pytest.raises(BadEncodingError):
        parsed(post(body, MULTIPART))


def test_a_field_that_is_not_utf8(folder):
    body = multipart(file("f", "a.txt", b"x"), field("a", b"\xff"))
    with pytest.raises(BadEncodingError):
        parsed(post(body, MULTIPART))
    assert os.listdir(folder) == []
    sent = post(body, MULTIPART)
    assert parsed(sent, Multipart(validate_utf8=False))["a"] == "\ufffd"


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ({"length": 200}, multipart(field("a", b"x" * 200))),
        ({"length": 200}, multipart(file("a", "a.txt", b"x" * 200))),
        ({"length": 200}, multipart(("X-Part: no name", b"x" * 200))),
        ({"length": 200}, multipart(*[field("a", b"")] * 5)),
        ({"field_length": 10}, multipart(field("a", b"x" * 11))),
        ({"file_length": 10}, multipart(file("a", "a.txt", b"x" * 11))),
        ({"max_files": 2}, multipart(*[file("a[]", "a.txt", b"x")] * 3)),
    ],
)
@pytest.mark.parametrize("piece_size", [16, 65_536])
def test_limits_of_a_multipart_body_are_a_413(folder, options, body, piece_size):
    with pytest.raises(RequestTooLargeError) as caught:
        parsed(post(body, MULTIPART, piece_size=piece_size), Multipart(**options))
    assert caught.value.status == 413
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ({"field_length": 10}, multipart(field("a", b"x" * 10))),
        ({"file_length": 10}, multipart(file("a", "a.txt", b"x" * 10))),
        ({"max_files": 2}, multipart(*[file("a[]", "a.txt", b"x")] * 2)),
    ],
)
def test_limits_that_are_just_kept(folder, options, body):
    assert "a" in parsed(post(body, MULTIPART), Multipart(**options))


def test_a_body_that_is_cut_off_leaves_no_file(folder):
    body = multipart(file("a", "a.txt", b"x"), file("b", "b.txt", b"y"))[:-20]
    with pytest.raises(BadRequestError):
        parsed(post(body, MULTIPART))
    assert os.listdir(folder) == []


def test_a_file_that_cannot_be_written_leaves_nothing(folder, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("plugpy.upload.UploadWriter._write", full)
    with pytest.raises(OSError, match="No space"):
        parsed(post(multipart(file("a", "a.txt", b"x")), MULTIPART))
    assert os.listdir(folder) == []
