"""Arrival: an accepted socket while something comes before the bytes of its protocol.

    accept -> PROXY header -> ClientHello, looked at -> TLS handshake -> the protocol
              (proxy_protocol)  (ssl)

It belongs to the connection, never to an acceptor: who sends nothing holds a place among
max_connections for `handshake_timeout`, and nothing else. The bytes that are not for us stay in
the kernel (MSG_PEEK), so whoever reads next finds them.

PERF: with uvloop the look at a ClientHello takes 10 us of CPU, half of it to wait for it; the
handshake that follows about 400 (ECDSA, P-256).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any, Final

from acceptors.client_hello import (
    HANDSHAKE_FAILURE,
    NO_APPLICATION_PROTOCOL,
    bytes_needed,
    is_plain_text,
    parse_hello,
)
from acceptors.connection import Connection
from acceptors.options import TransportOptions
from acceptors.otp import SHUTDOWN, Reason, current_clock
from acceptors.otp.clock import TimerHandle
from acceptors.proxy_protocol import (
    LONGEST_V2,
    NoProxyHeaderError,
    ProxyHeader,
    ProxyProtocolError,
    decode,
)

if TYPE_CHECKING:
    from acceptors.handover import Handover

logger = logging.getLogger("acceptors")

LINGER: Final = 1.0
"""Seconds in which somebody who is turned away can read why: closing a socket with unread bytes in
it resets the connection, and the answer is lost."""

DRAIN_GRACE: Final = 0.1
"""Seconds that a connection without a byte stays open when connections are to finish: a ClientHello
may be on its way."""

SILENCE: Final = 1.0
"""Seconds without a byte from which a connection may be closed to make room for another."""

CLOSE_TIMEOUT: Final = 2.0
"""Seconds that the end of a TLS connection waits for the peer's close_notify. Many never send one
(RFC 8446 section 6.1 lets them), and event loops would wait for 30."""

LOOKS: Final = 32
"""Times that a ClientHello is looked at until it is whole, at most."""

_PEEK: Final = 2_048
_MOST: Final = 32_768


class Arrival:
    """One socket until its protocol has it; then `header`, if there was one, is all that is left.

    header: the ProxyHeader, None without one.
    """

    __slots__ = (
        "_connection",
        "_handover",
        "_kept",
        "_looks",
        "_options",
        "_real",
        "_silent",
        "_since",
        "_task",
        "_timer",
        "_wants_header",
        "header",
    )

    def __init__(self, handover: Handover, connection: Connection, real: socket.socket) -> None:
        connections = connection.connections
        options = connections.listener.options
        self._handover = handover
        self._connection = connection
        self._options: TransportOptions = options
        self._real: socket.socket | None = real
        # What was taken of a header that is not whole yet, or of what turned out to be none.
        self._kept = b""
        self._looks = 0
        self._silent = True
        self._since = current_clock().now()
        self._task: asyncio.Task[None] | None = None
        self.header: ProxyHeader | None = None
        self._wants_header = False
        connections.arrivals[connection] = self
        self._timer: TimerHandle = current_clock().call_later(
            options.handshake_timeout, self._too_late
        )
        if options.proxy_protocol is not None and not self._may_send_header(real):
            return
        handover.loop.add_reader(real, self._readable)

    # the order of things --------------------------------------------------------------------------

    def _readable(self) -> None:
        """Bytes have arrived, or the end."""
        real = self._real
        if real is None or self._task is not None:
            return
        self._silent = False
        try:
            if self._wants_header and not self._read_header(real):
                return
            if self._options.ssl is None:
                self._hand_over(real)
            else:
                self._look_at_hello(real)
        except BlockingIOError:
            pass
        except ProxyProtocolError as error:
            logger.warning(
                "listener %r: the PROXY header of %s is refused: %s",
                self._connection.connections.listener.ref,
                _name_of(self.peername()),
                error,
            )
            self._end((SHUTDOWN, "bad_proxy_header"))
        except OSError as error:
            self._end((SHUTDOWN, error))

    # PROXY header ---------------------------------------------------------------------------------

    def _may_send_header(self, real: socket.socket) -> bool:
        """Whether the connection goes on: who is not trusted is not listened to."""
        peer = real.getpeername() if real.family != socket.AF_UNIX else None
        if peer is None or peer[0] in self._handover.proxy_networks(self._options):
            # A unix socket has the mode of its file to say who may connect.
            self._wants_header = True
            return True
        if self._options.proxy_protocol == "required":
            self._handover.complain(self._connection.connections.listener.ref, peer[0])
            self._end((SHUTDOWN, "not_a_trusted_proxy"))
            return False
        return self._is_admitted(peer[0])

    def _read_header(self, real: socket.socket) -> bool:
        """Take a PROXY header from the socket, and not a byte more. Returns whether it is there, or
        need not be."""
        kept = self._kept
        data = kept + real.recv(LONGEST_V2, socket.MSG_PEEK)
        if data == kept:
            self._end((SHUTDOWN, "closed"))
            return False
        try:
            found = decode(data)
        except NoProxyHeaderError:
            if self._options.proxy_protocol == "required":
                raise
            self._wants_header = False
            peer = real.getpeername()
            return not isinstance(peer, tuple) or self._is_admitted(peer[0])
        if found is None:
            real.recv(len(data) - len(kept))
            self._kept = data
            return False
        self.header, length = found
        real.recv(length - len(kept))
        self._kept = b""
        self._wants_header = False
        source = self.header.source
        return not isinstance(source, tuple) or self._is_admitted(source[0])

    def _is_admitted(self, address: str) -> bool:
        """Whether the client may have a further connection (max_connections_per_ip and so on)."""
        connections = self._connection.connections
        limits = connections.peer_limits
        if limits is None or limits.admit(self._connection, address):
            return True
        options = self._options
        if options.max_connections_policy == "refuse" and options.ssl is None:
            listener = connections.listener
            self._refuse(listener.protocol.refusal(listener.protocol_options))
        else:
            self._end((SHUTDOWN, "too_many_connections"))
        return False

    # TLS ------------------------------------------------------------------------------------------

    def _look_at_hello(self, real: socket.socket) -> None:
        """Choose a context by the ClientHello, once it is whole; or end what will come to
        nothing."""
        tls: Any = self._options.ssl
        data = real.recv(_PEEK, socket.MSG_PEEK)
        if not data:
            self._end((SHUTDOWN, "closed"))
            return
        if is_plain_text(self._kept or data):
            listener = self._connection.connections.listener
            self._refuse(listener.protocol.plain_text_refusal(listener.protocol_options))
            return
        if self._kept:
            self._end((SHUTDOWN, "no_tls"))
            return
        if not hasattr(tls, "context_for"):
            self._shake_hands(real, tls)
            return
        needed = bytes_needed(data)
        if needed is not None and len(data) == _PEEK < needed:
            data = real.recv(_MOST, socket.MSG_PEEK)
            needed = bytes_needed(data)
        if needed is None:
            # Who hides a hello from us, in its length or behind other records, has a reason.
            self._refuse(HANDSHAKE_FAILURE)
        elif needed <= len(data):
            hello = parse_hello(data)
            if tls.alpn and hello.protocols and not set(tls.alpn).intersection(hello.protocols):
                self._refuse(NO_APPLICATION_PROTOCOL)
            elif hello.finite_field:
                self._refuse(HANDSHAKE_FAILURE)
            else:
                self._shake_hands(real, tls.context_for(hello.server_name))
        else:
            self._wait_for(real, needed)

    def _wait_for(self, real: socket.socket, size: int) -> None:
        self._looks += 1
        if real.family == socket.AF_UNIX:
            # It would tell of the same bytes over and over.
            self._shake_hands(real, self._options.ssl.default)  # type: ignore[union-attr]
            return
        if self._looks > LOOKS:
            self._refuse(HANDSHAKE_FAILURE)
            return
        # Readable from so many bytes on: what is only peeked at would be told of for ever.
        real.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, min(size, _MOST))

    def _shake_hands(self, real: socket.socket, context: Any) -> None:
        loop = self._handover.loop
        loop.remove_reader(real)
        if self._looks:
            real.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._task = loop.create_task(self._handshake(real, context))

    async def _handshake(self, real: socket.socket, context: Any) -> None:
        options = self._options
        try:
            await self._handover.connect(
                self._connection,
                real,
                ssl=context,
                ssl_handshake_timeout=options.handshake_timeout,
                ssl_shutdown_timeout=CLOSE_TIMEOUT,
            )
        except Exception as error:
            real.close()
            if isinstance(error, OSError | TimeoutError):  # SSLError is an OSError
                # A peer that speaks no TLS, or another, or has left: everyday life.
                logger.debug("%r: no TLS handshake: %s", self._connection, error)
                self._end((SHUTDOWN, error))
            else:
                self._end(error)
        except BaseException:
            real.close()
            raise
        finally:
            self._task = None
        self._done()

    # the ends -------------------------------------------------------------------------------------

    def _hand_over(self, real: socket.socket) -> None:
        """No TLS: the protocol gets the socket."""
        handover = self._handover
        handover.loop.remove_reader(real)
        family = real.family
        connection, kept, options = self._connection, self._kept, self._options
        self._done()
        handover.start(connection, family, real.detach(), options, kept)
        handover.flush()

    def _done(self) -> None:
        self._timer.cancel()
        self._real = None
        self._kept = b""
        if self.header is None:
            self._connection.connections.arrivals.pop(self._connection, None)

    def _refuse(self, answer: bytes) -> None:
        """Say why, and close once that was read. The connection counts until then."""
        real = self._real
        if real is None or not answer:
            self._end((SHUTDOWN, "refused"))
            return
        loop = self._handover.loop
        self._timer.cancel()
        try:
            real.send(answer)
            real.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._end((SHUTDOWN, error))
            return
        self._timer = current_clock().call_later(LINGER, self._end, (SHUTDOWN, "refused"))
        loop.remove_reader(real)
        loop.add_reader(real, self._throw_away, real)

    def _throw_away(self, real: socket.socket) -> None:
        try:
            if real.recv(65_536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._end((SHUTDOWN, "refused"))

    def _too_late(self) -> None:
        self._end((SHUTDOWN, "handshake_timeout"))

    def peername(self) -> Any:
        """The address of the socket's other end, None where there is none any more."""
        try:
            return None if self._real is None else self._real.getpeername()
        except OSError:
            return None

    def idle_since(self) -> float | None:
        """Since when nothing has come, where that is longer than SILENCE; None while it has."""
        if self._silent and self._real is not None:
            return self._since if current_clock().now() - self._since >= SILENCE else None
        return None

    def shed(self) -> bool:
        """Make room for another connection, unless something has come."""
        if self.idle_since() is None:
            return False
        # Not at once: who asks is in the middle of accepting.
        self._handover.loop.call_soon(self._end, (SHUTDOWN, "shed"))
        return True

    def drain(self) -> None:
        """Connections are to finish: this one has not begun. It goes on if it does so now."""
        if self._silent:
            self._timer.cancel()
            self._timer = current_clock().call_later(DRAIN_GRACE, self._still_silent)

    def _still_silent(self) -> None:
        if self._silent:
            self._end((SHUTDOWN, "closed"))
        else:
            self._timer = current_clock().call_later(
                self._options.handshake_timeout, self._too_late
            )

    def _end(self, reason: Reason) -> None:
        """The end of the connection, and so of this (`close`)."""
        if self._connection.alive:
            self._connection._exited(reason)
        else:
            self.close()

    def close(self) -> None:
        """Its connection has ended: nothing of it may stay open."""
        self._timer.cancel()
        real, self._real = self._real, None
        if self._task is not None:
            self._task.cancel()  # it closes the socket
        elif real is not None:
            self._handover.loop.remove_reader(real)
            real.close()


def _name_of(peer: Any) -> str:
    if peer is None:
        return "somebody who has left"
    return str(peer[0]) if isinstance(peer, tuple) else "a unix socket"
