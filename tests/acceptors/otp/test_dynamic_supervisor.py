"""Rows S21 and S22: DynamicSupervisor, and PartitionSupervisor."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from acceptors import otp


class Record(otp.Process):
    __slots__ = ()

    def __init__(self):
        super().__init__(otp.self())


async def parked():
    await asyncio.Event().wait()


RECORD = otp.ChildSpec(id="record", start=Record, restart="temporary")


@pytest.fixture
async def dynamic():
    made = []

    async def start(**flags):
        supervisor = await otp.DynamicSupervisor.start(**flags)
        made.append(supervisor)
        return supervisor

    yield start
    for supervisor in made:
        await supervisor.stop()


async def test_children_come_and_go(dynamic, reports, settle):
    supervisor = await dynamic()
    one = await supervisor.start_child(otp.worker(parked))
    two = await supervisor.start_child((otp.Agent, int))
    assert one.parent is two.parent is supervisor
    assert [process for _, process, *_ in supervisor.which_children()] == [one, two]
    await supervisor.terminate_child(one)
    assert one.exit_reason == "shutdown"
    assert supervisor.count_children()["active"] == 1
    with pytest.raises(otp.ChildError, match="not_found"):
        await supervisor.terminate_child(one)
    assert reports("supervisor") == []


@pytest.mark.parametrize(
    ("restart", "reason", "restarted", "reported"),
    [
        ("permanent", "normal", True, True),
        ("permanent", "boom", True, True),
        ("transient", "normal", False, False),
        ("transient", ("shutdown", 1), False, False),
        ("transient", "boom", True, True),
        ("temporary", "normal", False, False),
        ("temporary", "boom", False, True),
    ],
)
async def test_restarts(dynamic, settle, reports, restart, reason, restarted, reported):
    supervisor = await dynamic()
    spec = otp.ChildSpec(id="r", start=Record, restart=restart)
    first = await supervisor.start_child(spec)
    first._exited(reason)
    await settle()
    left = [process for _, process, *_ in supervisor.which_children()]
    assert len(left) == restarted
    assert first not in left
    assert len(reports("supervisor", context="child_terminated")) == reported


async def test_restart_that_fails_is_tried_again(dynamic, settle):
    supervisor = await dynamic(intensity=10)
    outcomes = ["ok", "fail", "fail", "ok"]

    def start():
        if outcomes.pop(0) == "fail":
            raise OSError("not yet")
        return Record()

    first = await supervisor.start_child(otp.ChildSpec(id="r", start=start))
    first._exited("boom")
    while supervisor.count_children()["active"] == 1 and outcomes:
        await asyncio.sleep(0)
    assert supervisor.which_children()[0][1] == "restarting" or outcomes == []
    await settle()
    assert outcomes == []
    assert supervisor.count_children()["active"] == 1


async def test_gives_up(dynamic, settle, clock):
    supervisor = await dynamic(intensity=1)
    other = await supervisor.start_child(RECORD)
    child = await supervisor.start_child(otp.ChildSpec(id="r", start=Record))
    for _ in range(2):
        child = next(p for _, p, *_ in supervisor.which_children() if p is not other)
        child._exited("boom")
        await settle()
    assert supervisor.exit_reason == "shutdown"
    assert other.exit_reason == "shutdown"


async def test_s21_50_000_children_stop_at_once(dynamic):
    supervisor = await dynamic()
    loop = asyncio.get_running_loop()
    async with await otp.DynamicSupervisor.start() as big:
        # As a pool of records that are made without asking one at a time.
        for _ in range(50_000):
            child = otp.Process(big)
            big._active[child._serial] = otp.supervision.Child(RECORD, child)
        turns = 0
        stopping = asyncio.ensure_future(big.stop())
        while not stopping.done():
            await asyncio.sleep(0)
            turns += 1
    assert big.children == {}
    # Signalled in slices: the loop had a turn between every 250 of them.
    assert turns >= 50_000 // 250
    assert loop.is_running()
    assert supervisor.alive


async def test_s21_one_deadline_and_grouped_errors(dynamic, clock, reports):
    async def refuse():
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    supervisor = await dynamic()
    slow = [
        await supervisor.start_child(otp.worker(refuse, shutdown=2.0, restart="temporary"))
        for _ in range(3)
    ]
    slower = await supervisor.start_child(otp.worker(refuse, shutdown=4.0))
    quick = await supervisor.start_child(otp.worker(parked, shutdown="infinity"))
    brutal = await supervisor.start_child(otp.worker(refuse, shutdown="brutal_kill"))
    await clock.settle()
    stopping = asyncio.ensure_future(supervisor.stop())
    await clock.advance(1.9)
    assert (quick.alive, brutal.alive) == (False, False)
    assert all(process.alive for process in slow)
    await clock.advance(0.1)
    assert not any(process.alive for process in slow)
    assert slower.alive
    await clock.advance(2.0)
    await stopping
    (report,) = reports("supervisor", context="shutdown_error")
    assert report["reason"] == "killed"
    assert report["offender"]["nb_children"] == 4


async def test_stop_with_naughty_children(dynamic, clock, reports):
    supervisor = await dynamic()
    gone = await supervisor.start_child(RECORD)
    lives = await supervisor.start_child(RECORD)
    for child in (gone, lives):
        child.unlink(supervisor)
    otp.exit(gone, "kill")
    await supervisor.stop()
    assert lives.exit_reason == "shutdown"
    (report,) = reports("supervisor")
    assert report["reason"] == "noproc"


async def test_s22_max_children(dynamic):
    supervisor = await dynamic(max_children=2)
    one, _ = [await supervisor.start_child(RECORD) for _ in "12"]
    with pytest.raises(otp.ChildError, match="max_children"):
        await supervisor.start_child(RECORD)
    one._exited()
    assert await supervisor.start_child(RECORD) is not None
    with pytest.raises(ValueError, match="max_children"):
        otp.DynamicSupervisor(max_children=-1)


async def test_extra_arguments_and_ignore(dynamic):
    supervisor = await dynamic(extra_arguments=("x",))
    seen = []

    def start(*args):
        seen.append(args)
        return otp.IGNORE

    assert await supervisor.start_child(otp.ChildSpec(id="i", start=start, args=(1,))) is None
    assert seen == [("x", 1)]
    assert supervisor.which_children() == []


async def test_as_a_child_and_refusals(settle):
    async with await otp.Supervisor.start([otp.DynamicSupervisor]) as top:
        inner = top.which_child("DynamicSupervisor")
        child = await inner.start_child(RECORD)
        with pytest.raises(otp.ChildSpecError, match="auto_shutdown"):
            await inner.start_child(
                otp.ChildSpec(id="s", start=Record, restart="transient", significant=True)
            )
        with pytest.raises(otp.StartError, match="bad_return"):
            await inner.start_child(otp.ChildSpec(id="b", start=lambda: None))
    assert child.exit_reason == "shutdown"


# PartitionSupervisor.


async def test_partitions():
    def arguments(args, partition):
        return (*args, partition)

    async with await otp.PartitionSupervisor.start(
        (otp.Agent, lambda *args: args, "p"), partitions=3, with_arguments=arguments
    ) as partitions:
        values = [
            await otp.Agent.get(otp.via(partitions, key), lambda value: value) for key in range(4)
        ]
        assert values == [("p", 0), ("p", 1), ("p", 2), ("p", 0)]
        assert partitions.which(-1) is partitions.which(1)
        assert partitions.which("text") is partitions.which("text")
        await partitions.resize(5)
        assert await otp.Agent.get(otp.via(partitions, 4), lambda value: value) == ("p", 4)
        await partitions.resize(1)
        assert partitions.count_children()["active"] == 1
        assert partitions.which(3) is partitions.which(0)
        with pytest.raises(ValueError, match="1 or more"):
            await partitions.resize(0)
    with pytest.raises(ValueError, match="1 or more"):
        otp.PartitionSupervisor(otp.worker(parked), partitions=0)
