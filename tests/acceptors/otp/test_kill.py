"""kill that really kills, zombies, the grace of an exiting process, and the pitfalls P1 to P10."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from contextlib import suppress

import pytest

from acceptors import otp
from acceptors.otp import signals


async def swallow():
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


async def in_timeout():
    async with asyncio.timeout(1000):
        await swallow()


async def in_gather():
    await asyncio.gather(swallow(), asyncio.Event().wait())


async def in_shield():
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.shield(asyncio.get_running_loop().create_future())


async def in_task_group():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.Event().wait())
        await swallow()


async def in_finally():
    try:
        await swallow()
    finally:
        await asyncio.Event().wait()
        await asyncio.Event().wait()


async def raises_in_cleanup():
    try:
        await swallow()
    finally:
        raise ValueError("cleanup")


@pytest.mark.parametrize(
    "body", [swallow, in_timeout, in_shield, in_task_group, in_finally, raises_in_cleanup]
)
async def test_kill_ends_what_swallows_cancellation(body, settle, reports):
    process, reference = otp.spawn_monitor(body)
    await settle()
    process.task.cancel()
    await settle()
    otp.exit(process, "kill")
    assert not process.alive
    assert await otp.receive(timeout=0) == ("DOWN", reference, "process", process, "killed")
    assert otp.zombies() == []
    await settle()
    assert process.task.done()
    # Killed is killed: no crash report for the RuntimeError of its Task.
    assert reports("crash") == []


async def test_kill_ends_gather_and_releases_what_it_awaits(settle):
    process = otp.spawn(in_gather)
    await settle()
    inner = asyncio.all_tasks() - {asyncio.current_task(), process.task}
    otp.exit(process, "kill")
    await settle()
    assert process.task.done()
    for task in inner:
        # What it started beside itself is not its coroutine: those got a cancellation.
        if not task.done():
            task.get_coro().close()
            task.cancel()
    await asyncio.wait(inner)
    assert [type(task.exception()) for task in inner if not task.cancelled()] == [RuntimeError]


async def test_kill_releases_a_lock(settle):
    lock = asyncio.Lock()

    async def holder():
        async with lock:
            await swallow()

    process = otp.spawn(holder)
    await settle()
    assert lock.locked()
    otp.exit(process, "kill")
    assert not lock.locked()


async def test_kill_before_the_first_step():
    ran = []

    async def body():
        ran.append(1)

    process = otp.spawn(body)
    otp.exit(process, "kill")
    assert process.exit_reason == "killed"
    await asyncio.wait([process.task])
    assert ran == []


async def test_refusal_is_a_zombie(settle):
    let_go = False

    async def refuse():
        while not let_go:
            try:
                await asyncio.sleep(0)
            except BaseException:
                continue

    process, reference = otp.spawn_monitor(refuse)
    otp.register("refuser", process)
    await settle()
    try:
        otp.exit(process, "kill")
        assert await otp.receive(timeout=0) == ("DOWN", reference, "process", process, "killed")
        assert otp.whereis("refuser") is None
        assert otp.zombies() == [process]
        await settle()
        assert otp.zombies() == [process]
    finally:
        let_go = True
    await settle()
    assert otp.zombies() == []


async def test_a_zombie_may_not_act(settle):
    seen = []
    gate = asyncio.Event()

    async def refuse():
        while not gate.is_set():
            with suppress(BaseException):
                await gate.wait()
        friend = otp.Process()
        for act in (otp.self, lambda: otp.spawn_link(swallow), lambda: otp.link(friend)):
            try:
                act()
            except otp.Exit as ending:
                seen.append(ending.reason)
        otp.exit(friend, "kill")

    process = otp.spawn(refuse)
    await settle()
    otp.exit(process, "kill")
    gate.set()
    await settle()
    assert seen == ["killed"] * 3


async def test_cleanup_of_the_killed_is_not_the_killer(settle):
    seen = []

    async def body():
        try:
            await asyncio.Event().wait()
        finally:
            try:
                otp.self()
            except otp.Exit as ending:
                seen.append(ending.reason)

    me, process = otp.self(), otp.spawn(body)
    await settle()
    otp.exit(process, "kill")
    assert seen == ["killed"]
    assert otp.self() is me


async def test_kill_oneself_and_go_on_is_a_zombie(settle):
    async def body():
        with suppress(asyncio.CancelledError):
            otp.exit(otp.self(), "kill")
        await gate.wait()

    gate = asyncio.Event()
    process = otp.spawn(body)
    assert await process.join() == "killed"
    await settle()
    assert otp.zombies() == [process]
    gate.set()
    await settle()
    assert otp.zombies() == []


async def test_kill_of_the_running_process_by_another_name(settle):
    # Its own Task runs code of another process (a record's callback) that kills it.
    async def body():
        killer.context().run(otp.exit, otp.self(), "kill")
        await asyncio.Event().wait()

    killer = otp.Process()
    process = otp.spawn(body)
    assert await process.join() == "killed"
    await settle()
    assert process.task.done()
    assert otp.zombies() == []
    otp.exit(killer, "kill")


async def test_grace_then_close(clock, settle):
    process, reference = otp.spawn_monitor(swallow)
    await settle()
    otp.exit(process, "shutdown")
    await clock.advance(otp.EXIT_GRACE - 0.1)
    assert process.alive
    await clock.advance(0.1)
    # The first signal wins: closed like a killed one, with the reason that it was given.
    assert await otp.receive(timeout=0) == ("DOWN", reference, "process", process, "shutdown")
    assert process.task.done()


async def test_kill_overtakes_the_grace(settle):
    process = otp.spawn(swallow)
    await settle()
    otp.exit(process, "shutdown")
    assert process.alive
    otp.exit(process, "kill")
    assert process.exit_reason == "killed"


async def test_the_whole_worker_has_one_grace_timer(clock, settle):
    processes = [otp.spawn(swallow) for _ in range(50)]
    await settle()
    for process in processes:
        otp.exit(process, "x")
    assert clock.waiting == 1
    await clock.advance(otp.EXIT_GRACE)
    assert not any(process.alive for process in processes)


# The pitfalls.


async def test_p1_exit_before_the_first_step(clock):  # which stands still: no grace ends it
    otp.flag("trap_exit", True)
    process = otp.spawn_link(swallow)
    otp.exit(process, "x")
    await clock.settle()
    assert await otp.receive(timeout=0) == ("EXIT", process, "x")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager Tasks are of 3.12")
async def test_p2_eager_task_in_the_context_of_a_process(settle):
    record = otp.Process()
    seen = []

    async def handler():
        seen.append(otp.self())
        await asyncio.sleep(0)
        seen.append(otp.self())

    def callback():  # as a protocol callback: inside a context that is entered
        loop = asyncio.get_running_loop()
        return asyncio.Task(handler(), loop=loop, context=record.context(), eager_start=True)

    task = record.context().run(callback)
    await task
    assert seen == [record, record]
    assert asyncio.current_task() is not None
    otp.exit(record, "kill")


async def test_p3_no_task_factory():
    await otp.spawn(asyncio.sleep, 0).join()
    assert asyncio.get_running_loop().get_task_factory() is None


async def test_p4_a_cascade_is_sliced():
    center = otp.Process()
    ring = [otp.Process() for _ in range(10_000)]
    for process in ring:
        center.link(process)
    otp.exit(center, "x")
    assert 0 < signals.pending() <= 10_000 - signals.SLICE + 1
    await ring[-1].join()
    assert not any(process.alive for process in ring)


async def test_p5_cancelled_once_and_cleanup_may_await(settle):
    cancellations = []

    async def body():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancellations.append(1)
            for _ in range(10):
                await asyncio.sleep(0)
            cancellations.append("done")
            raise

    process = otp.spawn(body)
    await settle()
    otp.exit(process, "x")
    otp.exit(process, "y")
    assert await process.join() == "x"
    assert cancellations == [1, "done"]


async def test_p6_cancelling_is_left_alone(settle):
    async def body():
        try:
            await asyncio.Event().wait()
        finally:
            counts.append(asyncio.current_task().cancelling())

    counts = []
    process = otp.spawn(body)
    await settle()
    otp.exit(process, "x")
    await process.join()
    assert counts == [1]


async def test_p7_the_first_signal_is_the_reason(settle, reports):
    async def body():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            raise OSError("a library's own error") from error

    process = otp.spawn(body)
    await settle()
    otp.exit(process, "x")
    assert await process.join() == "x"
    assert reports("crash") == []


async def test_p8_a_thread_outlives_its_process(settle):
    gate = threading.Event()
    process = otp.spawn(asyncio.to_thread, gate.wait)
    await settle()
    otp.exit(process, "kill")
    assert not process.alive
    gate.set()


async def test_p9_ordered_shutdown_comes_first(settle):
    order = []

    async def worker(name):
        try:
            await asyncio.Event().wait()
        finally:
            order.append(name)

    async with await otp.Supervisor.start([otp.worker(worker, name, id=name) for name in "abc"]):
        await settle()
    assert order == ["c", "b", "a"]


async def test_p10_a_thread_may_look():
    stop = threading.Event()
    failures = []

    def look():
        while not stop.is_set():
            try:
                for process in otp.processes():
                    process.snapshot()
                otp.zombies()
            except Exception as error:
                failures.append(error)
                return

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(20):
            made = [otp.Process() for _ in range(200)]
            for process in made:
                process.trap_exit = True
                otp.exit(process, "kill")
            await asyncio.sleep(0)
    finally:
        stop.set()
        thread.join()
    assert failures == []


async def test_an_adopted_task_is_cancelled_not_closed(caplog):
    async def outside():
        ready.set_result(otp.self())
        with pytest.raises(asyncio.CancelledError, match="exit signal: x") as info:
            await asyncio.Event().wait()
        raise info.value

    ready = asyncio.get_running_loop().create_future()
    task = asyncio.get_running_loop().create_task(outside(), context=contextvars.Context())
    process = await ready
    assert process is not otp.self()
    otp.exit(process, "x")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "ends: exit signal: x" in caplog.text
    assert await process.join() == "noproc"
    assert process.exit_reason == "x"


async def test_an_adopted_task_that_is_killed():
    async def outside():
        ready.set_result(otp.self())
        await asyncio.Event().wait()

    ready = asyncio.get_running_loop().create_future()
    task = asyncio.get_running_loop().create_task(outside(), context=contextvars.Context())
    process = await ready
    otp.exit(process, "kill")
    assert process.exit_reason == "killed"
    with pytest.raises(asyncio.CancelledError):
        await task
    assert otp.zombies() == []


async def test_self_outside_of_a_task():
    answers = []

    def callback():
        try:
            otp.self()
        except RuntimeError as error:
            answers.append(str(error))

    asyncio.get_running_loop().call_soon(callback, context=contextvars.Context())
    await asyncio.sleep(0)
    assert "process.context()" in answers[0]
