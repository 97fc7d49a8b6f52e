"""Serving in this process: from settings to the exit code."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import Callable
from ssl import SSLContext
from typing import Any, Final

from plugpy.server.announce import announce
from plugpy.server.application import Loaded, load
from plugpy.server.control.single import SingleControl
from plugpy.server.errors import EXIT_FAILURE, EXIT_OK, StartError
from plugpy.server.logs import configure_logging
from plugpy.server.loops import loop_factory
from plugpy.server.server import Server
from plugpy.server.settings import Settings, from_arguments
from plugpy.server.systemd import Notifier
from plugpy.server.units import format_span
from plugpy.server.watchdog import Watchdog

logger = logging.getLogger("plugpy.server")

PROGRESS_INTERVAL: Final = 1.0
"""Seconds between two lines about the progress of a drain."""

STOP_GRACE: Final = 5.0
"""Seconds over the shutdown timeout, or after a second signal, until the process ends although
something in it does not."""

GC_THRESHOLD: Final = 50_000
"""Objects made and not freed until the collector looks at the youngest generation.

Conns and connections are freed by their reference counts; what the collector finds is rare.
Measured on CPython 3.11: 32,000 kept-alive requests start no collection at either threshold; 4,000
connections of one request each start 204 at the interpreter's 700 (44 ms) and 1 at this (25 ms).
"""


def run(application: Any, *, ssl: SSLContext | None = None, **options: Any) -> int:
    """Serve `application` in this process until SIGTERM or SIGINT; returns the exit code.

    application: a Router class or instance, a plug, an ASGI or a WSGI application, or an import
    string.
    ssl: an SSLContext for TLS, in place of the option certfile; for one process only.
    options: those of plugpy.server.options by name, such as `port=0` or `max_body="1MB"`; an
    unknown one raises ConfigurationError. Environment and files are not looked at.
    Only in the main thread, where signals arrive.
    """
    target = application if isinstance(application, str) else None
    settings = from_arguments(options, app=target)
    if target is not None and settings.needs_master() and ssl is None:
        from plugpy.server.master import run_master

        return run_master(settings)
    if settings.needs_master():
        raise StartError(
            "several workers, reload, max_requests and max_rss need an import string such as "
            "'app:Router', and files for TLS: each worker imports and reads them itself"
        )
    return run_single(settings, application, ssl)


def run_single(settings: Settings, application: Any = None, ssl: SSLContext | None = None) -> int:
    """Serve in this process; `application` in place of `settings.app`, when it is given."""
    configure_logging(settings["log_format"], settings["log_level"])
    if application is None or isinstance(application, str):
        application = load_from(settings)
    server = Server.from_settings(application, settings, ssl=ssl)
    settings.app = settings.app or server.name
    notifier = Notifier.from_environment()
    control = SingleControl(server)

    def ready() -> None:
        control.start()
        urls = ", ".join(server.urls)
        announce(settings, urls, server.summary(), os.getpid())
        notifier.ready(f"serves on {urls}")

    def started(loop: asyncio.AbstractEventLoop) -> None:
        # The signs of life come from the loop that serves: that is what they are to prove.
        notifier.watch(loop, lambda: True)

    try:
        return run_server(server, ready, started=started, notifier=notifier)
    finally:
        control.stop()


def load_from(settings: Settings) -> Loaded:
    """Import the application that `settings` name."""
    assert settings.app is not None
    return load(
        settings.app,
        app_dir=settings["app_dir"],
        factory=settings["factory"],
        interface=settings["interface"],
    )


def check(settings: Settings) -> None:
    """Import the application and check every option, without listening."""
    loop_factory(settings["loop"])
    Server.from_settings(load_from(settings), settings).check()


def run_server(
    server: Server,
    ready: Callable[[], None],
    *,
    started: Callable[[asyncio.AbstractEventLoop], None] | None = None,
    progress: Callable[[int], None] | None = None,
    stop_signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP),
    notifier: Notifier | None = None,
) -> int:
    """Run `server` in an event loop of its own until a signal asks it to stop.

    ready: called when it accepts connections. started: called in the loop before that. progress:
    called with the number of open connections while it drains, in place of logging. notifier: is
    told of the drain.
    SIGHUP is among the signals because a single process has no successor to hand over to.
    """
    with asyncio.Runner(loop_factory=loop_factory(server.settings["loop"])) as runner:
        return runner.run(_serve(server, ready, started, progress, stop_signals, notifier))


async def _serve(
    server: Server,
    ready: Callable[[], None],
    started: Callable[[asyncio.AbstractEventLoop], None] | None,
    progress: Callable[[int], None] | None,
    stop_signals: tuple[signal.Signals, ...],
    notifier: Notifier | None,
) -> int:
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in stop_signals:
        loop.add_signal_handler(number, signals.put_nowait, number)
    if started is not None:
        started(loop)
    starting = loop.create_task(server.start())
    waiting = loop.create_task(signals.get())
    await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        # Asked to stop while the application's lifespan starts.
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        await server.stop()
        return EXIT_OK
    if starting.exception() is not None:
        waiting.cancel()
        await server.stop()
    starting.result()
    _settle_memory()
    ready()
    threshold = server.settings["block_warning"]
    if threshold:
        server.watchdog = Watchdog(threshold)
        server.watchdog.start()
    try:
        return await _serve_until(server, waiting, signals, progress, notifier)
    finally:
        if server.watchdog is not None:
            server.watchdog.stop()


async def _serve_until(
    server: Server,
    waiting: "asyncio.Task[signal.Signals]",
    signals: "asyncio.Queue[signal.Signals]",
    progress: Callable[[int], None] | None,
    notifier: Notifier | None,
) -> int:
    """Serve until a signal comes, or the server gives up; returns the exit code."""
    loop = asyncio.get_running_loop()
    ended = loop.create_task(server.wait_ended())
    await asyncio.wait({waiting, ended}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        await server.stop()
        logger.critical("the server has ended by itself: %s", server.why_ended())
        return EXIT_FAILURE
    ended.cancel()
    return await _drain(server, waiting.result().name, signals, progress, notifier)


async def _drain(
    server: Server,
    name: str,
    signals: "asyncio.Queue[signal.Signals]",
    progress: Callable[[int], None] | None,
    notifier: Notifier | None,
) -> int:
    loop = asyncio.get_running_loop()
    limit = server.settings["shutdown_timeout"]
    stopping = loop.create_task(server.stop())
    again = loop.create_task(signals.get())
    if progress is None:
        within = "without a time limit" if limit == "infinity" else f"in {format_span(limit)}"
        logger.info(
            "%s: draining %d connections %s; send it again to stop at once",
            name,
            server.connections,
            within,
        )
    deadline = float("inf") if limit == "infinity" else loop.time() + limit + STOP_GRACE
    while True:
        if progress is not None:
            progress(server.connections)
        if notifier is not None:
            notifier.stopping(f"draining, {server.connections} connections left")
        await asyncio.wait(
            {stopping, again}, timeout=PROGRESS_INTERVAL, return_when=asyncio.FIRST_COMPLETED
        )
        if stopping.done():
            again.cancel()
            stopping.result()
            logger.info("stopped")
            return EXIT_OK
        if again.done() and progress is not None:
            # A worker: systemd signals every process of a service, the master too, which passes it
            # on. When it is to stop at once the master kills it.
            again = loop.create_task(signals.get())
        elif again.done():
            logger.warning("%s again: stopping at once", again.result().name)
            server.close_connections()
            await asyncio.wait({stopping}, timeout=STOP_GRACE)
            return EXIT_FAILURE
        if loop.time() > deadline:
            logger.error("%d connections did not end in time", server.connections)
            return EXIT_FAILURE
        if progress is None:
            logger.info("draining: %d connections left", server.connections)


def _settle_memory() -> None:
    """Keep the collector away from what lives as long as the process: modules, routes, options."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])
