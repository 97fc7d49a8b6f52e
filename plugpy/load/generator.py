"""The load generator: opens the connections gently, hands out requests, ends the run."""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Final

from plugpy.load.client import Client
from plugpy.load.descriptors import make_room
from plugpy.load.errors import NOT_SENT, TIMEOUT, LoadError, kind_of, message_of
from plugpy.load.options import LoadOptions
from plugpy.load.pacing import ClosedLoop, OpenLoop, Pacing
from plugpy.load.report import LoadReport
from plugpy.load.tally import Tally

RAMP_BATCH: Final = 50
RAMP_PAUSE: Final = 0.005
"""Connections begun at once, and the seconds until the next batch: 10,000 a second. The kernel
completes a handshake before the server accepts it, so only time keeps its backlog (100 in asyncio,
1,024 in plugpy) from overflowing, which would cost the client a second (SYN retransmission)."""

SWEEPS: Final = 20
"""Looks for late answers, in one timeout. A timer for each request would cost more than sending
it; so a timeout is told up to a twentieth late."""

TIMER_STEP: Final = 0.0015
"""Seconds. Timers of event loops count in milliseconds: for less than this an open loop polls."""

RETRY_PAUSES: Final = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Seconds that a client waits after its first, second ... failure to connect in a row."""


class LoadGenerator:
    """One run. `await run()` once; `stop()` ends it early, from a signal handler too.

    Attributes for clients: request bytes, keep_alive, head_only, closed_loop, tally.
    Raises LoadError: a host that is unknown, too few file descriptors, hdrhistogram missing.
    """

    def __init__(self, options: LoadOptions) -> None:
        self.options = options
        self.tally = Tally()
        self.request = options.request
        self._scheme, self._host, self._port, _ = options.target
        self.keep_alive = options.keep_alive
        self.head_only = options.method == "HEAD"
        self.closed_loop = options.rate is None
        self.pacing: Pacing
        if options.rate is None:
            self.pacing = ClosedLoop(options.requests, options.duration)
        else:
            self.pacing = OpenLoop(options.rate, options.requests, options.duration)
        self.interrupted = False
        self.problem: str | None = None
        self._clients: set[Client] = set()
        self._free: deque[Client] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._addresses: list[tuple[str, int]] = []
        self._tls: ssl.SSLContext | None = None
        self._in_flight = 0
        self._began = 0.0
        self._stopping = False
        self._pause: asyncio.TimerHandle | asyncio.Handle | None = None

    # the run -------------------------------------------------------------------------------------

    async def run(self) -> LoadReport:
        """Load the server; the report, also of a run that was stopped early."""
        options = self.options
        self._loop = asyncio.get_running_loop()
        self._done = self._loop.create_future()
        make_room(options.connections)
        await self._resolve()
        cpu = process_time()
        self._began = perf_counter()
        timers = [self._loop.create_task(self._sweep())]
        try:
            if self.closed_loop or not self.keep_alive:
                self._start_pacing()
                timers.append(self._loop.create_task(self._ramp(self._ready)))
                self._wake()
            else:
                # An open loop starts when its connections stand: their ramp is not its load.
                await self._ramp(self.connect)
                while self._connecting and not self._stopping:
                    await asyncio.wait(self._connecting)
                self._start_pacing()
                self._wake()
            if not self._stopping:
                await self._done
            ended = perf_counter()
            if isinstance(self.pacing, OpenLoop) and not self.interrupted and not self.problem:
                unsent = self.pacing.overdue(ended)
                if unsent:
                    self.tally.error(NOT_SENT, count=unsent)
            return self._report(ended, process_time() - cpu)
        finally:
            self._stopping = True
            if self._pause is not None:
                self._pause.cancel()
            for task in (*timers, *self._connecting):
                task.cancel()
            await asyncio.gather(*timers, *self._connecting, return_exceptions=True)
            for client in self._clients:
                client.drop()
            # Transports tell their protocols of the end in the next turns of the loop.
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    def stop(self) -> None:
        """End the run now; requests in flight are dropped and counted as such."""
        self.interrupted = True
        self._finish()

    def progress(self) -> tuple[int, int, float]:
        """Answers so far, errors so far, seconds since the start."""
        return self.tally.answered, sum(self.tally.errors.values()), perf_counter() - self._began

    def _start_pacing(self) -> None:
        self._began = perf_counter()
        self.pacing.start(self._began)

    def _finish(self) -> None:
        self._stopping = True
        if not self._done.done():
            self._done.set_result(None)

    def _report(self, ended: float, cpu: float) -> LoadReport:
        self.tally.bytes_sent += len(self.request) * self.pacing.issued
        return LoadReport(
            self.options,
            self.tally,
            sent=self.pacing.issued,
            in_flight=self._in_flight,
            seconds=max(ended - self._began, 1e-9),
            client_cpu=cpu,
            interrupted=self.interrupted,
            problem=self.problem,
        )

    async def _resolve(self) -> None:
        scheme, host, port = self._scheme, self._host, self._port
        if scheme == "https":
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
            if self.options.insecure:
                self._tls.check_hostname = False
                self._tls.verify_mode = ssl.CERT_NONE
        if self.options.uds is not None:
            return
        try:
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise LoadError(f"the host {host!r} is not known: {error}") from None
        self._addresses = [(str(address[0]), int(address[1])) for *_, address in found]

    async def _ramp(self, begin: Callable[[Client], None]) -> None:
        for number in range(self.options.connections):
            if self._stopping:
                return
            if number and number % RAMP_BATCH == 0:
                await asyncio.sleep(RAMP_PAUSE)
            client = Client(self)
            self._clients.add(client)
            begin(client)

    async def _sweep(self) -> None:
        """Fail requests that wait for longer than the timeout; end a run whose time is over."""
        timeout = self.options.timeout
        while True:
            await asyncio.sleep(timeout / SWEEPS)
            now = perf_counter()
            for client in [c for c in self._clients if c.waiting and now - c.sent > timeout]:
                self.tally.latency(now - client.started)
                client.give_up(TIMEOUT)
            duration = self.options.duration
            if duration is not None and now - self._began > duration + timeout:
                self._finish()  # an open loop far behind its schedule

    # handing out requests ------------------------------------------------------------------------

    def _ready(self, client: Client) -> None:
        """A client has nothing to do: its next request, where one is due."""
        if self._stopping:
            return
        now = perf_counter()
        started = self.pacing.take(now)
        if started is not None:
            self._in_flight += 1
            client.begin(started)
            return
        self._free.append(client)
        if self._in_flight == 0 and self.pacing.exhausted(now):
            self._finish()
        elif self._pause is not None and len(self._free) == 1:
            # All were busy, so the wake-up is not for the next request but for a look around.
            self._pause.cancel()
            self._wake()

    def _wake(self) -> None:
        """Open loop: hand what is due to free clients, and come back when the next one is."""
        if self._stopping:
            return
        now = perf_counter()
        free = self._free
        take = self.pacing.take
        while free:
            started = take(now)
            if started is None:
                break
            self._in_flight += 1
            free.popleft().begin(started)
        due = self.pacing.next_due()
        if due is None:
            self._pause = None
            return
        wait = due - now
        if not free:
            # Whoever gets an answer takes what is due by then.
            wait = max(wait, 2 * TIMER_STEP)
        # Polled: a timer that is a millisecond late would be a millisecond of latency.
        if wait < TIMER_STEP:
            self._pause = self._loop.call_soon(self._wake)
        else:
            self._pause = self._loop.call_later(wait - TIMER_STEP, self._wake)

    # what clients tell ---------------------------------------------------------------------------

    def connect(self, client: Client, instead_of: Client | None = None) -> None:
        """Open a connection for `client`, which takes the place of another."""
        if instead_of is not None:
            self._clients.discard(instead_of)
        self._clients.add(client)
        task = self._loop.create_task(self._connect(client))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, client: Client) -> None:
        options = self.options
        failure: Exception | None = None
        host = self._host if self._tls else None
        try:
            async with asyncio.timeout(options.timeout):
                if options.uds is not None:
                    await self._loop.create_unix_connection(
                        lambda: client, options.uds, ssl=self._tls, server_hostname=host
                    )
                    return
                for address in self._addresses:
                    try:
                        await self._loop.create_connection(
                            lambda: client, *address, ssl=self._tls, server_hostname=host
                        )
                    except OSError as error:
                        failure = failure or error
                        continue
                    if address != self._addresses[0]:
                        self._addresses.remove(address)
                        self._addresses.insert(0, address)
                    return
        except (OSError, ssl.CertificateError) as error:
            failure = error
        if failure is not None:
            self._connect_failed(client, failure)

    def connected(self, client: Client) -> None:
        """A connection stands."""
        self.tally.connects += 1
        if not client.busy:
            self._ready(client)

    def _connect_failed(self, client: Client, failure: Exception) -> None:
        client.failures += 1
        kind, message = kind_of(failure), message_of(failure)
        if self.tally.connects == 0 and not self._stopping:
            # The very first connection: no server, or the wrong one.
            self.problem = f"can't connect to {self._where()}: {message or kind}"
            self.tally.error(kind, message)
            self._in_flight -= client.busy
            self._finish()
        elif client.busy:
            client.fail(kind, message)
        elif not self._stopping:
            self.tally.error(kind, message)
            self._ready(client)

    def _where(self) -> str:
        return self.options.uds or f"{self._host} port {self._port}"

    def answered(self, client: Client, status: int) -> None:
        """`client` has a whole answer."""
        now = perf_counter()
        self.tally.answer(status, now - client.started)
        self._in_flight -= 1
        self._ready(client)

    def failed(self, client: Client, kind: str, message: str) -> None:
        """The request of `client` ended without a whole answer."""
        if self._stopping:
            return
        self.tally.error(kind, message)
        self._in_flight -= 1
        if client.failures:
            pause = RETRY_PAUSES[min(client.failures, len(RETRY_PAUSES)) - 1]
            self._loop.call_later(pause, self._ready, client)
            self._check_end()
        else:
            self._ready(client)

    def _check_end(self) -> None:
        if self._in_flight == 0 and self.pacing.exhausted(perf_counter()):
            self._finish()
