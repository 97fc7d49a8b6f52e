"""RequestId (Plug.RequestId)."""

from __future__ import annotations

import re
from contextvars import copy_context

import pytest

from plugpy.plugs import RequestId, current_request_id
from plugpy.testing import conn


def sent_id(plug: RequestId, **headers: str) -> str:
    answered = plug(conn("GET", "/", headers=headers))
    (value,) = answered.get_resp_header("x-request-id")
    return value


def test_an_id_is_made():
    plug = RequestId()
    ids = {sent_id(plug) for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[0-9a-f]{24}", value) for value in ids)


def test_two_plugs_make_different_ids():
    assert sent_id(RequestId())[:16] != sent_id(RequestId())[:16]


@pytest.mark.parametrize("value", ["a" * 20, "a" * 200, "0123-4567-89ab-cdef/+="])
def test_a_good_id_of_the_client_is_kept(value):
    assert sent_id(RequestId(), **{"x-request-id": value}) == value


@pytest.mark.parametrize(
    "value", ["", "a" * 19, "a" * 201, "a" * 20 + " b", "a" * 20 + "\x7f", "\xe4" * 20, "a\n" * 20]
)
def test_a_bad_id_of_the_client_is_replaced(value):
    assert re.fullmatch(r"[0-9a-f]{24}", sent_id(RequestId(), **{"x-request-id": value}))


def test_another_header():
    plug = RequestId(http_header="x-trace")
    answered = plug(conn("GET", "/", headers={"x-trace": "b" * 20}))
    assert answered.get_resp_header("x-trace") == ["b" * 20]
    assert answered.get_resp_header("x-request-id") == []


@pytest.mark.parametrize("name", ["X-Request-Id", "x y", "x\r\ny", ""])
def test_a_header_name_is_checked_at_once(name):
    with pytest.raises(ValueError, match="lower-case header name"):
        RequestId(http_header=name)


def test_where_the_id_is_put():
    def run() -> None:
        answered = RequestId(assign_as="id")(conn("GET", "/"))
        (value,) = answered.get_resp_header("x-request-id")
        assert answered.assigns["id"] == answered.request_id == value
        assert current_request_id.get() == value

    before = current_request_id.get()
    copy_context().run(run)
    assert current_request_id.get() == before


def test_a_generator_of_ones_own():
    assert sent_id(RequestId(generator=lambda: "mine")) == "mine"
