"""Which errors of an application say that its client has left."""

from __future__ import annotations

import pytest

from plugpy.conn import ClientDisconnected
from plugpy.interop.disconnects import is_disconnect

LEFT = ClientDisconnected()


class ClientDisconnect(Exception):  # noqa: N818 - as Starlette calls it
    """A framework's own."""


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def while_handling(error: BaseException, context: BaseException) -> BaseException:
    error.__context__ = context
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (LEFT, True),
        (ValueError(), False),
        (ClientDisconnect(), False),
        (while_handling(ClientDisconnect(), LEFT), True),
        (while_handling(ValueError(), LEFT), False),
        (caused(ValueError(), LEFT), True),
        (caused(ClientDisconnect(), while_handling(ValueError(), LEFT)), False),
        (ExceptionGroup("", [LEFT, LEFT]), True),
        (ExceptionGroup("", [LEFT, ValueError()]), False),
        (caused(ValueError(), ExceptionGroup("", [LEFT])), True),
    ],
)
def test_is_disconnect(error: BaseException, expected: bool):
    assert is_disconnect(error) is expected
