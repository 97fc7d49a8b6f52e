"""Store: what Session asks of the place where sessions are kept (Plug.Session.Store)."""

from typing import Any, Protocol

from plugpy.conn import Conn

Data = dict[str, Any]


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
