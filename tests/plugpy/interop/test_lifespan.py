"""The lifespan protocol (ASGI specification, Lifespan Protocol 2.0)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plugpy.interop import Lifespan, LifespanError, asgi_plug


def lifespan_app(*, log: list[str], start: Any = None, stop: Any = None) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            scope["state"]["requests"] = 1
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": scope["state"]["pool"].encode()})
            return
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
        assert (await receive()) == {"type": "lifespan.startup"}
        log.append("startup")
        scope["state"]["pool"] = "db"
        await send(start or {"type": "lifespan.startup.complete"})
        assert (await receive()) == {"type": "lifespan.shutdown"}
        log.append("shutdown")
        await send(stop or {"type": "lifespan.shutdown.complete"})
        log.append("end")

    return app


async def test_starts_and_stops_and_hands_out_the_state(serve):
    log: list[str] = []
    plug = asgi_plug(lifespan_app(log=log))
    async with plug.lifespan as lifespan:
        assert lifespan.supported
        assert log == ["startup"]
        client = await (await serve(None, plug=plug)).connect()
        for _ in range(3):
            assert (await client.get()).body == b"db"
        assert lifespan.state == {"pool": "db"}  # each request has a copy of its own
    assert log == ["startup", "shutdown", "end"]
    assert not lifespan.supported


async def test_failing_to_start_says_why():
    app = lifespan_app(log=[], start={"type": "lifespan.startup.failed", "message": "no database"})
    with pytest.raises(LifespanError, match="failed in startup: no database"):
        await Lifespan(app).startup()


async def test_raising_at_the_start_is_a_failure_when_lifespan_is_known():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise OSError("no database")

    with pytest.raises(LifespanError, match="no database") as caught:
        await Lifespan(app).startup()
    assert isinstance(caught.value.__cause__, OSError)


async def http_only(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"


async def reads_first(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200})


async def returns(scope: Any, receive: Any, send: Any) -> None:
    pass


@pytest.mark.parametrize("app", [http_only, reads_first, returns])
async def test_auto_serves_what_has_no_lifespan_and_on_refuses_it(app):
    async with Lifespan(app) as lifespan:
        assert not lifespan.supported
    with pytest.raises(LifespanError, match="serve it with lifespan off"):
        await Lifespan(app, "on").startup()


async def test_off_never_asks():
    log: list[str] = []
    async with Lifespan(lifespan_app(log=log), "off") as lifespan:
        assert not lifespan.supported
    assert log == []


async def test_a_failing_shutdown_is_logged(errors):
    app = lifespan_app(log=[], stop={"type": "lifespan.shutdown.failed", "message": "stuck"})
    async with Lifespan(app):
        pass
    assert "failed in shutdown: stuck" in errors()[0]


async def test_raising_at_the_end_is_logged(errors):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise ValueError("oh")

    async with Lifespan(app):
        pass
    assert any("oh" in line for line in errors())


async def test_an_application_that_does_not_stop_is_cancelled(errors):
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async with Lifespan(app, shutdown_timeout=0.05):
        pass
    assert ended == ["cancelled"]
    assert "did not stop within 0.05 s" in errors()[0]


async def test_giving_up_during_the_start_cancels_it():
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    begun = asyncio.Event()
    lifespan = Lifespan(app)
    starting = asyncio.ensure_future(lifespan.startup())
    await begun.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await lifespan.shutdown()
    assert ended == ["cancelled"]


async def test_each_start_begins_with_an_empty_state():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(scope["state"]))
        scope["state"]["a"] = 1
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    seen: list[Any] = []
    lifespan = Lifespan(app)
    for _ in range(2):
        async with lifespan:
            assert lifespan.state == {"a": 1}
    assert seen == [{}, {}]


def test_unknown_mode():
    with pytest.raises(ValueError, match="auto, on, off, got 'maybe'"):
        Lifespan(http_only, "maybe")  # type: ignore[arg-type]
