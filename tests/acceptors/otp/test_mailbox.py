"""send, receive, patterns, names, timers."""

from __future__ import annotations

import asyncio

import pytest

from acceptors import otp
from acceptors.otp import ANY


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        (ANY, None, True),
        (1, 1, True),
        (1, 2, False),
        (int, 2, True),
        (int, "2", False),
        (("EXIT", ANY, str), ("EXIT", 1, "x"), True),
        (("EXIT", ANY, str), ("EXIT", 1, 2), False),
        (("EXIT", ANY), ("EXIT", 1, 2), False),
        ([ANY], (1,), False),
        ({"type": "tick"}, {"type": "tick", "n": 1}, True),
        ({"type": "tick"}, {"n": 1}, False),
        ({"n": int}, {"n": "1"}, False),
        (lambda value: value > 3, 4, True),
        (lambda value: value > 3, 3, False),
    ],
)
def test_matches(pattern, value, expected):
    assert otp.matches(pattern, value) is expected


async def test_a_process_in_a_pattern_is_itself():
    one, two = otp.Process(), otp.Process()
    assert otp.matches(("DOWN", one), ("DOWN", one))
    assert not otp.matches(("DOWN", one), ("DOWN", two))
    for process in (one, two):
        otp.exit(process, "kill")


async def test_selective_receive_keeps_the_rest_in_order():
    for message in ("a", 1, "b", 2):
        otp.send(otp.self(), message)
    assert await otp.receive(int) == 1
    assert await otp.receive(int, str) == "a"
    assert [await otp.receive() for _ in "12"] == ["b", 2]
    assert otp.self().message_queue_length == 0


async def test_receive_waits_for_a_match(settle):
    async def body():
        return await otp.receive(("wanted", ANY))

    process = otp.spawn(body)
    await settle()
    otp.send(process, "other")
    await settle()
    assert process.alive
    otp.send(process, ("wanted", 1))
    assert await process.join() == "normal"
    assert process.task.result() == ("wanted", 1)


async def test_receive_timeout(clock, settle):
    async def body():
        with pytest.raises(TimeoutError, match="no message"):
            await otp.receive("never", timeout=2.0)
        return await otp.receive("never", timeout=3.0, after="default")

    process = otp.spawn(body)
    await settle()
    otp.send(process, "other")
    await clock.advance(4.9)
    assert process.alive
    await clock.advance(0.1)
    assert process.task.result() == "default"
    assert clock.waiting == 0


async def test_receive_in_two_tasks_is_refused(settle):
    async def body():
        second = asyncio.ensure_future(otp.receive())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="already receiving"):
            await otp.receive()
        otp.send(otp.self(), "m")
        return await second

    process = otp.spawn(body)
    await process.join()
    assert process.task.result() == "m"


async def test_names():
    process = otp.Process()
    assert otp.register("n", process) is True
    assert otp.whereis("n") is process
    assert otp.registered() == ["n"]
    assert process.name == "n"
    assert repr(process) == f"<0.{int(process.pid)}>(n)"
    with pytest.raises(otp.BadArgumentError, match="taken"):
        otp.register("n", otp.self())
    with pytest.raises(otp.BadArgumentError, match="already has a name"):
        otp.register("m", process)
    otp.unregister("n")
    assert otp.whereis("n") is None
    with pytest.raises(otp.BadArgumentError, match="nothing is registered"):
        otp.unregister("n")
    otp.exit(process, "kill")
    with pytest.raises(otp.BadArgumentError, match="not alive"):
        otp.register("n", process)
    with pytest.raises(otp.BadArgumentError, match="not empty"):
        otp.register("", otp.self())


async def test_send_after(clock):
    timer = otp.send_after(otp.self(), "tick", 2.0)
    other = otp.send_after(otp.self(), "never", 3.0)
    await clock.advance(1.5)
    assert timer.read() == 0.5
    assert otp.cancel_timer(other) == 1.5
    await clock.advance(5)
    assert await otp.receive(timeout=0) == "tick"
    assert timer.read() is None
    assert otp.cancel_timer(timer) is None
    assert otp.self().message_queue_length == 0
    with pytest.raises(otp.BadArgumentError, match="seconds"):
        otp.send_after(otp.self(), "m", -1)


async def test_send_after_to_a_name_that_is_gone(clock):
    otp.send_after("nobody", "m", 1.0)
    await clock.advance(1.0)


async def test_spawn_takes_a_coroutine_and_refuses_nonsense():
    done = []

    async def body(value):
        done.append(value)

    await otp.spawn(body(1)).join()
    assert done == [1]
    with pytest.raises(TypeError, match="async function"):
        otp.spawn(17)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        otp.spawn(body)


async def test_snapshot_and_ancestors(settle):
    me = otp.self()
    children = []

    async def child():
        await otp.receive()

    async def parent():
        children.append(otp.spawn_link(child))
        await otp.receive()

    process = otp.spawn(parent)
    await settle()
    (inner,) = children
    assert inner.ancestors() == [process, me]
    shot = inner.snapshot()
    assert shot["pid"] == str(inner.pid)
    assert shot["links"] == [str(process.pid)]
    assert shot["spawned_by"] == str(process.pid)
    assert shot["initial_call"].endswith("child")
    otp.exit(process, "kill")
    await inner.join()
    assert inner.spawned_by is None


async def test_a_record_costs_nothing_until_used():
    class Cheap(otp.Process):
        __slots__ = ()

    process = Cheap()
    assert process._wiring is None
    assert not hasattr(process, "__dict__")
    assert process.links == []
    assert process.monitors == []
    assert process.message_queue_length == 0
    assert process.trap_exit is False
    assert process.name is process.label is None
    assert process._wiring is None
    process._exited()
    assert process.exit_reason == "normal"


async def test_a_dead_parent_takes_no_children():
    parent = otp.ParentProcess()
    parent._exited()
    with pytest.raises(otp.NoProcessError):
        otp.Process(parent)
