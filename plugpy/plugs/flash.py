"""Flash: messages for the next page that the user sees (Phoenix's fetch_flash)."""

from typing import Any, ClassVar, Final

from plugpy.conn import Conn, UnfetchedError

SESSION_KEY: Final = "_flash"
"""Where the session keeps messages that were not seen yet."""

_MESSAGES: Final = "plugpy_flash"


class Flash:
    """Keeps messages such as "Saved." in the session, from a redirect to the page it leads to.

    Options:
      session_key   where the session keeps them, "_flash"

    `put_flash(conn, "info", "Saved.")` shows in this response too, if it is a page. What was put or
    came in is kept while the answer is a redirect (300 to 308) or another protocol (101), and gone
    after any other answer: it was shown. `get_flash(conn)` gives the messages to templates, where
    the plug Templates makes it the function `get_flash()`. Messages are what JSON can hold; escape
    them as all else. Place it after Session.

    >>> from plugpy.plugs.session import MemoryStore, Session
    >>> from plugpy.testing import conn
    >>> session, flash = Session(store=MemoryStore(), key="_app"), Flash()
    >>> sent = put_flash(flash(session(conn("POST", "/"))), "info", "Saved.").redirect("/")
    >>> cookie = {"cookie": f"_app={sent.resp_cookies['_app']['value']}"}
    >>> page = flash(session(conn("GET", "/", headers=cookie)))
    >>> get_flash(page.send_resp(200, ""), "info")
    'Saved.'
    >>> get_flash(flash(session(conn("GET", "/", headers=cookie))))
    {}
    """

    __slots__ = ("_session_key",)
    runs_after = ("Session",)
    needs: ClassVar = {"Session": "messages are kept in the session, so requests fail"}

    def __init__(self, *, session_key: str = SESSION_KEY) -> None:
        if not session_key:
            raise ValueError("session_key is a text that is not empty")
        self._session_key = session_key

    def __call__(self, conn: Conn) -> Conn:
        if _MESSAGES in conn.private:
            return conn
        kept = conn.fetch_session().get_session(self._session_key)
        messages = dict(kept) if isinstance(kept, dict) else {}
        conn.private[_MESSAGES] = messages

        def keep(conn: Conn) -> Conn:
            messages = conn.private[_MESSAGES]
            if messages and _leads_on(conn.status):
                if messages != kept:
                    conn.put_session(self._session_key, messages)
            elif kept is not None:
                conn.delete_session(self._session_key)
            return conn

        return conn.register_before_send(keep)


def put_flash(conn: Conn, kind: str, message: Any) -> Conn:
    """Put the message of a kind ("info", "error"); it replaces the one before.

    Raises UnfetchedError without the plug Flash, AlreadySentError. Source:
    Phoenix.Controller.put_flash/3.
    """
    conn._check_unsent()
    _messages(conn)[str(kind)] = message
    return conn


def get_flash(conn: Conn, kind: str | None = None) -> Any:
    """The message of a kind, None where there is none; without a kind all of them, kind -> message.

    Raises UnfetchedError without the plug Flash.
    """
    messages = _messages(conn)
    return dict(messages) if kind is None else messages.get(str(kind))


def clear_flash(conn: Conn) -> Conn:
    """Forget all messages, those that came in included.

    Raises UnfetchedError without the plug Flash, AlreadySentError. Source:
    Phoenix.Controller.clear_flash/1.
    """
    conn._check_unsent()
    _messages(conn).clear()
    return conn


def _messages(conn: Conn) -> dict[str, Any]:
    messages: dict[str, Any] | None = conn.private.get(_MESSAGES)
    if messages is None:
        raise UnfetchedError("there are no flash messages: put the plug Flash before this one")
    return messages


def _leads_on(status: int | None) -> bool:
    """Whether the user sees another page than this answer."""
    return status is not None and (300 <= status <= 308 or status == 101)
