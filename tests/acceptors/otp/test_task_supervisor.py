"""TaskSupervisor: work that is awaited, left alone, streamed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from acceptors import otp


@pytest.fixture
async def tasks():
    async with await otp.TaskSupervisor.start() as supervisor:
        yield supervisor


async def double(value):
    await asyncio.sleep(0)
    return value * 2


async def fail(value=None):
    raise ValueError(value)


async def for_ever():
    await asyncio.Event().wait()


async def test_async_nolink(tasks):
    assert await tasks.async_nolink(double, 21) == 42
    assert await tasks.async_nolink(lambda: 7).result() == 7
    task = tasks.async_nolink(fail, "v")
    with pytest.raises(otp.CallError, match="ValueError: v") as info:
        await task
    assert isinstance(info.value.__cause__, ValueError)
    assert tasks.which_children() == []


async def test_async_is_linked(tasks):
    async def caller():
        await tasks.async_(fail, "v")

    reason = await otp.spawn(caller).join()
    assert isinstance(reason, ValueError)

    started = []

    async def dies():
        started.append(tasks.async_(for_ever).process)
        await asyncio.sleep(0)
        otp.exit("x")

    await otp.spawn(dies).join()
    await started[0].join()
    assert started[0].exit_reason == "x"
    assert await tasks.async_(double, 2) == 4


async def test_result_and_yield_in_time(tasks, clock):
    task = tasks.async_nolink(for_ever)
    waiting = asyncio.ensure_future(task.result(timeout=2.0))
    await clock.advance(2.0)
    with pytest.raises(otp.CallTimeoutError):
        await waiting
    waiting = asyncio.ensure_future(task.yield_(1.0))
    await clock.advance(1.0)
    assert await waiting is None
    assert task.process.alive
    assert await task.shutdown() == ("exit", "shutdown")
    assert await task.yield_() == ("exit", "shutdown")
    assert clock.waiting <= 1
    assert await tasks.async_nolink(for_ever).shutdown("brutal_kill") == ("exit", "killed")


async def test_shutdown_of_what_cleans_up_too_long(tasks, clock):
    async def slow():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.Event().wait()

    task = tasks.async_nolink(slow)
    await clock.settle()
    waiting = asyncio.ensure_future(task.shutdown(1.0))
    await clock.advance(1.0)
    assert await waiting == ("exit", "killed")


async def test_start_task_outlives_its_caller(tasks, settle):
    started = []

    async def caller():
        started.append(tasks.start_task(for_ever))

    await otp.spawn(caller).join()
    await settle()
    (process,) = started
    assert process.alive
    assert process.parent is tasks
    otp.exit(process, "boom")
    await process.join()
    assert tasks.which_children() == []


async def test_ignore(tasks, settle):
    async def caller():
        task = tasks.async_(for_ever)
        task.ignore()
        return task

    process = otp.spawn(caller)
    await process.join()
    await settle()
    assert process.task.result().process.alive


async def test_max_children():
    async with await otp.TaskSupervisor.start(max_children=1) as tasks:
        tasks.start_task(for_ever)
        with pytest.raises(otp.ChildError, match="max_children"):
            tasks.start_task(for_ever)


async def test_bad_work_leaves_nothing(tasks):
    with pytest.raises(TypeError):
        tasks.start_task(17)
    assert tasks.which_children() == []


async def test_stream_in_order(tasks):
    got = [outcome async for outcome in tasks.async_stream(range(5), double, max_concurrency=2)]
    assert got == [("ok", value * 2) for value in range(5)]


async def test_stream_as_they_end(tasks):
    gates = [asyncio.Event() for _ in range(3)]

    async def work(index):
        await gates[index].wait()
        return index

    stream = tasks.async_stream(range(3), work, max_concurrency=3, ordered=False)
    got = []
    for index in (2, 0, 1):
        gates[index].set()
        got.append(await anext(stream))
    assert got == [("ok", 2), ("ok", 0), ("ok", 1)]


async def test_stream_is_bounded(tasks):
    most = 0

    async def work(_):
        nonlocal most
        most = max(most, len(tasks.which_children()))
        await asyncio.sleep(0)

    async for _ in tasks.async_stream(range(20), work, max_concurrency=4):
        pass
    assert most == 4


async def test_stream_timeouts(tasks, clock):
    async def work(value):
        if value == 1:
            await asyncio.Event().wait()
        return value

    async def collect(**options):
        return [o async for o in tasks.async_stream(range(3), work, timeout=1.0, **options)]

    waiting = otp.spawn(collect(on_timeout="kill_task", max_concurrency=1))
    await clock.advance(1.0)
    await waiting.join()
    assert waiting.task.result() == [("ok", 0), ("exit", "timeout"), ("ok", 2)]

    waiting = otp.spawn(collect(link=False, max_concurrency=3))
    reason = asyncio.ensure_future(waiting.join())
    await clock.advance(1.0)
    assert (await reason)[0] == "timeout"
    await clock.settle()
    assert tasks.which_children() == []


async def test_stream_that_is_left(tasks):
    gate = asyncio.Event()

    async def work(value):
        if value:
            await gate.wait()
        return value

    async with aclosing(tasks.async_stream(range(10), work, max_concurrency=3)) as stream:
        assert await anext(stream) == ("ok", 0)
        assert len(tasks.which_children()) == 3
    assert tasks.which_children() == []


async def test_stream_outcomes_of_failures(tasks):
    got = [o async for o in tasks.async_stream([1], fail, link=False)]
    assert got[0][0] == "exit"
    assert isinstance(got[0][1], ValueError)
