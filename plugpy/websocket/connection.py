"""WebSocketConnection: what an HTTP/1 connection becomes by its upgrade (RFC 6455).

    open --close frame sent--> closing --close frame came, or time is up--> closed
      +--close frame came, answered; or a fault, told------------------------^
      (once the receiver has taken the messages that came before, see `_ending`)

It takes the place of the HTTP protocol at the transport, and asks that for all that a connection
is: its process, its clock, its end. Frames are worked on one by one; where the receiver holds, the
client is slow or it was a lot for one turn, the rest waits, and soon the client is held back.
"""

import asyncio
import logging
from random import uniform
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame

from plugpy.conn import Conn
from plugpy.websocket import codes
from plugpy.websocket.codec import (
    BINARY,
    CLOSE,
    CONT,
    OUT_OF_ORDER,
    PING,
    PONG,
    TEXT,
    Codec,
    Utf8Decoder,
    close_payload,
    parse_close,
)
from plugpy.websocket.handshake import Accepted
from plugpy.websocket.peer import Message, Receiver

if TYPE_CHECKING:
    from plugpy.http.http1 import Http1Connection

logger = logging.getLogger("plugpy.websocket")

OPEN, CLOSING, CLOSED = range(3)

TURN: Final = 64
"""Frames that are worked on in one turn of the event loop: a read may bring 40,000 of them."""

READ_AHEAD: Final = 65_536
"""Bytes that wait to be worked on before the client is held back."""

LARGE: Final = 4_096
"""Bytes of a frame from which it is not gathered with others into one write."""

GRACE: Final = 1.0
"""Seconds that a receiver has for the messages that came before a close frame or a fault."""

DRAIN_RATE: Final = 1_000
"""Connections a second that are told to go when the server stops: their clients come back at once,
elsewhere, and not all in the same moment."""

DRAIN_LONGEST: Final = 10.0
"""Seconds over which they are spread at most."""


class WebSocketConnection(asyncio.Protocol):
    """The peer of a Receiver, and the protocol of the transport. See Peer for its public half.

    upgraded_from: the HTTP connection. since: when the client was heard last, by its clock.
    """

    __slots__ = (
        "_codec",
        "_ending",
        "_held",
        "_in_line",
        "_latency",
        "_leaving",
        "_out",
        "_paused",
        "_pieces",
        "_ping",
        "_pinged",
        "_pings",
        "_reading_paused",
        "_since_close",
        "_state",
        "_why",
        "close_code",
        "close_reason",
        "conn",
        "options",
        "receiver",
        "since",
        "subprotocol",
        "upgraded_from",
    )

    def __init__(
        self, connection: "Http1Connection", conn: Conn, accepted: Accepted, receiver: Receiver
    ) -> None:
        options = accepted.options
        self.upgraded_from = connection
        self.conn = conn
        self.options = options
        self.subprotocol = accepted.subprotocol
        self.receiver = receiver
        self._codec = Codec(
            accepted.extensions,
            options.max_frame_size,
            options.max_message_size,
            options.compress_from,
        )
        self._state = OPEN
        # Of a message that comes in several frames: no object for each, which may hold one byte.
        self._pieces: bytearray | None = None
        self._out: list[bytes] | None = None
        self._held = False
        self._in_line = False
        self._paused = False  # writing, by the transport
        self._reading_paused = False
        self._leaving: asyncio.TimerHandle | None = None
        # A close frame or a fault that waits for the receiver: whether a fault, code, reason.
        self._ending: tuple[bool, int, str] | None = None
        self.since = self._pinged = connection.runtime.now
        self._since_close = 0.0
        # The ping that waits for its pong: payload and when it was sent.
        self._ping: tuple[bytes, float] | None = None
        self._pings = 0
        self._latency: float | None = None
        self._why = "remote"
        self.close_code = codes.ABNORMAL
        self.close_reason = ""

    # peer ----------------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether messages can still be sent."""
        return self._state == OPEN

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return self._state == CLOSED

    @property
    def slow(self) -> bool:
        """Whether what was sent waits for the client."""
        return self._paused

    @property
    def latency(self) -> float | None:
        """Seconds of the last of the server's pings there and back, None before the first."""
        return self._latency

    def send(self, message: Message) -> None:
        """Send a message: text for str, binary for bytes. Silence where it is closing."""
        if self._state == OPEN:
            if isinstance(message, str):
                self._write(self._codec.serialize(TEXT, message.encode()))
            else:
                self._write(self._codec.serialize(BINARY, bytes(message)))

    def ping(self, data: bytes = b"") -> None:
        """Send a ping. Raises ValueError above 125 bytes."""
        self._control(PING, data)

    def pong(self, data: bytes = b"") -> None:
        """Send a pong that nobody asked for. Raises ValueError above 125 bytes."""
        self._control(PONG, data)

    def _control(self, opcode: Any, data: bytes) -> None:
        if len(data) > 125:
            raise ValueError(f"pings and pongs hold 125 bytes at most, got {len(data)}")
        if self._state == OPEN:
            self._write(self._codec.serialize(opcode, data))

    def close(self, code: int = codes.NORMAL, reason: str = "") -> None:
        """Begin the closing handshake. Raises ValueError for a code that may not be sent."""
        self._begin_close("normal", code, codes.check_close(code, reason))

    def hold(self, held: bool) -> None:
        """Stop telling the receiver what comes, and soon reading it; or go on."""
        self._held = held
        if not held:
            self._go_on()

    def caught_up(self) -> None:
        """The receiver has taken all messages and asks for the next one."""
        if self._ending is not None:
            self._end_now()

    # bytes in ------------------------------------------------------------------------------------

    def start(self, transport: Any) -> None:
        """Take the transport over."""
        transport.set_protocol(self)
        self.receiver.opened(self)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        self.since = self.upgraded_from.runtime.now
        if self._state == CLOSED:
            return
        self._codec.feed(data)
        if not self._stuck:
            self._work()
        if self._codec.waiting > READ_AHEAD or self._reading_paused:
            self._update_reading()

    @property
    def _stuck(self) -> bool:
        """Whether something is in the way. A close frame is waited for whoever is busy."""
        return (
            (self._held and self._state == OPEN)
            or self._paused
            or self._in_line
            or self._ending is not None
        )

    def _work(self) -> None:
        """Work on frames, until none is left or something is in the way."""
        codec = self._codec
        # What is sent meanwhile leaves in one write.
        out: list[bytes] = []
        self._out = out
        turn = TURN
        try:
            while (frame := codec.next()) is not None:
                self._take(frame)
                turn -= 1
                if self._stuck or self._state == CLOSED:
                    break
                if not turn:
                    if codec.waiting:
                        self._in_line = True
                        self.upgraded_from.runtime.stand_in_line(self._work_on)
                    break
        except ProtocolError as error:
            self._fail(codes.PROTOCOL_ERROR, str(error))
        except PayloadTooBig:
            self._fail(
                codes.TOO_BIG,
                f"at most {self.options.max_frame_size:,} bytes a frame and "
                f"{self.options.max_message_size:,} a message",
            )
        except UnicodeDecodeError:
            self._fail(codes.INVALID_DATA, "not UTF-8")
        finally:
            self._out = None
            if out:
                self._write(out[0] if len(out) == 1 else b"".join(out))

    def _work_on(self) -> None:
        if self._in_line:
            self._in_line = False
            self._go_on()

    def _go_on(self) -> None:
        if self._out is not None:
            return  # we are being called by `_work`, which looks
        if not (self._stuck or self._state == CLOSED):
            self._work()
        self._update_reading()

    def _take(self, frame: Frame) -> None:
        opcode = frame.opcode
        data = frame.data
        if opcode is PING:
            if self._state == OPEN:
                self._write(self._codec.serialize(PONG, bytes(data)))
                self.receiver.control("ping", bytes(data))
        elif opcode is PONG:
            self._pong_came(bytes(data))
        elif opcode is CLOSE:
            self._close_came(*parse_close(bytes(data)))
        elif opcode is CONT:
            if self._codec.size is None:
                raise ProtocolError(OUT_OF_ORDER)
            self._piece(data, frame.fin)
        elif self._codec.size is not None:
            raise ProtocolError(OUT_OF_ORDER)
        elif frame.fin:
            message = str(data, "utf-8") if opcode is TEXT else bytes(data)
            if self._state == OPEN:
                self.receiver.message(message)
        else:
            self._codec.size = 0
            self._codec.decoder = Utf8Decoder() if opcode is TEXT else None
            self._piece(data, False)

    def _piece(self, data: Any, last: bool) -> None:
        """A piece of a message in several frames; its text is judged as it comes."""
        codec = self._codec
        codec.size = (codec.size or 0) + len(data)
        decoder = codec.decoder
        if decoder is not None:
            decoder.decode(data, last)
        if self._state == OPEN:
            if self._pieces is None:
                self._pieces = bytearray()
            self._pieces += data
        if last:
            pieces, self._pieces = self._pieces, None
            codec.decoder = codec.size = None
            if pieces is not None and self._state == OPEN:
                self.receiver.message(bytes(pieces) if decoder is None else pieces.decode())

    def _pong_came(self, data: bytes) -> None:
        ping = self._ping
        if ping is not None and ping[0] == data:
            self._ping = None
            self._latency = perf_counter() - ping[1]
        elif self._state == OPEN:
            self.receiver.control("pong", data)

    # the end -------------------------------------------------------------------------------------

    def _begin_close(self, why: str, code: int, reason: str) -> None:
        if self._state != OPEN:
            return
        if self._ending is not None:
            self._end_now()
            return
        self._state = CLOSING
        self._why = why
        self.close_code, self.close_reason = code, reason
        self._since_close = self.upgraded_from.runtime.now
        self._write(self._codec.serialize(CLOSE, close_payload(code, reason)))
        self._pieces = None
        self._go_on()  # the client's answer may be held back

    def _close_came(self, code: int, reason: str) -> None:
        if self._postponed(False, code, reason):
            return
        if self._state == OPEN:
            # Section 5.5.1: answered by the code that came.
            payload = b"" if code == codes.NO_STATUS else close_payload(code, "")
            self._write(self._codec.serialize(CLOSE, payload))
        self.close_code, self.close_reason = code, reason
        # Section 7.1.1: the server closes first. By its own half alone, where that can be: what a
        # client sends after its close frame would reset the connection, and lose our last messages.
        transport = self.upgraded_from.transport
        self._end(linger=transport is not None and transport.can_write_eof())

    def _fail(self, code: int, reason: str) -> None:
        """Section 7.1.7: tell why, and read no further."""
        if code != codes.GOING_AWAY and self._postponed(True, code, reason):
            return
        logger.info("%s: closed with %d: %s", self.conn.request_path, code, reason)
        if self._state == OPEN:
            self._write(self._codec.serialize(CLOSE, close_payload(code, reason)))
            self._why = "error" if code != codes.GOING_AWAY else "timeout"
            self.close_code, self.close_reason = code, reason
        self._end(linger=True)

    def _postponed(self, fault: bool, code: int, reason: str) -> bool:
        """Whether the end waits, since messages that came before were not taken yet: their answers
        would come too late. Nothing is worked on meanwhile."""
        if self._state != OPEN or self._ending is not None or not self.receiver.behind:
            return False
        self._ending = fault, code, reason
        self._since_close = self.upgraded_from.runtime.now
        return True

    def _end_now(self) -> None:
        """Bring about the end that has waited, if one has."""
        assert self._ending is not None
        fault, code, reason = self._ending
        if fault:
            self._fail(code, reason)
        else:
            self._close_came(code, reason)

    def _end(self, *, linger: bool) -> None:
        """Close the connection, once what is queued has left."""
        if self._state == CLOSED:
            return
        self._state = CLOSED
        self._ending = None
        self._since_close = self.upgraded_from.runtime.now
        if self._leaving is not None:
            self._leaving.cancel()
        out, self._out = self._out, None
        if out:
            self._write(b"".join(out))
            out.clear()
        if self._reading_paused:
            self._reading_paused = False
            if (transport := self.upgraded_from.transport) is not None:
                transport.resume_reading()
        self._pieces = None
        self.receiver.closed(self._why, self.close_code, self.close_reason)
        self.upgraded_from.upgrade_ended(linger=linger)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        connection = self.upgraded_from
        if self._state == CLOSED:
            connection.connection_lost(exc)
            return
        self._state = CLOSED
        if self._leaving is not None:
            self._leaving.cancel()
        if self._ending is not None and not self._ending[0]:
            _, self.close_code, self.close_reason = self._ending
        elif self._why == "remote":
            self.close_code = codes.ABNORMAL
        self._ending = None
        self._pieces = None
        self.receiver.closed(self._why, self.close_code, self.close_reason)
        connection.connection_lost(exc)
        connection.upgrade_ended(linger=False)

    def eof_received(self) -> bool | None:
        """The client has closed without a close frame, or after ours: the transport closes."""
        return None

    # what the server asks ------------------------------------------------------------------------

    @property
    def activity(self) -> str:
        """What an observer shows."""
        return "websocket" if self._state == OPEN else "closing"

    def drain(self) -> None:
        """The server stops: the client is told to go, each at its own time."""
        if self._state == OPEN and self._leaving is None:
            others = len(self.upgraded_from.connections.children)
            spread = min(others / DRAIN_RATE, DRAIN_LONGEST)
            loop = self.upgraded_from.runtime.loop
            self._leaving = loop.call_later(uniform(0, spread), self._leave)

    def _leave(self) -> None:
        code, reason = codes.GOING_AWAY, "the server is stopping"
        if self.upgraded_from.runtime.options.restarting:
            code, reason = codes.SERVICE_RESTART, "the server is restarting"
        self._begin_close("shutdown", code, reason)

    def cancel(self) -> bool:
        """The time to finish is over."""
        if self._leaving is not None:
            self._leaving.cancel()
        if self._state == OPEN:
            self._leave()
        return self.receiver.cancel()

    def fail(self) -> None:
        """The application crashed, or the process of the request got an exit signal."""
        self._begin_close("error", codes.INTERNAL_ERROR, "")
        self.receiver.cancel()

    def check_deadlines(self, now: float) -> bool:
        """Called once a second; returns whether something was ended."""
        options = self.options
        if self._state == CLOSING:
            late = now - self._since_close > options.close_timeout
            if late:
                self._end(linger=False)
            return late
        connection = self.upgraded_from
        if self._state == CLOSED:
            late = now - self._since_close > connection.runtime.options.linger_timeout
            if late:
                connection.abort_transport()
            return late
        if self._ending is not None:
            late = now - self._since_close >= GRACE
            if late:
                self._end_now()
            return late
        if self._reading_paused:
            self.since = now  # it is not heard because nobody listens
        elif options.timeout and now - self.since > options.timeout:
            self._fail(codes.GOING_AWAY, f"nothing was heard for {options.timeout:g} seconds")
            return True
        if options.ping_interval and now - self._pinged >= options.ping_interval:
            self._pinged = now
            self._pings += 1
            payload = b"plugpy %d" % self._pings
            self._ping = payload, perf_counter()
            self.ping(payload)
        return False

    # bytes out -----------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        out = self._out
        if out is not None:
            out.append(data)
            if len(data) >= LARGE and (transport := self.upgraded_from.transport) is not None:
                # Now, so that `_stuck` sees it: 64 small messages may ask for 64 large answers.
                transport.write(b"".join(out))
                out.clear()
        elif (transport := self.upgraded_from.transport) is not None:
            transport.write(data)

    def pause_writing(self) -> None:
        """The client is slow: nothing is read from it until it has caught up."""
        self._paused = True
        self.upgraded_from.note_slow(True)
        self._update_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._paused = False
        self.upgraded_from.note_slow(False)
        self.receiver.resumed()
        self._go_on()

    def _update_reading(self) -> None:
        transport = self.upgraded_from.transport
        if transport is None or self._state == CLOSED:
            return
        pause = self._stuck and self._codec.waiting > READ_AHEAD
        if pause != self._reading_paused:
            self._reading_paused = pause
            if pause:
                transport.pause_reading()
            else:
                transport.resume_reading()
