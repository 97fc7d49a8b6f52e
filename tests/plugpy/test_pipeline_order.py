"""Orders of plugs that are odd, and plugs that lack another one, are warned of at start."""

from __future__ import annotations

import logging

import pytest

import plugpy.plugs
from plugpy.conn import Conn
from plugpy.pipeline import Pipeline, parts_of, wrap
from plugpy.pipeline.order import missing_plugs
from plugpy.plugs import (
    BasicAuth,
    CSRFProtection,
    ETag,
    HostAllowlist,
    Logger,
    MethodOverride,
    Parsers,
    RateLimit,
    RequestId,
    RewriteOn,
    Session,
    Static,
    Timeout,
)
from plugpy.plugs.session import MemoryStore
from plugpy.router import Router, get


class First:
    def __call__(self, conn: Conn) -> Conn:
        return conn


class Second(First):
    better_after = {"First": "it looks at what First does"}  # noqa: RUF012
    needs = {"First": "there is nothing to look at"}  # noqa: RUF012


class Third(First):
    better_before = {"First": "First waits for it"}  # noqa: RUF012


def warnings(caplog, *plugs) -> list[str]:
    caplog.clear()
    Pipeline(plugs).compile()
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_what_why_and_what_to_do(caplog):
    assert warnings(caplog, First, Second) == []
    (told,) = warnings(caplog, Second, First)
    assert told.endswith("Second comes before First: it looks at what First does; put First first")
    (told,) = warnings(caplog, First, Third)
    assert told.endswith("Third comes after First: First waits for it; put Third first")
    assert warnings(caplog, Third, First) == []


PARSERS = (Parsers, {"parsers": ["json"]})
BASIC = (BasicAuth, {"username": "a", "password": "b"})
LIMIT = (RateLimit, {"limit": 1, "period": 1})
HOSTS = (HostAllowlist, {"hosts": ["a"]})
SESSION = (Session, {"store": MemoryStore(), "key": "_a"})
REWRITE = (RewriteOn, {"headers": ["x-forwarded-for"]})


@pytest.mark.parametrize(
    ("plugs", "told"),
    [
        ([Logger, RequestId], "Logger comes before RequestId"),
        ([BASIC, Logger], "Logger comes after BasicAuth"),
        ([PARSERS, BASIC], "BasicAuth comes after Parsers"),
        ([PARSERS, HOSTS], "HostAllowlist comes after Parsers"),
        ([SESSION, CSRFProtection, REWRITE], "CSRFProtection comes before RewriteOn"),
    ],
)
def test_built_in_plugs(caplog, plugs, told):
    assert [told in text for text in warnings(caplog, *plugs)] == [True]
    assert warnings(caplog, *reversed(plugs)) == [] if len(plugs) == 2 else True


@pytest.mark.parametrize("is_class", [False, True])
def test_a_built_in_plug_behind_a_router(caplog, is_class):
    class App(Router):
        @get("/")
        def index(self, conn: Conn) -> Conn:
            return conn

    router = App if is_class else App()
    static = (Static, {"at": "/", "from_": "."})
    (told,) = warnings(caplog, First, router, static, First)
    assert "Static comes after the router App" in told
    assert warnings(caplog, static, router) == []
    (told,) = warnings(caplog, router, wrap(Timeout, seconds=1))
    assert "Timeout comes after the router App" in told


def test_what_lacks_another_plug():
    inner = Pipeline([Second])
    assert missing_plugs(parts_of(Pipeline([inner]))) == [
        "Second without First: there is nothing to look at; add First before it"
    ]
    assert missing_plugs(parts_of(Pipeline([First, inner]))) == []


@pytest.mark.parametrize(
    ("plug", "told"),
    [
        (CSRFProtection, "CSRFProtection without Session"),
        (MethodOverride, "MethodOverride without Parsers"),
        (ETag, "ETag without ConditionalGet"),
    ],
)
def test_built_in_plugs_that_lack_another(plug, told):
    (text,) = missing_plugs(parts_of(Pipeline([Pipeline([plug])])))
    assert told in text


def test_a_session_around_the_plugs_is_found():
    router = Router()
    router.wrap(Session, store=MemoryStore(), key="_a")
    router.plug(CSRFProtection)
    router.get("/")(lambda conn: conn)
    assert missing_plugs(parts_of(router)) == []


def test_names_of_other_plugs_exist():
    """A name that is misspelt would never be found."""
    for name in plugpy.plugs.__all__:
        plug = getattr(plugpy.plugs, name)
        for attribute in ("runs_after", "runs_before", "better_after", "better_before", "needs"):
            for other in getattr(plug, attribute, ()):
                assert hasattr(plugpy.plugs, other), f"{name}.{attribute} names {other}"
