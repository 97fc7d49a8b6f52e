"""Handing an accepted socket to the event loop, with a connection as its protocol.

Event loops have one public way to take a socket that somebody else has accepted,
`loop.connect_accepted_socket`, a coroutine. It does all its work in its first step, waits one turn
for its transport, and ends in the second. So it is stepped by hand, and the second steps of all
that were accepted in one turn are one callback: no Task, no callback on a future.

Figures: docs/reference/acceptors.md, "What a connection costs"; bench/accept.py repeats them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
from collections.abc import Coroutine
from typing import Any

from acceptors.arrival import Arrival
from acceptors.connection import Connection
from acceptors.networks import Networks
from acceptors.options import TransportOptions
from acceptors.otp import current_clock
from acceptors.otp.reasons import SHUTDOWN

logger = logging.getLogger("acceptors")

LOG_INTERVAL = 5.0
"""Seconds between two log lines about peers that are not trusted proxies."""


class AcceptedSocket:
    """One accepted socket on its way to its connection.

    For uvloop it is also the socket itself: uvloop needs of one its family, its type and its
    descriptor. PERF: socket.socket asks the kernel for the address of whatever it wraps.

    And until the connection is made it is the protocol, so that a protocol which raises in
    `connection_made` costs that one connection: event loops log the exception and leave the
    connection as it is, for ever.
    """

    __slots__ = ("connecting", "connection", "descriptor", "family", "waiter")
    type = socket.SOCK_STREAM
    proto = 0

    def __init__(self, family: int, descriptor: int, connection: Connection) -> None:
        self.family = family
        self.descriptor = descriptor
        self.connection: Connection | None = connection
        self.connecting: Coroutine[Any, Any, Any] | None = None
        self.waiter: asyncio.Future[Any] | None = None

    # what uvloop asks of a socket -----------------------------------------------------------------

    def fileno(self) -> int:
        """The descriptor."""
        return self.descriptor

    def gettimeout(self) -> float:
        """Non-blocking: uvloop sees to it."""
        return 0.0

    def close(self) -> None:
        """Nothing: the transport has closed the descriptor before it calls this. To close it again
        could hit whatever another thread has opened under that number since."""

    # what an event loop asks of a protocol --------------------------------------------------------

    def __call__(self) -> AcceptedSocket:
        """The protocol factory."""
        return self

    def connection_made(self, transport: Any) -> None:
        """The transport is there: from now on it talks to the connection."""
        connection = self.connection
        if connection is None or not connection.alive:
            transport.abort()
            return
        transport.set_protocol(connection)
        try:
            connection.connection_made(transport)
            if connection.exit_reason is not None:
                # An exit signal came before the transport.
                connection._signalled(connection.exit_reason)
        except Exception as error:
            transport.set_protocol(self)
            transport.abort()
            connection._exited(error)

    def data_received(self, data: bytes) -> None:
        """Never: there is nobody to receive it."""

    def eof_received(self) -> None:
        """Nobody has anything to say to that."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Lost before there was a connection, or by the failure of its `connection_made`."""
        if self.connection is not None:
            self.connection._exited((SHUTDOWN, exc))

    def pause_writing(self) -> None:
        """Nobody writes."""

    def resume_writing(self) -> None:
        """Nobody writes."""

    # the second step ------------------------------------------------------------------------------

    def end(self, _waiter: object = None) -> None:
        """Let `connect_accepted_socket` return."""
        waiter, connecting, connection = self.waiter, self.connecting, self.connection
        if waiter is None or connecting is None:
            return
        if not waiter.done():
            # With no event loop that is known; asking again is right with any.
            waiter.add_done_callback(self.end)
            return
        self.waiter = self.connecting = self.connection = None
        try:
            connecting.send(None)
        except StopIteration:
            return
        except Exception as error:
            if connection is not None:
                failed(connection, error)
        else:
            connecting.close()
            if connection is not None:
                connection.abort("killed")


class LateSocket(AcceptedSocket):
    """An AcceptedSocket of which bytes were taken that are the protocol's."""

    __slots__ = ("kept",)

    def __init__(self, family: int, descriptor: int, connection: Connection, kept: bytes) -> None:
        super().__init__(family, descriptor, connection)
        self.kept = kept

    def connection_made(self, transport: Any) -> None:
        connection = self.connection
        super().connection_made(transport)
        if connection is None or connection.transport is None or transport.is_closing():
            return
        try:
            connection.data_received(self.kept)
        except Exception as error:
            transport.abort()
            connection._exited(error)


class Handover:
    """Handover of sockets to one event loop."""

    __slots__ = ("_complained", "_complaints", "_light", "_networks", "_started", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # A Connection is a protocol by its shape, not by inheritance.
        self.loop: Any = loop
        self._light = type(loop).__module__.startswith("uvloop")
        self._started: list[AcceptedSocket] = []
        self._networks: tuple[Any, Networks] | None = None
        self._complaints = 0
        self._complained = -math.inf

    def arrive(self, connection: Connection, family: int, descriptor: int) -> None:
        """As `start`, once what comes before the protocol is there (ssl, proxy_protocol)."""
        real = _real(family, descriptor)
        try:
            Arrival(self, connection, real)
        except Exception as error:
            real.close()
            failed(connection, error)

    def start(
        self,
        connection: Connection,
        family: int,
        descriptor: int,
        options: TransportOptions,
        kept: bytes = b"",
    ) -> None:
        """Make `connection` the protocol of a socket. What fails ends that connection only.

        `flush` must be called in the same turn of the loop. kept: bytes that were read already.
        """
        accepted = (
            LateSocket(family, descriptor, connection, kept)
            if kept
            else AcceptedSocket(family, descriptor, connection)
        )
        real: Any = accepted if self._light else _real(family, descriptor)
        connecting = self.loop.connect_accepted_socket(accepted, real)
        try:
            accepted.waiter = connecting.send(None)
        except StopIteration:
            return
        except Exception as error:
            if real is accepted:
                discard(descriptor)
            else:
                real.close()
            failed(connection, error)
            return
        accepted.connecting = connecting
        self._started.append(accepted)
        if not options.nodelay and family != socket.AF_UNIX:
            _delay(descriptor)

    async def connect(self, connection: Connection, real: socket.socket, **tls: Any) -> None:
        """Make `connection` the protocol of a socket that speaks TLS. Raises what the handshake
        ends with. tls: arguments of `loop.connect_accepted_socket`."""
        accepted = AcceptedSocket(real.family, real.fileno(), connection)
        try:
            await self.loop.connect_accepted_socket(accepted, real, **tls)
        finally:
            accepted.connection = None
        if not connection.connections.listener.options.nodelay and real.family != socket.AF_UNIX:
            _delay(accepted.descriptor)

    def proxy_networks(self, options: TransportOptions) -> Networks:
        """The option of that name, ready to be asked."""
        if self._networks is None or self._networks[0] is not options.proxy_networks:
            self._networks = options.proxy_networks, Networks(options.proxy_networks)
        return self._networks[1]

    def complain(self, ref: Any, address: str) -> None:
        """Say, now and then, that somebody connects who is not a trusted proxy."""
        self._complaints += 1
        now = current_clock().now()
        if now - self._complained < LOG_INTERVAL:
            return
        logger.warning(
            "listener %r: %s is not in proxy_networks, so it may not say whose connection it "
            "passes on: closed%s",
            ref,
            address,
            f" ({self._complaints} were since this was last said)" if self._complaints > 1 else "",
        )
        self._complained = now
        self._complaints = 0

    def flush(self) -> None:
        """End what was started in this turn: in the next, after the transports are made."""
        started = self._started
        if started:
            self._started = []
            if len(started) == 1:
                self.loop.call_soon(started[0].end)
            else:
                self.loop.call_soon(_end_all, started)


def _end_all(started: list[AcceptedSocket]) -> None:
    for accepted in started:
        accepted.end()


def _real(family: int, descriptor: int) -> socket.socket:
    real = socket.socket(family, socket.SOCK_STREAM, 0, fileno=descriptor)
    real.setblocking(False)
    return real


def _delay(descriptor: int) -> None:
    """Undo TCP_NODELAY, which event loops set on whatever they are given."""
    with contextlib.suppress(OSError):
        borrowed = socket.socket(fileno=descriptor)
        try:
            borrowed.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        finally:
            borrowed.detach()


def discard(descriptor: int) -> None:
    """Close a descriptor that nobody else knows."""
    os.close(descriptor)


def failed(connection: Connection, error: Exception) -> None:
    """End a connection that got no transport."""
    if isinstance(error, OSError | TimeoutError):  # SSLError is an OSError
        # A peer that does not speak TLS, is too slow, or has left: everyday life.
        connection._exited((SHUTDOWN, error))
    else:
        connection._exited(error)
