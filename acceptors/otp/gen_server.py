"""GenServer: a process that serves calls and casts, one at a time.

The state is the instance; the process runs it. Callbacks may be sync or async.

    class Counter(GenServer):
        def init(self, start: int = 0) -> None:
            self.count = start

        def handle_call(self, request, from_):
            self.count += 1
            return self.count

    counter = await Counter.start_link(10)
    await call(counter, "next")      # 11

Source: gen_server(3), Elixir's GenServer.
"""

from __future__ import annotations

from typing import Any

from acceptors.otp.calls import From
from acceptors.otp.child_spec import Childlike, ChildSpec
from acceptors.otp.names import Via
from acceptors.otp.reasons import Reason
from acceptors.otp.reports import logger
from acceptors.otp.server_process import ServerProcess, start_server


class GenServer(Childlike):
    """Callbacks of a server; subclasses override what they need.

    `init` may return None, IGNORE, Stop(reason) or NoReply(...). `handle_call` returns the answer,
    or Reply, NoReply, Stop; the other handlers None, NoReply or Stop. To have `terminate` called
    when the parent says so, `init` does `flag("trap_exit", True)`.
    """

    def init(self, *args: Any, **kwargs: Any) -> Any:
        """Set the state up; `start_link` returns when this has."""

    def handle_call(self, request: Any, from_: From) -> Any:
        """Answer a `call`."""
        raise NotImplementedError(
            f"{type(self).__name__} was called with {request!r} and has no handle_call"
        )

    def handle_cast(self, request: Any) -> Any:
        """Act on a `cast`."""
        raise NotImplementedError(
            f"{type(self).__name__} was cast {request!r} and has no handle_cast"
        )

    def handle_info(self, message: Any) -> Any:
        """Act on any other message: EXIT, DOWN, timers, "timeout"."""
        logger.error("%s got a message that it does not handle: %r", type(self).__name__, message)

    def handle_continue(self, term: Any) -> Any:
        """Go on after `continue_=term`, before any message is served."""
        raise NotImplementedError(
            f"{type(self).__name__} continues with {term!r} and has no handle_continue"
        )

    def terminate(self, reason: Reason) -> Any:
        """Clean up. Runs after Stop, after an exception in a callback, and for an EXIT of the
        parent when trapping; not after `kill`, nor after an exit signal that is not trapped."""

    def format_status(self, status: dict[str, Any]) -> dict[str, Any]:
        """What `system.get_status` may show: override it to leave secrets out of `status["state"]`.

        The state is the attributes of the server, a copy of its `__dict__`.
        """
        return status

    def code_change(self, old_version: Any, extra: Any) -> Any:
        """Turn the state of `old_version` into that of this one (see `system.change_code`)."""

    @classmethod
    async def start_link(
        cls,
        *args: Any,
        name: str | Via | None = None,
        start_timeout: float | None = None,
        **kwargs: Any,
    ) -> ServerProcess | Any:
        """Start a server linked with the caller; its process once `init` returned, or IGNORE.

        start_timeout: seconds that `init` may take, None (default) for no limit; then the server is
            killed, the caller is not harmed, and StartError has the reason `timeout`.
        Raises StartError with the reason when `init` raised or said Stop (a caller that does not
        trap exits is then ended by the link, unless the reason is normal), and
        `("already_started", process)` when the name is taken.
        """
        return await start_server(cls(), args, kwargs, name=name, link=True, seconds=start_timeout)

    @classmethod
    async def start(
        cls,
        *args: Any,
        name: str | Via | None = None,
        start_timeout: float | None = None,
        **kwargs: Any,
    ) -> ServerProcess | Any:
        """As `start_link`, linked with nobody."""
        return await start_server(cls(), args, kwargs, name=name, link=False, seconds=start_timeout)

    @classmethod
    def child_spec(cls, *args: Any, **kwargs: Any) -> ChildSpec:
        """The server as a child; the arguments are those of `start_link`."""
        defaults: dict[str, Any] = {
            "id": kwargs.get("name") or cls.__name__,
            "start": cls.start_link,
            "args": args,
            "kwargs": kwargs,
            "modules": (cls,),
        }
        return ChildSpec(**{**defaults, **cls._child_fields})
