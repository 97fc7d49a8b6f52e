"""Server: an application on its listeners, in an event loop that is running already.

    supervisor plugpy (one_for_one)
      application: its children, in their order, under a supervisor of their own
      tasks: what `conn.tasks` has started
      certificates: looks for new ones, where there is TLS
      listener http: connection supervisor, then acceptors
      listener http-2, ... where the option `listen` names several places

Children start from the first to the last and stop in reverse: the listener starts when all that
its handlers use is up, and has drained before any of it goes. One_for_one, since a listener holds
nothing of the application's: children that are restarted cost no connection. An application whose
supervisor gives up ends the server, as a permanent application ends its node in OTP.
"""

import asyncio
import contextlib
import logging
import math
import socket
from collections.abc import Sequence
from itertools import zip_longest
from ssl import SSLContext
from typing import Any, Final, Self
from weakref import WeakKeyDictionary

import acceptors
from acceptors.otp import (
    KILLED,
    SHUTDOWN,
    ChildSpec,
    ParentProcess,
    Reason,
    Supervisor,
    current_clock,
    format_reason,
)
from acceptors.otp import StartError as ChildStartError
from acceptors.tls import Certificates
from plugpy.http import PARSERS, Http1Connection, HttpOptions
from plugpy.server.access_log import AccessLog
from plugpy.server.application import Loaded, identify, load
from plugpy.server.children import TASKS, application_error, failed_children, why_it_gave_up
from plugpy.server.errors import ServerError, StartError
from plugpy.server.held_reports import HeldReports
from plugpy.server.listeners import REF, ServerListener, divide, listeners_of
from plugpy.server.served import ServedApplication, with_rewriting
from plugpy.server.settings import Settings, from_arguments
from plugpy.server.sockets import address_error
from plugpy.server.tasks import Tasks
from plugpy.server.tls import CertificateWatch, certificates_of, log_warnings
from plugpy.server.watchdog import Watchdog
from plugpy.websocket.upgrade import UPGRADES

logger = logging.getLogger("plugpy.server")

CERTIFICATES: Final = "certificates"
"""The id of the process that looks for new certificates."""


class Server:
    """Serves `application` on `options` (plugpy.server.options, by name) between start and stop.

    async with Server(app, port=0) as server:
        ...  # server.url

    application: a Router class or instance, a plug, an ASGI or a WSGI application. ssl: an
    SSLContext for TLS, in place of the option certfile. The environment and configuration files are
    not looked at.
    Raises ConfigurationError, ApplicationError, StartError.
    """

    def __init__(self, application: Any, *, ssl: SSLContext | None = None, **options: Any) -> None:
        self._prepare(application, from_arguments(options), (), (), ssl)

    @classmethod
    def from_settings(
        cls,
        application: Any,
        settings: Settings,
        sockets: Sequence[socket.socket] = (),
        sizes: Sequence[int] = (),
        *,
        ssl: SSLContext | None = None,
    ) -> Self:
        """A server of resolved settings; on `sockets` that listen already, when there are any.

        sizes: how many of them each listener has, in their order; () for one listener.
        """
        server = cls.__new__(cls)
        server._prepare(application, settings, sockets, sizes, ssl)
        return server

    def _prepare(
        self,
        application: Any,
        settings: Settings,
        sockets: Sequence[socket.socket],
        sizes: Sequence[int],
        ssl: SSLContext | None,
    ) -> None:
        if not isinstance(application, Loaded):
            application = identify(application, interface=settings["interface"])
        self.settings = settings
        self.name: str = application.name
        # By import string; the server's own is the first, under None.
        self._applications: dict[str | None, ServedApplication] = {
            None: ServedApplication(application, settings)
        }
        self.listeners: list[ServerListener] = self._make_listeners(ssl)
        self._sockets = list(sockets)
        self._sizes = tuple(sizes)
        self._supervisor: Supervisor | None = None
        self._access_log: AccessLog | None = None
        # Who serves starts it: a program that embeds a server has a loop of its own.
        self.watchdog: Watchdog | None = None
        self._stop_began = self._stopped = False
        self._refs: list[str] = []
        self._ended: asyncio.Future[Reason] | None = None

    # What it is.

    # Of several listeners, these tell of the first.

    @property
    def address(self) -> Any:
        """(host, port, ...) of the socket, or the path of the unix socket."""
        address = self.listeners[0].address
        if address is None:
            raise RuntimeError("the server has no address before it has started")
        return address

    @property
    def port(self) -> int:
        """The TCP port; 0 on a unix socket."""
        return self.listeners[0].port if self.address is not None else 0

    @property
    def host(self) -> str:
        """The address that it listens on; "" on a unix socket."""
        return self.listeners[0].host if self.address is not None else ""

    @property
    def url(self) -> str:
        """Where it can be reached: `http://127.0.0.1:4000`, `unix:/run/app.sock`."""
        return self.listeners[0].url if self.address is not None else ""

    @property
    def urls(self) -> list[str]:
        """Where each listener can be reached."""
        return [listener.url for listener in self.listeners]

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return sum(len(parent.children) for parent in self._connection_supervisors())

    @property
    def requests(self) -> int:
        """How many requests have come in since the start; counted when somebody asks."""
        if self._supervisor is None:
            return 0
        return sum(
            runtime.requests
            for listener in self.listeners
            for runtime in listener.http_options.runtimes()
        )

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
        self._make_options()

    # Its life.

    async def start(self) -> None:
        """Start the application, then listen. Raises StartError; then nothing is left behind."""
        if self._supervisor is not None:
            raise RuntimeError("the server has started already")
        try:
            await self._start()
        except BaseException:
            for application in self._applications.values():
                await application.shutdown()
            raise

    async def _start(self) -> None:
        self._make_options()
        for application in self._applications.values():
            await application.startup()
        sockets = divide(self._sockets, self._sizes)
        self._refs = self._name_listeners()
        children = [*self._beside()]
        for listener, theirs in zip_longest(self.listeners, sockets, fillvalue=()):
            assert isinstance(listener, ServerListener)
            children.append(self._listener(listener.ref, listener, theirs))
        reports = HeldReports()
        try:
            with reports:
                self._supervisor = await Supervisor.start(
                    children, label="plugpy", auto_shutdown="any_significant"
                )
        except ChildStartError as error:
            _release_refs(self._refs)
            failure = self._start_error(error)
            if failure is None:
                reports.emit()  # they have the traceback of what did not start
                failure = StartError(f"the server could not start: {error}")
            raise failure from error
        _close_all(self._sockets)
        for listener in self.listeners:
            listener.address = acceptors.get_addr(listener.ref)
        self._ended = asyncio.get_running_loop().create_future()
        self._supervisor.watch(self._ended.set_result)

    async def adopt(self, sockets: Sequence[socket.socket]) -> None:
        """Accept from further sockets that listen already; they are the server's from now on."""
        for listener, theirs in zip(self.listeners, divide(sockets, self._sizes), strict=True):
            ref = _reserve_ref(listener.ref)
            self._refs.append(ref)
            await self.supervisor.start_child(self._listener(ref, listener, theirs))
        _close_all(sockets)

    def reload_certificates(self) -> bool:
        """Read certificates and keys anew, for the next connections; every 10 seconds their files
        are looked at anyhow. False where one can't be used: that is logged, and the old one stays.
        """
        return all(
            process.reload()
            for process in self.supervisor.children.values()
            if isinstance(process, CertificateWatch)
        )

    async def stop(self) -> None:
        """Stop accepting, finish what is in flight, stop the application. May be called again.

        Connections have the time of the option shutdown-timeout; then they are closed.
        """
        supervisor = self._supervisor
        if supervisor is not None:
            if not self._stop_began:
                self._stop_began = True
                for application in self._applications.values():
                    await application.call_back("prep_stop")
                self._limit_tasks()
            await self._stop_accepting()
            await supervisor.stop(SHUTDOWN)
            _release_refs(self._refs)
            if not self._stopped:
                self._stopped = True
                for application in self._applications.values():
                    await application.call_back("stop")
        for application in self._applications.values():
            await application.shutdown()
        log, self._access_log = self._access_log, None
        if log is not None:
            log.close()

    def _limit_tasks(self) -> None:
        tasks = self.listeners[0].http_options.tasks
        limit = self.settings["shutdown_timeout"]
        if tasks is not None:
            tasks.deadline = math.inf if limit == "infinity" else current_clock().now() + limit

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

    def why_ended(self) -> str:
        """Why its tree of processes gave up, in words."""
        assert self._ended is not None
        theirs = [application.children for application in self._applications.values()]
        found = why_it_gave_up([*theirs, self._supervisor])
        return found or format_reason(self._ended.result() if self._ended.done() else None)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    # Its parts.

    def _make_listeners(self, ssl: SSLContext | None) -> list[ServerListener]:
        listeners = []
        for one in listeners_of(self.settings, tls=ssl is not None):
            application = self._applications.get(one.app)
            if application is None and one.app is not None:
                loaded = load(one.app, app_dir=self.settings["app_dir"])
                number = len(self._applications) + 1
                application = self._applications[one.app] = ServedApplication(
                    loaded, self.settings, number
                )
            assert application is not None
            tls: Any = None
            if one.tls:
                own = bool(one.settings["certfile"])
                tls = certificates_of(one.settings) if own or ssl is None else ssl
            plug = with_rewriting(application.plug, one.settings)
            listeners.append(ServerListener(one, plug, tls))
        return listeners

    def _make_options(self) -> None:
        """The HttpOptions of each listener; they share one access log."""
        log = None
        if self.settings["access_log"]:
            with contextlib.suppress(RuntimeError):
                loop = asyncio.get_running_loop()
                self._access_log = AccessLog(self.settings["log_format"], loop=loop)
                log = self._access_log.record
        try:
            PARSERS[self.settings["http"]]()
        except ImportError as error:
            raise StartError(f"{self.settings.source('http')}: {error}") from None
        for listener in self.listeners:
            listener.http_options = HttpOptions(
                application=listener.plug,
                access_log=log,
                upgrades=UPGRADES,
                **listener.settings.part("http"),
            )

    def _name_listeners(self) -> list[str]:
        for listener in self.listeners:
            listener.ref = _reserve_ref(listener.wanted_ref or REF)
        return [listener.ref for listener in self.listeners]

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

    def _beside(self) -> list[ChildSpec]:
        """What is started before the listeners."""
        children = [spec for one in self._applications.values() for spec in one.child_specs()]
        tasks = ChildSpec(id=TASKS, start=self._start_tasks, type="supervisor", modules=(Tasks,))
        children.append(tasks)
        certificates = [
            listener.tls for listener in self.listeners if isinstance(listener.tls, Certificates)
        ]
        if certificates:
            children.append(
                ChildSpec(id=CERTIFICATES, start=CertificateWatch, args=(certificates,))
            )
            for one in certificates:
                log_warnings(one)
        return children

    async def _start_tasks(self) -> Tasks:
        tasks: Tasks = await Tasks.start_link(label=TASKS)
        for listener in self.listeners:
            listener.http_options.tasks = tasks
        return tasks

    def _listener(
        self, ref: str, listener: ServerListener, sockets: Sequence[socket.socket]
    ) -> ChildSpec:
        spec: ChildSpec = acceptors.child_spec(
            ref, listener.transport(sockets), Http1Connection, listener.http_options
        )
        return spec

    def _start_error(self, error: ChildStartError) -> ServerError | None:
        """The reason that a child did not start, where it can be told in a line."""
        names = {one.id: one.name for one in self._applications.values()}
        found = application_error(names, error)
        if found is not None:
            return found
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ServerError):
                return cause
            if isinstance(cause, OSError):
                return address_error(cause, self._settings_of(error))
            cause = cause.__cause__
        return None

    def _settings_of(self, error: ChildStartError) -> Settings:
        """The settings of the listener that did not start."""
        for listener in self.listeners:
            if ("listener", listener.ref) in failed_children(error):
                return listener.settings
        return self.settings


_reserved: WeakKeyDictionary[asyncio.AbstractEventLoop, set[str]] = WeakKeyDictionary()


def _reserve_ref(wanted: str) -> str:
    """A name that no listener of this event loop has, nor one that is about to start: `wanted`, or
    with a number behind it."""
    reserved = _reserved.setdefault(asyncio.get_running_loop(), set())
    taken = reserved.union(acceptors.info())
    number, ref = 1, wanted
    while ref in taken:
        number += 1
        ref = f"{wanted}-{number}"
    reserved.add(ref)
    return ref


def _release_refs(refs: Sequence[str]) -> None:
    _reserved.setdefault(asyncio.get_running_loop(), set()).difference_update(refs)


def _close_all(sockets: Sequence[socket.socket]) -> None:
    # The listener has duplicates: ours would keep the port open when it has closed its own.
    for sock in sockets:
        sock.close()
