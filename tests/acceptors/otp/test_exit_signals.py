"""Rows E1 to E14: what an exit signal of `exit(pid, reason)` does, as data."""

from __future__ import annotations

import asyncio

import pytest

from acceptors import otp

ALIVE = ("alive", None)
BOOM = ("boom", 42)


def dies(reason):
    return ("dies", reason)


def message(*reasons):
    return ("message", list(reasons))


# id, who sends, reasons, (not trapping, trapping)
TABLE = [
    ("E1", "another", ["normal"], ALIVE, message("normal")),
    ("E2", "self", ["normal"], dies("normal"), message("normal")),
    ("E3", "another", ["kill"], dies("killed"), dies("killed")),
    ("E4", "self", ["kill"], dies("killed"), dies("killed")),
    ("E5", "another", ["killed"], dies("killed"), message("killed")),
    ("E6", "another", ["shutdown"], dies("shutdown"), message("shutdown")),
    ("E7", "another", [("shutdown", 1)], dies(("shutdown", 1)), message(("shutdown", 1))),
    ("E8-noproc", "another", ["noproc"], dies("noproc"), message("noproc")),
    ("E8-term", "another", [BOOM], dies(BOOM), message(BOOM)),
    ("E9", "self", [BOOM], dies(BOOM), message(BOOM)),
    ("E12", "another", ["one", "two"], dies("one"), message("one", "two")),
]
CASES = [
    pytest.param(sender, reasons, trap, expected, id=f"{row}-{'T' if trap else 'N'}")
    for row, sender, reasons, untrapped, trapped in TABLE
    for trap, expected in ((False, untrapped), (True, trapped))
]


@pytest.mark.parametrize("kind", ["task", "record"])
@pytest.mark.parametrize(("sender", "reasons", "trap", "expected"), CASES)
async def test_table(subject, settle, kind, sender, reasons, trap, expected):
    receiver = await subject(trap, kind)
    process = receiver.process
    reference = otp.monitor(process)
    other = await subject()

    def send():
        for reason in reasons:
            otp.exit(process, reason)

    (receiver if sender == "self" else other).act(send)
    await settle()

    what, value = expected
    source = process if sender == "self" else other.process
    if what == "dies":
        assert not process.alive
        assert process.exit_reason == value
        assert await otp.receive(timeout=0) == ("DOWN", reference, "process", process, value)
        assert receiver.messages == []
    else:
        assert process.alive
        assert receiver.messages == [("EXIT", source, reason) for reason in value or []]
    assert other.process.alive


async def test_e9_cannot_be_caught(settle):
    after = []

    async def body():
        try:
            otp.exit(otp.self(), "over")
        except Exception:
            after.append("caught")
        after.append("went on")

    process = otp.spawn(body)
    assert await process.join() == "over"
    assert after == []


async def test_e9_swallowed_ends_with_the_grace(clock, settle):
    async def body():
        while True:
            try:
                otp.exit(otp.self(), "over")
            except asyncio.CancelledError:
                await asyncio.sleep(0)
                break
        await asyncio.Event().wait()

    process, reference = otp.spawn_monitor(body)
    await settle()
    assert process.alive
    assert process.exit_reason == "over"
    await clock.advance(otp.EXIT_GRACE)
    assert await otp.receive(timeout=0) == ("DOWN", reference, "process", process, "over")


async def test_e10_to_a_dead_process():
    process = otp.spawn(lambda: None)
    await process.join()
    assert otp.exit(process, "kill") is True
    assert process.exit_reason == "normal"


@pytest.mark.parametrize("trap", [False, True])
async def test_e11_to_a_name(subject, trap):
    named = await subject(trap)
    otp.register("named", named.process)
    with pytest.raises(otp.BadArgumentError, match="whereis"):
        otp.exit("named", "kill")  # type: ignore[call-overload]
    assert named.process.alive


@pytest.mark.parametrize("sender_traps", [False, True])
async def test_e13_flag_of_the_sender(subject, settle, sender_traps):
    sender, receiver = await subject(sender_traps), await subject()
    sender.act(lambda: otp.exit(receiver.process, "boom"))
    await settle()
    assert receiver.process.exit_reason == "boom"
    assert sender.process.alive


@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True)])
async def test_e14_flag_at_receipt(subject, settle, before, after):
    receiver = await subject(before)
    receiver.act(lambda: otp.flag("trap_exit", after))
    await settle()
    otp.exit(receiver.process, "boom")
    await settle()
    assert receiver.process.alive is after
    assert receiver.exits() == (["boom"] if after else [])


async def test_flag_returns_the_former_value():
    assert otp.flag("trap_exit", True) is False
    assert otp.flag("trap_exit", False) is True
    with pytest.raises(otp.BadArgumentError, match="trap_exit"):
        otp.flag("trap_exits", True)
