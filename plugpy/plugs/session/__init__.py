"""Session: what a user's requests have in common (Plug.Session).

Lives here: the plug, and its stores: `CookieStore` keeps everything in the cookie, signed or
encrypted; `MemoryStore` keeps it in this process. A store of your own has the three methods of
`Store`, a `Serializer` two. No store uses pickle: opening a pickle runs code.
"""

from plugpy.plugs.session.cookie_store import CookieStore, Serializer
from plugpy.plugs.session.memory_store import MemoryStore
from plugpy.plugs.session.session import Session
from plugpy.plugs.session.store import Store

__all__ = ["CookieStore", "MemoryStore", "Serializer", "Session", "Store"]
