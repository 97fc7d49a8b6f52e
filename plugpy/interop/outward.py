"""Routers, pipelines and applications as ASGI and WSGI applications, by how they are called.

    Router(scope, receive, send)     ASGI 3, on the class or an instance
    Router(scope)(receive, send)     ASGI 2: what uvicorn takes a class for
    Router(environ, start_response)  WSGI

What is made for a class or an instance is kept as long as that lives.
"""

from typing import Any


def is_foreign(arguments: tuple[Any, ...]) -> bool:
    """Whether these are the arguments of an ASGI or WSGI server's call."""
    first = arguments[0] if arguments else None
    if not isinstance(first, dict):
        return False
    return ("asgi" in first and "type" in first) or "wsgi.version" in first


def answer(application: Any, arguments: tuple[Any, ...]) -> Any:
    """What such a call returns: an awaitable for ASGI 3, an iterable for WSGI."""
    if "wsgi.version" in arguments[0]:
        return _kept(application, "_as_wsgi")(*arguments)
    asgi = _kept(application, "_as_asgi")
    if len(arguments) == 1:
        (scope,) = arguments
        return lambda receive, send: asgi(scope, receive, send)
    return asgi(*arguments)


def _kept(application: Any, name: str) -> Any:
    """What answers for `application`; kept with it, and not with its subclasses."""
    made = vars(application).get(name)
    if made is None:
        if name == "_as_wsgi":
            from plugpy.interop.to_wsgi import ToWsgi as Made
        else:
            from plugpy.interop.to_asgi import ToAsgi as Made  # type: ignore[assignment]
        made = Made(application)
        setattr(application, name, made)
    return made
