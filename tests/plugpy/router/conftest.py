"""Helpers of the router's tests."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from plugpy.conn import Conn
from plugpy.testing import conn as make_conn

Call = Callable[..., Conn]


@pytest.fixture
def call() -> Call:
    """`call(application, "GET", "/path", headers={}, body=b"")`: run a sync application."""

    def call(application: Any, method: str, path: str, **options: Any) -> Conn:
        conn = make_conn(method, path, **options)
        result = application(conn)
        assert result is conn, "the application was async"
        return conn

    return call


@pytest.fixture
def call_async() -> Callable[..., Awaitable[Conn]]:
    """As `call`, for applications that may be async."""

    async def call(application: Any, method: str, path: str, **options: Any) -> Conn:
        conn = make_conn(method, path, **options)
        result = application(conn)
        if result is not conn:
            assert inspect.isawaitable(result)
            result = await result
        assert result is conn
        return conn

    return call
