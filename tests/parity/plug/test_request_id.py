"""The cases of Plug's test/plug/request_id_test.exs."""

import re

from plugpy.conn import Conn
from plugpy.plugs import RequestId, current_request_id
from plugpy.plugs.request_id import counting_generator
from plugpy.testing import conn

LONG_ENOUGH = "existing-id-of-another"


def id_of(answered: Conn, header: str = "x-request-id") -> str:
    (value,) = answered.get_resp_header(header)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", value)
    assert value == answered.request_id == current_request_id.get()
    return value


def test_generates_new_request_id_with_generator() -> None:
    make = counting_generator()
    plug = RequestId(generator=lambda: f"app-{make()}")
    assert id_of(plug(conn("GET", "/"))).startswith("app-")


def test_generates_new_request_id_if_none_exists() -> None:
    plug = RequestId()
    assert id_of(plug(conn("GET", "/"))) != id_of(plug(conn("GET", "/")))


def test_generates_new_request_id_if_existing_one_is_invalid() -> None:
    for sent in ("tooshort", "a" * 19, "a" * 201, "with a space, long enough", "ä" * 30):
        assert id_of(RequestId()(conn("GET", "/", headers={"x-request-id": sent}))) != sent


def test_uses_existing_request_id() -> None:
    c = conn("GET", "/", headers={"x-request-id": LONG_ENOUGH})
    assert id_of(RequestId()(c)) == LONG_ENOUGH


def test_generates_new_request_id_in_custom_header() -> None:
    answered = RequestId(http_header="my-request-id")(conn("GET", "/"))
    assert id_of(answered, "my-request-id")
    assert answered.get_resp_header("x-request-id") == []


def test_uses_existing_request_id_in_custom_header() -> None:
    c = conn("GET", "/", headers={"my-request-id": LONG_ENOUGH, "x-request-id": "b" * 30})
    assert id_of(RequestId(http_header="my-request-id")(c), "my-request-id") == LONG_ENOUGH


def test_assigns_the_request_id_to_conn_assigns_when_given_an_assignment_key() -> None:
    c = conn("GET", "/", headers={"x-request-id": LONG_ENOUGH})
    answered = RequestId(assign_as="my_id")(c)
    assert answered.assigns["my_id"] == id_of(answered) == LONG_ENOUGH


def test_adds_the_request_id_to_logger_metadata_with_the_given_log_key() -> None:
    c = conn("GET", "/", headers={"x-request-id": LONG_ENOUGH})
    RequestId()(c)
    assert current_request_id.get() == LONG_ENOUGH
