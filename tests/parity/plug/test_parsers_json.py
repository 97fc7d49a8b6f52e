"""The cases of Plug's test/plug/parsers/json_test.exs."""

import json
from typing import Any

import pytest

from plugpy.conn import Conn, RequestTooLargeError
from plugpy.plugs import Parsers
from plugpy.plugs.parsers import Json, ParseError
from plugpy.testing import call, conn


def parse(body: str, kind: str = "application/json", /, **options: Any) -> dict[str, Any]:
    """The parameters of a body; the options are those of the parser."""
    c = conn("POST", "/", body, {"content-type": kind})
    params: dict[str, Any] = call(Parsers(parsers=[Json(**options)]), c).params
    return params


def test_parses_the_request_body() -> None:
    assert parse('{"id": 1}') == {"id": 1}


def test_parses_the_request_body_when_it_is_an_array() -> None:
    assert parse("[1, 2, 3]") == {"_json": [1, 2, 3]}


def test_parses_the_request_body_when_it_is_a_scalar() -> None:
    assert parse('"text"') == {"_json": "text"}


def test_parses_the_request_body_when_it_is_a_number() -> None:
    assert parse("1") == {"_json": 1}


def test_parses_the_request_body_when_it_is_a_boolean() -> None:
    assert parse("false") == {"_json": False}


def test_parses_the_request_body_when_it_is_null() -> None:
    assert parse("null") == {"_json": None}


@pytest.mark.parametrize(
    "kind", ["application/vnd.api+json", "application/json; charset=utf-8", "Application/JSON"]
)
def test_parses_json_parseable_content_types(kind: str) -> None:
    assert parse('{"id": 1}', kind) == {"id": 1}


def test_parses_with_decoder_as_a_mfa_argument() -> None:
    def decoder(body: bytes) -> Any:
        return {key.upper(): value for key, value in json.loads(body).items()}

    assert parse('{"id": 1}', decoder=decoder) == {"ID": 1}


async def shouting(c: Conn, length: int | None) -> bytes:
    return (await c.body(length)).replace(b"foo", b"FOO")


def test_parses_with_custom_body_reader() -> None:
    assert parse('{"query": "foo"}', body_reader=shouting) == {"query": "FOO"}
    c = conn("POST", "/", '{"query": "foo"}', {"content-type": "application/json"})
    assert call(Parsers(parsers=["json"], body_reader=shouting), c).params == {"query": "FOO"}


def test_parses_with_custom_body_reader_and_extra_args() -> None:
    async def replace(c: Conn, length: int | None, by: bytes) -> bytes:
        return (await c.body(length)).replace(b"foo", by)

    async def reader(c: Conn, length: int | None) -> bytes:
        return await replace(c, length, b"bar")

    assert parse('{"query": "foo"}', body_reader=reader) == {"query": "bar"}


def test_expects_a_json_decoder() -> None:
    # There is one where none is given.
    assert parse('{"id": 1}', decoder=None) == {"id": 1}


@pytest.mark.parametrize("decoder", ["json", ("json", "loads"), 1])
def test_validates_the_json_decoder_expressed_as_a_module(decoder: Any) -> None:
    with pytest.raises(TypeError, match="decoder is a function"):
        Json(decoder=decoder)
    with pytest.raises(TypeError, match="decoder is a function"):
        Json(decoder=json)  # type: ignore[arg-type]


def test_raises_on_too_large_bodies() -> None:
    with pytest.raises(RequestTooLargeError) as caught:
        parse('{"id": 1}', length=5)
    assert caught.value.status == 413


@pytest.mark.parametrize(
    "body", ["invalid", "{", "[1,]", "NaN", '{"a": Infinity}', "\ufeff{}", "'a'"]
)
def test_raises_parseerror_with_malformed_json(body: str) -> None:
    with pytest.raises(ParseError, match="the body is not JSON") as caught:
        parse(body)
    assert caught.value.status == 400


def test_nests_all_json_when_nest_all_json_is_true() -> None:
    assert parse('{"_json": []}', nest_all=True) == {"_json": {"_json": []}}
    assert parse("[]", nest_all=True) == {"_json": []}
