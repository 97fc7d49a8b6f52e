"""CallbackReceiver: runs the callbacks of a WebSocketHandler, one at a time.

What comes while an async callback is awaited, or while the client is slow, waits in order; the
client is held back meanwhile, and a process that sends too much ends the connection.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from inspect import isawaitable
from typing import Any

from acceptors.otp.callers import acting_for
from plugpy.conn import Conn
from plugpy.http.eager import start_task
from plugpy.http.failure import report_crash
from plugpy.http.request_process import as_failure
from plugpy.websocket import codes
from plugpy.websocket.handler import Upgrade, WebSocketHandler
from plugpy.websocket.outcomes import UNCHANGED, Ok, Ping, Pong, Push, Stop
from plugpy.websocket.peer import Message, Peer

logger = logging.getLogger("plugpy.websocket")


class CallbackReceiver:
    """The receiver of one connection. state: the handler's."""

    __slots__ = (
        "_awake",
        "_context",
        "_handler",
        "_listens_to_control",
        "_max_backlog",
        "_over",
        "_peer",
        "_queue",
        "_task",
        "conn",
        "state",
    )

    def __init__(self, conn: Conn, handler: WebSocketHandler, state: Any, max_backlog: int) -> None:
        self.conn = conn
        self.state = state
        self._handler = handler
        self._max_backlog = max_backlog
        # The variables that the plugs before have set, and whose process `self()` is.
        self._context: Context = copy_context()
        self._context.run(acting_for.set, conn)
        # PERF: most handlers do not care for pings.
        self._listens_to_control = (
            type(handler).handle_control is not WebSocketHandler.handle_control
        )
        self._peer: Peer
        self._queue: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._task: asyncio.Future[Any] | None = None
        self._over = False
        # Whether a turn of the loop is asked for.
        self._awake = False

    # what the connection tells -------------------------------------------------------------------

    @property
    def behind(self) -> bool:
        """Never: what comes while a callback is awaited is held back by the connection."""
        return False

    def opened(self, peer: Peer) -> None:
        """The handshake is done."""
        self._peer = peer
        self._do(self._handler.init)

    def message(self, message: Message) -> None:
        """The client has sent a message."""
        self._do(self._handler.handle_in, message)

    def control(self, opcode: str, data: bytes) -> None:
        """A ping or a pong came."""
        if self._listens_to_control:
            self._do(self._handler.handle_control, opcode, data)

    def info(self, message: Any) -> bool:
        """A message from another process. Always taken; it is told in a turn of its own, since who
        sends it is in the middle of something, perhaps of a callback of this very handler."""
        if not self._over and self._peer.open:
            self._queue.append((self._handler.handle_info, (message,)))
            if not self._awake:
                self._awake = True
                asyncio.get_running_loop().call_soon(self._wake)
            if len(self._queue) > self._max_backlog:
                logger.warning(
                    "%s: %d messages wait for a WebSocket handler: it ends",
                    self.conn.request_path,
                    len(self._queue),
                )
                self._queue.clear()
                self._peer.close(codes.TRY_AGAIN_LATER, "too many messages wait")
        return True

    def _wake(self) -> None:
        self._awake = False
        self._go_on()

    def resumed(self) -> None:
        """The client has caught up."""
        self._go_on()

    def closed(self, why: str, code: int, reason: str) -> None:
        """The connection is over: what waits is dropped, `terminate` runs."""
        if self._over:
            return
        self._over = True
        self._queue.clear()
        self._queue.append((self._handler.terminate, (_reason(why, code, reason),)))
        if self._task is None:
            self._go_on()

    def cancel(self) -> bool:
        """The time is over: an async callback is cancelled."""
        if self._task is None:
            return False
        self._task.cancel("the server is stopping")
        return True

    # callbacks -----------------------------------------------------------------------------------

    def _do(self, callback: Callable[..., Any], *arguments: Any) -> None:
        if self._over:
            return
        if self._task is not None or self._queue or self._peer.slow:
            self._queue.append((callback, arguments))
            self._peer.hold(True)
            return
        # PERF: the common case, nothing waits, without a further call.
        try:
            outcome = self._context.run(callback, *arguments, self.state)
            if outcome is not None:
                self._settle(outcome)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._crashed(error)

    def _go_on(self) -> None:
        """Run what waits."""
        queue = self._queue
        while queue and self._task is None and (self._over or not self._peer.slow):
            if not (self._over or self._peer.open):
                queue.clear()  # it has said Stop
                break
            callback, arguments = queue.popleft()
            try:
                outcome = self._context.run(callback, *arguments, self.state)
                if outcome is not None:
                    self._settle(outcome)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                self._crashed(error)
        if not queue and self._task is None and not self._over:
            self._peer.hold(False)

    def _settle(self, outcome: Any) -> None:
        """Do what a callback has returned."""
        if self._over and not isawaitable(outcome):
            return
        if type(outcome) is Push:
            if outcome.state is not UNCHANGED:
                self.state = outcome.state
            self._push(outcome.frames)
        elif type(outcome) is Ok:
            self.state = outcome.state
        elif type(outcome) is Stop:
            if outcome.state is not UNCHANGED:
                self.state = outcome.state
            self._push(outcome.frames)
            self._peer.close(outcome.code, outcome.text)
        elif isawaitable(outcome):
            self._peer.hold(True)
            # A copy: an eager Task must not enter a context that is entered already.
            context = self._context.copy()
            task = start_task(outcome, asyncio.get_running_loop(), context)
            if task.done():
                self._returned(task)
            else:
                self._task = task
                task.add_done_callback(self._returned)
        else:
            raise TypeError(
                f"a callback of {type(self._handler).__name__} returned {outcome!r}; return None, "
                "Ok(state), Push(frames, state) or Stop(code, text)"
            )

    def _push(self, frames: Any) -> None:
        peer = self._peer
        kind = type(frames)
        if kind is str or kind is bytes:
            peer.send(frames)
            return
        if isinstance(frames, str | bytes | bytearray | memoryview | Ping | Pong):
            frames = (frames,)
        elif not isinstance(frames, Iterable):
            raise TypeError(f"frames are str, bytes, Ping and Pong, got {frames!r}")
        for frame in frames:
            if isinstance(frame, Ping):
                peer.ping(frame.data)
            elif isinstance(frame, Pong):
                peer.pong(frame.data)
            elif isinstance(frame, str):
                peer.send(frame)
            elif isinstance(frame, bytes | bytearray | memoryview):
                peer.send(bytes(frame))
            else:
                raise TypeError(f"frames are str, bytes, Ping and Pong, got {frame!r}")

    def _returned(self, task: "asyncio.Future[Any]") -> None:
        """An async callback is over."""
        self._task = None
        if task.cancelled():
            if self._peer.open:
                self._crashed(asyncio.CancelledError("a callback was cancelled"))
        elif (error := task.exception()) is not None:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise error
            self._crashed(error)
        else:
            outcome = task.result()
            try:
                if outcome is not None:
                    self._settle(outcome)
            except Exception as raised:
                self._crashed(raised)
        self._go_on()

    def _crashed(self, raised: BaseException) -> None:
        # A CancelledError or a GeneratorExit of a callback ends this connection, not who called.
        error = raised if isinstance(raised, Exception) else as_failure(self.conn, raised)
        report_crash(self.conn, error)
        if self._over:
            return
        self._over = True
        self._queue.clear()
        self._queue.append((self._handler.terminate, (("error", error),)))
        self._peer.close(codes.INTERNAL_ERROR)
        self._go_on()


def callback_receiver(conn: Conn, options: Any) -> CallbackReceiver:
    """What runs the callbacks of a connection. options: an Upgrade. Raises TypeError for anything
    else."""
    if not isinstance(options, Upgrade):
        raise TypeError(
            'conn.upgrade_adapter("websocket", ...) takes an Upgrade(handler, state, options), '
            f"got {options!r}"
        )
    handler = options.handler() if isinstance(options.handler, type) else options.handler
    if not isinstance(handler, WebSocketHandler):
        raise TypeError(f"a handler is a WebSocketHandler, got {handler!r}")
    return CallbackReceiver(conn, handler, options.state, options.options.max_backlog)


def _reason(why: str, code: int, reason: str) -> Any:
    return (why, code, reason) if why in ("remote", "error") else why
