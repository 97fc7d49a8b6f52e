"""Timeout: an end to what takes too long."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from plugpy.conn import Conn, ConnError
from plugpy.pipeline.compiler import Application, trusted


class PlugTimeoutError(ConnError):
    """The plugs behind Timeout took too long."""

    status = 503


class Timeout:
    """Cancels the plugs behind it after so many seconds, and answers 503.

    Options:
      seconds   time that they have
      status    503; 504 where they wait for another server

    Async plugs only: one that does not await can't be ended, nor one that works in a thread.
    A route has `timeout=` of its own, kept to the second and without a timer; this is for shorter
    times and for parts of a pipeline. Once a response has begun, the connection is broken off.
    Put it around plugs: `wrap(Timeout, seconds=0.5)`. Raises ValueError for a time not above 0.

    >>> import asyncio
    >>> from plugpy.pipeline import Pipeline, wrap
    >>> from plugpy.testing import call, conn
    >>> async def forever(conn):
    ...     await asyncio.Event().wait()
    >>> try:
    ...     call(Pipeline([wrap(Timeout, seconds=0.001), forever]), conn("GET", "/"))
    ... except PlugTimeoutError as error:
    ...     print(error.status)
    503
    """

    __slots__ = ("_inner", "_seconds", "_status", "checks_plugs")

    def __init__(self, inner: Application, *, seconds: float, status: int = 503) -> None:
        if not callable(inner):
            raise TypeError("Timeout goes around plugs: declare it by wrap(Timeout, seconds=...)")
        if seconds <= 0:
            raise ValueError(f"seconds is above 0, got {seconds}")
        if not 500 <= status <= 599:
            raise ValueError(f"status is 500 to 599, got {status}")
        self._inner = inner
        self._seconds = seconds
        self._status = status
        trusted(self)

    def __call__(self, conn: Conn) -> Conn | Awaitable[Conn]:
        result: Any = self._inner(conn)
        return result if result is conn else self._wait(result)

    async def _wait(self, awaitable: Awaitable[Conn]) -> Conn:
        try:
            async with asyncio.timeout(self._seconds) as limit:
                return await awaitable
        except TimeoutError:
            if not limit.expired():
                raise  # one of theirs
            raise PlugTimeoutError(
                f"not answered within {self._seconds:g} s", status=self._status
            ) from None
