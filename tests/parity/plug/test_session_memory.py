"""The cases of Plug's test/plug/session/ets_test.exs, of the store in memory."""

from plugpy.plugs.session import MemoryStore
from plugpy.testing import conn

C = conn("GET", "/")


def store() -> MemoryStore:
    made = MemoryStore()
    made.max_age = 60
    return made


def test_put_and_get_session() -> None:
    kept = store()
    one, two = kept.put(C, None, {"a": 1}), kept.put(C, None, {"b": 2})
    assert kept.put(C, one, {"a": 3}) == one
    assert kept.get(C, one) == (one, {"a": 3})
    assert kept.get(C, two) == (two, {"b": 2})
    assert kept.get(C, "unknown") == (None, {})


def test_put_and_get_session_moves_its_end() -> None:
    now = 0.0
    kept = MemoryStore(clock=lambda: now)
    kept.max_age = 60
    one, two = kept.put(C, None, {"a": 1}), kept.put(C, None, {"b": 2})
    now = 50
    assert kept.get(C, one) == (one, {"a": 1})
    now = 100
    assert kept.get(C, one) == (one, {"a": 1})
    assert kept.get(C, two) == (None, {})


def test_delete_session() -> None:
    kept = store()
    one, two = kept.put(C, None, {"a": 1}), kept.put(C, None, {"b": 2})
    kept.delete(C, one)
    assert kept.get(C, one) == (None, {})
    assert kept.get(C, two) == (two, {"b": 2})


def test_generate_new_sid() -> None:
    kept = store()
    sids = {kept.put(C, None, {}) for _ in range(100)}
    assert len(sids) == 100
    assert {len(sid) for sid in sids} == {32}


def test_invalidate_sid_if_unknown() -> None:
    kept = store()
    assert kept.get(C, "unknown_sid") == (None, {})
    assert kept.put(C, "unknown_sid", {"a": 1}) != "unknown_sid"
