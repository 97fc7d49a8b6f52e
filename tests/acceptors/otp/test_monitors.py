"""Rows M and O: monitors, and what order is promised."""

from __future__ import annotations

import asyncio
import sys

import pytest

from acceptors import otp


async def test_m1_two_monitors(subject):
    target = await subject()
    one, two = otp.monitor(target.process), otp.monitor(target.process)
    assert one != two
    otp.exit(target.process, "r")
    await target.process.join()
    got = [await otp.receive(timeout=0) for _ in "12"]
    assert got == [("DOWN", ref, "process", target.process, "r") for ref in (one, two)]
    assert await otp.receive(timeout=0, after=None) is None


async def test_m2_dead():
    dead = otp.spawn(lambda: None)
    await dead.join()
    reference = otp.monitor(dead)
    assert await otp.receive(timeout=0) == ("DOWN", reference, "process", dead, "noproc")


async def test_m3_name(subject):
    first, second = await subject(), await subject()
    otp.register("service", first.process)
    reference = otp.monitor("service")
    otp.unregister("service")
    otp.register("service", second.process)
    otp.exit(first.process, "x")
    await first.process.join()
    assert await otp.receive(timeout=0) == ("DOWN", reference, "process", "service", "x")
    absent = otp.monitor("nobody")
    assert await otp.receive(timeout=0) == ("DOWN", absent, "process", "nobody", "noproc")


@pytest.mark.parametrize("trap", [False, True])
@pytest.mark.parametrize("reason", ["normal", "killed", "x"])
async def test_m4_watcher_lives(subject, settle, trap, reason):
    watcher, target = await subject(trap), await subject()
    reference = watcher.process.monitor(target.process)
    target.act(lambda: otp.exit(reason))
    await settle()
    assert watcher.messages == [("DOWN", reference, "process", target.process, reason)]
    assert watcher.process.alive


async def test_m5_demonitor(subject):
    target = otp.Process()
    assert otp.demonitor(otp.monitor(target)) is True
    queued = otp.monitor(target)
    otp.exit(target, "x")
    assert otp.demonitor(queued) is False
    assert await otp.receive(timeout=0) == ("DOWN", queued, "process", target, "x")
    assert await otp.receive(timeout=0, after=None) is None


async def test_m6_flush():
    target = otp.Process()
    reference = otp.monitor(target)
    otp.exit(target, "x")
    otp.send(otp.self(), "kept")
    assert otp.demonitor(reference, flush=True) is False
    assert await otp.receive(timeout=0) == "kept"


async def test_m7_of_another(subject):
    target, other = await subject(), await subject()
    reference = other.process.monitor(target.process)
    with pytest.raises(otp.BadArgumentError, match="another process"):
        otp.demonitor(reference)
    other.process.demonitor(reference)


async def test_m8_watcher_dies_first(subject):
    watcher, target = await subject(), await subject()
    watcher.process.monitor(target.process)
    assert len(target.process.monitors) == 1
    otp.exit(watcher.process, "kill")
    assert target.process.monitors == []


async def test_m9_reply_or_down(subject, clock, settle):
    server = await subject()
    asked = []
    server.messages = asked

    async def ask():
        return await otp.call(server.process, "question", timeout=1.0)

    caller = asyncio.ensure_future(ask())
    await settle()
    (message,) = asked
    await clock.advance(1.0)
    with pytest.raises(otp.CallTimeoutError, match="no answer"):
        await caller
    otp.reply(message.from_, "late")
    assert server.process.monitors == []
    assert server.process.alive


@pytest.mark.parametrize("mode", ["demonitor", "reply_demonitor"])
async def test_m9_alias_reply_first(mode):
    target = otp.Process()
    reference = otp.monitor(target, alias=mode)
    assert otp.send(reference, "answer") == "answer"
    assert await otp.receive(timeout=0) == "answer"
    otp.exit(target, "x")
    if mode == "demonitor":
        assert await otp.testing.assert_down(reference, "x")
    # The monitor went with the answer: no DOWN. Either way a second answer is dropped.
    otp.send(reference, "again")
    assert otp.self().message_queue_length == 0
    assert otp.demonitor(reference) is False


async def test_m9_alias_down_first():
    target = otp.Process()
    reference = otp.monitor(target, alias="reply_demonitor")
    otp.exit(target, "x")
    otp.send(reference, "late")
    assert await otp.receive(timeout=0) == ("DOWN", reference, "process", target, "x")
    assert otp.self().message_queue_length == 0


async def test_m9_alias_after_the_timeout():
    target = otp.Process()
    reference = otp.monitor(target, alias="reply_demonitor")
    assert await otp.receive(timeout=0, after=None) is None
    assert otp.demonitor(reference, flush=True) is True
    otp.send(reference, "late")
    assert otp.self().message_queue_length == 0
    otp.exit(target, "kill")


async def test_m9_alias_of_a_dead_target_and_explicit_unalias():
    target = otp.Process()
    kept = otp.monitor(target, alias="explicit_unalias")
    otp.exit(target, "kill")
    gone = otp.monitor(target, alias="reply_demonitor")
    for reference in (kept, gone):
        otp.send(reference, "m")
    messages = [await otp.receive(timeout=0) for _ in range(otp.self().message_queue_length)]
    assert [m if m == "m" else m[4] for m in messages] == ["killed", "noproc", "m"]
    assert otp.unalias(kept) is True
    assert otp.unalias(kept) is False
    otp.send(kept, "m")
    assert otp.self().message_queue_length == 0


async def test_alias_alone(subject):
    once, always = otp.alias("reply"), otp.alias()
    for reference in (once, once, always, always):
        otp.send(reference, reference)
    assert [await otp.receive(timeout=0) for _ in "123"] == [once, always, always]
    other = await subject()
    with pytest.raises(otp.BadArgumentError, match="another process"):
        otp.unalias(other.process.alias())
    with pytest.raises(otp.BadArgumentError, match="reply_demonitor"):
        otp.alias("twice")
    dead = otp.Process()
    reference = dead.alias()
    otp.exit(dead, "kill")
    otp.send(reference, "m")
    assert dead.message_queue_length == 0


async def test_m10_the_operating_system_process_dies():
    otp.flag("trap_exit", True)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE
    )
    remote = otp.Process()

    async def represent():
        await child.wait()
        remote._exited(otp.NOCONNECTION)

    otp.spawn(represent)
    otp.link(remote)
    reference = otp.monitor(remote)
    child.kill()
    messages = [await otp.receive(timeout=10.0) for _ in "12"]
    assert sorted(messages, key=lambda message: message[0]) == [
        ("DOWN", reference, "process", remote, "noconnection"),
        ("EXIT", remote, "noconnection"),
    ]


async def test_spawn_monitor():
    child, reference = otp.spawn_monitor(lambda: None)
    got = await otp.receive(("DOWN", reference, "process", otp.ANY, otp.ANY))
    assert got == ("DOWN", reference, "process", child, "normal")


# O: order.


async def test_o1_message_before_signal(subject, settle):
    me, receiver = otp.self(), await subject(True)
    otp.send(receiver.process, ("first",))
    otp.exit(receiver.process, "x")
    otp.send(receiver.process, ("last",))
    await settle()
    assert receiver.messages == [("first",), ("EXIT", me, "x"), ("last",)]


async def test_o3_name_is_free_first(settle):
    seen = []

    class Watcher(otp.Process):
        __slots__ = ()

        def _message(self, message):
            seen.append((message[0], otp.whereis("n"), registry.lookup("k")))

    registry = otp.Registry()
    watcher = Watcher()
    watcher.trap_exit = True
    target = otp.Process()
    otp.register("n", target)
    registry.register("k", 1, target)
    watcher.link(target)
    watcher.monitor(target)
    otp.exit(target, "x")
    assert sorted(seen) == [("DOWN", None, []), ("EXIT", None, [])]
    for process in (watcher, registry):
        otp.exit(process, "kill")


async def test_o4_dead_at_once(subject):
    process = (await subject()).process
    otp.exit(process, "kill")
    assert otp.is_alive(process) is False


async def test_o6_send_to_nobody():
    dead = otp.spawn(lambda: None)
    await dead.join()
    assert otp.send(dead, "m") == "m"
    with pytest.raises(otp.BadArgumentError, match="nobody"):
        otp.send("nobody", "m")
