"""The watchdog: a blocked event loop is noticed while it is blocked, and named.

The handlers below block the event loop until the watchdog has noticed it (or a deadline), so no
test depends on how long anything takes.
"""

import asyncio
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from plugpy import Router, get
from plugpy.server import Server
from plugpy.server.loops import loop_factory
from plugpy.server.watchdog import KEPT, QUIET, Watchdog, describe

PATIENCE = 10.0


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    made = Watchdog(0.02)
    yield made
    made.stop()
    assert not any(thread.name == "plugpy watchdog" for thread in threading.enumerate())


def block_until_noticed(watchdog: Watchdog, number: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while sum(stall["repeats"] for stall in watchdog.stalls) < number:
        assert time.monotonic() < deadline, "the watchdog did not notice"
        time.sleep(0.001)


def application(watchdog: Watchdog) -> Any:
    noticed = [0]

    class App(Router):
        @get("/sync/:number")
        def sync(self, conn: Any, number: int) -> Any:
            noticed[0] += 1
            block_until_noticed(watchdog, noticed[0])
            return conn.send_resp(200, "sync")

        @get("/async")
        async def later(self, conn: Any) -> Any:
            await asyncio.sleep(0)
            noticed[0] += 1
            block_until_noticed(watchdog, noticed[0])
            return conn.send_resp(200, "async")

    return App


async def ask(address: Any, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(*address[:2])
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
        return await reader.read()
    finally:
        writer.close()


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Any], None]:
    def on(coroutine: Any) -> None:
        with asyncio.Runner(loop_factory=loop_factory(request.param)) as runner:
            runner.run(coroutine)

    return on


def test_plug_route_request_connection_and_stack_are_said_once(
    run: Any, watchdog: Watchdog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="plugpy.server")

    async def main() -> None:
        watchdog.start()
        async with Server(application(watchdog), port=0, access_log=False) as server:
            assert (await ask(server.address, "/sync/7?token=secret")).endswith(b"sync")
            assert (await ask(server.address, "/sync/8")).endswith(b"sync")
            assert (await ask(server.address, "/async")).endswith(b"async")

    run(main())
    first, second = watchdog.stalls
    assert first["plug"].endswith("test_watchdog.application.<locals>.App.sync")
    assert (first["route"], first["repeats"]) == ("/sync/:number", 2)
    assert re.fullmatch(r"<0\.\d+>", first["connection"])
    assert "block_until_noticed" in first["stack"]
    assert "data_received" not in first["stack"]  # ours is of no interest
    assert second["plug"].endswith("App.later")
    assert second["request"] == "GET /async"
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len(warnings) == 2  # the second of a kind is only counted
    assert "App.sync, which serves GET /sync/7 (route /sync/:number, connection <0." in warnings[0]
    assert "secret" not in caplog.text
    ends = [r.getMessage() for r in caplog.records if "goes on" in r.getMessage()]
    assert len(ends) == 3


def test_a_callback_that_serves_nobody_is_named_too(run: Any, watchdog: Watchdog) -> None:
    def tidy_up() -> None:
        block_until_noticed(watchdog, 1)

    async def main() -> None:
        watchdog.start()
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(tidy_up)
        await asyncio.sleep(0)

    run(main())
    (stall,) = watchdog.stalls
    assert stall["plug"].endswith("tidy_up")
    assert (stall["request"], stall["route"], stall["connection"]) == ("", "", "")


def test_a_loop_that_waits_is_not_blocked_and_not_woken(run: Any, watchdog: Watchdog) -> None:
    async def main() -> None:
        watchdog.threshold = 1000.0  # its thread sleeps: the test looks in its place
        watchdog.start()
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        asked = []

        def look() -> None:
            deadline = time.monotonic() + PATIENCE
            # The loop has gone to sleep before long; until then it may be asked.
            while time.monotonic() < deadline:
                watchdog._question = None
                watchdog._look(time.monotonic())
                if watchdog._question is None:
                    break
            asked.append(watchdog._question)
            loop.call_soon_threadsafe(done.set_result, None)

        thread = threading.Thread(target=look)
        thread.start()
        await done
        thread.join()
        assert asked == [None]

    run(main())
    assert not watchdog.stalls


def test_a_busy_loop_that_answers_is_not_blocked(run: Any, watchdog: Watchdog) -> None:
    async def main() -> None:
        watchdog.threshold = 1000.0
        watchdog.start()
        await asyncio.sleep(0)
        thread = threading.Thread(target=watchdog._look, args=(0.0,))
        thread.start()
        thread.join()  # the loop's thread is here, not in select: it is asked
        assert watchdog._question is not None
        await asyncio.sleep(0.001)
        assert watchdog._question is None

    run(main())
    assert not watchdog.stalls


def test_what_holds_the_interpreter_is_noticed_when_it_lets_go(
    watchdog: Watchdog, caplog: pytest.LogCaptureFixture
) -> None:
    watchdog._watched = threading.get_ident()
    watchdog._overslept(5.0, 3.0, 2.9)
    (stall,) = watchdog.stalls
    assert stall["seconds"] == 3.0
    watchdog.stalls.clear()
    watchdog._overslept(5.0, 3.0, 0.01)  # the process was suspended: nobody's fault
    assert not watchdog.stalls


def test_it_says_again_what_goes_on_and_forgets_what_is_old(
    watchdog: Watchdog, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = sys._getframe()
    watchdog._base = frame.f_back
    for _ in range(3):
        watchdog._report(frame, 2.0)
    assert len(caplog.records) == 1
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + QUIET + 1)
    watchdog._report(frame, 1.0)
    assert "it happened 2 more times" in caplog.records[-1].getMessage()
    assert [(s["repeats"], s["seconds"]) for s in watchdog.stalls] == [(4, 2.0)]
    for number in range(2 * KEPT):
        scope: dict[str, Any] = {"sys": sys}
        watchdog._base = frame
        exec(f"def f{number}(): return sys._getframe()", scope)
        watchdog._report(scope[f"f{number}"](), 1.0)
    assert len(watchdog.stalls) == KEPT


def test_describe_needs_no_conn() -> None:
    assert describe(sys._getframe())["request"] == ""
