"""The leak check finds each kind of leak, and says which."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from acceptors import otp
from acceptors.otp import signals
from acceptors.otp.process import names
from acceptors.otp.wiring import Wiring
from tests.acceptors.otp.conftest import record_wirings, tied

leaks = otp.testing.leaks


async def test_nothing_is_left():
    assert await leaks() == []


async def test_a_process():
    process = otp.Process()
    assert await leaks() == [f"process {process!r} (Process) is alive"]
    otp.exit(process, "kill")


async def test_what_is_about_to_end_is_none():
    otp.spawn(asyncio.sleep, 0)
    assert await leaks() == []


async def test_a_one_sided_link():
    one, two = otp.Process(), otp.Process()
    one.link(two)
    two._wiring.links.clear()
    assert f"link of {one!r} with {two!r}, which has none with it" in await leaks()
    one._wiring.links.clear()
    for process in (one, two):
        otp.exit(process, "kill")


async def test_a_monitor_of_a_dead_process():
    watcher, target = otp.Process(), otp.Process()
    watcher.monitor(target)
    watchers = dict(target._wiring.watchers)
    otp.exit(watcher, "kill")
    target._wiring.watchers = watchers
    assert any("which is dead" in leak for leak in await leaks())
    otp.exit(target, "kill")


async def test_a_monitor_without_its_other_end():
    watcher, target = otp.Process(), otp.Process()
    watcher.monitor(target)
    target._wiring.watchers.clear()
    assert any("which has none" in leak for leak in await leaks())
    watcher._wiring.monitoring.clear()
    for process in (watcher, target):
        otp.exit(process, "kill")


async def test_a_name():
    process = otp.Process()
    otp.exit(process, "kill")
    names["left"] = process
    assert await leaks() == [f"the name 'left' is taken by {process!r}"]
    del names["left"]


async def test_a_zombie():
    let_go = asyncio.Event()

    async def refuse():
        while not let_go.is_set():
            with suppress(BaseException):
                await let_go.wait()

    process = otp.spawn(refuse)
    await asyncio.sleep(0)
    otp.exit(process, "kill")
    found = await leaks(process.task)
    assert [leak.partition(":")[0] for leak in found] == [f"zombie {process!r}"]
    let_go.set()
    assert await leaks() == []


async def test_a_task():
    task = asyncio.ensure_future(asyncio.Event().wait())
    assert await leaks() == [f"Task {task!r} goes on"]
    assert await leaks(task) == []
    task.cancel()


async def test_a_signal(monkeypatch):
    process = otp.Process()
    signals._trampoline.cascade.append((signals.LINK, otp.root, process, "x"))
    assert "1 exit signals are not applied" in await leaks()
    signals._trampoline.cascade.clear()
    otp.exit(process, "kill")


@pytest.mark.parametrize("field", ["links", "watchers", "monitoring", "mailbox"])
async def test_what_the_dead_hold(monkeypatch, field):
    made = record_wirings(monkeypatch)
    wiring = Wiring()
    assert made == [wiring]
    assert tied(made) == []
    setattr(wiring, field, {"something": None})
    assert len(tied(made)) == 1
    setattr(wiring, field, None)


async def test_assert_down():
    _, reference = otp.spawn_monitor(asyncio.sleep, 0)
    assert await otp.testing.assert_down(reference, "normal") == "normal"
    _, reference = otp.spawn_monitor(asyncio.sleep, 0)
    with pytest.raises(AssertionError, match="expected 'x'"):
        await otp.testing.assert_down(reference, "x")


async def test_assert_down_of_one_that_lives(clock):
    process = otp.Process()
    reference = otp.monitor(process)
    waiting = asyncio.ensure_future(otp.testing.assert_down(reference))
    await clock.advance(1.0)
    with pytest.raises(AssertionError, match="still alive"):
        await waiting
    otp.exit(process, "kill")
