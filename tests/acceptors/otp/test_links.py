"""Rows K, X, L: link signals, one's own end, link operations."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from acceptors import otp

CHAIN = 100_000


async def ends(reason):
    if isinstance(reason, BaseException):
        raise reason
    otp.exit(reason)


def linked(one, two):
    one.process.link(two.process)


@pytest.mark.parametrize("kind", ["task", "record"])
@pytest.mark.parametrize(
    ("reason", "untrapped"),
    [
        pytest.param("normal", None, id="K1"),
        pytest.param("kill", "kill", id="K3"),
        pytest.param("shutdown", "shutdown", id="K4"),
        pytest.param(("shutdown", "x"), ("shutdown", "x"), id="K4-term"),
        pytest.param("x", "x", id="K6"),
    ],
)
@pytest.mark.parametrize("trap", [False, True], ids=["N", "T"])
async def test_peer_ends(subject, settle, reason, untrapped, trap, kind):
    me, peer = await subject(trap, kind), await subject()
    linked(me, peer)
    peer.act(lambda: otp.exit(reason))
    await settle()
    assert peer.process.exit_reason == reason
    assert me.process.links == []
    if trap:
        assert me.messages == [("EXIT", peer.process, reason)]
        assert me.process.alive
    else:
        assert me.messages == []
        assert me.process.exit_reason == untrapped


@pytest.mark.parametrize("trap", [False, True], ids=["N", "T"])
async def test_k2_peer_was_killed(subject, settle, trap):
    me, peer = await subject(trap), await subject()
    linked(me, peer)
    otp.exit(peer.process, "kill")
    await settle()
    assert me.exits() == (["killed"] if trap else [])
    assert me.process.exit_reason == (None if trap else "killed")


@pytest.mark.parametrize("trap", [False, True], ids=["N", "T"])
async def test_k5_peer_raises(subject, settle, trap, reports):
    error = ValueError("bad")
    me = await subject(trap)
    peer = otp.spawn(ends, error)
    me.process.link(peer)
    await settle()
    assert (me.exits() if trap else [me.process.exit_reason]) == [error]
    assert error.__traceback__ is not None
    assert [report["reason"] for report in reports("crash")] == [error]


@pytest.mark.parametrize("kind", ["task", "record"])
async def test_k6_chain(subject, settle, kind):
    a, b, c, d = [await subject(False, kind) for _ in "abc"] + [await subject(True, kind)]
    for one, two in ((a, b), (b, c), (c, d)):
        linked(one, two)
    otp.exit(a.process, "x")
    await settle()
    assert [p.process.exit_reason for p in (a, b, c, d)] == ["x", "x", "x", None]
    assert d.messages == [("EXIT", c.process, "x")]


async def test_k7_cycle(subject, settle):
    a, b, c = [await subject() for _ in "abc"]
    for one, two in ((a, b), (b, c), (c, a)):
        linked(one, two)
    otp.exit(b.process, "x")
    await settle()
    assert [p.process.exit_reason for p in (a, b, c)] == ["x"] * 3


async def test_k8_chain_of_100_000():
    chain = [otp.Process() for _ in range(CHAIN)]
    for one, two in pairwise(chain):
        one.link(two)
    turns = 0
    last = asyncio.get_running_loop().create_future()
    chain[-1].watch(last.set_result)
    otp.exit(chain[0], "x")
    # It goes on in slices: the loop gets its turns meanwhile.
    assert chain[-1].alive
    while not last.done():
        await asyncio.sleep(0)
        turns += 1
    assert last.result() == "x"
    assert turns >= CHAIN // 2 // 1_000
    assert not any(process.alive for process in chain)


async def test_k8_chain_of_tasks():
    async def parked():
        await asyncio.Event().wait()

    chain = [otp.spawn(parked) for _ in range(2_000)]
    for one, two in pairwise(chain):
        one.link(two)
    otp.exit(chain[0], "x")
    assert await chain[-1].join() == "x"


async def test_o4_holds_while_a_cascade_waits():
    chain = [otp.Process() for _ in range(5_000)]
    for one, two in pairwise(chain):
        one.link(two)
    bystander = otp.Process()
    otp.exit(chain[0], "x")
    assert chain[-1].alive
    otp.exit(bystander, "kill")
    assert not bystander.alive
    await chain[-1].join()


async def test_k9_after_unlink(subject, settle):
    me, peer = await subject(True), await subject()
    linked(me, peer)
    assert me.process.unlink(peer.process) is True
    otp.exit(peer.process, "x")
    await settle()
    assert me.messages == []


async def test_k9_message_before_unlink_stays():
    otp.flag("trap_exit", True)
    peer = otp.spawn_link(ends, "x")
    await peer.join()
    otp.unlink(peer)
    assert await otp.receive(timeout=0) == ("EXIT", peer, "x")


# X: one's own end.


@pytest.mark.parametrize(
    ("body", "args", "reason", "crash"),
    [
        pytest.param(asyncio.sleep, (0,), "normal", False, id="X1"),
        pytest.param(lambda: None, (), "normal", False, id="X1-plain"),
        pytest.param(ends, ("r",), "r", True, id="X2"),
        pytest.param(ends, ("normal",), "normal", False, id="X5-normal"),
        pytest.param(ends, ("shutdown",), "shutdown", False, id="X5-shutdown"),
        pytest.param(ends, (("shutdown", 1),), ("shutdown", 1), False, id="X5-term"),
        pytest.param(ends, ("killed",), "killed", True, id="X5-killed"),
    ],
)
async def test_own_end(body, args, reason, crash, reports):
    process = otp.spawn(body, *args)
    assert await process.join() == reason
    assert len(reports("crash")) == crash


async def test_x2_exit_can_be_caught():
    caught = []

    async def body():
        try:
            otp.exit("r")
        except otp.Exit as ending:
            caught.append(ending.reason)

    assert await otp.spawn(body).join() == "normal"
    assert caught == ["r"]


async def test_x2_exit_passes_except_exception():
    async def body():
        try:
            otp.exit("r")
        except Exception:
            return

    assert await otp.spawn(body).join() == "r"


@pytest.mark.parametrize("handler", [Exception, otp.Exit])
async def test_x4_an_exit_signal_to_oneself_is_not_caught(handler):
    caught = []

    async def body():
        try:
            otp.exit(otp.self(), "r")
        except handler:
            caught.append(True)

    assert await otp.spawn(body).join() == "r"
    assert caught == []


async def test_x3_neighbours(reports, settle):
    async def waits_here():
        await otp.receive()

    async def outer():
        await waits_here()

    async def crash():
        await asyncio.sleep(0)
        raise KeyError("k")

    process = otp.spawn(crash)
    one, two, trapping = otp.spawn(outer), otp.Process(), otp.Process()
    trapping.trap_exit = True
    for other in (one, trapping):
        process.link(other)
    one.link(two)  # linked with the linked: it ends as well
    many = [otp.Process() for _ in range(30)]
    for each in many:
        two.link(each)
    await process.join()
    (report,) = reports("crash")
    neighbours = report["neighbours"]
    assert len(neighbours) == 15
    assert [n["pid"] for n in neighbours[:2]] == [one.pid, two.pid]
    assert trapping.pid not in [n["pid"] for n in neighbours]
    assert neighbours[0]["initial_call"].endswith("outer")
    stack = [frame.split(" (")[0].rpartition(".")[2] for frame in neighbours[0]["stack"]]
    assert stack[:2] == ["outer", "waits_here"]
    assert "mailbox.py" in neighbours[0]["current_function"]
    assert neighbours[1]["stack"] == []
    otp.exit(trapping, "kill")
    await settle()


async def test_x3_crash_report(reports):
    async def crash():
        otp.flag("trap_exit", True)
        otp.link(friend)
        raise KeyError("k")

    friend = otp.Process()
    friend.trap_exit = True
    process = otp.spawn(crash)
    process.label = "worker 7"
    reason = await process.join()
    assert isinstance(reason, KeyError)
    (report,) = reports("crash")
    assert report["pid"] == process.pid
    assert report["label"] == "worker 7"
    assert report["reason"] is reason
    assert report["initial_call"].endswith("crash")
    assert report["links"] == [friend.pid]
    assert report["trap_exit"] is True
    otp.exit(friend, "kill")


async def test_x6_finally_runs():
    ran = []

    async def body():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ran.append("cleanup")

    process = otp.spawn(body)
    await asyncio.sleep(0)
    otp.exit(process, "x")
    # The links hear of it when it is really over (O3): sockets are closed, locks released.
    assert await process.join() == "x"
    assert ran == ["cleanup"]


async def test_cancelled_from_outside_is_a_shutdown():
    process = otp.spawn(asyncio.Event().wait)
    await asyncio.sleep(0)
    process.task.cancel()
    assert await process.join() == ("shutdown", "cancelled")


async def test_a_leaked_cancellation_is_a_crash(reports):
    async def body():
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    assert isinstance(await otp.spawn(body).join(), asyncio.CancelledError)
    assert len(reports("crash")) == 1


# L: link operations.


async def test_l1_twice_is_one(subject, settle):
    me, peer = await subject(True), await subject()
    linked(me, peer)
    linked(peer, me)
    linked(me, peer)
    assert me.process.links == [peer.process]
    otp.exit(peer.process, "x")
    await settle()
    assert me.exits() == ["x"]


async def test_l2_self():
    assert otp.link(otp.self()) is True
    assert otp.self().links == []


async def test_l3_dead_raises():
    dead = otp.spawn(lambda: None)
    await dead.join()
    with pytest.raises(otp.NoProcessError, match="monitor"):
        otp.link(dead)


async def test_l4_dead_while_trapping():
    otp.flag("trap_exit", True)
    dead = otp.spawn(lambda: None)
    await dead.join()
    assert otp.link(dead) is True
    assert await otp.receive(timeout=0) == ("EXIT", dead, "noproc")


@pytest.mark.parametrize("reason", ["normal", "x"])
@pytest.mark.parametrize("trap", [False, True], ids=["N", "T"])
async def test_l5_spawn_link_is_atomic(reason, trap):
    child = None

    async def parent():
        nonlocal child
        otp.flag("trap_exit", trap)
        child = otp.spawn_link(ends, reason)
        if trap:
            return await otp.receive(("EXIT", child, otp.ANY))
        await child.join()
        await asyncio.sleep(0)
        return None

    process = otp.spawn(parent)
    got = await process.join()
    assert child.exit_reason == reason
    assert got == ("normal" if trap or reason == "normal" else reason)
    if trap:
        assert process.task.result() == ("EXIT", child, reason)


@pytest.mark.parametrize(
    ("parent_reason", "trap", "expected"),
    [
        pytest.param("x", False, "x", id="N"),
        pytest.param("x", True, "message", id="T"),
        pytest.param("normal", False, "orphan", id="orphan"),
    ],
)
async def test_l6_parent_dies(settle, subject, parent_reason, trap, expected):
    child = None
    got = []

    async def child_body():
        if trap:
            otp.flag("trap_exit", True)
            got.append(await otp.receive())
        await asyncio.Event().wait()

    async def parent():
        nonlocal child
        child = otp.spawn_link(child_body)
        await asyncio.sleep(0)
        otp.exit(parent_reason)

    process = otp.spawn(parent)
    await process.join()
    await settle()
    if expected == "message":
        assert got == [("EXIT", process, "x")]
    elif expected == "orphan":
        assert child.alive
    else:
        assert child.exit_reason == expected
    otp.exit(child, "kill")


async def test_l7_unlink_of_no_link(subject):
    me, peer = await subject(), await subject()
    assert me.process.unlink(peer.process) is True
    linked(me, peer)
    assert peer.process.unlink(me.process) is True
    assert me.process.links == peer.process.links == []


async def test_l8_flush_and_link_again():
    otp.flag("trap_exit", True)
    peer = otp.Process()
    otp.link(peer)
    otp.unlink(peer)
    assert await otp.receive(("EXIT", peer, otp.ANY), timeout=0, after="nothing") == "nothing"
    otp.link(peer)
    otp.exit(peer, "x")
    assert await otp.receive(timeout=0) == ("EXIT", peer, "x")
