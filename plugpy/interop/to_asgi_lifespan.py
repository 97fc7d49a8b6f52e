"""Outlet: what is served beyond plugpy's own server, and its life from start to end."""

import asyncio
import inspect
import logging
import os
from collections.abc import Callable
from typing import Any

from acceptors import otp
from plugpy.conn import Conn
from plugpy.interop.asgi_types import Receive, Send
from plugpy.interop.started import Lifespans
from plugpy.pipeline import compiled

logger = logging.getLogger("plugpy.interop")

SHUTDOWN_TIMEOUT = 15.0
"""Seconds that the children of an application and tasks have to end."""


class Outlet:
    """The plug, its application's children, and the lifespans of what is mounted in it.

    plug: compiled when it is first asked for. secret_key_base: of cookies, hidden.
    """

    def __init__(self, application: Any, secret_key_base: str | None = None) -> None:
        if inspect.isclass(application):
            application = application()
        router = getattr(application, "router", None)
        # A plugpy.Application has no call that takes a Conn: its router is what is served.
        owner = application if router is not None and hasattr(application, "prep_stop") else None
        served = application if owner is None else router
        if inspect.isclass(served):
            served = served()
        if not callable(served):
            raise TypeError(f"a plug, a router or an application is expected, got {served!r}")
        self._served = served
        self._owner = owner
        self._plug: Callable[[Conn], Any] | None = None
        self._holder: otp.Process | None = None
        self._lifespans: Lifespans | None = None
        self._tasks: otp.TaskSupervisor | None = None
        self.secret_key_base = secret_key_base or os.environ.get("PLUGPY_SECRET_KEY_BASE")

    @property
    def plug(self) -> Callable[[Conn], Any]:
        """What answers. Raises what compiling it raises."""
        if self._plug is None:
            self._plug = compiled(self._served)
        return self._plug

    @property
    def tasks(self) -> otp.TaskSupervisor:
        """What is behind `conn.tasks`; made when a plug asks."""
        if self._tasks is None or not self._tasks.alive:
            self._tasks = otp.TaskSupervisor()
        return self._tasks

    async def startup(self) -> None:
        """Start what is mounted, then the children. Raises what they raise."""
        self._lifespans = Lifespans(self.plug)
        await self._lifespans.startup()
        try:
            if self._owner is not None and self._owner.has_children:
                self._owner.check()
                ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._holder = otp.spawn(self._hold, ready)
                await ready
        except BaseException:
            await self._lifespans.shutdown()
            raise

    async def shutdown(self) -> None:
        """Stop in reverse."""
        await self._call_back("prep_stop")
        if self._tasks is not None and self._tasks.alive:
            otp.exit(self._tasks, "shutdown")
            await _ended(self._tasks)
        if self._holder is not None and self._holder.alive:
            otp.send(self._holder, "stop")
            await _ended(self._holder)
        if self._lifespans is not None:
            await self._lifespans.shutdown()
        await self._call_back("stop")

    async def _hold(self, ready: "asyncio.Future[None]") -> None:
        """The process that the children hang on, so that their end is nobody else's."""
        otp.flag("trap_exit", True)
        try:
            assert self._owner is not None
            children = await self._owner.start_link()
        except Exception as error:
            ready.set_exception(error)
            return
        ready.set_result(None)
        stopping = False
        while True:
            message = await otp.receive()
            if message == "stop":
                stopping = True
                otp.exit(children, "shutdown")
            elif isinstance(message, tuple) and message[:2] == ("EXIT", children):
                if not stopping:
                    logger.error("the children of the application are over: %s", message[2])
                return

    async def _call_back(self, name: str) -> None:
        if self._owner is None:
            return
        try:
            result = getattr(self._owner, name)()
            if inspect.isawaitable(result):
                await result
        except Exception:
            logger.exception("%s raised", name)

    async def lifespan(self, receive: Receive, send: Send) -> None:
        """The lifespan protocol: started and stopped by the server's order."""
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                try:
                    await self.startup()
                except Exception as error:
                    logger.exception("the application could not start")
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif event["type"] == "lifespan.shutdown":
                try:
                    await self.shutdown()
                except Exception as error:
                    logger.exception("the application could not stop")
                    await send({"type": "lifespan.shutdown.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.shutdown.complete"})
                return


async def _ended(process: otp.Process) -> None:
    """Wait for the end of `process`; kill it when its time is over."""
    try:
        async with asyncio.timeout(SHUTDOWN_TIMEOUT):
            await process.join()
    except TimeoutError:
        otp.exit(process, "kill")
