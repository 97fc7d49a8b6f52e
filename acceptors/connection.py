"""Connection: the process of one accepted socket, and the shape of every protocol (Ranch's)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acceptors.otp import SHUTDOWN, ParentProcess, Process, Reason
from acceptors.otp.process import NO_CHILDREN
from acceptors.otp.wiring import Wiring

if TYPE_CHECKING:
    from asyncio import Transport

    from acceptors.connections import Connections
    from acceptors.proxy_protocol import ProxyHeader


class Connection(ParentProcess):
    """One connection: asyncio protocol and process in one object, without a Task.

    A protocol is a class of this shape; a listener calls it with

    connections   its supervisor; `connections.loop` is the event loop
    options       the listener's protocol_options, as they are at that time (shared)

    and the event loop calls the methods below. transport: None before `connection_made` and after
    `connection_lost`. What a method raises ends this connection and no other.
    """

    __slots__ = ("connections", "transport")

    def __init__(self, connections: Connections, options: Any) -> None:
        Process.__init__(self, connections)  # PERF: as super(), by a third of its cost
        self.children = NO_CHILDREN  # 64 bytes less than a dict of its own, until there is a child
        self.connections = connections
        self.transport: Transport | None = None

    @classmethod
    def refusal(cls, options: Any) -> bytes:
        """What a connection over the limit is told before it is closed (policy "refuse")."""
        return b""

    @classmethod
    def plain_text_refusal(cls, options: Any) -> bytes:
        """What a peer is told that speaks plain text to a listener with TLS."""
        return b""

    @property
    def proxy_header(self) -> ProxyHeader | None:
        """What a trusted proxy said about this connection (the option proxy_protocol), or None."""
        arrival = self.connections.arrivals.get(self)
        return None if arrival is None else arrival.header

    @property
    def peername(self) -> Any:
        """The address of the client: (host, port, ...), a path, None where it is not known. That
        of the PROXY header, where there is one with an address."""
        if (arrivals := self.connections.arrivals) and (arrival := arrivals.get(self)) is not None:
            if arrival.header is not None and arrival.header.source:
                return arrival.header.source
            if self.transport is None:
                return arrival.peername()
        transport = self.transport
        return None if transport is None else transport.get_extra_info("peername")

    @property
    def sockname(self) -> Any:
        """The address that the client has connected to, as `peername`."""
        if self.connections.arrivals and (header := self.proxy_header) and header.destination:
            return header.destination
        transport = self.transport
        return None if transport is None else transport.get_extra_info("sockname")

    def connection_made(self, transport: Any) -> None:
        """The connection is ready (after the TLS handshake, where there is one)."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes have arrived."""

    def eof_received(self) -> bool | None:
        """The peer will send no more. True keeps our half open; the default closes."""
        return None

    def pause_writing(self) -> None:
        """The peer is slow: the transport holds more than its high-water mark."""

    def resume_writing(self) -> None:
        """The peer has caught up."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over. Subclasses that override it call this one: it ends the process.

        Reason: normal; ("shutdown", exc) where the peer or the network broke it; exc where a method
        of ours raised it.
        """
        self.transport = None
        if exc is None:
            self._exited()
        elif isinstance(exc, OSError):
            self._exited((SHUTDOWN, exc))
        else:
            self._exited(exc)

    def drain(self) -> None:
        """The exit signal `shutdown`: finish what is in flight, then close. Default: close."""
        if self.transport is not None:
            self.transport.close()

    def cancel(self, reason: Reason = SHUTDOWN) -> bool:
        """The time to finish is over: cancel what works for the peer, and let it clean up.

        Returns whether something was cancelled: then there is `connections.CANCEL_GRACE` more until
        the connection is killed. Default: nothing works, the connection is killed at once.
        """
        return False

    def idle_since(self) -> float | None:
        """When the connection became idle, in seconds; only connections of one protocol are
        compared. None while it is busy, or must not be closed for the sake of a new one.

        Default: only one without a transport, that has sent nothing yet, is idle.
        """
        arrival = self.connections.arrivals.get(self)
        return None if arrival is None else arrival.idle_since()

    def shed(self) -> bool:
        """The listener is full: close if idle. Returns whether it is closing now."""
        arrival = self.connections.arrivals.get(self)
        return arrival is not None and arrival.shed()

    def abort(self, reason: Reason = "killed") -> None:
        """End at once, whatever is in flight."""
        if self.transport is not None:
            self.transport.abort()
        else:
            self._exited(reason)

    def _signalled(self, reason: Reason) -> None:
        if reason == SHUTDOWN or (isinstance(reason, tuple) and reason[:1] == (SHUTDOWN,)):
            # Without a transport (TLS shakes hands still) it is drained as soon as it has one.
            if self.transport is not None:
                self.drain()
            elif (arrival := self.connections.arrivals.get(self)) is not None:
                arrival.drain()
        else:
            self.abort(reason)

    def _killed(self) -> None:
        self.abort()

    # PERF: not ParentProcess's, which calls it and then looks for children. A connection that has
    # had any has a wiring as well, and so gets to `_announce`.
    _exited = Process._exited

    def _announce(self, wiring: Wiring) -> None:
        super()._announce(wiring)
        self._announce_children()

    def _child_exited(self, child: Process, reason: Reason) -> None:
        if not self.children:
            self.children = NO_CHILDREN
        self._linked_child_exited(child, reason)

    def snapshot(self) -> dict[str, Any]:
        """What an observer shows: also `peer` and `local`, addresses as text, None without one."""
        return {
            **super().snapshot(),
            "peer": _address(self.peername),
            "local": _address(self.sockname),
        }


def _address(address: Any) -> str | None:
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return str(address) if address else None
