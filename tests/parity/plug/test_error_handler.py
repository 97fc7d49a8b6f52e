"""The cases of Plug's test/plug/error_handler_test.exs, around a router."""

import pytest

from plugpy.conn import Conn
from plugpy.pipeline import Pipeline, wrap
from plugpy.plugs import ErrorHandler
from plugpy.testing import call, conn


class ForbiddenError(Exception):
    status = 403


class MissingError(Exception):
    status = "not_found"


def routes(c: Conn) -> Conn:
    match c.path_info:
        case ["send_and_crash"]:
            c.send_resp(200, "sent")
            raise ForbiddenError("oops")
        case ["forbidden"]:
            raise ForbiddenError("oops")
        case ["missing"]:
            raise MissingError("oops")
    raise RuntimeError("oops")


def crash(path: str, error: type[Exception]) -> Conn:
    c = conn("GET", path)
    with pytest.raises(error, match="oops"):
        call(Pipeline([wrap(ErrorHandler), routes]), c)
    return c


def test_call_is_overridden() -> None:
    c = crash("/", RuntimeError)
    assert (c.sent, c.status, c.resp_body) == (True, 500, "Something went wrong")


def test_call_is_overridden_but_is_a_no_op_when_response_is_already_sent() -> None:
    c = crash("/send_and_crash", ForbiddenError)
    assert (c.status, c.adapter.sent_body) == (200, b"sent")


def test_call_is_overridden_and_does_not_unwrap_wrapped_errors() -> None:
    c = crash("/forbidden", ForbiddenError)
    assert (c.status, c.resp_body) == (403, "Something went wrong")


def test_call_supports_statuses_as_atoms() -> None:
    c = crash("/missing", MissingError)
    assert (c.status, c.resp_body) == (404, "Something went wrong")
