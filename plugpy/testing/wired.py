"""An HTTP connection of plugpy without a socket, whose time stands still."""

import asyncio
from typing import Any, Self, cast

from acceptors.otp import ParentProcess
from plugpy.http import Http1Connection, HttpOptions
from plugpy.testing.transport import FakeTransport, Pieces, feed


class _Supervisor(ParentProcess):
    """What a connection needs of its supervisor when there is no listener."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        # Nobody waits for a PROXY header or a handshake.
        self.arrivals: dict[Any, Any] = {}


class WiredConnection:
    """The HTTP/1 connection of a server in memory: `feed` bytes, look at `transport.sent`.

    with WiredConnection(App()) as wired:
        wired.feed(b"GET / HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n", "bytewise")
        await wired.settle()
        assert wired.transport.sent.startswith(b"HTTP/1.1 200 ")

    For async tests. application: a plug or router, an instance. settings: fields of
    plugpy.http.HttpOptions, every limit and timeout. connection: the Http1Connection. Deadlines
    pass by `advance` alone.
    """

    TURNS = 25
    """Turns of the event loop that `settle` waits."""

    def __init__(
        self, application: Any, options: HttpOptions | None = None, **settings: Any
    ) -> None:
        self.transport = FakeTransport()
        self._supervisor = _Supervisor()
        options = options or HttpOptions(application, **settings)
        # It is no listener's supervisor, and has what a connection asks of one.
        supervisor = cast(Any, self._supervisor)
        self.connection = Http1Connection(supervisor, options)
        self.connection.connection_made(self.transport)
        self._freeze()

    def feed(self, data: bytes, how: Pieces = "whole") -> None:
        """Bytes of the client, see `plugpy.testing.feed`; dropped once the transport closes."""
        if not self.transport.closing:
            feed(self.connection, data, how)

    async def settle(self) -> None:
        """Let everything run that can run without time passing."""
        for _ in range(self.TURNS):
            await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Let time pass for the deadlines of the connection."""
        runtime = self.connection.runtime
        runtime.now += seconds
        if self.connection.transport is not None:
            runtime.sweep([self.connection])

    def close(self) -> None:
        """The client is gone: the connection ends."""
        if self.connection.transport is not None:
            self.connection.connection_lost(None)
        self._freeze()
        self._supervisor._exited("normal")

    def _freeze(self) -> None:
        timer = self.connection.runtime._timer
        if timer is not None:
            timer.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
