"""Listener: the tree of processes behind one name (ranch_listener_sup).

    listener (rest_for_one)
      1. connections    one process for each connection
      2. acceptors      num_acceptors of them

The order is the shutdown protocol: what was started last stops first, so accepting ends before
connections are asked to finish. A connection supervisor that dies takes the acceptors with it; an
acceptor that dies is replaced and concerns nobody.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import socket
from collections.abc import Mapping
from typing import Any, Final, Literal
from weakref import WeakKeyDictionary

from acceptors.acceptor_pool import AcceptorPool
from acceptors.connections import Connections
from acceptors.errors import AlreadyStartedError, NoListenerError
from acceptors.options import TransportOptions, transport_options
from acceptors.otp import (
    IGNORE,
    NORMAL,
    ChildSpec,
    ParentProcess,
    Reason,
    StartError,
    Supervisor,
)
from acceptors.otp.supervision import attach, caller_and_parent
from acceptors.sockets import ListenSockets

Status = Literal["running", "suspended"]

CONNECTIONS: Final = "connections"
ACCEPTORS: Final = "acceptors"

_listeners: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, Listener]] = WeakKeyDictionary()


class Listener(Supervisor):
    """One listener. Start it with `acceptors.start_listener`, or `acceptors.child_spec` in a tree.

    ref               its name, anything hashable, unique in its event loop
    options           TransportOptions
    protocol          class in the shape of acceptors.Connection
    protocol_options  what the protocol is given, for the next connections on
    status            "running" or "suspended"
    """

    __slots__ = (
        "_connections",
        "_keeps_sockets",
        "_listen",
        "_pool",
        "_port",
        "loop",
        "options",
        "protocol",
        "protocol_options",
        "ref",
        "status",
    )

    def __init__(
        self,
        ref: Any,
        options: TransportOptions,
        protocol: Any,
        protocol_options: Any,
        *,
        parent: ParentProcess | None = None,
    ) -> None:
        if not callable(protocol):
            raise TypeError(f"a protocol is a class, see acceptors.Connection; got {protocol!r}")
        intensity = 1 + math.ceil(math.log2(options.num_acceptors + 1))
        specs = [
            # Connections keeps to the option `shutdown` itself, as in Ranch: it alone can tell one
            # connection that was killed from another that had finished.
            ChildSpec(id=CONNECTIONS, start=self._start_connections, type="supervisor"),
            ChildSpec(id=ACCEPTORS, start=self._start_acceptors, type="supervisor"),
        ]
        super().__init__(
            specs, strategy="rest_for_one", intensity=intensity, period=5.0, parent=parent
        )
        self.loop = asyncio.get_running_loop()
        self.ref = ref
        self.options = options
        self.protocol = protocol
        self.protocol_options = protocol_options
        self.status: Status = "running"
        self.label = f"listener {ref}"
        self._keeps_sockets = False
        self._listen: ListenSockets | None = None
        self._port: int | None = None
        self._connections: Connections | None = None
        self._pool: AcceptorPool | None = None

    @classmethod
    async def open(
        cls, ref: Any, options: Any, protocol: Any, protocol_options: Any, *, link: bool
    ) -> Listener:
        """Start a listener, linked with the caller where `link`; it accepts when this returns.

        Raises OptionError, AlreadyStartedError, acceptors.otp.StartError.
        """
        checked = transport_options(options)
        here = _listeners.setdefault(asyncio.get_running_loop(), {})
        if ref in here:
            raise AlreadyStartedError(
                f"a listener {ref!r} runs already; stop it first or use another name"
            )
        caller, parent = caller_and_parent(link)
        listener = cls(ref, checked, protocol, protocol_options, parent=parent)
        here[ref] = listener
        if caller is not None:
            attach(listener, caller)
        await listener._boot(None, caller)
        return listener

    @property
    def sockets(self) -> list[socket.socket]:
        """The listening sockets; [] while suspended."""
        return self._listen.sockets if self._listen is not None else []

    @property
    def connections(self) -> Connections:
        """The connection supervisor. Raises NoListenerError while there is none."""
        # Not which_child: a supervisor forgets a child as soon as it begins to stop it, and these
        # are looked at most while they drain.
        process = self._connections
        if process is None or not process.alive:
            raise NoListenerError(f"the listener {self.ref!r} has stopped")
        return process

    @property
    def acceptors(self) -> AcceptorPool | None:
        """The pool of acceptors; None while suspended."""
        pool = self._pool
        return pool if pool is not None and pool.alive else None

    def _start_connections(self) -> Connections:
        self._connections = Connections(self)
        return self._connections

    def _start_acceptors(self) -> Any:
        if self.status == "suspended":
            return IGNORE  # restarted after the connection supervisor; suspended it stays
        if self._listen is None or any(one.fileno() < 0 for one in self._listen.sockets):
            self.close_sockets()
            self._listen = ListenSockets(self.options, self._port)
            self._port = self._listen.port
        self._pool = AcceptorPool(self, self.connections)
        return self._pool

    @property
    def accepts_no_more(self) -> bool:
        """Whether it ends or is suspended."""
        return self._ending or self.status == "suspended"

    def close_sockets(self) -> None:
        """Listen no more: who connects from now on is refused, not left waiting."""
        if (pool := self.acceptors) is not None:
            pool.stop_reading()
        listen, self._listen = self._listen, None
        if listen is not None:
            listen.close()

    @property
    def keeps_sockets(self) -> bool:
        """Whether it is suspended and listens all the same: clients wait in the backlog."""
        return self._keeps_sockets and self.status == "suspended" and not self._ending

    async def suspend(self, *, close: bool = True) -> None:
        """Accept no more and close the sockets; connections live on.

        close: False keeps the sockets, so that who connects waits until `resume`: for sockets that
        somebody else holds open too, and that could not be opened again.
        """
        if self.status == "suspended":
            return
        self.status = "suspended"
        self._keeps_sockets = not close
        await self.terminate_child(ACCEPTORS)
        if close:
            self.close_sockets()

    async def resume(self) -> None:
        """Listen again, on the same port, with the options of now. Raises OSError."""
        if self.status == "running":
            return
        self.status = "running"
        try:
            await self.restart_child(ACCEPTORS)
        except StartError as error:
            self.status = "suspended"
            raise root_cause(error) from None

    def change(self, options: TransportOptions | Mapping[str, Any]) -> None:
        """Change options of the running listener: those of options.AT_ONCE at once, the others for
        the next resume; what a mapping does not name stays. Raises OptionError."""
        if isinstance(options, Mapping):
            fields = {
                field.name: getattr(self.options, field.name)
                for field in dataclasses.fields(self.options)
            }
            options = transport_options({**fields, **options})
        self.options = options
        self.connections.options_changed()
        if (pool := self.acceptors) is not None:
            pool.resize(options.num_acceptors)
            pool.wake()

    def _exited(self, reason: Reason = NORMAL) -> None:
        if self.alive:
            self.close_sockets()
            here = _listeners.get(self.loop, {})
            if here.get(self.ref) is self:
                del here[self.ref]
        super()._exited(reason)

    def snapshot(self) -> dict[str, Any]:
        """What an observer shows."""
        return {**super().snapshot(), "ref": self.ref, "status": self.status}


def root_cause(error: BaseException) -> BaseException:
    """The OSError that a listener could not start because of, or `error` itself."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return cause
        cause = cause.__cause__
    return error


def find(ref: Any) -> Listener:
    """The listener of that name in the running event loop. Raises NoListenerError."""
    here = _listeners.get(asyncio.get_running_loop(), {})
    listener = here.get(ref)
    if listener is None:
        known = ", ".join(map(repr, here)) or "none"
        raise NoListenerError(f"there is no listener {ref!r} in this event loop; known: {known}")
    return listener


def running() -> list[Listener]:
    """All listeners of the running event loop."""
    return list(_listeners.get(asyncio.get_running_loop(), {}).values())
