"""RequestProcess: the process of one request, made when something asks for it.

`self()` in a handler, whether it is async, plain or @blocking, is the process of its request: a
child of the connection. A handler that never asks has none, and pays nothing.

It begins with the first `self()` and is over with the request, whatever its end: the response has
left, the client went away, the handler crashed, time was up. Its children, what the handler has
started with `spawn_link`, are told to end then: exit signal `("shutdown", "request_ended")`, and
`kill` after CHILDREN_SHUTDOWN (Cowboy: cowboy_children). A child that crashes ends the request, as
a link does.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from acceptors.otp import (
    KILL,
    KILLED,
    NORMAL,
    SHUTDOWN,
    Exit,
    ParentProcess,
    Process,
    Reason,
    callers,
    current_clock,
    format_reason,
    is_orderly,
)
from acceptors.otp import kill as killing
from acceptors.otp.clock import TimerHandle
from acceptors.otp.signals import PARENT, post_exit
from plugpy.conn import Conn, ConnError, PlugError
from plugpy.conn.state import SENT

if TYPE_CHECKING:
    from plugpy.http.http1 import Http1Connection

CHILDREN_SHUTDOWN: Final = 5.0
"""Seconds that the children of a request have to end after it, until they are killed."""

REQUEST_ENDED: Final = (SHUTDOWN, "request_ended")
"""The exit signal that they get."""

requests: "dict[Conn, RequestProcess]" = {}
"""The processes of the requests that are served now; of most requests there is none."""


class RequestExitError(ConnError):
    """The process of a request was ended by an exit signal, or by `exit(reason)`.

    reason: the exit reason. An orderly one (shutdown) is answered with 503, any other with 500.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"the request's process ended: {format_reason(reason)}")
        self.reason = reason
        if is_orderly(reason) and reason != NORMAL:
            self.status = 503
        if isinstance(reason, BaseException):
            self.__cause__ = reason


class RequestProcess(ParentProcess):
    """The process of a request.

    connection: the process that serves it. conn: the request.
    """

    __slots__ = ("_at_end", "_deadline", "_over", "conn", "connection")

    def __init__(
        self, connection: "Http1Connection", conn: Conn, parent: ParentProcess | None
    ) -> None:
        super().__init__(parent)
        self.connection = connection
        self.conn = conn
        self._over = False
        self._deadline: TimerHandle | None = None
        self._at_end: list[Callable[[], object]] = []

    @property
    def label(self) -> str | None:
        """`GET /users/42`: the request without its query, which may hold secrets."""
        return f"{self.conn.method} {self.conn.request_path}"

    @label.setter
    def label(self, label: str | None) -> None:
        raise AttributeError("the label of a request is computed")

    @property
    def task(self) -> "asyncio.Future[Any] | None":
        """What serves the request, once that is async code; None before, and afterwards."""
        return self.connection._task if self.connection.conn is self.conn else None

    @property
    def initial_call(self) -> str:
        """The handler, for reports: its route, else its path."""
        return str(getattr(self.conn, "route", None) or self.label)

    def snapshot(self) -> dict[str, Any]:
        """As `Process.snapshot`, with `request`."""
        return {**super().snapshot(), "request": self.label}

    def _message(self, message: Any) -> None:
        # After an upgrade there may be callbacks that messages are for (WebSocket's handle_info).
        upgraded = self.connection.upgraded if self.connection.conn is self.conn else None
        if upgraded is None or not self.alive or not upgraded.receiver.info(message):
            super()._message(message)

    # its end -------------------------------------------------------------------------------------

    def at_end(self, callback: Callable[[], object]) -> None:
        """Call `callback` once the request is over, whatever its end. It must not raise."""
        self._at_end.append(callback)

    def end(self, reason: Reason) -> None:
        """The request is over: its children end, then this process does."""
        if self._over:
            return
        self._over = True
        requests.pop(self.conn, None)
        while self._at_end:
            self._at_end.pop()()
        if not self.alive:
            return
        if self.exit_reason is None:
            self.exit_reason = reason
        if not self.children:
            self._exited(reason)
            return
        self._deadline = current_clock().call_later(CHILDREN_SHUTDOWN, self._kill_children)
        for child in list(self.children.values()):
            post_exit(self, child, REQUEST_ENDED)

    def _kill_children(self) -> None:
        for child in list(self.children.values()):
            post_exit(self, child, KILL)

    def _child_exited(self, child: Process, reason: Reason) -> None:
        if not self._over:
            self._linked_child_exited(child, reason)
        elif not self.children:
            self._exited(self.exit_reason)

    def _child_left(self, child: Process) -> None:
        if self._over and not self.children:
            self._exited(self.exit_reason)

    def _exited(self, reason: Reason = NORMAL) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        super()._exited(reason)

    # exit signals --------------------------------------------------------------------------------

    def _receive_exit(self, kind: int, source: Process, reason: Reason) -> None:
        if kind == PARENT:
            # The connection is gone. What that means for its request it has decided itself: most
            # are cancelled, a route may opt out (cancel_on_disconnect=False).
            if self.alive and self.parent is source:
                self._move_on()
            return
        super()._receive_exit(kind, source, reason)

    def _move_on(self) -> None:
        tasks = self.connection.runtime.options.tasks
        if tasks is not None and tasks.alive:
            tasks.adopt(self)
        else:
            from acceptors.otp import root

            self._move(root)

    def _signalled(self, reason: Reason) -> None:
        if self._over:
            return
        if self.task is None:
            # The handler is running this very moment, without a Task: it can't be stopped.
            self.connection.runtime.loop.call_soon(self._try_again)
        else:
            self.connection.end_request(self.conn)
            killing.bound_exit(self)

    def _try_again(self) -> None:
        if self._over:
            return
        if self.connection.conn is not self.conn:
            self.end(self.exit_reason)
        else:
            self.connection.end_request(self.conn)
            killing.bound_exit(self)

    def _reap(self) -> None:
        # It was told to end and does not.
        if self.alive and not self._over and not self.parent._stops(self):
            self._exited(self.exit_reason)
            self._killed()

    def _killed(self) -> None:
        if self._over:
            return
        task = self.connection.kill_request(self.conn, self.context())
        if task is not None:
            killing.add_zombie(self)
            task.add_done_callback(lambda _: killing.remove_zombie(self))

    def _exit_self(self, reason: Reason) -> None:
        task = self.task
        if task is not None and task is not asyncio.current_task():
            return
        if reason == KILL:
            self.exit_reason = KILLED
            self._exited(KILLED)
        elif self.exit_reason is None:
            self.exit_reason = reason
        raise Exit(self.exit_reason)

    def _still_runs(self) -> bool:
        return self.connection.conn is self.conn

    def _look(self) -> None:
        # A plain handler's request ends on the hot path, which does not look for a process.
        if not self._over and self.connection.conn is not self.conn:
            self.end(reason_of(self.conn))


def reason_of(conn: Conn) -> Reason:
    """Why the process of a request that has ended without an error is over."""
    return NORMAL if conn.state is SENT else (SHUTDOWN, "closed")


def request_upgraded(conn: Conn, take: Callable[[Any], bool]) -> None:
    """The request goes on as another protocol: `take` is given the messages that wait, unless it
    returns False."""
    process = requests.get(conn)
    mailbox = process._wiring.mailbox if process is not None and process._wiring else None
    while mailbox and take(mailbox[0]):
        mailbox.popleft()


def request_ended(conn: Conn, reason: Reason = None) -> None:
    """The request is over. Called for every one that does not end on the hot path."""
    process = requests.get(conn)
    if process is not None:
        process.end(reason_of(conn) if reason is None else reason)


def request_failed(conn: Conn, error: Exception) -> None:
    """The handler has crashed: that is why its process ends, unless it was told to before."""
    process = requests.get(conn)
    if process is not None and process.alive and process.exit_reason is None:
        process.exit_reason = error


def signal_of(conn: Conn) -> RequestExitError | None:
    """The exit signal that ended the request, as the error that it is answered with."""
    process = requests.get(conn)
    if process is None or process.exit_reason is None:
        return None
    return RequestExitError(process.exit_reason)


def as_failure(conn: Conn, raised: BaseException) -> Exception:
    """What a handler raised that is no Exception: `exit(reason)`, a CancelledError, ...

    None of them may end more than the request.
    """
    if isinstance(raised, Exit):
        return RequestExitError(raised.reason)
    error = signal_of(conn) or PlugError(f"the handler raised {type(raised).__name__}: {raised}")
    error.__cause__ = raised
    return error


def process_of(conn: Conn) -> Process | None:
    """The process of a request, made now if need be; None when the request is over, or is served by
    something that has no processes.

    Raises Exit in what goes on of a request that was killed.
    """
    process = requests.get(conn)
    if process is not None:
        if not process.alive:
            raise Exit(process.exit_reason)
        return process
    connection = getattr(conn.adapter, "owner", None)
    if connection is None or getattr(connection, "conn", None) is not conn:
        return None
    loop = connection.runtime.loop
    if asyncio._get_running_loop() is loop:
        return _make(connection, conn)
    # A thread of @blocking: processes are made in the event loop's.
    return asyncio.run_coroutine_threadsafe(_make_in_loop(connection, conn), loop).result()


def _make(connection: "Http1Connection", conn: Conn) -> RequestProcess:
    if connection.alive:
        process = RequestProcess(connection, conn, connection)
    else:
        process = RequestProcess(connection, conn, None)
        process._move_on()
    requests[conn] = process
    if connection._task is None:
        connection.runtime.loop.call_soon(process._look)
    return process


async def _make_in_loop(connection: "Http1Connection", conn: Conn) -> Process | None:
    return process_of(conn)


def find_process(conn: Conn) -> Process | None:
    """The process of a request where it has one, else its connection; None when it is over."""
    process = requests.get(conn)
    if process is not None:
        return process if process.alive else None
    connection = getattr(conn.adapter, "owner", None)
    if connection is None or getattr(connection, "conn", None) is not conn:
        return None
    return connection if connection.alive else None


callers.register(Conn, process_of, find_process)
