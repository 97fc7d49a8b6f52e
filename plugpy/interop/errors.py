"""Errors of the bridge between plugpy and ASGI."""

from plugpy.conn import ConnError


class AsgiError(ConnError, RuntimeError):
    """An ASGI application broke the protocol; the message says with which message."""


class LifespanError(RuntimeError):
    """The application said, or showed, that it could not start."""


class WsgiError(ConnError, RuntimeError):
    """A WSGI application broke PEP 3333; the message says how."""
