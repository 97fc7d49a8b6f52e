"""Random spawn, link, unlink, monitor and exit sequences against a small pure reference.

The reference is the decision procedure of the BEAM (erl_proc_sig_queue.c, handle_exit_signal) on
plain data. The same sequences run on record processes and on processes with Tasks, on both loops.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field

import pytest
import uvloop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from acceptors import otp
from acceptors.otp import signals
from acceptors.otp.process import names

REASONS = st.sampled_from(["normal", "kill", "killed", "shutdown", ("shutdown", 1), "noproc", "x"])


# The reference.


@dataclass(eq=False)
class Ref:
    number: int
    parent: Ref | None = None
    trap: bool = False
    alive: bool = True
    reason: object = None
    links: set = field(default_factory=set)
    children: set = field(default_factory=set)
    watchers: dict = field(default_factory=dict)
    messages: list = field(default_factory=list)


def reference_exit(source: Ref, target: Ref, reason: object, kind: str = "exit") -> None:
    queue = deque([(kind, source, target, reason)])
    while queue:
        kind, source, target, reason = queue.popleft()
        if not target.alive:
            continue
        if kind == "link":
            if source not in target.links:
                continue
            target.links.discard(source)
        elif kind == "parent":
            if target.parent is not source:
                continue
            target.parent = None
        kill = kind == "exit" and reason == "kill"
        if target.trap and not kill:
            target.messages.append(("EXIT", source.number, reason))
        elif reason == "normal" and (kind != "exit" or source is not target):
            continue
        else:
            queue.extend(reference_die(target, "killed" if kill else reason))


def reference_die(dead: Ref, reason: object) -> list:
    dead.alive, dead.reason = False, reason
    if dead.parent is not None:
        dead.parent.children.discard(dead)
    for number, watcher in dead.watchers.items():
        if watcher.alive:
            watcher.messages.append(("DOWN", number, dead.number, reason))
    signalled = [("link", dead, other, reason) for other in dead.links]
    signalled += [("parent", dead, other, reason) for other in dead.children]
    dead.watchers, dead.links, dead.children = {}, set(), set()
    return signalled


# The real thing.


class Recorder:
    def _message(self, message: object) -> None:
        self.messages.append(message)


class Record(Recorder, otp.ParentProcess):
    __slots__ = ("messages",)


class Worker(Recorder, otp.TaskProcess):
    __slots__ = ("gate", "messages")

    async def body(self) -> None:
        self.gate = asyncio.get_running_loop().create_future()
        otp.exit(await self.gate)


class Machine(RuleBasedStateMachine):
    new_loop = staticmethod(asyncio.new_event_loop)
    tasks = False

    def __init__(self) -> None:
        super().__init__()
        self.loop = self.new_loop()
        self.pairs: list[tuple[Ref, otp.Process]] = []
        self.numbers: dict[otp.Process, int] = {}
        self.monitors: dict[object, int] = {}
        self.seen: dict[int, int] = {}

    def run(self, function, *args):
        async def step():
            result = function(*args)
            if self.tasks:
                for _ in range(30):
                    await asyncio.sleep(0)
            return result

        return self.loop.run_until_complete(step())

    def make(self, parent=None):
        if self.tasks:
            process = Worker()
            process.start(process.body)
        else:
            process = Record(parent)
        process.messages = []
        return process

    def add(self, process, parent=None):
        model = Ref(len(self.pairs), parent)
        if parent is not None:
            parent.children.add(model)
        self.pairs.append((model, process))
        self.numbers[process] = model.number
        return model, process

    processes = Bundle("processes")
    references = Bundle("references")

    @rule(target=processes)
    def spawn(self):
        return self.add(self.run(self.make))

    @rule(target=processes, parent=processes)
    def spawn_link(self, parent):
        model, process = parent
        if not model.alive:
            return multiple()
        if self.tasks:
            made = self.add(self.run(self.make))
            self.link(parent, made)
            return made
        return self.add(self.run(self.make, process), model)

    @rule(one=processes, trap=st.booleans())
    def flag(self, one, trap):
        model, process = one
        if model.alive:
            model.trap = process.trap_exit = trap

    @rule(one=processes, two=processes)
    def link(self, one, two):
        (model, process), (other, target) = one, two
        if not model.alive:
            return
        if not other.alive and not model.trap and other is not model:
            with pytest.raises(otp.NoProcessError):
                process.link(target)
            return
        assert self.run(process.link, target) is True
        if other is model:
            return
        if not other.alive:
            model.messages.append(("EXIT", other.number, "noproc"))
        elif model.parent is not other and other.parent is not model:
            model.links.add(other)
            other.links.add(model)

    @rule(one=processes, two=processes)
    def unlink(self, one, two):
        (model, process), (other, target) = one, two
        if not model.alive:
            return
        assert self.run(process.unlink, target) is True
        for a, b in ((model, other), (other, model)):
            a.links.discard(b)
            if a.parent is b and a.alive:
                a.parent = None
                b.children.discard(a)

    @rule(target=references, one=processes, two=processes)
    def monitor(self, one, two):
        (model, process), (other, target) = one, two
        if not model.alive:
            return multiple()
        reference = self.run(process.monitor, target)
        number = self.monitors[reference] = len(self.monitors)
        # The DOWN of a dead target comes within monitor(), before its reference is known here.
        if other.alive:
            other.watchers[number] = model
        else:
            model.messages.append(("DOWN", number, other.number, "noproc"))
        return one, two, reference

    @rule(entry=consumes(references))
    def demonitor(self, entry):
        (model, process), (other, _), reference = entry
        if model.alive:
            fired = other.watchers.pop(self.monitors[reference], None) is None
            assert self.run(process.demonitor, reference) is not fired

    @rule(one=processes, two=processes, reason=REASONS)
    def exit_signal(self, one, two, reason):
        (model, process), (other, target) = one, two
        if model.alive:
            self.run(lambda: process.context().run(signals.post_exit, process, target, reason))
            reference_exit(model, other, reason)

    @rule(one=processes, reason=REASONS)
    def exit_of_its_own(self, one, reason):
        model, process = one
        if not model.alive:
            return
        if self.tasks:
            self.run(process.gate.set_result, reason)
        else:
            self.run(process._exited, reason)
        for kind, source, target, why in reference_die(model, reason):
            reference_exit(source, target, why, kind)

    def plain(self, message):
        if message[0] == "EXIT":
            return ("EXIT", self.numbers[message[1]], message[2])
        return ("DOWN", self.monitors[message[1]], self.numbers[message[3]], message[4])

    @invariant()
    def agrees(self):
        for model, process in self.pairs:
            assert process.alive is model.alive
            assert process.exit_reason == model.reason
            if model.alive:
                # The order of messages of one cascade is not promised (O5), their number is. What
                # came to one that died in the same cascade depends on that order, and is gone.
                assert Counter(map(self.plain, process.messages)) == Counter(model.messages)
            links = {self.numbers[link] for link in process.links}
            assert links == {link.number for link in model.links}
            watchers = [watcher for watcher in model.watchers.values() if watcher.alive]
            assert len(process.monitors) == len(watchers)
            if not self.tasks:
                children = {self.numbers[child] for child in process.children.values()}
                if model.alive:
                    assert children == {child.number for child in model.children}
        assert signals.pending() == 0

    def teardown(self):
        for _, process in self.pairs:
            self.run(signals.post_exit, otp.root, process, "kill")
        self.run(lambda: None)
        left = list(otp.processes())
        tasks = asyncio.all_tasks(self.loop)
        self.loop.close()
        assert (left, otp.zombies(), names, tasks) == ([], [], {}, set())


class Tasks(Machine):
    tasks = True


class UvloopTasks(Tasks):
    new_loop = staticmethod(uvloop.new_event_loop)


@pytest.mark.parametrize("machine", [Machine, Tasks, UvloopTasks])
def test_agrees_with_the_reference(machine, caplog):
    caplog.set_level("CRITICAL", logger="acceptors.otp")
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
