"""Events about what a router hands to its routes (Plug.Router's telemetry)."""

import time
from collections.abc import Awaitable
from typing import Any, Final

from plugpy.conn.conn import Conn
from plugpy.pipeline.compiler import Application, trusted
from plugpy.telemetry import execute

PREFIX: Final = "plugpy.router_dispatch"


class DispatchEvents:
    """Goes around the plugs and the handler of one route: `plugpy.router_dispatch.start`, then
    `.stop`, or `.exception` where something is raised.

    Measurements are those of `plugpy.telemetry.span`; the metadata is `conn`, `route`, the pattern
    from the root on, and `router`, the object; `.exception` has `reason`, what was raised.
    """

    __slots__ = ("_inner", "_router", "checks_plugs")

    def __init__(self, inner: Application, *, router: Any) -> None:
        self._inner = inner
        self._router = router
        trusted(self)

    def __call__(self, conn: Conn) -> Conn | Awaitable[Conn]:
        # The route is asked now: a forward puts another one there.
        about = {"conn": conn, "route": str(conn.route.pattern), "router": self._router}
        started = time.perf_counter()
        execute(f"{PREFIX}.start", {"system_time": time.time()}, about)
        try:
            result = self._inner(conn)
        except BaseException as error:
            _failed(started, about, error)
            raise
        if isinstance(result, Conn):
            _stopped(started, about)
            return result
        return self._wait(result, started, about)

    async def _wait(
        self, awaitable: Awaitable[Conn], started: float, about: dict[str, Any]
    ) -> Conn:
        try:
            answered = await awaitable
        except BaseException as error:
            _failed(started, about, error)
            raise
        _stopped(started, about)
        return answered


def _stopped(started: float, about: dict[str, Any]) -> None:
    execute(f"{PREFIX}.stop", {"duration": time.perf_counter() - started}, about)


def _failed(started: float, about: dict[str, Any], error: BaseException) -> None:
    duration = time.perf_counter() - started
    execute(f"{PREFIX}.exception", {"duration": duration}, {**about, "reason": error})
