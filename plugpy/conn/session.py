"""The session of a Conn. The plug Session fills `private` with the function that fetches it.

private["plug_session"]        dict, the session once fetched
private["plug_session_fetch"]  function conn -> conn that fetches it; "done" afterwards
private["plug_session_info"]   what to do when the response is sent: write, renew, drop, ignore
"""

from typing import Any, Literal, Self

from plugpy.conn.errors import AlreadySentError, UnfetchedError
from plugpy.conn.fields import ConnFields
from plugpy.conn.state import UNSENT_STATES

SessionInfo = Literal["write", "renew", "drop", "ignore"]


class SessionSide(ConnFields):
    """Methods on the session. All but `fetch_session` raise UnfetchedError before it was fetched;
    those that change it raise AlreadySentError once the response left."""

    __slots__ = ()

    def fetch_session(self) -> Self:
        """Fetch the session; nothing happens the second time.

        Raises UnfetchedError without a Session plug. Source: Plug.Conn.fetch_session/2.
        """
        fetch = self.private.get("plug_session_fetch")
        if fetch == "done":
            return self
        if fetch is None:
            raise UnfetchedError("cannot fetch the session: no Session plug ran before this one")
        fetch(self)
        return self

    def get_session(self, key: str | None = None, default: Any = None) -> Any:
        """The whole session as a dict, or the value of `key` (Plug.Conn.get_session/1 to /3)."""
        session = self._session()
        return dict(session) if key is None else session.get(str(key), default)

    def put_session(self, key: str, value: Any) -> Self:
        """Set a value; keys are text (Plug.Conn.put_session/3)."""
        self._writable_session()[str(key)] = value
        return self

    def delete_session(self, key: str) -> Self:
        """Remove a key (Plug.Conn.delete_session/2)."""
        self._writable_session().pop(str(key), None)
        return self

    def clear_session(self) -> Self:
        """Remove all keys; the cookie is still sent (Plug.Conn.clear_session/1)."""
        self._writable_session().clear()
        return self

    def configure_session(
        self, *, renew: bool = False, drop: bool = False, ignore: bool = False
    ) -> Self:
        """renew: a new session id; drop: delete session and cookie; ignore: keep no changes.

        Raises ValueError unless exactly one is given. Source: Plug.Conn.configure_session/2.
        """
        if renew + drop + ignore != 1:
            raise ValueError("configure_session takes one of renew, drop, ignore")
        self._writable_session()
        self.private["plug_session_info"] = "renew" if renew else "drop" if drop else "ignore"
        return self

    def _session(self) -> dict[str, Any]:
        session: dict[str, Any] | None = self.private.get("plug_session")
        if session is None:
            raise UnfetchedError("the session was not fetched: call conn.fetch_session() before")
        return session

    def _writable_session(self) -> dict[str, Any]:
        session = self._session()
        if self.state not in UNSENT_STATES:
            raise AlreadySentError()
        self.private.setdefault("plug_session_info", "write")
        if self.private["plug_session_info"] is None:
            self.private["plug_session_info"] = "write"
        return session
