"""The types of ASGI 3 (asgiref's typing, as far as it is needed here)."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApplication = Callable[[Any, Any, Any], Awaitable[None]]

ASGI_VERSION = "3.0"
HTTP_SPEC_VERSION = "2.4"
"""Since 2.4 `send` raises OSError once the client is gone."""
LIFESPAN_SPEC_VERSION = "2.0"
