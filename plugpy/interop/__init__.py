"""Both ways between plugpy and the rest of Python's web.

Lives here: ASGI 3 and WSGI applications as plugs, and their lifespan; plugs as ASGI 3 and WSGI
applications.
May be touched: everything exported below.
"""

from plugpy.interop.asgi import AsgiPlug, asgi_plug, is_asgi
from plugpy.interop.errors import AsgiError, LifespanError, WsgiError
from plugpy.interop.lifespan import Lifespan
from plugpy.interop.started import Lifespans, lifespan_of
from plugpy.interop.to_asgi import ToAsgi, to_asgi
from plugpy.interop.to_wsgi import ToWsgi, to_wsgi
from plugpy.interop.wsgi import WsgiPlug, is_wsgi, wsgi_plug

__all__ = [
    "AsgiError",
    "AsgiPlug",
    "Lifespan",
    "LifespanError",
    "Lifespans",
    "ToAsgi",
    "ToWsgi",
    "WsgiError",
    "WsgiPlug",
    "asgi_plug",
    "is_asgi",
    "is_wsgi",
    "lifespan_of",
    "to_asgi",
    "to_wsgi",
    "wsgi_plug",
]
