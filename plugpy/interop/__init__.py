"""Both ways between plugpy and the rest of Python's web.

Lives here: ASGI 3 applications as plugs, and their lifespan.
May be touched: everything exported below.
"""

from plugpy.interop.asgi import AsgiPlug, asgi_plug, is_asgi
from plugpy.interop.errors import AsgiError, LifespanError
from plugpy.interop.lifespan import Lifespan

__all__ = [
    "AsgiError",
    "AsgiPlug",
    "Lifespan",
    "LifespanError",
    "asgi_plug",
    "is_asgi",
]
