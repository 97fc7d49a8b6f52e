"""WebSocket (RFC 6455), with permessage-deflate (RFC 7692).

Two ways to serve a connection:

- callbacks with explicit state, a WebSocketHandler (WebSock, Cowboy): reached by
  `conn.upgrade_adapter("websocket", Upgrade(handler, state))`; no Task, the least memory;
- a coroutine: `async with conn.websocket() as ws`, `async for message in ws`.

Frames are read and written by the library `websockets`; what they mean is decided here.

| file | what lives there |
|---|---|
| handshake, origin | whether a request may become a WebSocket connection |
| options, codes, errors | limits and timeouts; close codes; what is raised |
| codec | bytes to frames and back |
| connection | the protocol's states, for an HTTP/1.1 connection |
| peer | the two sides that it stands between |
| handler, outcomes, callbacks | the callbacks, what they return, what runs them |
| socket | the coroutine's side |
| upgrade | the way in |
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plugpy.websocket.errors import NotAcceptedError as NotAcceptedError
    from plugpy.websocket.errors import UpgradeError as UpgradeError
    from plugpy.websocket.errors import WebSocketClosed as WebSocketClosed
    from plugpy.websocket.handler import Upgrade as Upgrade
    from plugpy.websocket.handler import WebSocketHandler as WebSocketHandler
    from plugpy.websocket.options import WebSocketOptions as WebSocketOptions
    from plugpy.websocket.outcomes import Ok as Ok
    from plugpy.websocket.outcomes import Ping as Ping
    from plugpy.websocket.outcomes import Pong as Pong
    from plugpy.websocket.outcomes import Push as Push
    from plugpy.websocket.outcomes import Stop as Stop
    from plugpy.websocket.socket import WebSocket as WebSocket

_HOMES = {
    "NotAcceptedError": "errors",
    "Ok": "outcomes",
    "Ping": "outcomes",
    "Pong": "outcomes",
    "Push": "outcomes",
    "Stop": "outcomes",
    "Upgrade": "handler",
    "UpgradeError": "errors",
    "WebSocket": "socket",
    "WebSocketClosed": "errors",
    "WebSocketHandler": "handler",
    "WebSocketOptions": "options",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'plugpy.websocket' has no attribute {name!r}")
    return getattr(import_module(f"plugpy.websocket.{home}"), name)


def __dir__() -> list[str]:
    return list(__all__)
