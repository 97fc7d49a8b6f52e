"""ServerProcess: the process that runs the callbacks of a GenServer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from acceptors.otp.calls import CallMessage, CastMessage, From, SystemMessage
from acceptors.otp.child_spec import IGNORE
from acceptors.otp.clock import current_clock
from acceptors.otp.debug import Debug
from acceptors.otp.errors import BadArgumentError, Exit, StartError
from acceptors.otp.mailbox import TIMED_OUT
from acceptors.otp.names import Via
from acceptors.otp.outcomes import NoReply, Reply, Stop
from acceptors.otp.process import ParentProcess, Process
from acceptors.otp.reasons import KILL, NORMAL, Reason
from acceptors.otp.signals import post_exit
from acceptors.otp.starting import abandon, check_free, take_name
from acceptors.otp.supervision import attach, caller_and_parent, forget_exit
from acceptors.otp.task_process import TaskProcess

if TYPE_CHECKING:
    from acceptors.otp.gen_server import GenServer


class ServerProcess(TaskProcess):
    """A process that serves messages with the callbacks of `server`."""

    __slots__ = ("debug", "server", "starter", "suspended")

    def __init__(self, server: GenServer, parent: ParentProcess | None = None) -> None:
        super().__init__(parent)
        self.server = server
        # Whose EXIT means "end" (G1): the process that called start_link.
        self.starter: Process | None = None
        self.suspended = False
        self.debug: Debug | None = None
        self.label = type(server).__name__

    async def serve(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], ready: Callable[[Any], None]
    ) -> None:
        """Run `init`, tell `ready`, then serve messages until one of them ends it."""
        outcome = await _result(self.server.init(*args, **kwargs))
        if outcome is IGNORE:
            ready(IGNORE)
            return
        if isinstance(outcome, Stop):
            raise Exit(outcome.reason)
        ready(self)
        try:
            timeout = await self._follow(outcome)
            while True:
                timeout = await self._serve_one(timeout)
        except Exit as ending:
            await self._terminate(ending.reason)
            if isinstance(ending, _Stopping) and ending.answers is not None:
                ending.answers()
            raise
        except Exception as failure:
            await self._terminate(failure)
            raise

    async def _serve_one(self, seconds: float | None) -> float | None:
        if self.suspended:
            message = await self._receive((SystemMessage, self._is_end), None)
        else:
            message = await self._receive((), seconds)
        server = self.server
        if self.debug is not None:
            self.debug.got(self, message)
        if message is TIMED_OUT:
            return await self._follow(await _result(server.handle_info("timeout")))
        if isinstance(message, CallMessage):
            outcome = await _result(server.handle_call(message.request, message.from_))
            return await self._answer(outcome, message.from_)
        if isinstance(message, CastMessage):
            return await self._follow(await _result(server.handle_cast(message.request)))
        if isinstance(message, SystemMessage):
            await self._system(message)
            return seconds
        if self._is_end(message):
            raise Exit(message[2])
        return await self._follow(await _result(server.handle_info(message)))

    def _is_end(self, message: Any) -> bool:
        return (
            isinstance(message, tuple)
            and len(message) == 3
            and isinstance(message[0], str)
            and message[0] == "EXIT"
            and (message[1] is self.starter or message[1] is self.parent)
        )

    async def _answer(self, outcome: Any, from_: From) -> float | None:
        if isinstance(outcome, Stop):
            raise _Stopping(outcome.reason, from_, outcome)
        if isinstance(outcome, NoReply):
            return await self._follow(outcome)
        if isinstance(outcome, Reply):
            from_._resolve(outcome.value)
            return await self._follow(NoReply(timeout=outcome.timeout, continue_=outcome.continue_))
        from_._resolve(outcome)
        return None

    async def _follow(self, outcome: Any) -> float | None:
        """Do what a callback returned; the timeout until the next message."""
        while isinstance(outcome, NoReply):
            if outcome.continue_ is None:
                return outcome.timeout
            outcome = await _result(self.server.handle_continue(outcome.continue_))
        if isinstance(outcome, Stop):
            raise Exit(outcome.reason)
        if outcome is not None:
            raise TypeError(
                f"{type(self.server).__name__}: a callback returned {outcome!r}; init, handle_cast,"
                " handle_info and handle_continue return None, NoReply or Stop"
            )
        return None

    async def _terminate(self, reason: Reason) -> None:
        await _result(self.server.terminate(reason))

    async def _system(self, message: SystemMessage) -> None:
        match message.operation, message.arguments:
            case "get_state", ():
                answer: Any = self.server
            case "replace_state", (change,):
                self.server = answer = change(self.server)
            case "suspend", ():
                self.suspended, answer = True, None
            case "resume", ():
                self.suspended, answer = False, None
            case "change_code", (module, old_version, extra):
                if module is not None:
                    self.server.__class__ = module
                answer = await _result(self.server.code_change(old_version, extra))
            case "get_status", ():
                answer = self._status()
            case "statistics", (switch,):
                answer = self._statistics(switch)
            case "trace", (switch,):
                self._debug().tracing, answer = bool(switch), None
            case "terminate", (reason,):
                raise Exit(reason)
            case operation, _:
                answer = BadArgumentError(f"there is no system request {operation!r}")
        message.from_._resolve(answer)

    def _status(self) -> dict[str, Any]:
        status = self.snapshot() | {
            "module": type(self.server).__qualname__,
            "status": "suspended" if self.suspended else "running",
            "state": dict(getattr(self.server, "__dict__", {})),
        }
        return self.server.format_status(status)

    def _statistics(self, switch: bool | None) -> dict[str, Any] | None:
        if switch is None:
            return None if self.debug is None else self.debug.statistics()
        self._debug().count(switch)
        return None

    def _debug(self) -> Debug:
        if self.debug is None:
            self.debug = Debug()
        return self.debug


class _Stopping(Exit):
    """Stop(reason, reply): the answer goes out after `terminate`, as in gen_server."""

    def __init__(self, reason: Reason, from_: From, stop: Any) -> None:
        super().__init__(reason)
        self.answers = (lambda: from_._resolve(stop.reply)) if stop.replies else None


async def start_server(
    server: GenServer,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    name: str | Via | None,
    link: bool,
    seconds: float | None = None,
) -> Any:
    """Start a process for `server`; returns it when `init` did, or IGNORE. Raises StartError."""
    check_free(name)
    caller, parent = caller_and_parent(link)
    process = ServerProcess(server, parent)
    take_name(name, process)
    if caller is not None:
        process.starter = caller
        attach(process, caller)
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def ready(value: Any) -> None:
        if not answer.done():
            answer.set_result(value)

    # The end of the process answers as well, and after its link signal: a caller that does not
    # trap exits is ended by that, and one that does hears of it here (G5).
    reference = process.watch(lambda reason: ready(_Ended(reason)))
    process.start(process.serve, args, kwargs, ready)
    process._body = type(server).init
    timer = None
    if seconds is not None:
        timer = current_clock().call_later(seconds, ready, _TIMED_OUT)
    try:
        result = await answer
        if result is _TIMED_OUT:
            abandon(caller, process)
            raise StartError("timeout")
        if result is IGNORE:
            await process.join()
    except asyncio.CancelledError:
        # The caller is gone and nobody has the pid: do not leave it behind.
        if process.alive and not link:
            post_exit(process.parent, process, KILL)
        raise
    finally:
        process.unwatch(reference)
        if timer is not None:
            timer.cancel()
    if isinstance(result, _Ended):
        forget_exit(caller, process)
        failure = result.reason if isinstance(result.reason, BaseException) else None
        raise StartError(result.reason) from failure
    if result is IGNORE:
        forget_exit(caller, process)
    return result


_TIMED_OUT: Any = object()


class _Ended:
    __slots__ = ("reason",)

    def __init__(self, reason: Reason = NORMAL) -> None:
        self.reason = reason


async def _result(value: Any) -> Any:
    return await value if isawaitable(value) else value
