"""The cases of Plug's test/plug/session_test.exs."""

from typing import Any

import pytest

from plugpy.conn import Conn
from plugpy.plugs import Session
from plugpy.plugs.session import MemoryStore
from plugpy.testing import conn, init_test_session, recycle_cookies


class Store(MemoryStore):
    """A store that can be looked into."""

    def with_session(self, **data: Any) -> str:
        return self.put(conn("GET", "/"), None, data)

    def data_of(self, sid: str) -> dict[str, Any]:
        return self.get(conn("GET", "/"), sid)[1]


def request(plug: Session, sid: str | None = None, key: str = "app") -> Conn:
    return plug(conn("GET", "/", headers={} if sid is None else {"cookie": f"{key}={sid}"}))


def test_puts_session_cookie() -> None:
    assert request(Session(store=Store(), key="app")).send_resp(200, "").resp_cookies == {}

    plug = Session(store=Store(), key="app", secure=True, path="/some/path", extra="Extra")
    cookie = request(plug).put_session("a", 1).send_resp(200, "").resp_cookies["app"]
    assert (cookie["secure"], cookie["path"], cookie["extra"]) == (True, "/some/path", "Extra")
    assert cookie["http_only"] is True

    plug = Session(store=Store(), key="open", http_only=False, path="/some/path")
    cookie = request(plug).put_session("a", 1).send_resp(200, "").resp_cookies["open"]
    assert (cookie["http_only"], cookie["path"]) == (False, "/some/path")


def test_put_session() -> None:
    store = Store()
    sid = store.with_session()
    request(Session(store=store, key="app"), sid).put_session("a", 1).send_resp(200, "")
    assert store.data_of(sid) == {"a": 1}


def test_get_session() -> None:
    store = Store()
    sid = store.with_session(a=1)
    assert request(Session(store=store, key="app"), sid).get_session("a") == 1


def test_drop_session() -> None:
    store = Store()
    sid = store.with_session(a=1)
    c = request(Session(store=store, key="app"), sid).put_session("a", 2)
    c.configure_session(drop=True).send_resp(200, "")
    assert c.resp_cookies["app"]["max_age"] == 0
    ((_, header),) = [pair for pair in c.adapter.sent_headers if pair[0] == "set-cookie"]
    assert "1970" in header
    assert store.data_of(sid) == {}


def test_drop_session_without_cookie_when_there_is_no_sid() -> None:
    c = request(Session(store=Store(), key="app")).put_session("a", 1)
    assert c.configure_session(drop=True).send_resp(200, "").resp_cookies == {}


def test_renew_session() -> None:
    store = Store()
    sid = store.with_session(a=1)
    c = request(Session(store=store, key="app"), sid).configure_session(renew=True)
    new = c.send_resp(200, "").resp_cookies["app"]["value"]
    assert new != sid
    assert (store.data_of(new), store.data_of(sid)) == ({"a": 1}, {})


def test_ignore_changes_to_session() -> None:
    c = request(Session(store=Store(), key="app")).configure_session(ignore=True)
    assert c.put_session("a", 1).send_resp(200, "").resp_cookies == {}


def test_reuses_sid_and_as_such_does_not_generate_new_cookie() -> None:
    store = Store()
    c = request(Session(store=store, key="app"), store.with_session(a=1))
    assert c.send_resp(200, "").resp_cookies == {}


def test_generates_sid() -> None:
    store = Store()
    c = request(Session(store=store, key="app")).put_session("a", 1).send_resp(200, "")
    assert store.data_of(c.resp_cookies["app"]["value"]) == {"a": 1}


def test_converts_store_reference() -> None:
    with pytest.raises(TypeError, match="store is an object such as"):
        Session(store="memory", key="app")  # type: ignore[arg-type]


def test_init_test_session() -> None:
    c = init_test_session(conn("GET", "/"), a=1)
    assert c.get_session("a") == 1
    assert c.fetch_session().get_session("a") == 1
    assert c.put_session("b", 2).get_session("b") == 2
    assert c.delete_session("b").get_session("b") is None
    assert c.clear_session().get_session("a") is None


def test_init_test_session_merges_values_when_called_after_plug_session() -> None:
    c = request(Session(store=Store(), key="app")).put_session("a", 1).put_session("b", 2)
    init_test_session(c, {"b": 3}, other=4)
    assert c.get_session() == {"a": 1, "b": 3, "other": 4}


def test_init_test_session_merges_values_when_called_before_plug_session() -> None:
    plug = Session(store=Store(), key="app")
    before = request(plug).put_session("a", 1).put_session("b", 2).send_resp(200, "")
    c = recycle_cookies(conn("GET", "/"), before)
    plug(init_test_session(c, b=3, other=4))
    assert c.get_session() == {"a": 1, "b": 3, "other": 4}
