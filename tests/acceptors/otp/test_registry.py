"""Registry: unique and duplicate keys, via names, dispatch, listeners."""

from __future__ import annotations

import pytest

from acceptors import otp


@pytest.fixture
async def registries():
    made = []

    def make(keys, **options):
        registry = otp.Registry(keys, **options)
        made.append(registry)
        return registry

    yield make
    for registry in made:
        otp.exit(registry, "kill")


@pytest.fixture
async def records():
    made = [otp.Process() for _ in range(3)]
    yield made
    for process in made:
        otp.exit(process, "kill")


async def test_unique(registries, records):
    registry = registries("unique")
    one, two, _ = records
    registry.register("k", 1, one)
    assert registry.lookup("k") == [(one, 1)]
    with pytest.raises(otp.AlreadyRegisteredError) as info:
        registry.register("k", 2, two)
    assert info.value.process is one
    assert registry.keys(one) == ["k"]
    assert registry.values("k", one) == [1]
    assert registry.values("k", two) == []
    registry.unregister("k", two)
    assert registry.count() == 1
    registry.unregister("k", one)
    assert registry.lookup("k") == []
    assert registry.keys(one) == []


async def test_entries_go_with_their_process(registries, records):
    unique, duplicate = registries("unique"), registries("duplicate")
    one, two, _ = records
    unique.register("k", None, one)
    for process in (one, two):
        duplicate.register("topic", process.pid, process)
    otp.exit(one, "x")
    assert unique.lookup("k") == []
    assert duplicate.lookup("topic") == [(two, two.pid)]
    with pytest.raises(otp.BadArgumentError, match="not alive"):
        unique.register("k", None, one)


async def test_dispatch(registries, records):
    registry = registries("duplicate")
    for process in records:
        registry.register("news", None, process)
    registry.dispatch("news", lambda entries: [otp.send(p, "hi") for p, _ in entries])
    registry.dispatch("nothing", lambda entries: pytest.fail("nobody is there"))
    assert [process.message_queue_length for process in records] == [1, 1, 1]
    found = registry.select(lambda key, process, value: process is records[0])
    assert found == [("news", records[0], None)]


async def test_caller_and_update(registries):
    registry = registries("unique")
    registry.register("k", 1)
    assert registry.update_value("k", lambda value: value + 1) == 2
    assert registry.keys() == ["k"]
    with pytest.raises(otp.BadArgumentError, match="no entry"):
        registry.update_value("other", str)
    registry.unregister("k")
    registry.meta["m"] = 1


async def test_via(registries):
    registry = registries("unique")
    name = otp.via(registry, "counter")
    agent = await otp.Agent.start(lambda: 5, name=name)
    assert await otp.Agent.get(name, lambda value: value) == 5
    assert otp.whereis(name) is agent
    with pytest.raises(otp.StartError) as info:
        await otp.Agent.start(int, name=name)
    assert info.value.reason == ("already_started", agent)
    with pytest.raises(otp.BadArgumentError, match="registered already"):
        otp.register(name, otp.self())
    await otp.stop(name)
    assert otp.whereis(name) is None
    with pytest.raises(otp.BadArgumentError, match="unique"):
        otp.whereis(otp.via(registries("duplicate"), "x"))


async def test_listeners(registries, records):
    listener, one, _ = records
    registry = registries("unique", listeners=(listener,))
    registry.register("k", 1, one)
    otp.exit(one, "x")
    messages = list(listener._wiring.mailbox)
    assert messages == [
        ("register", registry, "k", one, 1),
        ("unregister", registry, "k", one, None),
    ]


async def test_the_end_of_a_registry(registries, records):
    registry = registries("unique")
    one = records[0]
    registry.register("k", 1, one)
    otp.exit(registry, "kill")
    assert registry.keys(one) == []
    with pytest.raises(otp.BadArgumentError, match="over"):
        registry.register("k", 1, one)


async def test_as_a_child():
    async with await otp.Supervisor.start(
        [otp.child_spec((otp.Registry, "unique"), id="r")]
    ) as top:
        registry = top.which_child("r")
        assert registry.parent is top
    assert registry.exit_reason == "shutdown"
    with pytest.raises(ValueError, match="unique"):
        otp.Registry("some")  # type: ignore[arg-type]
