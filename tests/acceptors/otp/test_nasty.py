"""Signals at the wrong moment, hooks that fail, two supervisors, generators, cleanup that asks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools

import pytest

from acceptors import otp
from acceptors.otp import signals, system


class FailError(Exception):
    pass


# Hooks and callbacks that raise: all others still hear of the death.


async def test_a_watcher_that_raises(caplog):
    target, parent = otp.Process(), otp.ParentProcess()
    heard = []

    def fail(reason):
        raise FailError("watch")

    target._move(parent)
    target.watch(fail)
    target.watch(heard.append)
    linked = otp.Process()
    linked.link(target)
    reference = otp.monitor(target)
    otp.exit(target, "x")
    assert heard == ["x"]
    assert linked.exit_reason == "x"
    assert await otp.receive(timeout=0) == ("DOWN", reference, "process", target, "x")
    assert parent.children == {}
    assert "FailError: watch" in caplog.text
    otp.exit(parent, "kill")


@pytest.mark.parametrize("hook", ["_message", "_exit_message", "_signalled", "_killed"])
async def test_a_hook_that_raises(hook, caplog):
    def fail(self, *_):
        raise FailError(hook)

    broken = type("Broken", (otp.Process,), {"__slots__": (), hook: fail})()
    broken.trap_exit = hook == "_exit_message"
    center, other = otp.Process(), otp.Process()
    if hook == "_message":
        broken.monitor(center)
    else:
        broken.link(center)
    other.link(center)
    other_reference = otp.monitor(other)
    if hook == "_killed":
        otp.exit(broken, "kill")
        assert not broken.alive
    otp.exit(center, "x")
    await otp.testing.assert_down(other_reference)
    assert f"FailError: {hook}" in caplog.text
    otp.exit(broken, "kill")


async def test_a_parent_whose_hook_raises(caplog):
    class Parent(otp.ParentProcess):
        __slots__ = ()

        def _child_exited(self, child, reason):
            raise FailError("child")

    parent = Parent()
    child, grandchild = otp.ParentProcess(parent), None
    grandchild = otp.Process(child)
    otp.exit(child, "kill")
    assert grandchild.exit_reason == "killed"
    assert "FailError: child" in caplog.text
    otp.exit(parent, "kill")


async def test_a_listener_of_a_registry_that_raises(caplog):
    class Listener(otp.Process):
        __slots__ = ()

        def _message(self, message):
            if message[0] == "unregister":
                raise FailError("listener")

    listener = Listener()
    registry = otp.Registry("unique", listeners=(listener,))
    process = otp.Process()
    registry.register("k", 1, process)
    reference = otp.monitor(process)
    otp.exit(process, "x")
    assert await otp.testing.assert_down(reference) == "x"
    assert registry.lookup("k") == []
    for each in (listener, registry):
        otp.exit(each, "kill")


# The moment between the end of a Task and the end of its process.


@pytest.mark.parametrize("signal", ["shutdown", "x"])
async def test_a_signal_that_comes_after_the_end(signal, reports):
    error = FailError("crash")

    async def crash():
        raise error

    process = otp.spawn(crash)
    done = asyncio.get_running_loop().create_future()

    def late(task):
        otp.exit(process, signal)
        done.set_result(process.exit_reason)

    process.task.remove_done_callback(process._finished)
    process.task.add_done_callback(late)
    # It had ended by itself; the crash is not hidden by a signal that came too late.
    assert await done is error
    assert len(reports("crash")) == 1


async def test_urgent_signals_go_before_a_cascade_that_waits():
    chain = [otp.Process() for _ in range(3_000)]
    for one, two in itertools.pairwise(chain):
        one.link(two)
    order = []

    class Second(otp.Process):
        __slots__ = ()

        def _exit_message(self, source, reason):
            order.append(reason)

    class First(otp.Process):
        __slots__ = ()

        def _signalled(self, reason):
            otp.exit(second, "nested")
            self._exited(reason)

    first, second = First(), Second()
    second.trap_exit = True
    otp.exit(chain[0], "x")
    assert signals.pending() > 0
    otp.exit(first, "x")
    otp.exit(second, "after")
    assert order == ["nested", "after"]
    await chain[-1].join()
    otp.exit(second, "kill")


# During init and terminate.


class Slow(otp.GenServer):
    def init(self, journal, gate, trap=False):
        self.journal, self.gate = journal, gate
        otp.flag("trap_exit", trap)
        return self.begin()

    async def begin(self):
        await self.gate.wait()

    async def terminate(self, reason):
        self.journal.append(("terminate", reason))
        await self.gate.wait()
        self.journal.append("terminated")


@pytest.mark.parametrize("reason", ["shutdown", "kill", "x"])
async def test_a_signal_during_init(reason, settle):
    journal, gate = [], asyncio.Event()
    starting = otp.spawn(Slow.start(journal, gate))
    await settle()
    (server,) = [p for p in otp.processes() if p.label == "Slow"]
    otp.exit(server, reason)
    await starting.join()
    assert isinstance(starting.exit_reason, otp.StartError)
    assert starting.exit_reason.reason == ("killed" if reason == "kill" else reason)
    assert journal == []


async def test_the_parent_ends_during_init_of_one_that_traps(settle):
    journal, gate = [], asyncio.Event()
    parent = otp.spawn(Slow.start_link(journal, gate, True))
    await settle()
    otp.exit(parent, "x")
    await parent.join()
    assert journal == []
    gate.set()
    await settle()
    # It was told while it started, and ends as soon as it serves.
    assert journal == [("terminate", "x"), "terminated"]


async def test_killed_during_terminate(settle):
    journal, gate = [], asyncio.Event()
    gate.set()
    server = await Slow.start(journal, gate)
    gate.clear()
    stopping = asyncio.ensure_future(otp.stop(server))
    await settle()
    assert journal == [("terminate", "normal")]
    otp.exit(server, "kill")
    with pytest.raises(otp.CallError) as info:
        await stopping
    assert info.value.why == "killed"
    assert journal == [("terminate", "normal")]


async def test_a_caller_that_is_cancelled_while_it_starts_one(settle):
    journal, gate = [], asyncio.Event()
    starting = asyncio.ensure_future(Slow.start(journal, gate))
    await settle()
    starting.cancel()
    await settle()
    assert [p for p in otp.processes() if p.label == "Slow"] == []


async def test_a_caller_that_is_cancelled_while_it_calls(settle):
    class Gate(otp.GenServer):
        async def handle_call(self, request, from_):
            await request.wait()
            return "late"

    server, gate = await Gate.start(), asyncio.Event()
    calling = asyncio.ensure_future(otp.call(server, gate))
    await settle()
    calling.cancel()
    await settle()
    assert server.monitors == []
    gate.set()
    assert await otp.call(server, gate) == "late"
    await otp.stop(server)


# Start functions.


@pytest.mark.parametrize("link", [False, True])
async def test_start_timeout(link, clock, settle):
    journal, gate, after = [], asyncio.Event(), []

    async def caller():
        start = Slow.start_link if link else Slow.start
        try:
            await start(journal, gate, start_timeout=2.0)
        except otp.StartError as error:
            after.append(error.reason)

    process = otp.spawn(caller)
    await clock.advance(1.9)
    assert process.alive
    await clock.advance(0.1)
    # The caller goes on, trapping or not.
    assert (process.exit_reason, after) == ("normal", ["timeout"])
    assert clock.waiting == 0
    assert [p for p in otp.processes() if p.label == "Slow"] == []


async def test_start_timeout_of_a_child(clock, reports):
    gate = asyncio.Event()
    spec = otp.child_spec(Slow, args=([], gate), kwargs={"start_timeout": 1.0})
    starting = asyncio.ensure_future(otp.Supervisor.start([spec]))
    await clock.advance(1.0)
    with pytest.raises(otp.StartError) as info:
        await starting
    assert info.value.reason == ("shutdown", ("failed_to_start_child", "Slow", "timeout"))


async def test_start_timeout_of_a_supervisor(clock, settle):
    gate, after = asyncio.Event(), []

    async def caller():
        try:
            await otp.Supervisor.start_link(
                [otp.worker(asyncio.sleep, 0, id="first"), (Slow, [], gate)], start_timeout=3.0
            )
        except otp.StartError as error:
            after.append(error.reason)

    process = otp.spawn(caller)
    await clock.advance(3.0)
    assert (process.exit_reason, after) == ("normal", ["timeout"])
    await settle()
    assert list(otp.processes()) == []


@pytest.mark.parametrize("start", ["GenServer", "Supervisor", "DynamicSupervisor", "Registry"])
async def test_a_name_that_is_taken_harms_nobody(start):
    holder = otp.Process()
    otp.register("taken", holder)

    async def caller():
        try:
            await getattr(otp, start).start_link(name="taken")
        except otp.StartError as error:
            return error.reason

    process = otp.spawn(caller)
    assert await process.join() == "normal"
    assert process.task.result() == ("already_started", holder)
    otp.exit(holder, "kill")


@pytest.mark.parametrize("start", ["GenServer", "Supervisor", "DynamicSupervisor", "Registry"])
async def test_a_name_that_is_none_leaves_nothing(start):
    with pytest.raises(otp.BadArgumentError, match="not empty"):
        await getattr(otp, start).start_link(name="")


def test_spawn_without_a_loop_leaves_nothing():
    async def body():
        pass

    with pytest.raises(RuntimeError, match="no running event loop"):
        otp.spawn(body)
    assert list(otp.processes()) == []


# Two supervisors, nested.


async def test_two_supervisors_and_a_link_between_their_children(clock, settle):
    async def parked():
        await asyncio.Event().wait()

    one = await otp.Supervisor.start([otp.worker(parked, id="a")])
    two = await otp.Supervisor.start([otp.worker(parked, id="b")])
    a, b = one.which_child("a"), two.which_child("b")
    a.link(b)
    otp.exit(a, "x")
    await settle()
    # Each restarts its own, none ends, and the link is not made again.
    assert one.which_child("a") is not a
    assert two.which_child("b") is not b
    assert b.exit_reason == "x"
    assert one.which_child("a").links == two.which_child("b").links == []
    assert one.count_children()["active"] == two.count_children()["active"] == 1
    for supervisor in (one, two):
        await supervisor.stop()


async def test_escalation_through_three_levels(clock, settle):
    crash = []

    async def child():
        if crash:
            raise FailError("again")
        await asyncio.Event().wait()

    inner = otp.child_spec((otp.Supervisor, [child]), id="inner", kwargs={"intensity": 0})
    middle = otp.child_spec((otp.Supervisor, [inner]), id="middle", kwargs={"intensity": 1})
    top = await otp.Supervisor.start([middle], intensity=0)
    first = top.which_child("middle").which_child("inner")
    crash.append(True)
    otp.exit(first.which_child("child"), "x")
    await top.join()
    assert top.exit_reason == "shutdown"


async def test_a_child_that_stops_its_own_supervisor(settle):
    async def child():
        await gate.wait()
        await supervisor.stop()

    gate = asyncio.Event()
    supervisor = await otp.Supervisor.start([child])
    process = supervisor.which_child("child")
    gate.set()
    await supervisor.join()
    assert process.exit_reason == "shutdown"


async def test_a_supervisor_that_is_killed_while_it_serves(settle):
    gate = asyncio.Event()
    supervisor = await otp.Supervisor.start([])
    asking = asyncio.ensure_future(supervisor.start_child((Slow, [], gate)))
    await settle()
    otp.exit(supervisor, "kill")
    with pytest.raises(otp.CallError, match="noproc"):
        await asking
    await settle()
    assert list(otp.processes()) == []


async def test_a_caller_that_is_cancelled_while_it_asks_a_supervisor(settle):
    gate = asyncio.Event()
    supervisor = await otp.Supervisor.start([])
    asking = asyncio.ensure_future(supervisor.start_child((Slow, [], gate)))
    await settle()
    asking.cancel()
    gate.set()
    await settle()
    # The request was made: the supervisor serves it to the end, as a gen_server does.
    assert supervisor.count_children()["active"] == 1
    await supervisor.stop()


# Classes of their own.


class Jobs(otp.Supervisor, restart="transient", significant=False):
    def init(self, *names):
        assert otp.self() is self
        self.strategy = "rest_for_one"
        self.intensity = 7
        if names == ("ignore",):
            return otp.IGNORE
        if names == ("wrong",):
            self.strategy = "wrong"
        if names == ("raise",):
            raise FailError("init")
        return [otp.worker(asyncio.Event().wait, id=name) for name in names]


async def test_a_class_of_supervisors():
    async with await otp.Supervisor.start([(Jobs, "a", "b")]) as top:
        jobs = top.which_child("Jobs")
        assert (jobs.strategy, jobs.intensity) == ("rest_for_one", 7)
        assert [row[0] for row in jobs.which_children()] == ["a", "b"]
        assert top.get_childspec("Jobs").restart == "transient"
        assert top.get_childspec("Jobs").shutdown == "infinity"
    assert await Jobs.start("ignore") is otp.IGNORE


@pytest.mark.parametrize(("name", "kind"), [("wrong", ValueError), ("raise", FailError)])
async def test_a_class_of_supervisors_whose_init_fails(name, kind):
    with pytest.raises(otp.StartError) as info:
        await Jobs.start(name)
    assert isinstance(info.value.reason, kind)


class Cache(otp.GenServer, restart="temporary", shutdown="brutal_kill"):
    pass


class SmallCache(Cache, restart="transient"):
    pass


def test_fields_of_a_class():
    assert otp.child_spec(Cache).restart == "temporary"
    assert otp.child_spec(SmallCache).restart == "transient"
    assert otp.child_spec(SmallCache).shutdown == "brutal_kill"
    assert otp.child_spec(SmallCache, shutdown=1.0).shutdown == 1.0
    assert otp.child_spec(otp.GenServer).restart == "permanent"
    with pytest.raises(otp.ChildSpecError, match="did you mean 'restart'"):
        type("Typo", (otp.GenServer,), {}, restat="transient")
    with pytest.raises(otp.ChildSpecError, match="permanent, transient"):
        type("Wrong", (otp.GenServer,), {}, restart="always")


# sys, process_info.


class Vault(otp.GenServer):
    def init(self, secret):
        self.secret = secret

    def handle_call(self, request, from_):
        return request

    def handle_cast(self, request):
        pass

    def format_status(self, status):
        return status | {"state": dict.fromkeys(status["state"], "hidden")}


async def test_get_status_hides_what_the_server_says():
    server = await Vault.start("s3cret", name="vault")
    status = await system.get_status(server)
    assert status["state"] == {"secret": "hidden"}
    assert (status["status"], status["module"], status["name"]) == ("running", "Vault", "vault")
    await system.suspend(server)
    assert (await system.get_status("vault"))["status"] == "suspended"
    await system.resume(server)
    await otp.stop(server)


async def test_statistics(clock):
    server = await Vault.start("s")
    assert await system.statistics(server) is None
    await system.statistics(server, True)
    await otp.call(server, 1)
    otp.cast(server, 2)
    otp.send(server, "info")
    await clock.advance(3.0)
    counted = await system.statistics(server)
    assert counted == {
        "seconds": 3.0, "messages_in": 4, "calls": 1, "casts": 1, "system": 1, "info": 1
    }  # fmt: skip
    await system.statistics(server, False)
    assert await system.statistics(server) is None
    await otp.stop(server)


async def test_trace_tells_kinds_and_no_contents(caplog):
    caplog.set_level("INFO", logger="acceptors.otp")
    server = await Vault.start("s")
    await system.trace(server, True)
    await otp.call(server, "s3cret")
    await system.trace(server, False)
    await otp.call(server, "s3cret")
    assert caplog.text.count("(calls)") == 1
    assert "s3cret" not in caplog.text
    await otp.stop(server)


async def test_process_info_and_label():
    otp.set_label("the tests")
    info = otp.process_info(otp.self(), "label", "trap_exit")
    assert info == {"label": "the tests", "trap_exit": False}
    everything = otp.process_info(otp.self())
    assert everything["pid"] == str(otp.self().pid)
    assert "messages" not in everything
    with pytest.raises(otp.BadArgumentError, match="no item"):
        otp.process_info(otp.self(), "messages")
    dead = otp.Process()
    otp.exit(dead, "kill")
    assert otp.process_info(dead) is None


async def test_callers_are_who_asked_and_ancestors_who_supervises(settle):
    async with await otp.TaskSupervisor.start() as tasks:
        seen = []

        async def work():
            await asyncio.sleep(0)
            process = otp.self()
            seen.append((process.callers(), process.ancestors()))

        async def asks():
            await tasks.async_(work)

        me = otp.self()
        asking = otp.spawn(asks)
        await asking.join()
        assert seen == [([asking, me], [tasks])]


# Generators.


async def test_kill_in_an_async_generator(settle):
    cleaned = []

    async def numbers():
        try:
            while True:
                await asyncio.sleep(0)
                yield 1
        finally:
            cleaned.append("generator")

    async def endless():
        try:
            async for _ in numbers():
                await asyncio.Event().wait()
        finally:
            cleaned.append("process")

    process = otp.spawn(endless)
    await settle()
    otp.exit(process, "kill")
    assert process.exit_reason == "killed"
    await settle()
    gc.collect()
    await settle()
    # The loop's hook for forgotten generators closes it.
    assert sorted(cleaned) == ["generator", "process"]
    assert otp.zombies() == []


async def test_kill_while_a_generator_awaits(settle):
    cleaned = []

    async def waits():
        try:
            await asyncio.Event().wait()
            yield 1
        finally:
            cleaned.append("generator")

    async def consume():
        async for _ in waits():
            pass

    process = otp.spawn(consume)
    await settle()
    otp.exit(process, "kill")
    await settle()
    gc.collect()
    await settle()
    assert process.task.done()
    assert otp.zombies() == []
    assert cleaned == ["generator"]


async def test_a_generator_based_coroutine_dies_too(settle):
    class Awaitable:
        def __await__(self):
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    yield

    async def body():
        await Awaitable()

    process = otp.spawn(body)
    await settle()
    process.task.cancel()
    await settle()
    otp.exit(process, "kill")
    await settle()
    assert process.task.done()
    assert otp.zombies() == []


async def test_cleanup_that_spawns_is_refused(settle):
    refused = []

    async def body():
        try:
            await asyncio.Event().wait()
        finally:
            try:
                otp.spawn_link(asyncio.sleep, 0)
            except otp.Exit as ending:
                refused.append(ending.reason)

    process = otp.spawn(body)
    await settle()
    otp.exit(process, "kill")
    await settle()
    assert refused == ["killed"]


async def test_an_object_whose_del_sends_signals(settle):
    other = otp.Process()

    class Holder:
        def __del__(self):
            otp.exit(other, "from __del__")

    async def body():
        holder = Holder()
        await asyncio.Event().wait()
        del holder

    process = otp.spawn(body)
    await settle()
    otp.exit(process, "kill")
    await settle()
    gc.collect()
    assert other.exit_reason == "from __del__"


async def test_a_reason_with_a_broken_eq_is_carried():
    class Odd:
        def __eq__(self, other):
            raise FailError("eq")

        __hash__ = None

    reason = Odd()
    one, two = otp.Process(), otp.Process()
    one.link(two)
    otp.exit(one, reason)
    assert two.exit_reason is reason


async def test_exit_of_itself_inside_of_a_callback_of_a_server():
    class Suicidal(otp.GenServer):
        def handle_cast(self, reason):
            otp.exit(otp.self(), reason)

    for reason in ("normal", "x", "kill"):
        server = await Suicidal.start()
        otp.cast(server, reason)
        assert await server.join() == ("killed" if reason == "kill" else reason)
