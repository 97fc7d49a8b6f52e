"""Figures of acceptors.otp, beside asyncio.TaskGroup, pykka and triotp in the same run.

    python bench/otp.py [--loop uvloop] [--processes 100000]

Bytes are what tracemalloc counts for one of many; microseconds are the best of several rounds of
many operations. Peers that are not installed are left out. One figure of another library means the
nearest thing that it has: a Task for a process, an actor's thread, a mailbox.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

from acceptors import otp

ROUNDS = 3
ROWS: dict[tuple[str, str], float] = {}


def note(system: str, row: str, value: float) -> None:
    """Keep the best value of a row."""
    key = (system, row)
    ROWS[key] = min(value, ROWS.get(key, value))


def microseconds(system: str, row: str, count: int, work: Callable[[], object]) -> None:
    """Time `work`, which does `count` operations."""
    gc.collect()
    begun = time.perf_counter()
    work()
    note(system, row, (time.perf_counter() - begun) / count * 1e6)


async def awaited(system: str, row: str, count: int, work: Callable[[], Awaitable[Any]]) -> None:
    """As `microseconds` for async work."""
    gc.collect()
    begun = time.perf_counter()
    await work()
    note(system, row, (time.perf_counter() - begun) / count * 1e6)


def bytes_each(system: str, row: str, count: int, make: Callable[[], object]) -> object:
    """Count the memory of what `make` makes."""
    gc.collect()
    tracemalloc.start()
    made = make()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    note(system, row, used / count)
    return made


class Record(otp.Process):
    """What a connection is, without its own fields."""

    __slots__ = ()


class Counter(otp.GenServer):
    """Answers calls."""

    def handle_call(self, request: Any, from_: otp.From) -> Any:
        return request


async def parked() -> None:
    await otp.receive()


async def nothing() -> None:
    pass


def make_records(parent: otp.ParentProcess, count: int) -> list[Record]:
    return [Record(parent) for _ in range(count)]


def end_records(made: list[Record]) -> None:
    for process in made:
        process._exited()


async def record_round(system: str, parent: otp.ParentProcess, processes: int) -> None:
    made: list[Record] = []
    microseconds(system, "spawn", processes, lambda: made.extend(make_records(parent, processes)))
    microseconds(system, "exit, nobody linked", processes, lambda: end_records(made))
    one, others, target = Record(), make_records(parent, 10_000), Record()
    microseconds(system, "link", 10_000, lambda: [one.link(other) for other in others])
    microseconds(system, "exit and one link told", 10_000, lambda: end_records(others))
    microseconds(system, "send", 50_000, lambda: [otp.send(target, 1) for _ in range(50_000)])
    end_records([one, target])
    chain = make_records(parent, processes)
    for left, right in pairwise(chain):
        left.link(right)
    last = asyncio.ensure_future(chain[-1].join())
    await asyncio.sleep(0)
    begun = time.perf_counter()
    otp.exit(chain[0], "x")
    await last
    note(system, f"chain of {processes:,} links dies, ms", (time.perf_counter() - begun) * 1e3)


async def task_round(system: str, count: int) -> None:
    spawned: list[otp.TaskProcess] = []

    async def start() -> None:
        spawned.extend(otp.spawn(parked) for _ in range(count))
        await asyncio.sleep(0)

    async def shut_down() -> None:
        for process in spawned:
            otp.exit(process, "shutdown")
        await spawned[-1].join()

    def kill() -> None:
        for process in spawned:
            otp.exit(process, "kill")

    async def one_shot() -> None:
        last = [otp.spawn(nothing) for _ in range(count)][-1]
        await last.join()

    async def ping() -> None:
        me = otp.self()
        for _ in range(count):
            otp.send(me, 1)
            await otp.receive()

    server = await Counter.start()

    async def calls() -> None:
        for _ in range(2_000):
            await otp.call(server, 1)

    await awaited(system, "spawn", count, start)
    await awaited(system, "exit, nobody linked", count, shut_down)
    await asyncio.sleep(0)
    spawned.clear()
    await start()
    microseconds(system, "kill", count, kill)
    await asyncio.sleep(0.01)
    await awaited(system, "spawn, run, end", count, one_shot)
    await awaited(system, "send and receive", count, ping)
    await awaited(system, "call a server", 2_000, calls)
    await otp.stop(server)


async def ours(processes: int) -> None:
    otp.self()
    parent = otp.ParentProcess()
    made: Any = bytes_each(
        "plugpy record", "bytes per process", processes, lambda: make_records(parent, processes)
    )
    end_records(made)
    del made
    for _ in range(ROUNDS):
        await record_round("plugpy record", parent, processes)
    parent._exited()

    gc.collect()
    tracemalloc.start()
    spawned = [otp.spawn(parked) for _ in range(processes)]
    await asyncio.sleep(0)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    note("plugpy Task", "bytes per process", used / processes)
    for process in spawned:
        otp.exit(process, "shutdown")
    await spawned[-1].join()
    del spawned
    for _ in range(ROUNDS):
        await task_round("plugpy Task", 10_000)


async def task_group_round(system: str, count: int, event: asyncio.Event) -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def one_shot() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(nothing())

    async def ping() -> None:
        for _ in range(count):
            queue.put_nowait(1)
            await queue.get()

    async with asyncio.TaskGroup() as group:
        waiting: list[asyncio.Task[Any]] = []

        async def start() -> None:
            waiting.extend(group.create_task(event.wait()) for _ in range(count))
            await asyncio.sleep(0)

        async def cancel() -> None:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)

        await awaited(system, "spawn", count, start)
        await awaited(system, "exit, nobody linked", count, cancel)
    await awaited(system, "spawn, run, end", count, one_shot)
    await awaited(system, "send and receive", count, ping)


async def task_group(processes: int) -> None:
    event = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        gc.collect()
        tracemalloc.start()
        tasks = [group.create_task(event.wait()) for _ in range(processes)]
        await asyncio.sleep(0)
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        note("TaskGroup", "bytes per process", used / processes)
        for task in tasks:
            task.cancel()
    del tasks
    for _ in range(ROUNDS):
        await task_group_round("TaskGroup", 10_000, event)


def pykka_peer() -> None:
    import pykka

    class Actor(pykka.ThreadingActor):  # type: ignore[misc, unused-ignore]
        def on_receive(self, message: Any) -> Any:
            return message

    def round_(count: int) -> None:
        actors: list[Any] = []
        microseconds(
            "pykka", "spawn", count, lambda: actors.extend(Actor.start() for _ in range(count))
        )
        one = actors[0]
        microseconds("pykka", "send", 2_000, lambda: [one.tell(1) for _ in range(2_000)])
        microseconds("pykka", "call a server", 2_000, lambda: [one.ask(1) for _ in range(2_000)])
        microseconds("pykka", "exit, nobody linked", count, pykka.ActorRegistry.stop_all)

    for _ in range(ROUNDS):
        round_(200)


def triotp_peer() -> None:
    import trio
    import trio.testing
    from triotp import gen_server, mailbox

    async def round_(count: int) -> None:
        async with trio.open_nursery() as sleepers:

            async def start() -> None:
                for _ in range(count):
                    sleepers.start_soon(trio.sleep_forever)
                await trio.lowlevel.checkpoint()

            await awaited("triotp", "spawn", count, start)
            sleepers.cancel_scope.cancel()
        async with trio.open_nursery() as nursery, mailbox.open() as box:

            async def receive() -> None:
                for _ in range(count):
                    await mailbox.receive(box)

            async def ping() -> None:
                nursery.start_soon(receive)
                for _ in range(count):
                    await mailbox.send(box, 1)

            await awaited("triotp", "send and receive", count, ping)
        async with trio.open_nursery() as servers:
            servers.start_soon(gen_server.start, sys.modules[__name__], None, "bench")
            await trio.testing.wait_all_tasks_blocked()

            async def calls() -> None:
                for _ in range(count):
                    await gen_server.call("bench", 1)

            await awaited("triotp", "call a server", count, calls)
            servers.cancel_scope.cancel()

    async def run() -> None:
        mailbox._init()
        for _ in range(ROUNDS):
            await round_(2_000)

    trio.run(run)


# The callbacks of triotp's gen_server, which is a module.


async def init(argument: Any) -> Any:
    return argument


async def handle_call(message: Any, caller: Any, state: Any) -> Any:
    from triotp import gen_server

    return gen_server.Reply(payload=message), state


def table() -> str:
    systems = list(dict.fromkeys(system for system, _ in ROWS))
    rows = list(dict.fromkeys(row for _, row in ROWS))
    lines = ["| | " + " | ".join(systems) + " |", "|---" * (len(systems) + 1) + "|"]
    for row in rows:
        cells = [ROWS.get((system, row)) for system in systems]
        shown = ["" if cell is None else f"{cell:,.0f}" if cell >= 100 else f"{cell:.2f}"
                 for cell in cells]  # fmt: skip
        lines.append(f"| {row} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument("--processes", type=int, default=100_000)
    options = parser.parse_args()
    factory: Any = None
    if options.loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    for system in (ours, task_group):
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(system(options.processes))
    for name, peer in (("pykka", pykka_peer), ("triotp", triotp_peer)):
        if importlib.util.find_spec(name) is not None:
            peer()
    print(f"CPython {sys.version.split()[0]}, {options.loop}, microseconds unless said otherwise\n")
    print(table())


if __name__ == "__main__":
    main()
