"""The lifespan protocol: an ASGI application starts before the first request and stops after the
last (ASGI specification, Lifespan Protocol 2.0)."""

import asyncio
import logging
from typing import Any, Literal, Self

from plugpy.interop.asgi_types import (
    ASGI_VERSION,
    LIFESPAN_SPEC_VERSION,
    AsgiApplication,
    Message,
)
from plugpy.interop.errors import LifespanError

logger = logging.getLogger("plugpy.interop")

LifespanMode = Literal["auto", "on", "off"]
MODES: tuple[LifespanMode, ...] = ("auto", "on", "off")

SHUTDOWN_TIMEOUT = 15.0
"""Seconds for background work of requests, and again for the application's own shutdown."""


class Lifespan:
    """Starts and stops an ASGI application; also an async context manager.

    mode: "auto" serves applications without lifespan too, "on" takes them for broken, "off" never
    asks. state: what the application puts into `scope["state"]` at its start; every request gets a
    shallow copy. background: Tasks of requests that `shutdown` waits for first. Times in seconds.

    "auto" takes an application for one without lifespan when it raises or returns before it asked
    for the first event, or answers it as if it were a request. An application that raises later
    could not start: LifespanError.
    """

    def __init__(
        self,
        app: AsgiApplication,
        mode: LifespanMode = "auto",
        *,
        shutdown_timeout: float = SHUTDOWN_TIMEOUT,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"lifespan is one of {', '.join(MODES)}, got {mode!r}")
        self.state: dict[str, Any] = {}
        self.background: set[asyncio.Future[Any]] = set()
        self._app = app
        self._mode = mode
        self._shutdown_timeout = shutdown_timeout
        self._task: asyncio.Task[None] | None = None
        self._received = 0
        self._confused = False

    @property
    def supported(self) -> bool:
        """Whether the application takes part; False before its start."""
        return self._task is not None

    async def __aenter__(self) -> Self:
        await self.startup()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.shutdown()

    async def startup(self) -> None:
        """Start the application; returns when it has. Raises LifespanError when it could not."""
        if self._mode == "off" or self._task is not None:
            return
        loop = asyncio.get_running_loop()
        self.state.clear()
        self._received = 0
        self._confused = False
        self._started: asyncio.Future[None] = loop.create_future()
        self._stopping: asyncio.Future[None] = loop.create_future()
        self._stopped: asyncio.Future[None] = loop.create_future()
        scope = {
            "type": "lifespan",
            "asgi": {"version": ASGI_VERSION, "spec_version": LIFESPAN_SPEC_VERSION},
            "state": self.state,
        }
        task = loop.create_task(self._run(scope))
        try:
            await asyncio.wait({task, self._started}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if self._started.done():
            if not task.done():
                self._task = task
            error = self._started.exception()
            if error is not None:
                await self._end_task()
                raise error
            return
        failure = None if task.cancelled() else task.exception()
        knows_lifespan = self._received > 0 and not self._confused and failure is not None
        if self._mode == "auto" and not knows_lifespan:
            logger.debug("the ASGI application has no lifespan", exc_info=failure)
            return
        what = "returned without starting" if failure is None else f"raised {failure!r}"
        raise LifespanError(
            f"the ASGI application did not start: its lifespan {what}; serve it with lifespan off "
            "if it has none"
        ) from failure

    async def shutdown(self) -> None:
        """Wait for background work, then stop the application. Failures are logged."""
        if self.background:
            _, late = await asyncio.wait(self.background, timeout=self._shutdown_timeout)
            for each in late:
                each.cancel()
        task = self._task
        if task is None:
            return
        if not task.done():
            self._stopping.set_result(None)
            await asyncio.wait(
                {task, self._stopped},
                timeout=self._shutdown_timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
        if self._stopped.done():
            if (error := self._stopped.exception()) is not None:
                logger.error("%s", error)
        elif not task.done():
            logger.error(
                "the ASGI application did not stop within %g s: cancelled", self._shutdown_timeout
            )
        await self._end_task()

    async def _end_task(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        if not task.done():
            # A well-behaved application returns on its own right after its last message.
            await asyncio.wait({task}, timeout=0.1)
            task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("the lifespan of the ASGI application raised", exc_info=error)

    async def _run(self, scope: dict[str, Any]) -> None:
        await self._app(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        self._received += 1
        if self._received == 1:
            return {"type": "lifespan.startup"}
        await asyncio.shield(self._stopping)
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        stage, _, outcome = kind.removeprefix("lifespan.").partition(".")
        future = {"startup": self._started, "shutdown": self._stopped}.get(stage)
        if not kind.startswith("lifespan.") or future is None or future.done():
            self._confused = True
            raise RuntimeError(
                f"the ASGI application sent {kind!r} to its lifespan, which takes "
                "lifespan.startup.complete or .failed, then lifespan.shutdown.complete or .failed"
            )
        if outcome == "failed":
            reason = message.get("message") or "it gave no reason"
            future.set_exception(LifespanError(f"the ASGI application failed in {stage}: {reason}"))
            future.exception()  # whoever waits gets it; nobody need
        else:
            future.set_result(None)
