"""The cases of Plug's test/plug/conn_test.exs on sessions, with a session plug of its own."""

from pathlib import Path
from typing import Any

import pytest

from plugpy.conn import AlreadySentError, Conn, UnfetchedError
from plugpy.testing import conn

SENT_STATES = ["sent", "file", "chunked"]


def session(c: Conn, stored: dict[str, Any] | None = None) -> Conn:
    """A session plug that keeps the session in the Conn alone."""

    def fetch(c: Conn) -> Conn:
        c.private["plug_session"] = dict(stored or {})
        c.private["plug_session_info"] = None
        c.private["plug_session_fetch"] = "done"
        return c

    return c.put_private("plug_session_fetch", fetch)


def session_conn(stored: dict[str, Any] | None = None) -> Conn:
    return session(conn("GET", "/"), stored).fetch_session()


def test_send_file_works_with_put_session_in_a_before_send_callback() -> None:
    c = session_conn().register_before_send(lambda c: c.put_session("a", "one"))
    c.send_file(200, Path(__file__))
    assert (c.status, c.state) == (200, "file")
    assert c.get_session("a") == "one"


def test_fetch_session_returns_the_same_conn_on_subsequent_calls() -> None:
    c = session_conn({"a": "one"}).put_session("b", "two")
    assert c.fetch_session() is c
    assert c.get_session() == {"a": "one", "b": "two"}


def test_session_not_fetched() -> None:
    c = conn("GET", "/")
    with pytest.raises(UnfetchedError, match="fetch_session"):
        c.get_session("a")
    with pytest.raises(UnfetchedError, match="no Session plug"):
        c.fetch_session()
    session(c, {"a": "one"})
    with pytest.raises(UnfetchedError, match="fetch_session"):
        c.get_session("a")
    assert c.fetch_session().get_session("a") == "one"


def test_get_and_put_session() -> None:
    c = session_conn().put_session("a", "one").put_session("number", 42).put_session("none", None)
    assert c.private["plug_session_info"] == "write"
    assert c.get_session("a") == "one"
    assert c.get_session("number") == 42
    assert c.get_session("unknown") is None
    assert c.get_session("unknown", "default") == "default"
    assert c.get_session("none", "default") is None
    assert c.get_session() == {"a": "one", "number": 42, "none": None}


@pytest.mark.parametrize("state", SENT_STATES)
def test_get_and_put_session_when_sent(state: Any) -> None:
    """The second half of "get and put session"."""
    c = session_conn({"a": "one"})
    c.state = state
    with pytest.raises(AlreadySentError):
        c.put_session("a", "two")
    assert c.get_session() == {"a": "one"}
    assert c.private["plug_session_info"] is None


def test_configure_session() -> None:
    """One of the three must be asked for."""
    c = session_conn()
    with pytest.raises(ValueError, match="one of renew, drop, ignore"):
        c.configure_session(drop=False, renew=False)
    assert c.private["plug_session_info"] is None
    assert c.configure_session(drop=True).private["plug_session_info"] == "drop"
    assert c.configure_session(ignore=True).private["plug_session_info"] == "ignore"
    assert c.configure_session(renew=True).private["plug_session_info"] == "renew"
    assert c.put_session("a", "one").private["plug_session_info"] == "renew"


@pytest.mark.parametrize("state", SENT_STATES)
def test_configure_session_when_sent(state: Any) -> None:
    """The second half of "configure_session/2"."""
    c = session_conn()
    c.state = state
    with pytest.raises(AlreadySentError):
        c.configure_session(renew=True)
    assert c.private["plug_session_info"] is None


def test_configure_session_fails_when_there_is_no_session() -> None:
    with pytest.raises(UnfetchedError):
        conn("GET", "/").configure_session(drop=True)


def test_delete_session() -> None:
    c = session_conn({"a": "one", "b": "two"}).delete_session("b").delete_session("unknown")
    assert c.get_session() == {"a": "one"}
    assert c.private["plug_session_info"] == "write"


@pytest.mark.parametrize("state", SENT_STATES)
def test_delete_session_when_sent(state: Any) -> None:
    """The second half of "delete_session/2"."""
    c = session_conn({"a": "one"})
    c.state = state
    with pytest.raises(AlreadySentError):
        c.delete_session("a")
    assert c.get_session("a") == "one"


def test_clear_session() -> None:
    c = session_conn({"a": "one", "b": "two"}).clear_session()
    assert c.get_session() == {}
    assert c.private["plug_session_info"] == "write"
