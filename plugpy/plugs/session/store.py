"""Store: what Session asks of the place where sessions are kept (Plug.Session.Store)."""

from collections.abc import Awaitable
from typing import Any, Protocol

from plugpy.conn import Conn, ConnError

Data = dict[str, Any]


class SessionStoreError(ConnError):
    """The store does not answer. The request is answered by 503."""

    status = 503


class Store(Protocol):
    """Three methods. `sid` is what names a session in the store, None for a new one.

    max_age: seconds that a session is worth keeping, set by Session before the first request.
    """

    max_age: float

    def get(self, conn: Conn, cookie: str) -> tuple[str | None, Data]:
        """The session that the cookie stands for; (None, {}) where there is none, or no more."""
        ...

    def put(self, conn: Conn, sid: str | None, data: Data) -> str:
        """Keep `data`, under a new name where `sid` is None; returns the value of the cookie."""
        ...

    def delete(self, conn: Conn, sid: str) -> None:
        """Forget a session."""
        ...


class AsyncStore(Protocol):
    """The same for a store that is asked over a network: the answer waits for what is written."""

    max_age: float

    async def get(self, conn: Conn, cookie: str) -> tuple[str | None, Data]:
        """As in Store. Raises SessionStoreError."""
        ...

    def put(self, conn: Conn, sid: str | None, data: Data) -> tuple[str, Awaitable[None]]:
        """The value of the cookie, and what writes `data`; that may raise SessionStoreError."""
        ...

    def delete(self, conn: Conn, sid: str) -> Awaitable[None]:
        """What forgets the session; it may raise SessionStoreError."""
        ...
