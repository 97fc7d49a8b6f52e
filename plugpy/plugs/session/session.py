"""Session: the plug that fetches and writes sessions (Plug.Session)."""

from typing import Any, Final

from plugpy.conn import Conn
from plugpy.conn.response import validate_header
from plugpy.plugs.session.store import Store

MAX_AGE: Final = 1_209_600
"""Seconds that a session without max_age is kept: two weeks."""


class Session:
    """Makes `conn.fetch_session()` work, and writes the session when the response is sent.

    Options:
      store       where sessions are kept: CookieStore(...), MemoryStore(), or one of your own
      key         name of the cookie
      fetch       True: the session is fetched for each request; False: when a plug says so by
                  `conn.fetch_session()`
      max_age     seconds that browser and store keep it; None: the browser until it is closed, the
                  store for two weeks
      domain, path, secure, http_only, same_site, extra
                  of the cookie: unset, "/", True on https, True, "Lax", unset

    A cookie is sent only where the session was changed. Call
    `conn.configure_session(renew=True)` when a user logs in: the old id is then worth nothing.
    Nothing but JSON can be kept: tuples come back as lists. Place it before CSRFProtection and
    Parsers. Raises ValueError for a key that is no cookie name.

    >>> from plugpy.testing import conn
    >>> from plugpy.plugs.session import MemoryStore
    >>> plug = Session(store=MemoryStore(), key="_app")
    >>> sent = plug(conn("GET", "/")).put_session("user", 7).send_resp(200, "")
    >>> cookie = sent.resp_cookies["_app"]["value"]
    >>> plug(conn("GET", "/", headers={"cookie": f"_app={cookie}"})).get_session("user")
    7
    """

    __slots__ = ("_cookie_options", "_fetch", "_key", "_store")
    runs_before = ("CSRFProtection",)

    def __init__(
        self,
        *,
        store: Store,
        key: str,
        fetch: bool = True,
        max_age: int | None = None,
        domain: str | None = None,
        path: str = "/",
        secure: bool | None = None,
        http_only: bool = True,
        same_site: str | None = "Lax",
        extra: str | None = None,
    ) -> None:
        if isinstance(store, type) or not all(
            hasattr(store, name) for name in ("get", "put", "delete")
        ):
            raise TypeError(
                f"store is an object such as CookieStore(signing_salt=...), got {store!r}"
            )
        try:
            validate_header(key.lower(), "")
        except Exception:
            raise ValueError(f"key is the name of a cookie, got {key!r}") from None
        if same_site == "None" and secure is False:
            raise ValueError("browsers take a cookie with same_site='None' only if it is secure")
        store.max_age = max_age if max_age is not None else MAX_AGE
        self._store = store
        self._key = key
        self._fetch = fetch
        options: dict[str, Any] = {
            "max_age": max_age,
            "domain": domain,
            "path": path,
            "secure": secure,
            "http_only": http_only,
            "same_site": same_site,
            "extra": extra,
        }
        self._cookie_options = {name: value for name, value in options.items() if value is not None}

    def __call__(self, conn: Conn) -> Conn:
        if self._fetch:
            self._fetch_session(conn)
        else:
            conn.private["plug_session_fetch"] = self._fetch_session
        return conn

    def _fetch_session(self, conn: Conn) -> None:
        cookie = conn.req_cookies.get(self._key)
        sid, data = (None, {}) if cookie is None else self._store.get(conn, cookie)
        # What a plug before this one (or a test) has put there counts more (Plug.Session).
        conn.private["plug_session"] = {**data, **conn.private.get("plug_session", {})}
        conn.private["plug_session_fetch"] = "done"
        conn.private["plug_session_info"] = None

        def write(conn: Conn) -> Conn:
            self._write(conn, sid)
            return conn

        conn.register_before_send(write)

    def _write(self, conn: Conn, sid: str | None) -> None:
        what = conn.private["plug_session_info"]
        if what is None or what == "ignore":
            return
        if sid is not None and what in ("drop", "renew"):
            self._store.delete(conn, sid)
        if what == "drop":
            if sid is not None:
                options = dict(self._cookie_options)
                options.pop("max_age", None)
                conn.delete_resp_cookie(self._key, **options)
            return
        data = conn.private["plug_session"]
        value = self._store.put(conn, None if what == "renew" else sid, data)
        conn.put_resp_cookie(self._key, value, **self._cookie_options)
