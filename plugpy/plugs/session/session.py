"""Session: the plug that fetches and writes sessions (Plug.Session)."""

from collections.abc import Awaitable
from inspect import iscoroutinefunction
from typing import Any, Final

from plugpy.conn import Conn
from plugpy.conn.response import validate_header
from plugpy.conn.starting_over import start_over
from plugpy.conn.state import SET
from plugpy.pipeline.compiler import Application, trusted
from plugpy.plugs.session.holding import HoldingAdapter
from plugpy.plugs.session.store import AsyncStore, Data, Store

MAX_AGE: Final = 1_209_600
"""Seconds that a session without max_age is kept: two weeks."""


class Session:
    """Makes `conn.fetch_session()` work, and writes the session when the response is sent.

    Options:
      store       where sessions are kept: CookieStore(...), MemoryStore(), RedisStore(...), or one
                  of your own
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

    A store that is asked over a network (RedisStore) needs `wrap(Session, ...)`: the answer then
    leaves when the session is written, what was set without being sent is sent at the end of the
    wrap, and a request that crashes unanswered leaves the session as it was.

    >>> from plugpy.testing import conn
    >>> from plugpy.plugs.session import MemoryStore
    >>> plug = Session(store=MemoryStore(), key="_app")
    >>> sent = plug(conn("GET", "/")).put_session("user", 7).send_resp(200, "")
    >>> cookie = sent.resp_cookies["_app"]["value"]
    >>> plug(conn("GET", "/", headers={"cookie": f"_app={cookie}"})).get_session("user")
    7
    """

    __slots__ = ("_cookie_options", "_fetch", "_inner", "_key", "_store", "checks_plugs")
    runs_before = ("CSRFProtection",)

    def __init__(
        self,
        inner: Application | None = None,
        /,
        *,
        store: Store | AsyncStore,
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
        is_async = iscoroutinefunction(store.get)
        if is_async and inner is None:
            raise TypeError(
                f"{type(store).__name__} is asked over a network: declare wrap(Session, ...), so "
                "that the answer waits for it"
            )
        if is_async and not fetch:
            raise ValueError("fetch=False is not for stores that are asked over a network")
        store.max_age = max_age if max_age is not None else MAX_AGE
        self._store: Any = store
        self._inner = inner
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

        if inner is not None:
            trusted(self)

    def __call__(self, conn: Conn) -> Conn | Awaitable[Conn]:
        inner = self._inner
        if inner is not None and iscoroutinefunction(self._store.get):
            cookie = conn.req_cookies.get(self._key)
            if cookie is None:
                return self._around(conn, inner, None, {})
            return self._ask(conn, inner, cookie)
        if self._fetch:
            self._fetch_session(conn)
        else:
            conn.private["plug_session_fetch"] = self._fetch_session
        return conn if inner is None else inner(conn)

    def _fetch_session(self, conn: Conn) -> None:
        cookie = conn.req_cookies.get(self._key)
        sid, data = (None, {}) if cookie is None else self._store.get(conn, cookie)

        def write(conn: Conn) -> Conn:
            self._write(conn, sid)
            return conn

        _begin(conn, data)
        conn.register_before_send(write)

    def _write(self, conn: Conn, sid: str | None) -> None:
        what = conn.private["plug_session_info"]
        if what is None or what == "ignore":
            return
        if sid is not None and what in ("drop", "renew"):
            self._store.delete(conn, sid)
        if what == "drop":
            if sid is not None:
                self._delete_cookie(conn)
            return
        data = conn.private["plug_session"]
        value = self._store.put(conn, None if what == "renew" else sid, data)
        conn.put_resp_cookie(self._key, value, **self._cookie_options)

    def _delete_cookie(self, conn: Conn) -> None:
        options = dict(self._cookie_options)
        options.pop("max_age", None)
        conn.delete_resp_cookie(self._key, **options)

    # stores over a network ---

    async def _ask(self, conn: Conn, inner: Application, cookie: str) -> Conn:
        sid, data = await self._store.get(conn, cookie)
        result: Any = self._around(conn, inner, sid, data)
        answered: Conn = result if result is conn else await result
        return answered

    def _around(
        self, conn: Conn, inner: Application, sid: str | None, data: Data
    ) -> Conn | Awaitable[Conn]:
        adapter = HoldingAdapter(conn.adapter)
        conn.adapter = adapter

        def write(conn: Conn) -> Conn:
            if not adapter.over:
                self._write_later(conn, sid, adapter)
            return conn

        _begin(conn, data)
        conn.register_before_send(write)
        try:
            result = inner(conn)
        except Exception as error:
            if adapter.is_busy:
                return self._fail(conn, adapter, error)
            adapter.over = True
            raise
        if result is not conn or conn.state is SET or adapter.is_busy:
            return self._finish(conn, result, adapter)
        adapter.over = True
        return conn

    async def _finish(self, conn: Conn, result: Any, adapter: HoldingAdapter) -> Conn:
        try:
            if result is not conn:
                result = await result
            if conn.state is SET:
                conn.send_resp()
        except Exception:
            await self._release(conn, adapter)
            raise
        except BaseException:
            adapter.let_out()
            raise
        await self._release(conn, adapter)
        answered: Conn = result
        return answered

    async def _fail(self, conn: Conn, adapter: HoldingAdapter, error: Exception) -> Conn:
        await self._release(conn, adapter)
        raise error

    async def _release(self, conn: Conn, adapter: HoldingAdapter) -> None:
        adapter.over = True
        try:
            await adapter.release()
        finally:
            if adapter.failed:
                self._unsend(conn)

    def _unsend(self, conn: Conn) -> None:
        """Nothing has left, and the cookie speaks of a session that is not there. The other cookies
        are put again by whoever answers."""
        start_over(conn)
        names = tuple(f"{name}=" for name in conn.resp_cookies)
        conn.resp_headers = [
            (name, value)
            for name, value in conn.resp_headers
            if name != "set-cookie" or not value.startswith(names)
        ]
        conn._resp_cookies.pop(self._key, None)

    def _write_later(self, conn: Conn, sid: str | None, adapter: HoldingAdapter) -> None:
        what = conn.private["plug_session_info"]
        if what is None or what == "ignore":
            return
        writing: Awaitable[None] | None = None
        if what != "drop":
            data = conn.private["plug_session"]
            value, writing = self._store.put(conn, None if what == "renew" else sid, data)
            conn.put_resp_cookie(self._key, value, **self._cookie_options)
        elif sid is not None:
            self._delete_cookie(conn)
        adapter.write(self._work(conn, writing, sid if what in ("drop", "renew") else None))

    async def _work(self, conn: Conn, writing: Awaitable[None] | None, deleted: str | None) -> None:
        if writing is not None:
            await writing
        if deleted is not None:
            await self._store.delete(conn, deleted)


def _begin(conn: Conn, data: Data) -> None:
    # What a plug before this one (or a test) has put there counts more (Plug.Session).
    conn.private["plug_session"] = {**data, **conn.private.get("plug_session", {})}
    conn.private["plug_session_fetch"] = "done"
    conn.private["plug_session_info"] = None
