"""The test kit: run plugs without a server (Plug.Test).

Lives here: `conn`, which builds a Conn with an adapter that records what is sent; `call` and
`acall`, which run any plug on it to its end; functions on what was sent, cookies, sessions, peers
and errors; `LiveServer` and `serving`, a real server; `FakeTransport`, `feed`, `VirtualClock` and
`WiredConnection` for protocols. The pytest fixtures are in
plugpy.pytest_plugin, which is imported by every pytest and so must not import this room.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from acceptors.otp import VirtualClock
from plugpy.testing.adapter import TestAdapter
from plugpy.testing.building import conn
from plugpy.testing.calling import acall, call
from plugpy.testing.cookies import delete_req_cookie, put_req_cookie, recycle_cookies
from plugpy.testing.ends import put_http_protocol, put_peer_data, put_sock_data, put_ssl_data
from plugpy.testing.error_sent import assert_error_sent, assert_error_sent_async
from plugpy.testing.sent import SentResponse, sent_chunks, sent_informs, sent_resp, sent_upgrades
from plugpy.testing.sessions import init_test_session
from plugpy.testing.transport import FakeTransport, feed

if TYPE_CHECKING:
    from plugpy.testing.live import LeakError as LeakError
    from plugpy.testing.live import LiveServer as LiveServer
    from plugpy.testing.live import serving as serving
    from plugpy.testing.wired import WiredConnection as WiredConnection

_HOMES = {
    "LeakError": "plugpy.testing.live",
    "LiveServer": "plugpy.testing.live",
    "WiredConnection": "plugpy.testing.wired",
    "serving": "plugpy.testing.live",
}

__all__ = [
    "FakeTransport",
    "LeakError",
    "LiveServer",
    "SentResponse",
    "TestAdapter",
    "VirtualClock",
    "WiredConnection",
    "acall",
    "assert_error_sent",
    "assert_error_sent_async",
    "call",
    "conn",
    "delete_req_cookie",
    "feed",
    "init_test_session",
    "put_http_protocol",
    "put_peer_data",
    "put_req_cookie",
    "put_sock_data",
    "put_ssl_data",
    "recycle_cookies",
    "sent_chunks",
    "sent_informs",
    "sent_resp",
    "sent_upgrades",
    "serving",
]


def __getattr__(name: str) -> Any:
    # A server is much to import for those who test plugs.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'plugpy.testing' has no attribute {name!r}")
    return getattr(import_module(home), name)
