"""What an HTTP listener is told: the application, its limits and timeouts, and who is told of it.

Every limit names the status that its violation is answered with; docs/reference/limits.md is the
same table for readers.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args
from weakref import WeakKeyDictionary

from plugpy.conn import Conn
from plugpy.http.overload import LoadShedding

if TYPE_CHECKING:
    from acceptors import Connections
    from plugpy.http.runtime import Runtime

Application = Callable[[Conn], Conn | Awaitable[Conn]]
"""Any plug: what a connection calls with each Conn."""

ParserName = Literal["httptools", "h11"]

AccessLog = Callable[[Conn, int, float], None]
"""Called once for each finished response: the conn, bytes of its body that were sent, and the
time.perf_counter() of the request's arrival."""


class Upgrade(Protocol):
    """Another protocol that a connection can change to."""

    def prepare(self, conn: Conn, options: Any, /) -> tuple[Any, Any]:
        """Check the request. Returns what was agreed on, whose `resp_headers` are part of the 101,
        and who receives what comes. Raises what the client is to be told."""

    def socket(self, conn: Any, options: Any, settings: dict[str, Any], /) -> Any:
        """What `conn.websocket()` returns: the connection as a coroutine sees it. Raises what the
        client is to be told."""

    def switch(self, connection: Any, conn: Conn, agreed: Any, receiver: Any, /) -> Any:
        """The asyncio protocol that takes the connection over, with `start(transport)`, `drain()`,
        `cancel() -> bool`, `fail()`, `check_deadlines(now)`, true where that has ended something,
        `closed`, `activity`, `receiver`."""


@dataclass(slots=True, eq=False)
class HttpOptions:
    """Options of the HTTP protocols (Ranch's protocol_options). Sizes in bytes, times in seconds.

    application              the plug that answers
    http                     "httptools" (llhttp, in C) or "h11": who parses request heads
    access_log               called for each finished response; None: off
    secret_key_base          what cookies are signed and encrypted with; never shown
    debug                    error answers show source, variables, the request; never in production

    max_empty_lines          16 before a request line; more: 400
    max_request_line         8,192; longer: 414. RFC 9110 section 4.1 wants targets of 8,000
    max_header_line          8,190, one header line; longer: 431
    max_headers              100 header lines; more: 431
    max_head                 65,536, request line and headers; longer: 431
    max_body                 8,000,000 unless the route says otherwise; longer: 413
    max_chunk_line           1,024, the line with a chunk's size and extensions; longer: 400
    max_chunk_extensions     16,384, all chunk lines with extensions of one body; more: 400. Else a
                             sender could make the server read much more than it counts as body
    max_trailers             8,190, all trailers of a chunked body; longer: 431
    max_keepalive            0, requests on one connection, 0 for any number; the last one is
                             answered with `connection: close`
    max_skip_body            1,000,000 of a request body that nobody read are skipped to keep the
                             connection; more: it is closed

    header_timeout           10, from the first byte (or the accept) to the end of the head;
                             408, silent close where nothing was sent
    keepalive_timeout        75 between requests; close
    body_grace, body_min_rate 5, 500 a second: a body slower than that, once the grace is over: 408
    write_timeout            30 without the peer taking a byte of what is queued; the connection
                             is reset
    request_timeout          0, from the head to the end of the response, 0 for none: 503, or a
                             reset where the response had begun
    max_lag                  0, seconds that the event loop may be late before new requests are
                             answered with 503 and Retry-After; 0 for never
    max_lag_exempt           (), paths that are served all the same: health checks
    linger_timeout           2 in which an early error answer may still be read before the close

    read_buffer              65,536 of body or of pipelined requests kept before the client is
                             held back
    head_memo                512 request heads known by heart, 0 for none (see plugpy.http.head)
    upgrades                 protocol name -> Upgrade, which takes connections over after the 101
    """

    application: Application
    http: ParserName = "httptools"
    access_log: AccessLog | None = None
    secret_key_base: str | None = field(default=None, repr=False)
    debug: bool = False

    max_empty_lines: int = 16
    max_request_line: int = 8_192
    max_header_line: int = 8_190
    max_headers: int = 100
    max_head: int = 65_536
    max_body: int = 8_000_000
    max_chunk_line: int = 1_024
    max_chunk_extensions: int = 16_384
    max_trailers: int = 8_190
    max_keepalive: int = 0
    max_skip_body: int = 1_000_000

    header_timeout: float = 10.0
    keepalive_timeout: float = 75.0
    body_grace: float = 5.0
    body_min_rate: int = 500
    write_timeout: float = 30.0
    request_timeout: float = 0.0
    linger_timeout: float = 2.0
    max_lag: float = 0.0
    max_lag_exempt: tuple[str, ...] = ()

    read_buffer: int = 65_536
    head_memo: int = 512
    upgrades: "Mapping[str, Upgrade]" = field(default_factory=dict)

    def runtimes(self) -> "list[Runtime]":
        """What the connections of each listener share, where there have been any."""
        return list(self._runtimes.values())

    # Weak: a listener's runtime goes with its connection supervisor.
    _runtimes: "WeakKeyDictionary[Connections, Runtime]" = field(
        default_factory=WeakKeyDictionary, init=False, repr=False
    )

    small_head: int = field(default=0, init=False, repr=False)
    """A head of fewer bytes can't break the limits on its lines: a header takes 4 bytes."""

    tasks: Any = field(default=None, init=False, repr=False)
    """The TaskSupervisor behind `conn.tasks`; None where nobody has started one."""

    restarting: bool = field(default=False, init=False, repr=False)
    """Whether a stop is one of this process only, and another serves on: upgraded connections are
    told (WebSocket: 1012 instead of 1001)."""

    observed: bool = field(default=False, init=False, repr=False)
    """Whether requests are logged or counted: else the hot path need not ask."""

    def __post_init__(self) -> None:
        self.observed = self.access_log is not None or self.max_keepalive > 0
        self.small_head = min(
            4 * self.max_headers, self.max_request_line, self.max_header_line, self.max_head
        )
        if not callable(self.application):
            raise TypeError(f"application must be a plug, got {self.application!r}")
        if self.http not in get_args(ParserName):
            raise ValueError(
                f"http must be one of {', '.join(get_args(ParserName))}, got {self.http!r}"
            )
        if self.max_lag:
            self.application = LoadShedding(self.application, self.max_lag, self.max_lag_exempt)
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)!r}")
        for name in _NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} can't be negative, got {getattr(self, name)!r}")


_POSITIVE = (
    "max_request_line",
    "max_header_line",
    "max_headers",
    "max_head",
    "max_chunk_line",
    "header_timeout",
    "keepalive_timeout",
    "body_grace",
    "write_timeout",
    "read_buffer",
)
_NOT_NEGATIVE = (
    "max_empty_lines",
    "max_body",
    "max_chunk_extensions",
    "max_trailers",
    "max_keepalive",
    "max_skip_body",
    "body_min_rate",
    "request_timeout",
    "linger_timeout",
    "max_lag",
    "head_memo",
)
