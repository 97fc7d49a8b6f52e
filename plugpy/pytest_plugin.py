"""The pytest plugin: fixtures `live_server` and `client`. It is found by its entry point, without
configuration, and imports nothing of plugpy until a test asks for a fixture."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from plugpy.server import Server
    from plugpy.testing.live import LiveServer


class LiveServers:
    """Starts servers that end with the test, the last one first."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def __call__(self, application: Any, **options: Any) -> "LiveServer":
        """A plugpy.testing.LiveServer: in a thread, for tests that are async or not."""
        from plugpy.testing.live import LiveServer

        server = LiveServer(application, **options)
        self._stack.callback(server.stop)
        return server

    def here(self, application: Any, **options: Any) -> "AbstractAsyncContextManager[Server]":
        """A plugpy.Server in the loop of an async test: `async with live_server.here(App) as s`."""
        from plugpy.testing.live import serving

        return serving(application, **options)


class Clients:
    """Makes httpx clients. The options are those of httpx."""

    def __init__(self, servers: LiveServers, stack: ExitStack) -> None:
        self._servers = servers
        self._stack = stack

    def __call__(self, application: Any, **options: Any) -> "httpx.Client":
        """An httpx.Client of a live server of `application`, or of one that runs already: what
        `live_server` gave, a plugpy.Server, or its URL. Closed after the test."""
        client: httpx.Client = _httpx().Client(base_url=self._url(application), **options)
        self._stack.callback(client.close)
        return client

    def asynchronous(self, application: Any, **options: Any) -> "httpx.AsyncClient":
        """The same for async tests: `async with client.asynchronous(App) as http`."""
        client: httpx.AsyncClient = _httpx().AsyncClient(base_url=self._url(application), **options)
        return client

    def _url(self, application: Any) -> str:
        if isinstance(application, str):
            return application
        from plugpy.server import Server
        from plugpy.testing.live import LiveServer

        if isinstance(application, Server | LiveServer):
            return application.url
        return self._servers(application).url


def _httpx() -> Any:
    try:
        import httpx
    except ImportError:
        raise pytest.UsageError(
            'the fixture `client` needs httpx: pip install "plugpy[pytest]", or httpx itself'
        ) from None
    return httpx


@pytest.fixture
def live_server() -> Iterator[LiveServers]:
    """`live_server(App, **options).url`: a server of your application, stopped after the test."""
    with ExitStack() as stack:
        yield LiveServers(stack)


@pytest.fixture
def client(live_server: LiveServers) -> Iterator[Clients]:
    """`client(App).get("/")`: an httpx client of a live server; `client.asynchronous(App)`."""
    with ExitStack() as stack:
        yield Clients(live_server, stack)
