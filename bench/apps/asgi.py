"""The ASGI function that uvicorn serves, here for plugpy."""

from bench.peers.bare_asgi import app

__all__ = ["app"]
