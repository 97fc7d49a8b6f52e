"""The lifespans of all applications that are mounted in a router or a pipeline."""

import inspect
from typing import Any, Self

from plugpy.pipeline import parts_of


class Lifespans:
    """Starts and stops what is mounted in `plug`; also an async context manager.

    async with lifespan_of(router):
        ...  # requests

    Anything in it with a `lifespan` takes part: an object with async methods `startup` and
    `shutdown`. They are started in the order in which they are mounted, and stopped in reverse.
    """

    def __init__(self, plug: Any) -> None:
        found: dict[int, Any] = {}
        for part in parts_of(plug):
            lifespan = getattr(part, "lifespan", None)
            if hasattr(lifespan, "startup") and hasattr(lifespan, "shutdown"):
                found[id(lifespan)] = lifespan
        self._all = list(found.values())
        self._started: list[Any] = []

    def __bool__(self) -> bool:
        return bool(self._all)

    async def __aenter__(self) -> Self:
        await self.startup()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.shutdown()

    async def startup(self) -> None:
        """Start all. Where one can't be, those before it are stopped; raises what it raised."""
        try:
            for lifespan in self._all[len(self._started) :]:
                await lifespan.startup()
                self._started.append(lifespan)
        except BaseException:
            await self.shutdown()
            raise

    async def shutdown(self) -> None:
        """Stop all that were started. May be called again."""
        while self._started:
            await self._started.pop().shutdown()


def lifespan_of(plug: Any) -> Lifespans:
    """The lifespans of the ASGI and WSGI applications in `plug`, as one: for tests, and for who
    serves plugs by other means. A server starts them itself.

    plug: a router, a pipeline, or any plug; not a class of them. Raises TypeError, and what
    compiling a router raises.
    """
    if inspect.isclass(plug):
        raise TypeError(
            f"lifespan_of takes what is served: an instance of {plug.__qualname__}, not the class"
        )
    return Lifespans(plug)
