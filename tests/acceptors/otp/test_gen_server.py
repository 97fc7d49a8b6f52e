"""Rows G, and the callbacks of GenServer, calls, system requests, Agent."""

from __future__ import annotations

import asyncio

import pytest

from acceptors import otp
from acceptors.otp import system


class Server(otp.GenServer):
    """Does what it is told and keeps a journal."""

    def init(self, journal, trap=False, outcome=None):
        self.journal = journal
        otp.flag("trap_exit", trap)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def handle_call(self, request, from_):
        await asyncio.sleep(0)
        if callable(request):
            return request(from_)
        self.journal.append(("call", request))
        return request

    def handle_cast(self, request):
        self.journal.append(("cast", request))
        return request() if callable(request) else None

    def handle_info(self, message):
        self.journal.append(("info", message))

    async def handle_continue(self, term):
        self.journal.append(("continue", term))
        return otp.NoReply(continue_=term - 1) if term > 1 else None

    def terminate(self, reason):
        self.journal.append(("terminate", reason))

    def code_change(self, old_version, extra):
        self.journal.append(("code_change", old_version, extra))


class NewServer(Server):
    def handle_call(self, request, from_):
        return ("new", request)


@pytest.fixture
def journal():
    return []


def boom(*_):
    raise ValueError("boom")


@pytest.mark.parametrize("reason", ["normal", "shutdown", "x"])
async def test_g1_exit_of_the_parent(journal, reason, settle):
    server = None

    async def parent():
        nonlocal server
        server = await Server.start_link(journal, True)
        otp.exit(reason)

    await otp.spawn(parent).join()
    await settle()
    assert journal == [("terminate", reason)]
    assert server.exit_reason == reason


async def test_g2_exit_of_another(journal, subject, settle):
    other = await subject()
    server = await Server.start(journal, True)
    other.process.link(server)
    otp.exit(other.process, "x")
    await settle()
    assert journal == [("info", ("EXIT", other.process, "x"))]
    await otp.stop(server)


async def test_g3_not_trapping(journal, settle):
    supervisor = await otp.Supervisor.start([(Server, journal)])
    server = supervisor.which_child("Server")
    await supervisor.stop()
    assert server.exit_reason == "shutdown"
    assert journal == []


async def test_g3_trapping(journal):
    supervisor = await otp.Supervisor.start([(Server, journal, True)])
    await supervisor.stop()
    assert journal == [("terminate", "shutdown")]


async def test_g4_call_of_a_dead_server(journal):
    server = await Server.start(journal)
    await otp.stop(server)
    with pytest.raises(otp.CallError) as info:
        await otp.call(server, "q")
    assert info.value.reason == ("noproc", ("call", server, "q"))
    with pytest.raises(otp.CallError, match="noproc"):
        await otp.call("nobody", "q")


async def test_g4_server_dies_meanwhile(journal):
    server = await Server.start(journal)
    with pytest.raises(otp.CallError, match="ValueError: boom") as info:
        await otp.call(server, boom)
    assert isinstance(info.value.__cause__, ValueError)
    assert info.value.why is info.value.__cause__
    assert journal == [("terminate", info.value.why)]


async def test_g4_timeout(journal, clock, settle):
    server = await Server.start(journal)
    asked = []
    caller = asyncio.ensure_future(
        otp.call(server, lambda from_: asked.append(from_) or otp.NoReply())
    )
    await settle()
    await clock.advance(5.0)
    with pytest.raises(otp.CallTimeoutError):
        await caller
    with pytest.raises(TimeoutError):
        await caller
    otp.reply(asked[0], "late")
    assert await otp.call(server, "next") == "next"
    assert server.monitors == []
    assert clock.waiting == 0
    await otp.stop(server)


INIT = [
    pytest.param(otp.Stop("r"), "r", id="stop"),
    pytest.param(otp.Stop("normal"), "normal", id="stop-normal"),
    pytest.param(ValueError("bad"), ValueError, id="raises"),
]


@pytest.mark.parametrize(("outcome", "reason"), INIT)
async def test_g5_trapping_caller(journal, outcome, reason):
    otp.flag("trap_exit", True)
    with pytest.raises(otp.StartError) as info:
        await Server.start_link(journal, False, outcome, name="named")
    got = info.value.reason
    assert got == reason or isinstance(got, ValueError)
    assert otp.self().message_queue_length == 0
    assert otp.whereis("named") is None


@pytest.mark.parametrize(("outcome", "reason"), INIT)
async def test_g5_untrapping_caller(journal, outcome, reason):
    after = []

    async def caller():
        try:
            await Server.start_link(journal, False, outcome)
        except otp.StartError as error:
            after.append(error.reason)

    got = await otp.spawn(caller).join()
    if reason == "normal":
        assert (got, after) == ("normal", ["normal"])
    else:
        assert after == []
        assert got == reason or isinstance(got, ValueError)


async def test_g5_ignore(journal):
    otp.flag("trap_exit", True)
    assert await Server.start_link(journal, False, otp.IGNORE) is otp.IGNORE
    assert otp.self().message_queue_length == 0


async def test_name_that_is_taken(journal):
    server = await Server.start(journal, name="one")
    with pytest.raises(otp.StartError) as info:
        await Server.start(journal, name="one")
    assert info.value.reason == ("already_started", server)
    assert await otp.call("one", "q") == "q"
    otp.cast("one", "c")
    otp.cast("nobody", "c")
    await otp.stop("one", "shutdown")
    assert journal == [("call", "q"), ("cast", "c"), ("terminate", "shutdown")]


async def test_stop_with_an_answer(journal):
    server = await Server.start(journal)
    answer = await otp.call(server, lambda from_: otp.Stop("normal", reply="bye"))
    assert answer == "bye"
    # terminate came before the answer.
    assert journal == [("terminate", "normal")]
    await server.join()


async def test_stop_from_cast_and_crash_report(journal, reports):
    server = await Server.start(journal)
    otp.cast(server, lambda: otp.Stop("broken"))
    assert await server.join() == "broken"
    assert journal[-1] == ("terminate", "broken")
    (report,) = reports("crash")
    assert report["reason"] == "broken"
    assert report["initial_call"].endswith("Server.init")


async def test_reply_later_and_from_elsewhere(journal):
    server = await Server.start(journal)

    def later(from_):
        otp.spawn(lambda: otp.reply(from_, "later"))
        return otp.NoReply()

    assert await otp.call(server, later) == "later"
    await otp.stop(server)


async def test_continue_goes_before_messages(journal, settle):
    server = await Server.start(journal, False, otp.NoReply(continue_=2))
    assert await otp.call(server, lambda _: otp.Reply("r", continue_=1)) == "r"
    assert await otp.call(server, "q") == "q"
    assert journal == [("continue", 2), ("continue", 1), ("continue", 1), ("call", "q")]
    await otp.stop(server)


async def test_timeout_message(journal, clock):
    server = await Server.start(journal, False, otp.NoReply(timeout=2.0))
    await clock.advance(1.9)
    assert journal == []
    await clock.advance(0.1)
    assert journal == [("info", "timeout")]
    await clock.advance(10)
    assert journal == [("info", "timeout")]
    await otp.stop(server)


async def test_a_callback_that_returns_nonsense(journal):
    server = await Server.start(journal)
    otp.cast(server, lambda: "nonsense")
    reason = await server.join()
    assert isinstance(reason, TypeError)
    assert "NoReply" in str(reason)


async def test_a_callback_whose_call_fails(journal, caplog):
    async def asks(from_):
        return await otp.call("nobody", "q")

    class Asking(Server):
        async def handle_call(self, request, from_):
            return await asks(from_)

    server = await Asking.start(journal)
    with pytest.raises(otp.CallError, match="noproc"):
        await otp.call(server, "q")
    assert server.exit_reason == ("noproc", ("call", "nobody", "q"))
    # The report says where.
    assert "in asks" in caplog.text


async def test_call_oneself(journal):
    server = await Server.start(journal)
    asked = []

    async def ask(from_):
        try:
            await otp.call(server, "q")
        except otp.CallError as error:
            asked.append(error.why)

    class Selfish(Server):
        async def handle_call(self, request, from_):
            await ask(from_)

    await system.change_code(server, Selfish)
    await otp.call(server, "q")
    assert asked == ["calling_self"]
    await otp.stop(server)


async def test_callbacks_that_are_not_there(caplog):
    server = await otp.GenServer.start()
    otp.send(server, "what")
    with pytest.raises(otp.CallError, match="no handle_call"):
        await otp.call(server, "q")
    assert "'what'" in caplog.text
    server = await otp.GenServer.start()
    otp.cast(server, "c")
    assert isinstance(await server.join(), NotImplementedError)


async def test_system_requests(journal):
    server = await Server.start(journal)
    assert (await system.get_state(server)).journal is journal
    await system.suspend(server)
    waiting = asyncio.ensure_future(otp.call(server, "held", timeout=None))
    otp.cast(server, "held too")
    await asyncio.sleep(0)
    assert (await system.get_state(server)).journal == []
    await system.change_code(server, NewServer, "1", "extra")
    assert journal == [("code_change", "1", "extra")]
    await system.resume(server)
    assert await waiting == ("new", "held")
    await system.replace_state(server, lambda old: Server())
    with pytest.raises(otp.CallError):
        await otp.call(server, "journal is gone")


async def test_a_suspended_server_obeys_its_parent(journal):
    supervisor = await otp.Supervisor.start([(Server, journal, True)])
    await system.suspend(supervisor.which_child("Server"))
    await supervisor.stop()
    assert journal == [("terminate", "shutdown")]


async def test_killed_runs_no_terminate(journal):
    server = await Server.start(journal, True)
    otp.exit(server, "kill")
    assert journal == []
    assert server.exit_reason == "killed"


async def test_stop_that_ends_otherwise(journal):
    class Bad(Server):
        def terminate(self, reason):
            raise KeyError("in terminate")

    server = await Bad.start(journal)
    with pytest.raises(otp.CallError, match="in terminate"):
        await otp.stop(server)
    with pytest.raises(otp.CallError, match="noproc"):
        await otp.stop(server)


async def test_agent():
    agent = await otp.Agent.start(lambda: 1, name="agent")
    assert await otp.Agent.get(agent, lambda value: value + 1) == 2
    await otp.Agent.update("agent", lambda value, more: value + more, 9)

    async def swap(value):
        return value, "new"

    assert await otp.Agent.get_and_update(agent, swap) == 10
    otp.Agent.cast(agent, str.upper)
    assert await otp.Agent.get(agent, str) == "NEW"
    await otp.stop(agent)
