"""Connection: the process of one accepted socket, and the shape of every protocol (Ranch's)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acceptors.otp import SHUTDOWN, Process, Reason

if TYPE_CHECKING:
    from asyncio import Transport

    from acceptors.connections import Connections


class Connection(Process):
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
        self.connections = connections
        self.transport: Transport | None = None

    @classmethod
    def refusal(cls, options: Any) -> bytes:
        """What a connection over the limit is told before it is closed (policy "refuse")."""
        return b""

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
        else:
            self.abort(reason)

    def _killed(self) -> None:
        self.abort()

    def snapshot(self) -> dict[str, Any]:
        """What an observer shows: also `peer` and `local`, addresses as text, None without one."""
        transport = self.transport
        return {
            **super().snapshot(),
            "peer": _address(transport, "peername"),
            "local": _address(transport, "sockname"),
        }


def _address(transport: Transport | None, which: str) -> str | None:
    address = None if transport is None else transport.get_extra_info(which)
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return str(address) if address else None
