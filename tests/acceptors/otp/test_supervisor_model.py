"""Supervisors against a small pure model: any sequence of crashes, ends and requests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
import uvloop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from acceptors import otp

RESTARTS = ("permanent", "transient", "temporary")
STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")
BAD = ("crash", "killed", "noproc")
GOOD = ("normal", "shutdown", ("shutdown", "done"))


# The model: a list of children in the order of their start, and how often each was started.


@dataclass
class Child:
    id: int
    restart: str
    running: bool = True
    starts: int = 1


@dataclass
class Model:
    strategy: str
    intensity: int
    children: list[Child]
    restarts: int = 0
    alive: bool = True

    def find(self, id: int) -> Child | None:  # noqa: A002
        return next((child for child in self.children if child.id == id), None)

    def ends(self, child: Child, *, good: bool) -> None:
        """A child ends by itself."""
        child.running = False
        if child.restart == "temporary":
            self.children.remove(child)
        elif not (child.restart == "transient" and good):
            self.restarts += 1
            if self.restarts > self.intensity:
                self.alive = False
                for one in self.children:
                    one.running = False
            else:
                self.start_again(child)

    def start_again(self, child: Child) -> None:
        at = self.children.index(child)
        concerned = {
            "one_for_one": [child],
            "one_for_all": list(self.children),
            "rest_for_one": self.children[at:],
        }[self.strategy]
        for one in concerned:
            if one is not child and one.restart == "temporary":
                self.children.remove(one)  # not brought back, whether it ran or not
            else:
                one.running = True
                one.starts += 1


class Machine(RuleBasedStateMachine):
    new_loop = staticmethod(asyncio.new_event_loop)

    def __init__(self) -> None:
        super().__init__()
        self.loop = self.new_loop()
        self.supervisor: otp.Supervisor | None = None
        self.starts: dict[int, int] = {}
        self.processes: dict[int, otp.Process] = {}
        self.next_id = 0

    def run(self, coroutine):
        async def step():
            result = await coroutine
            for _ in range(25):
                await asyncio.sleep(0)
            return result

        return self.loop.run_until_complete(step())

    def spec(self, id, restart):  # noqa: A002
        def start():
            process = otp.Process(self.supervisor_of())
            self.starts[id] = self.starts.get(id, 0) + 1
            self.processes[id] = process
            return process

        return otp.ChildSpec(id=id, start=start, restart=restart)

    def supervisor_of(self):
        return otp.self()

    @initialize(
        strategy=st.sampled_from(STRATEGIES),
        intensity=st.integers(0, 4),
        restarts=st.lists(st.sampled_from(RESTARTS), min_size=1, max_size=4),
    )
    def start(self, strategy, intensity, restarts):
        specs = [self.spec(number, restart) for number, restart in enumerate(restarts)]
        self.next_id = len(restarts)
        self.model = Model(
            strategy, intensity, [Child(number, one) for number, one in enumerate(restarts)]
        )
        self.supervisor = self.run(
            otp.Supervisor.start(specs, strategy=strategy, intensity=intensity, period=1e9)
        )

    def pick(self, number):
        children = self.model.children
        return children[number % len(children)] if children else None

    @precondition(lambda self: self.model.alive)
    @rule(number=st.integers(0, 9), reason=st.sampled_from(BAD + GOOD))
    def child_ends(self, number, reason):
        child = self.pick(number)
        if child is None or not child.running:
            return

        async def end():
            self.processes[child.id]._exited(reason)

        self.run(end())
        self.model.ends(child, good=reason in GOOD)

    @precondition(lambda self: self.model.alive)
    @rule(number=st.integers(0, 9))
    def terminate(self, number):
        child = self.pick(number)
        if child is None:
            return
        self.run(self.supervisor.terminate_child(child.id))
        child.running = False
        if child.restart == "temporary":
            self.model.children.remove(child)

    @precondition(lambda self: self.model.alive)
    @rule(number=st.integers(0, 9))
    def restart(self, number):
        child = self.pick(number)
        if child is None:
            return
        if child.running:
            with pytest.raises(otp.ChildError):
                self.run(self.supervisor.restart_child(child.id))
        else:
            self.run(self.supervisor.restart_child(child.id))
            child.running = True
            child.starts += 1

    @precondition(lambda self: self.model.alive)
    @rule(number=st.integers(0, 9))
    def delete(self, number):
        child = self.pick(number)
        if child is None:
            return
        if child.running:
            with pytest.raises(otp.ChildError):
                self.run(self.supervisor.delete_child(child.id))
        else:
            self.run(self.supervisor.delete_child(child.id))
            self.model.children.remove(child)

    @precondition(lambda self: self.model.alive)
    @rule(restart=st.sampled_from(RESTARTS))
    def add(self, restart):
        child = Child(self.next_id, restart)
        self.next_id += 1
        self.run(self.supervisor.start_child(self.spec(child.id, restart)))
        self.model.children.append(child)

    @precondition(lambda self: self.model.alive and self.model.children)
    @rule(number=st.integers(0, 9))
    def add_again(self, number):
        child = self.pick(number)
        with pytest.raises(otp.ChildError):
            self.run(self.supervisor.start_child(self.spec(child.id, child.restart)))

    @precondition(lambda self: not self.model.alive)
    @rule()
    def is_gone(self):
        with pytest.raises(otp.CallError):
            self.run(self.supervisor.start_child(self.spec(self.next_id, "permanent")))

    @invariant()
    def agrees(self):
        if self.supervisor is None:
            return
        model = self.model
        assert self.supervisor.alive is model.alive
        if not model.alive:
            assert self.supervisor.exit_reason == "shutdown"
            assert not any(process.alive for process in self.processes.values())
            return
        rows = self.supervisor.which_children()
        assert [row[0] for row in rows] == [child.id for child in model.children]
        for (id_, process, *_), child in zip(rows, model.children, strict=True):
            assert (process is not None) is child.running, id_
            assert self.starts[id_] == child.starts
            if process is not None:
                assert process is self.processes[id_]
                assert process.alive
        counts = self.supervisor.count_children()
        assert counts["specs"] == len(model.children)
        assert counts["active"] == sum(child.running for child in model.children)

    def teardown(self):
        if self.supervisor is not None and self.supervisor.alive:
            self.run(self.supervisor.stop())
        self.loop.close()


class UvloopMachine(Machine):
    new_loop = staticmethod(uvloop.new_event_loop)


@pytest.mark.parametrize("machine", [Machine, UvloopMachine])
def test_agrees_with_the_model(machine, caplog):
    caplog.set_level("CRITICAL", "acceptors.otp")
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
