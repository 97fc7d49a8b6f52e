"""Rows S1 to S20, S23, S24 and V: supervisors, on a virtual clock."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from acceptors import otp


class FailError(Exception):
    pass


def finish(future):
    if not future.done():
        future.set_result(None)


class Tree:
    """Children a, b, c whose life is written down, with a hand on each."""

    def __init__(self, clock):
        self.clock = clock
        self.log = []
        self.fail = {}
        self.supervisor = None

    async def _body(self, name, trap, seconds):
        if trap:
            otp.flag("trap_exit", True)
        try:
            while True:
                message = await otp.receive()
                if isinstance(message, BaseException):
                    raise message
                if isinstance(message, tuple) and message[0] == "EXIT":
                    otp.exit(message[2])
                otp.exit(message)
        finally:
            if seconds:
                finished = asyncio.get_running_loop().create_future()
                self.clock.call_later(seconds, finish, finished)
                await finished
            self.log.append(f"-{name}")

    def _start(self, name, trap, seconds):
        fails = self.fail.get(name, 0)
        if fails:
            self.fail[name] = fails - 1
            raise FailError(name)
        self.log.append(f"+{name}")
        return otp.spawn_link(self._body, name, trap, seconds)

    def child(self, name, *, trap=False, seconds=0, **fields):
        return otp.ChildSpec(id=name, start=self._start, args=(name, trap, seconds), **fields)

    async def start(self, *children, **flags):
        specs = [self.child(c) if isinstance(c, str) else c for c in children]
        self.supervisor = await otp.Supervisor.start(specs, **flags)
        await self.clock.settle()
        return self.supervisor

    def __getitem__(self, name):
        return self.supervisor.which_child(name)

    async def crash(self, name, reason="boom"):
        otp.send(self[name], reason)
        await self.clock.settle()

    def ids(self):
        return [name for name, *_ in self.supervisor.which_children()]

    def read(self):
        log, self.log = self.log, []
        return " ".join(log)


@pytest.fixture
async def tree(clock):
    tree = Tree(clock)
    yield tree
    if tree.supervisor is not None and tree.supervisor.alive:
        otp.exit(tree.supervisor, "kill")
    for _ in range(3):
        await clock.advance(100)


async def test_s1_one_for_one(tree, reports):
    await tree.start("a", "b", "c")
    a, b, c = tree["a"], tree["b"], tree["c"]
    assert tree.read() == "+a +b +c"
    await tree.crash("b")
    assert tree.read() == "-b +b"
    assert (tree["a"], tree["c"]) == (a, c)
    assert tree["b"] is not b
    assert tree["b"].alive
    assert tree.ids() == ["a", "b", "c"]
    (report,) = reports("supervisor")
    assert report["context"] == "child_terminated"
    assert report["reason"] == "boom"
    assert report["offender"]["id"] == "b"
    assert report["offender"]["pid"] == b.pid
    assert report["offender"]["restart"] == "permanent"
    assert [r["started"]["id"] for r in reports("progress")] == ["a", "b", "c", "b"]


async def test_s2_one_for_all(tree):
    await tree.start("a", "b", "c", strategy="one_for_all")
    tree.read()
    await tree.crash("b")
    assert tree.read() == "-b -c -a +a +b +c"


async def test_s3_rest_for_one(tree):
    await tree.start("a", "b", "c", strategy="rest_for_one")
    a = tree["a"]
    tree.read()
    await tree.crash("b")
    assert tree.read() == "-b -c +b +c"
    assert tree["a"] is a


@pytest.mark.parametrize(
    ("strategy", "log"), [("one_for_all", "-b -c -a +a +b"), ("rest_for_one", "-b -c +b")]
)
async def test_s4_temporary_sibling(tree, strategy, log):
    await tree.start("a", "b", tree.child("c", restart="temporary"), strategy=strategy)
    tree.read()
    await tree.crash("b")
    assert tree.read() == log
    assert tree.ids() == ["a", "b"]


@pytest.mark.parametrize("reason", ["normal", "shutdown", ("shutdown", 1)])
async def test_s5_transient_orderly(tree, reason, reports):
    await tree.start("a", tree.child("b", restart="transient"), "c", strategy="one_for_all")
    tree.read()
    await tree.crash("b", reason)
    assert tree.read() == "-b"
    assert tree.supervisor.which_children()[1] == ("b", None, "worker", ())
    assert reports("supervisor") == []
    assert await tree.supervisor.restart_child("b") is tree["b"]
    assert tree["b"].alive


@pytest.mark.parametrize("reason", ["normal", "shutdown", "boom"])
async def test_s6_temporary(tree, reason, reports):
    await tree.start("a", tree.child("b", restart="temporary"))
    await tree.crash("b", reason)
    assert tree.ids() == ["a"]
    assert len(reports("supervisor")) == (reason == "boom")
    with pytest.raises(otp.ChildError, match="not_found"):
        await tree.supervisor.delete_child("b")


@pytest.mark.parametrize(("fourth", "gives_up"), [(5.0, True), (6.1, False)])
async def test_s7_intensity(tree, clock, fourth, gives_up, reports):
    await tree.start("a", "b", intensity=3, period=5.0)
    supervisor = tree.supervisor
    for _ in range(3):
        await tree.crash("b")
    await clock.advance(fourth)
    tree.read()
    await tree.crash("b")
    if gives_up:
        assert tree.read() == "-b -a"
        assert supervisor.exit_reason == "shutdown"
        last = reports("supervisor")[-1]
        assert last["context"] == "shutdown"
        assert last["reason"] == "reached_max_restart_intensity"
    else:
        assert tree.read() == "-b +b"


async def test_s8_intensity_0(tree):
    await tree.start("a", intensity=0)
    supervisor = tree.supervisor
    await tree.crash("a")
    assert supervisor.exit_reason == "shutdown"


async def test_s9_attempts_count_and_others_are_served(tree, reports):
    await tree.start("a", "b", intensity=3)
    b = tree["b"]
    tree.fail["b"] = 2
    seen = []
    otp.send(b, "boom")
    while tree["b"] is b or tree["b"] is None:
        seen.append(tree.supervisor.which_children()[1][1])
        await asyncio.sleep(0)
    assert "restarting" in seen
    contexts = [report["context"] for report in reports("supervisor")]
    assert contexts == ["child_terminated", "start_error", "start_error"]
    # Three of three are used up.
    supervisor = tree.supervisor
    await tree.crash("b")
    assert supervisor.exit_reason == "shutdown"


@pytest.mark.parametrize("request_", ["restart_child", "delete_child"])
async def test_s9_requests_about_a_restarting_child(tree, clock, request_):
    await tree.start("a", intensity=1_000)
    tree.fail["a"] = 10
    otp.send(tree["a"], "boom")
    while tree.supervisor.which_children()[0][1] != "restarting":
        await asyncio.sleep(0)
    assert tree.supervisor.count_children()["active"] == 0
    with pytest.raises(otp.ChildError, match="restarting"):
        await getattr(tree.supervisor, request_)("a")
    await clock.settle()
    assert tree["a"].alive


async def test_s9_terminate_a_restarting_child(tree, clock):
    await tree.start("a", intensity=1_000)
    tree.fail["a"] = 100
    otp.send(tree["a"], "boom")
    while tree.supervisor.which_children()[0][1] != "restarting":
        await asyncio.sleep(0)
    await tree.supervisor.terminate_child("a")
    await clock.settle()
    assert tree.supervisor.which_children()[0][1] is None
    assert 0 < tree.fail["a"] < 100


@pytest.mark.parametrize("restart", ["permanent", "transient"])
async def test_s10_escalation(tree, restart):
    inner = otp.child_spec((otp.Supervisor, [tree.child("b")]), id="inner", restart=restart)
    await tree.start(inner)
    first = tree["inner"]
    tree.fail["b"] = 4
    otp.send(first.which_child("b"), "boom")
    await tree.clock.settle()
    await tree.clock.settle()
    assert first.exit_reason == "shutdown"
    if restart == "permanent":
        assert tree["inner"] is not first
        assert tree["inner"].alive
    else:
        assert tree.supervisor.which_children()[0][1] is None


async def test_s11_second_child_fails(tree, reports):
    async def pause():  # one that is stopped before its first step has nothing to clean up (P1)
        await tree.clock.settle()
        return otp.IGNORE

    tree.fail["b"] = 1
    with pytest.raises(otp.StartError) as info:
        await tree.start("a", "z", otp.ChildSpec(id="pause", start=pause), "b", "c", name="named")
    kind, (what, child, reason) = info.value.reason
    assert (kind, what, child) == ("shutdown", "failed_to_start_child", "b")
    assert isinstance(reason, FailError)
    assert tree.read() == "+a +z -z -a"
    assert otp.whereis("named") is None
    assert reports("supervisor")[0]["context"] == "start_error"


@pytest.mark.parametrize("trap", [False, True])
async def test_s11_linked_caller(tree, trap):
    tree.fail["a"] = 1
    got = []

    async def caller():
        otp.flag("trap_exit", trap)
        try:
            await otp.Supervisor.start_link([tree.child("a")])
        except otp.StartError as error:
            got.append(error.reason[0])
            got.append(otp.self().message_queue_length)

    reason = await otp.spawn(caller).join()
    if trap:
        assert got == ["shutdown", 0]
    else:
        assert got == []
        assert reason[0] == "shutdown"


async def test_s12_ignore(tree):
    ignored = otp.ChildSpec(id="i", start=lambda: otp.IGNORE)
    temporary = otp.ChildSpec(id="t", start=lambda: otp.IGNORE, restart="temporary")
    supervisor = await tree.start(ignored, temporary)
    assert supervisor.which_children() == [("i", None, "worker", ())]
    assert supervisor.count_children() == {"specs": 1, "active": 0, "supervisors": 0, "workers": 1}


@pytest.mark.parametrize("trap", [False, True])
@pytest.mark.parametrize(("seconds", "error"), [(0.05, None), (0.5, "killed")])
async def test_s13_shutdown_in_time_or_not(tree, clock, reports, trap, seconds, error):
    child = tree.child("a", trap=trap, seconds=seconds, shutdown=0.1)
    supervisor = await tree.start(child)
    process = tree["a"]
    stopping = asyncio.ensure_future(supervisor.stop())
    await clock.advance(0.05)
    assert process.alive is (error is not None)
    await clock.advance(0.05)
    await stopping
    assert process.exit_reason == (error or "shutdown")
    assert [r["reason"] for r in reports("supervisor", context="shutdown_error")] == (
        [error] if error else []
    )


async def test_s13_longer_than_the_grace(tree, clock):
    supervisor = await tree.start(tree.child("a", seconds=20, shutdown=30.0))
    process = tree["a"]
    stopping = asyncio.ensure_future(supervisor.stop())
    await clock.advance(19)
    assert process.alive
    await clock.advance(1)
    await stopping
    assert process.exit_reason == "shutdown"


async def test_s13_refuses_for_ever(tree, clock, reports):
    stop = False

    async def refuse():
        while not stop:
            with suppress(BaseException):
                await asyncio.sleep(0)

    supervisor = await tree.start(otp.worker(refuse, shutdown=0.1))
    process = tree["refuse"]
    stopping = asyncio.ensure_future(supervisor.stop())
    try:
        await clock.advance(0.1)
        await stopping
        assert process.exit_reason == "killed"
        assert otp.zombies() == [process]
        assert len(reports("supervisor", context="shutdown_error", reason="killed")) == 1
    finally:
        stop = True


async def test_s14_brutal_kill(tree, reports):
    ran = []

    class Server(otp.GenServer):
        def init(self):
            otp.flag("trap_exit", True)

        def terminate(self, reason):
            ran.append(reason)

    spec = otp.child_spec(Server, shutdown="brutal_kill")
    supervisor = await tree.start(spec)
    process = tree["Server"]
    await supervisor.stop()
    assert process.exit_reason == "killed"
    assert ran == []
    assert reports("supervisor") == []


async def test_s15_infinity(tree, clock):
    inner = otp.child_spec(
        (otp.Supervisor, [tree.child("x", seconds=50, shutdown="infinity"), tree.child("y")]),
        id="inner",
    )
    assert inner.shutdown == "infinity"
    supervisor = await tree.start("a", inner)
    tree.read()
    stopping = asyncio.ensure_future(supervisor.stop())
    await clock.advance(49)
    assert not stopping.done()
    await clock.advance(1)
    await stopping
    assert tree.read() == "-y -x -a"


async def test_s16_terminate_child(tree, reports):
    children = [tree.child(n, restart="transient", significant=n == "b") for n in "abc"]
    await tree.start(*children, strategy="one_for_all", auto_shutdown="any_significant")
    tree.read()
    await tree.supervisor.terminate_child("b")
    assert tree.read() == "-b"
    assert tree.supervisor.alive
    assert tree.ids() == ["a", "b", "c"]
    assert reports("supervisor") == []
    await tree.supervisor.delete_child("b")
    assert tree.ids() == ["a", "c"]


@pytest.mark.parametrize(("reason", "ends"), [("normal", True), ("boom", False)])
async def test_s17_any_significant(tree, reason, ends):
    child = tree.child("b", restart="transient", significant=True)
    await tree.start("a", child, "c", auto_shutdown="any_significant")
    supervisor = tree.supervisor
    tree.read()
    await tree.crash("b", reason)
    if ends:
        assert tree.read() == "-b -c -a"
        assert supervisor.exit_reason == "shutdown"
    else:
        assert tree.read() == "-b +b"


async def test_s17_the_first_of_two_is_enough(tree):
    children = [tree.child(n, restart="transient", significant=True) for n in "ab"]
    await tree.start(*children, auto_shutdown="any_significant")
    supervisor = tree.supervisor
    await tree.crash("a", "normal")
    assert supervisor.exit_reason == "shutdown"


async def test_s18_all_significant(tree):
    children = [tree.child(n, restart="temporary", significant=n != "c") for n in "abc"]
    await tree.start(*children, tree.child("d"), auto_shutdown="all_significant")
    supervisor = tree.supervisor
    await tree.crash("a")
    assert supervisor.alive
    await tree.crash("b")
    assert supervisor.exit_reason == "shutdown"
    with pytest.raises(ValueError, match="auto_shutdown"):
        await otp.DynamicSupervisor.start(auto_shutdown="all_significant")


async def test_s19_bad_combinations(tree):
    with pytest.raises(otp.ChildSpecError, match="permanent"):
        tree.child("a", significant=True)
    child = tree.child("a", significant=True, restart="transient")
    with pytest.raises(otp.ChildSpecError, match="auto_shutdown"):
        await tree.start(child)
    await tree.start()
    with pytest.raises(otp.ChildSpecError, match="auto_shutdown"):
        await tree.supervisor.start_child(child)


async def test_s20_same_id(tree):
    supervisor = await tree.start("a")
    with pytest.raises(otp.ChildError) as info:
        await supervisor.start_child(tree.child("a"))
    assert info.value.reason == ("already_started", tree["a"])
    with pytest.raises(otp.ChildError, match="running"):
        await supervisor.restart_child("a")
    with pytest.raises(otp.ChildError, match="running"):
        await supervisor.delete_child("a")
    await supervisor.terminate_child("a")
    with pytest.raises(otp.ChildError, match="already_present"):
        await supervisor.start_child(tree.child("a"))
    with pytest.raises(otp.ChildError, match="there are 'a'"):
        await supervisor.terminate_child("z")


@pytest.mark.parametrize("trap", [False, True])
async def test_s23_supervisor_killed(tree, trap, clock):
    journal = []

    class Server(otp.GenServer):
        def init(self):
            otp.flag("trap_exit", trap)

        def terminate(self, reason):
            journal.append(reason)

    inner = otp.child_spec((otp.Supervisor, [Server]), id="inner")
    await tree.start(inner)
    first = tree["inner"]
    server = first.which_child("Server")
    otp.exit(first, "kill")
    await clock.settle()
    assert server.exit_reason == "killed"
    assert journal == (["killed"] if trap else [])
    assert tree["inner"] is not first
    assert tree["inner"].which_child("Server").alive


async def test_s24_crash_during_a_call(tree, clock):
    gate = asyncio.get_running_loop().create_future()

    async def slow():
        await gate
        return otp.spawn_link(asyncio.Event().wait)

    await tree.start("a")
    a = tree["a"]
    call = asyncio.ensure_future(tree.supervisor.start_child(otp.ChildSpec(id="slow", start=slow)))
    await clock.settle()
    otp.send(a, "boom")
    await clock.settle()
    assert tree["a"] is a
    gate.set_result(None)
    await call
    await clock.settle()
    assert tree["a"] is not a
    assert tree["a"].alive


# V: what a supervisor does with signals and messages.


async def test_v1_exit_of_a_child(tree):
    await tree.start("a", "b")
    a, b = tree["a"], tree["b"]
    otp.exit(a, "x")
    await tree.clock.settle()
    assert tree.supervisor.alive
    assert tree["a"] is not a
    assert tree["b"] is b


async def test_v2_exit_of_the_parent(tree, clock):
    supervisor = None

    async def parent():
        nonlocal supervisor
        supervisor = await otp.Supervisor.start_link([tree.child("a"), tree.child("b")])
        await otp.receive()

    process = otp.spawn(parent)
    await clock.settle()
    tree.read()
    otp.send(process, "done")
    await clock.settle()
    assert process.exit_reason == "normal"
    assert supervisor.exit_reason == "normal"
    assert tree.read() == "-b -a"


async def test_v3_linked_stranger(tree, clock):
    supervisor = await tree.start("a")
    stranger = otp.Process()
    stranger.link(supervisor)
    otp.exit(stranger, "x")
    await clock.settle()
    assert supervisor.alive


@pytest.mark.parametrize("reason", ["shutdown", "normal", "x"])
async def test_v4_exit_of_a_stranger(tree, clock, reason):
    supervisor = await tree.start("a")
    stranger = otp.Process()
    stranger.context().run(otp.exit, supervisor, reason)
    await clock.settle()
    assert supervisor.alive
    otp.exit(stranger, "kill")


async def test_v5_killed(tree, clock):
    supervisor = await tree.start("a", tree.child("b", trap=True))
    a, b = tree["a"], tree["b"]
    otp.exit(supervisor, "kill")
    assert not supervisor.alive
    await clock.settle()
    assert (a.exit_reason, b.exit_reason) == ("killed", "killed")


async def test_v6_naughty_child(tree, clock, reports):
    supervisor = await tree.start("a", "b")
    naughty = tree["a"]
    naughty.unlink(supervisor)
    otp.exit(naughty, "kill")
    await clock.settle()
    assert tree["a"] is naughty
    await supervisor.terminate_child("a")
    (report,) = reports("supervisor")
    assert (report["context"], report["reason"]) == ("shutdown_error", "noproc")
    assert supervisor.alive


async def test_v6_naughty_child_that_lives(tree, clock):
    supervisor = await tree.start("a")
    naughty = tree["a"]
    naughty.unlink(supervisor)
    await supervisor.stop()
    assert naughty.exit_reason == "shutdown"


async def test_v7_message(tree, clock, caplog):
    supervisor = await tree.start("a")
    otp.send(supervisor, "what is this")
    assert "what is this" in caplog.text
    assert supervisor.alive


@pytest.mark.parametrize("reason", ["kill", "killed", "noproc", "noconnection", FailError("f")])
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_v8_abnormal(tree, reason, restart, reports):
    await tree.start(tree.child("a", restart=restart))
    first = tree["a"]
    await tree.crash("a", reason)
    assert reports("supervisor")[0]["reason"] == reason
    if restart == "temporary":
        assert tree.ids() == []
    else:
        assert tree["a"] is not first
        assert tree["a"].alive


@pytest.mark.parametrize(
    ("restart", "reported"), [("permanent", 1), ("transient", 0), ("temporary", 0)]
)
async def test_v9_normal(tree, reports, restart, reported):
    await tree.start(tree.child("a", restart=restart), intensity=1)
    supervisor = tree.supervisor
    await tree.crash("a", "normal")
    assert len(reports("supervisor")) == reported
    if restart == "permanent":
        await tree.crash("a", "normal")
        assert supervisor.exit_reason == "shutdown"


async def test_v10_shutdown_wins_over_a_pending_restart(tree, clock):
    inner = otp.ChildSpec(
        id="inner",
        start=otp.Supervisor.start_link,
        args=([tree.child("b")],),
        kwargs={"intensity": 1_000_000},
        type="supervisor",
    )
    supervisor = await tree.start(inner)
    tree.fail["b"] = 1_000_000
    otp.send(tree["inner"].which_child("b"), "boom")
    await clock.settle()
    process = tree["inner"]
    assert process.which_children()[0][1] == "restarting"
    await supervisor.stop()
    assert process.exit_reason == "shutdown"


async def test_v11_supervisor_with_a_time_limit(tree, caplog):
    spec = otp.child_spec((otp.Supervisor, []), shutdown=1.0)
    otp.check_childspecs([spec])
    assert "may be killed" in caplog.text


# Child specs and the rest of the API.


def test_child_specs_teach():
    async def run():
        pass

    with pytest.raises(otp.ChildSpecError, match="did you mean 'shutdown'"):
        otp.child_spec(run, shutdwn=1)
    with pytest.raises(otp.ChildSpecError, match="permanent, transient, temporary"):
        otp.worker(run, restart="always")
    with pytest.raises(otp.ChildSpecError, match="brutal_kill"):
        otp.worker(run, shutdown="soon")
    with pytest.raises(otp.ChildSpecError, match="brutal_kill"):
        otp.worker(run, shutdown=-1)
    with pytest.raises(otp.ChildSpecError, match="worker, supervisor"):
        otp.worker(run, type="boss")
    with pytest.raises(otp.ChildSpecError, match="two children"):
        otp.check_childspecs([run, run])
    with pytest.raises(otp.ChildSpecError, match="a child is"):
        otp.child_spec(17)
    with pytest.raises(otp.ChildSpecError, match="start is a function"):
        otp.ChildSpec(id="a", start=3)
    assert otp.child_spec({"id": "d", "start": run}).id == "d"
    assert otp.child_spec((run, 1), id="x").args == (run, 1)
    with pytest.raises(ValueError, match="one_for_one"):
        otp.Supervisor([], strategy="one_for_some")
    with pytest.raises(ValueError, match="auto_shutdown"):
        otp.Supervisor([], auto_shutdown="sometimes")
    with pytest.raises(ValueError, match="intensity"):
        otp.Supervisor([], intensity=-1)
    with pytest.raises(ValueError, match="period"):
        otp.Supervisor([], period=0)


async def test_count_and_get(tree):
    inner = otp.child_spec((otp.Supervisor, [tree.child("x")]), id="inner")
    supervisor = await tree.start("a", inner)
    assert supervisor.count_children() == {
        "specs": 2, "active": 2, "supervisors": 1, "workers": 1
    }  # fmt: skip
    assert supervisor.get_childspec("a").restart == "permanent"
    assert supervisor.which_children()[1][2:] == ("supervisor", (otp.Supervisor,))


async def test_start_functions_of_all_kinds(tree):
    async def slow():
        await asyncio.sleep(0)
        return otp.spawn_link(asyncio.Event().wait)

    class Made(otp.Process):
        __slots__ = ()

    supervisor = await tree.start(
        otp.ChildSpec(id="async", start=slow),
        otp.ChildSpec(id="record", start=lambda: Made(otp.self())),
        otp.ChildSpec(id="orphan", start=Made),
        otp.ChildSpec(id="spawned", start=lambda: otp.spawn(asyncio.Event().wait)),
    )
    for name in ("async", "record", "orphan", "spawned"):
        assert supervisor.which_child(name).parent is supervisor
    record = supervisor.which_child("orphan")
    record._exited("crash")
    await tree.clock.settle()
    assert supervisor.which_child("orphan") is not record
    await supervisor.stop()
    assert record.exit_reason == "crash"


async def test_a_start_function_that_returns_no_process(tree):
    with pytest.raises(otp.StartError, match="bad_return_value"):
        await tree.start(otp.ChildSpec(id="n", start=lambda: 17))


async def test_a_child_that_is_dead_when_it_is_started(tree, clock):
    count = []

    def start():
        count.append(1)
        process = otp.Process()
        if len(count) < 3:
            process._exited("early")
        return process

    await tree.start(otp.ChildSpec(id="d", start=start))
    await clock.settle()
    assert len(count) == 3
    assert tree["d"].alive


async def test_asking_from_a_start_function(tree):
    failures = []

    async def start():
        try:
            await otp.self().start_child(tree.child("x"))
        except RuntimeError as error:
            failures.append(str(error))
        return otp.IGNORE

    await tree.start(otp.ChildSpec(id="s", start=start))
    assert "wait for ever" in failures[0]


async def test_calls_to_a_supervisor_that_ends(tree, clock):
    gate = asyncio.get_running_loop().create_future()

    async def slow():
        await gate

    supervisor = await tree.start()
    first = asyncio.ensure_future(supervisor.start_child(otp.ChildSpec(id="s", start=slow)))
    second = asyncio.ensure_future(supervisor.start_child(tree.child("a")))
    await clock.settle()
    otp.exit(supervisor, "kill")
    done, _ = await asyncio.wait([first, second])
    assert len(done) == 2
    assert isinstance(second.exception(), otp.CallError)
    with pytest.raises(otp.CallError, match="noproc"):
        await supervisor.start_child(tree.child("a"))
    await supervisor.stop()


async def test_end_by_the_root(tree, clock):
    supervisor = await tree.start("a")
    asyncio.get_running_loop().call_soon(otp.exit, supervisor, "shutdown")
    await supervisor.join()
    assert supervisor.exit_reason == "shutdown"
