"""Server: an application on one listener, in an event loop that is running already.

    supervisor plugpy (one_for_one)
      children of the application, in their order
      listener http: connection supervisors, then acceptors

Children start from the first to the last and stop in reverse: the listener starts when all that
its handlers use is up, and has drained before any of it goes.
"""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from typing import Any, Final, Self
from weakref import WeakKeyDictionary

import acceptors
from acceptors.otp import KILLED, SHUTDOWN, ChildSpec, ParentProcess, Reason, Supervisor
from acceptors.otp import StartError as ChildStartError
from plugpy.http import PARSERS, Http1Connection, HttpOptions
from plugpy.pipeline import compiled
from plugpy.server.access_log import AccessLog
from plugpy.server.application import Loaded, identify
from plugpy.server.errors import ApplicationError, ServerError, StartError
from plugpy.server.held_reports import HeldReports
from plugpy.server.settings import Settings, from_arguments
from plugpy.server.sockets import address_error, listen_options, url_of

REF: Final = "http"
"""The name of the listener (Ranch's ref); further ones in the event loop are `http-2` and so on."""


class Server:
    """Serves `application` on `options` (plugpy.server.options, by name) between start and stop.

    async with Server(app, port=0) as server:
        ...  # server.url

    application: a Router class or instance, a plug, or an ASGI application. The environment and
    configuration files are not looked at. Raises ConfigurationError, ApplicationError, StartError.
    """

    def __init__(self, application: Any, **options: Any) -> None:
        self._prepare(application, from_arguments(options), ())

    @classmethod
    def from_settings(
        cls, application: Any, settings: Settings, sockets: Sequence[socket.socket] = ()
    ) -> Self:
        """A server of resolved settings; on `sockets` that listen already, when there are any."""
        server = cls.__new__(cls)
        server._prepare(application, settings, sockets)
        return server

    def _prepare(
        self, application: Any, settings: Settings, sockets: Sequence[socket.socket]
    ) -> None:
        if not isinstance(application, Loaded):
            application = identify(application, interface=settings["interface"])
        self.settings = settings
        self.name: str = application.name
        self._loaded: Loaded = application
        self._sockets = list(sockets)
        self._supervisor: Supervisor | None = None
        self._access_log: AccessLog | None = None
        self._lifespan: Any = None
        self._refs: list[str] = []
        self._address: Any = None
        self._ended: asyncio.Future[Reason] | None = None
        self._plug = self._make_plug()

    # What it is.

    @property
    def address(self) -> Any:
        """(host, port, ...) of the socket, or the path of the unix socket."""
        if self._address is None:
            raise RuntimeError("the server has no address before it has started")
        return self._address

    @property
    def port(self) -> int:
        """The TCP port; 0 on a unix socket."""
        address = self.address
        return int(address[1]) if isinstance(address, tuple) else 0

    @property
    def host(self) -> str:
        """The address that it listens on; "" on a unix socket."""
        address = self.address
        return str(address[0]) if isinstance(address, tuple) else ""

    @property
    def url(self) -> str:
        """Where it can be reached: `http://127.0.0.1:4000`, `unix:/run/app.sock`."""
        by_name = self.settings["fd"] is None and self.settings["uds"] is None
        return url_of(self.address, self.settings["host"] if by_name else "")

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return sum(len(parent.children) for parent in self._connection_supervisors())

    @property
    def supervisor(self) -> Supervisor:
        """The top of its tree of processes."""
        if self._supervisor is None:
            raise RuntimeError("the server has no processes before it has started")
        return self._supervisor

    def summary(self) -> str:
        """What kind of server it is, for the line at its start: `100 acceptors, uvloop`."""
        loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        count = self.settings["acceptors"]
        return f"{count} acceptor{'s' if count != 1 else ''}, {loop}"

    def check(self) -> None:
        """Raise for options that can't be served with, without listening."""
        self._http_options()

    # Its life.

    async def start(self) -> None:
        """Start the application, then listen. Raises StartError; then nothing is left behind."""
        if self._supervisor is not None:
            raise RuntimeError("the server has started already")
        options = self._http_options()
        if self._lifespan is not None:
            from plugpy.interop import LifespanError

            try:
                await self._lifespan.startup()
            except LifespanError as error:
                raise ApplicationError(str(error)) from error
        ref = _reserve_ref()
        children = [*self._children(), self._listener(ref, self._sockets, options)]
        reports = HeldReports()
        try:
            with reports:
                self._supervisor = await Supervisor.start(children, label="plugpy")
        except ChildStartError as error:
            _release_refs([ref])
            failure = self._start_error(error)
            if failure is None:
                reports.emit()  # they have the traceback of what did not start
                failure = StartError(f"the server could not start: {error}")
            raise failure from error
        _close_all(self._sockets)
        self._refs.append(ref)
        self._options = options
        self._address = acceptors.get_addr(ref)
        self._ended = asyncio.get_running_loop().create_future()
        self._supervisor.watch(self._ended.set_result)

    async def adopt(self, sockets: Sequence[socket.socket]) -> None:
        """Accept from further sockets that listen already; they are the server's from now on."""
        ref = _reserve_ref()
        self._refs.append(ref)
        await self.supervisor.start_child(self._listener(ref, sockets, self._options))
        _close_all(sockets)

    async def stop(self) -> None:
        """Stop accepting, finish what is in flight, stop the application. May be called again.

        Connections have the time of the option shutdown-timeout; then they are closed.
        """
        supervisor = self._supervisor
        if supervisor is not None:
            await self._stop_accepting()
            await supervisor.stop(SHUTDOWN)
            _release_refs(self._refs)
        lifespan, self._lifespan = self._lifespan, None
        if lifespan is not None:
            await lifespan.shutdown()
        log, self._access_log = self._access_log, None
        if log is not None:
            log.close()

    async def _stop_accepting(self) -> None:
        for ref in self._refs:
            with contextlib.suppress(acceptors.NoListenerError):
                await acceptors.suspend_listener(ref)

    def close_connections(self) -> None:
        """Close every connection now, whatever it is doing; a drain then ends at once."""
        for parent in self._connection_supervisors():
            for connection in list(parent.children.values()):
                if isinstance(connection, acceptors.Connection):
                    connection.abort(KILLED)

    async def wait_ended(self) -> Reason:
        """Wait until its tree of processes is gone, and say why."""
        assert self._ended is not None
        return await asyncio.shield(self._ended)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    # Its parts.

    def _make_plug(self) -> Any:
        if self._loaded.interface == "asgi":
            from plugpy.interop import asgi_plug

            plug = asgi_plug(self._loaded.application)
            self._lifespan = plug.lifespan
            return plug
        try:
            # A wrong route or pipeline is an error of the start, not of the first request.
            return compiled(self._loaded.application)
        except Exception as error:
            raise ApplicationError(f"{self.name} is wrong: {error}") from error

    def _http_options(self) -> HttpOptions:
        settings = self.settings
        log = None
        if settings["access_log"]:
            with contextlib.suppress(RuntimeError):
                loop = asyncio.get_running_loop()
                self._access_log = AccessLog(settings["log_format"], loop=loop)
                log = self._access_log.record
        try:
            PARSERS[settings["http"]]()
        except ImportError as error:
            raise StartError(f"{settings.source('http')}: {error}") from None
        return HttpOptions(application=self._plug, access_log=log, **settings.part("http"))

    def _connection_supervisors(self) -> list[acceptors.Connections]:
        """Found in the tree: a listener that stops is known by its name no more."""
        found: list[acceptors.Connections] = []
        waiting: list[ParentProcess] = [] if self._supervisor is None else [self._supervisor]
        while waiting:
            for process in list(waiting.pop().children.values()):
                if isinstance(process, acceptors.Connections):
                    found.append(process)
                elif isinstance(process, ParentProcess):
                    waiting.append(process)
        return found

    def _children(self) -> list[Any]:
        """The application's own children: `children` on it, child specs or what makes one."""
        return list(getattr(self._loaded.application, "children", ()) or ())

    def _listener(
        self, ref: str, sockets: Sequence[socket.socket], options: HttpOptions
    ) -> ChildSpec:
        settings = self.settings
        transport = {
            "num_acceptors": settings["acceptors"],
            "max_connections": settings["max_connections"],
            "max_connections_policy": settings["max_connections_policy"],
            "shutdown": settings["shutdown_timeout"],
        }
        if sockets:
            transport.update(sockets=list(sockets), backlog=settings["backlog"])
        else:
            transport.update(listen_options(settings))
        spec: ChildSpec = acceptors.child_spec(ref, transport, Http1Connection, options)
        return spec

    def _start_error(self, error: ChildStartError) -> ServerError | None:
        """The reason that a child did not start, where it can be told in a line."""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ServerError):
                return cause
            if isinstance(cause, OSError):
                return address_error(cause, self.settings)
            cause = cause.__cause__
        return None


_reserved: WeakKeyDictionary[asyncio.AbstractEventLoop, set[str]] = WeakKeyDictionary()


def _reserve_ref() -> str:
    """A name that no listener of this event loop has, nor one that is about to start."""
    reserved = _reserved.setdefault(asyncio.get_running_loop(), set())
    taken = reserved.union(acceptors.info())
    number, ref = 1, REF
    while ref in taken:
        number += 1
        ref = f"{REF}-{number}"
    reserved.add(ref)
    return ref


def _release_refs(refs: Sequence[str]) -> None:
    _reserved.setdefault(asyncio.get_running_loop(), set()).difference_update(refs)


def _close_all(sockets: Sequence[socket.socket]) -> None:
    # The listener has duplicates: ours would keep the port open when it has closed its own.
    for sock in sockets:
        sock.close()
