"""One application as a server serves it: compiled, with its lifespan and its children.

A server has one, and further ones where listeners have applications of their own.
"""

import inspect
import logging
from collections.abc import Callable
from typing import Any

from acceptors.otp import ChildSpec, Process
from plugpy.conn import Conn
from plugpy.pipeline import compiled, parts_of
from plugpy.pipeline.order import missing_plugs
from plugpy.server.application import Loaded
from plugpy.server.children import APPLICATION
from plugpy.server.errors import ApplicationError
from plugpy.server.settings import Settings

logger = logging.getLogger("plugpy.server")


class ServedApplication:
    """An application of a server. Raises ApplicationError where it can't be served.

    name: import string or qualified name. plug: what answers. id: of the supervisor of its children
    among the server's. children: that supervisor, also after it has ended.
    """

    __slots__ = ("_lifespan", "_loaded", "children", "id", "name", "plug")

    def __init__(self, loaded: Loaded, settings: Settings, number: int = 1) -> None:
        try:
            loaded.owner.check()
        except (TypeError, ValueError) as error:
            raise ApplicationError(f"{loaded.name}: {error}") from error
        self._loaded = loaded
        self.name: str = loaded.name
        self.id = APPLICATION if number == 1 else f"{APPLICATION}-{number}"
        self.children: Process | None = None
        self.plug: Callable[..., Any] = self._make_plug(settings)
        self._lifespan: Any = None
        for missing in missing_plugs(parts_of(self.plug)):
            logger.warning("%s: %s", self.name, missing)
        # Of the application, or of those that are mounted in it. PERF: most need none of interop.
        if any(hasattr(part, "lifespan") for part in parts_of(self.plug)):
            from plugpy.interop import Lifespans

            self._lifespan = Lifespans(self.plug)

    def _make_plug(self, settings: Settings) -> Any:
        if self._loaded.interface in ("asgi", "wsgi"):
            try:
                return self._bridge(settings)
            except TypeError as error:
                raise ApplicationError(f"{self.name}: {error}") from error
        try:
            # A wrong route or pipeline is an error of the start, not of the first request.
            return compiled(self._loaded.application)
        except Exception as error:
            raise ApplicationError(f"{self.name} is wrong: {error}") from error

    def _bridge(self, settings: Settings) -> Any:
        from plugpy.interop import asgi_plug, wsgi_plug
        from plugpy.interop.lifespan import SHUTDOWN_TIMEOUT

        if self._loaded.interface == "asgi":
            return asgi_plug(self._loaded.application)
        return wsgi_plug(
            self._loaded.application,
            threads=settings["threads"],
            multiprocess=settings["workers"] != 1,
            # Their connections have had that time already.
            shutdown_timeout=min(SHUTDOWN_TIMEOUT, float(settings["shutdown_timeout"])),
        )

    async def startup(self) -> None:
        """Start the lifespans of ASGI applications. Raises ApplicationError."""
        if self._lifespan is not None:
            from plugpy.interop import LifespanError

            try:
                await self._lifespan.startup()
            except LifespanError as error:
                raise ApplicationError(str(error)) from error

    async def shutdown(self) -> None:
        """End the lifespans. May be called again."""
        if self._lifespan is not None:
            await self._lifespan.shutdown()

    async def call_back(self, name: str) -> None:
        """Call prep_stop or stop of the application; whatever it raises, the server stops."""
        try:
            result = getattr(self._loaded.owner, name)()
            if inspect.isawaitable(result):
                await result
        except Exception:
            logger.exception("%s: %s raised", self.name, name)

    def child_specs(self) -> list[ChildSpec]:
        """The supervisor of its children, as a child of the server's; [] without children."""
        if not self._loaded.owner.has_children:
            return []
        spec = ChildSpec(
            id=self.id,
            start=self._start_children,
            type="supervisor",
            # One that was killed is started anew; one that gave up ends the server.
            restart="transient",
            significant=True,
        )
        return [spec]

    async def _start_children(self) -> Process:
        self.children = await self._loaded.owner.start_link()
        return self.children


def with_rewriting(plug: Callable[..., Any], settings: Settings) -> Callable[..., Any]:
    """`plug` behind RewriteOn, where the option rewrite-on names a header."""
    if not settings["rewrite_on"]:
        return plug
    from plugpy.plugs import RewriteOn

    rewrite = RewriteOn(headers=settings["rewrite_on"], trusted_proxies=settings["trusted_proxies"])

    def rewritten(conn: Conn) -> Any:
        return plug(rewrite(conn))

    # Errors name what was served, not this.
    rewritten.__qualname__ = getattr(plug, "__qualname__", None) or type(plug).__qualname__
    return rewritten
