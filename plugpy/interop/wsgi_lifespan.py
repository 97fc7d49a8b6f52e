"""The end of a WSGI application: its threads are waited for."""

import asyncio
import logging
from typing import Any, Self

from plugpy.interop.thread_pool import ThreadPool

logger = logging.getLogger("plugpy.interop")


class WsgiLifespan:
    """Stops the threads of a WSGI application; also an async context manager.

    WSGI knows no start and no end of an application, so starting does nothing. shutdown_timeout:
    seconds that requests are waited for which still run when their clients have gone.
    """

    def __init__(self, pool: ThreadPool, *, shutdown_timeout: float) -> None:
        self.state: dict[str, Any] = {}
        self._pool = pool
        self._shutdown_timeout = shutdown_timeout

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.shutdown()

    async def startup(self) -> None:
        """Nothing: threads are started when requests come."""

    async def shutdown(self) -> None:
        """Wait for the threads, then let them end; those that work on are logged and left."""
        try:
            async with asyncio.timeout(self._shutdown_timeout):
                await self._pool.idle()
        except TimeoutError:
            logger.error(
                "%d requests of the WSGI application did not end within %g s: left behind",
                self._pool.busy,
                self._shutdown_timeout,
            )
        self._pool.close()
