"""The cases of Plug's test/plug/method_override_test.exs, with bodies that Parsers reads."""

import pytest

from plugpy.conn import Conn
from plugpy.pipeline import Pipeline
from plugpy.plugs import MethodOverride, Parsers
from plugpy.testing import call, conn

PLUGS = Pipeline([Parsers(parsers=["urlencoded", "json"]), MethodOverride()])
FORM = {"content-type": "application/x-www-form-urlencoded"}


def post(body: str, method: str = "POST", path: str = "/") -> Conn:
    return call(PLUGS, conn(method, path, body, FORM))


def test_no_op_when_body_is_not_parsed() -> None:
    assert MethodOverride()(conn("POST", "/", "_method=DELETE", FORM)).method == "POST"


def test_ignores_query_parameters() -> None:
    c = post("a=b", path="/?_method=DELETE")
    assert (c.params["_method"], c.method) == ("DELETE", "POST")


@pytest.mark.parametrize("body", ["_method[]=DELETE", "_method[a]=DELETE"])
def test_ignores_non_string_method_in_the_body(body: str) -> None:
    assert post(body).method == "POST"
    json = conn("POST", "/", '{"_method": ["DELETE"]}', {"content-type": "application/json"})
    assert call(PLUGS, json).method == "POST"


def test_converts_post_to_delete_when_method_delete_param_is_specified() -> None:
    assert post("_method=DELETE").method == "DELETE"


def test_converts_post_to_put_when_method_put_param_is_specified() -> None:
    assert post("_method=PUT").method == "PUT"


def test_converts_post_to_patch_when_method_patch_param_is_specified() -> None:
    assert post("_method=PATCH").method == "PATCH"


@pytest.mark.parametrize("name", ["delete", "Delete", "dElEtE"])
def test_the_method_parameter_works_with_non_uppercase_methods(name: str) -> None:
    assert post(f"_method={name}").method == "DELETE"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_non_post_requests_are_not_modified(method: str) -> None:
    assert post("_method=DELETE", method).method == method
