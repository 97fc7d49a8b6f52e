"""Sessions of test requests (Plug.Test.init_test_session/2)."""

from collections.abc import Mapping
from typing import Any

from plugpy.conn import Conn


def init_test_session(conn: Conn, session: Mapping[str, Any] | None = None, **values: Any) -> Conn:
    """Put values into the session of a test, with or without the plug Session.

    Before the pipeline runs: the values are there when a Session plug fetches the session, over
    those of the cookie. After a Session plug: the session is fetched and changed. Without one, the
    session is what is given here and is written nowhere. Keys become text.
    Source: Plug.Test.init_test_session/2.

    >>> from plugpy.testing import conn
    >>> init_test_session(conn("GET", "/"), {"user": 7}).get_session("user")
    7
    """
    if "plug_session_fetch" in conn.private:
        conn.fetch_session()
    else:
        conn.merge_private(plug_session={}, plug_session_fetch="done")
    for key, value in {**(session or {}), **values}.items():
        conn.put_session(key, value)
    return conn
