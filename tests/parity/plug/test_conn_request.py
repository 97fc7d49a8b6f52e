"""The cases of Plug's test/plug/conn_test.exs on the body and the query of a request."""

import pytest

from plugpy.conn import InvalidQueryError
from plugpy.testing import conn


async def test_read_body() -> None:
    data = b"0123456789" * 1000
    c = conn("POST", "/", data, {"content-type": "text/plain"})
    assert await c.read_body() == (data, False)
    assert await c.read_body() == (b"", False)


async def test_read_body_partial_retrieval() -> None:
    data = b"0123456789" * 100
    c = conn("POST", "/", data, {"content-type": "text/plain"}, piece_size=30)
    part = await c.read_body(length=100)
    assert part.more
    assert part.data == data[: len(part.data)]
    assert 100 <= len(part.data) < 130
    rest = await c.read_body()
    assert part.data + rest.data == data
    assert not rest.more


def test_query_params_and_fetch_query_params() -> None:
    """Fetched when used: fetch_query_params is for limits of one's own."""
    assert conn("GET", "/one?a=b&c=d").query_params == {"a": "b", "c": "d"}
    c = conn("GET", "/one?a=b&c=d")
    assert c.fetch_query_params() is c
    assert c.query_params == {"a": "b", "c": "d"}
    assert conn("GET", "/one").fetch_query_params().query_params == {}


def test_query_params_params_and_fetch_query_params() -> None:
    """Params that a plug assigns are taken as they are; the query stays apart."""
    assert conn("GET", "/one?a=b&c=d").params == {"a": "b", "c": "d"}
    c = conn("GET", "/one?a=b&c=d")
    c.params = {"a": "z"}
    c.fetch_query_params()
    assert c.params == {"a": "z"}
    assert c.query_params == {"a": "b", "c": "d"}


@pytest.mark.parametrize("path", ["/one?a=\u008b", "/one?a=%8B", "/one?%8B"])
def test_fetch_query_params_with_invalid_utf_8(path: str) -> None:
    with pytest.raises(InvalidQueryError, match="byte 139") as caught:
        conn("GET", path).fetch_query_params()
    assert caught.value.status == 400
    c = conn("GET", path)
    with pytest.raises(InvalidQueryError):
        _ = c.query_params
    with pytest.raises(InvalidQueryError):
        _ = c.params
    assert c.fetch_query_params(validate_utf8=False).query_params


def test_fetch_query_params_with_low_length() -> None:
    c = conn("GET", "/one?abc=123")
    with pytest.raises(InvalidQueryError, match="7 bytes, the maximum is 5") as caught:
        c.fetch_query_params(length=5)
    assert caught.value.status == 414
    assert c.fetch_query_params(length=7).query_params == {"abc": "123"}


def test_params_take_path_before_body_before_query() -> None:
    """The order of Plug.Parsers and Plug.Router."""
    c = conn("POST", "/one?a=query&b=query&c=query")
    c.body_params = {"b": "body", "c": "body"}
    c.path_params = {"c": "path"}
    assert c.params == {"a": "query", "b": "body", "c": "path"}
