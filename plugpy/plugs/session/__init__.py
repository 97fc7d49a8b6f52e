"""Session: what a user's requests have in common (Plug.Session).

Lives here: the plug, and its stores: `CookieStore` keeps everything in the cookie, signed or
encrypted; `MemoryStore` keeps it in this process. A store of your own has the three methods of
`Store`, a `Serializer` two. No store uses pickle: opening a pickle runs code.
"""

from plugpy.plugs.session.cookie_store import CookieStore, Serializer
from plugpy.plugs.session.memory_store import MemoryStore
from plugpy.plugs.session.redis_store import RedisStore
from plugpy.plugs.session.session import Session
from plugpy.plugs.session.store import AsyncStore, SessionStoreError, Store

__all__ = [
    "AsyncStore",
    "CookieStore",
    "MemoryStore",
    "RedisStore",
    "Serializer",
    "Session",
    "SessionStoreError",
    "Store",
]
