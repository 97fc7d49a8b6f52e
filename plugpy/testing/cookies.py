"""Cookies of test requests, and from one request to the next (Plug.Test)."""

import contextlib
from typing import Any

from plugpy.conn import Conn
from plugpy.conn.cookie_side import SIGNED_MAX_AGE
from plugpy.conn.cookies import encode


def put_req_cookie(
    conn: Conn,
    key: str,
    value: Any,
    *,
    sign: bool = False,
    encrypt: bool = False,
    max_age: int = SIGNED_MAX_AGE,
) -> Conn:
    """Set a cookie of the request; one of that name is replaced (Plug.Test.put_req_cookie/4).

    sign, encrypt: as `put_resp_cookie` does with the same secret_key_base; such a value may be
    anything that JSON holds, and is valid for max_age seconds. Cookies that `fetch_cookies` has
    verified before must be fetched again.
    Raises TypeError for a value that is not a str, ValueError for sign with encrypt, UnfetchedError
    without secret_key_base, InvalidHeaderError for text that would break out of the cookie.

    >>> from plugpy.testing import conn
    >>> put_req_cookie(conn("GET", "/"), "theme", "dark").cookies
    {'theme': 'dark'}
    """
    if sign or encrypt:
        from plugpy.conn.signed_cookies import seal

        value = seal(conn, key, value, sign=sign, encrypt=encrypt, max_age=max_age)
    encode(key, {"value": value})  # judges both
    return _put(conn, {**conn.req_cookies, key: value})


def delete_req_cookie(conn: Conn, key: str) -> Conn:
    """Remove a cookie of the request (Plug.Test.delete_req_cookie/2)."""
    return _put(conn, {name: value for name, value in conn.req_cookies.items() if name != key})


def recycle_cookies(new: Conn, old: Conn) -> Conn:
    """Give `new` the cookies that a browser has after `old`: those that `old` came with and those
    that its answer set, without those that it deleted (Plug.Test.recycle_cookies/2).

    Domain, path and secure are not looked at. Cookies of `new` stay unless `old` has one of the
    same name.
    """
    cookies = {**new.req_cookies, **old.req_cookies}
    for key, options in old.resp_cookies.items():
        max_age = options.get("max_age")
        if max_age is not None and max_age <= 0:
            cookies.pop(key, None)
        else:
            cookies[key] = options["value"]
    return _put(new, cookies)


def _put(conn: Conn, cookies: dict[str, str]) -> Conn:
    conn.delete_req_header("cookie")
    if cookies:
        text = "; ".join(f"{key}={value}" for key, value in cookies.items())
        conn.put_req_header("cookie", text)
    # Both are computed from the header when they are next read.
    for field in ("req_cookies", "cookies"):
        with contextlib.suppress(AttributeError):
            delattr(conn, field)
    return conn
