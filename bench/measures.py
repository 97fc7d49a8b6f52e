"""How a case is measured: rounds that take the servers in turn, A B C A B C.

A measure takes a case and gives, by the name of the server (or of what follows from several), the
values of the rounds in the case's unit.
"""

import http.client
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench import wrk
from bench.cases import (
    FIFTY_PLUGS,
    FIRST_PLUGS,
    IN_PROCESS,
    LATE,
    NO_PLUG,
    PER_PLUG,
    SLEEPERS,
    TEN_PLUGS,
    UNANSWERED,
    Case,
)
from bench.clients import ClientError, idle_connections, raise_descriptor_limit, sleep_together
from bench.environments import ROOT, Environment
from bench.handshakes import handshakes
from bench.processes import ServerFailedError, ServerProcess, cores, pinned
from bench.progress import Progress
from bench.servers import Server

Values = dict[str, list[float]]

IDLE = 5_000
QUICK_IDLE = 1_000
MEMORY_ROUNDS = 3
SLEEP_SECONDS = 20.0
BAD_SHARE = 0.001
"""More wrong answers than that, and a round counts as failed."""


@dataclass
class Run:
    """What all cases of one interpreter share."""

    environment: Environment
    progress: Progress
    rounds: int
    seconds: int
    quick: bool
    all_peers: bool
    notes: list[str] = field(default_factory=list)
    present: dict[str, bool] = field(default_factory=dict)

    def servers(self, case: Case) -> list[Server]:
        """Those of a case that can be measured here."""
        return [
            server
            for server in case.servers
            if (self.all_peers or not server.optional) and self.has(server)
        ]

    def has(self, server: Server) -> bool:
        """Whether what a server requires is installed."""
        if server.requires and server.requires not in self.present:
            self.present[server.requires] = self.environment.has(server.requires)
        return not server.requires or self.present[server.requires]

    def step(self, case: Case, server: str, number: int, *, size: int = 1) -> None:
        """Show where the run is."""
        version = self.environment.interpreter.minor
        self.progress.step(f"{version} {case.name} {number}: {server}", size=size)


def launch(run: Run, server: Server) -> ServerProcess:
    """Start a server."""
    command = server.arguments(run.environment)
    return ServerProcess(server.name, command, server.variables, quiet=server.quiet, tls=server.tls)


@contextmanager
def running(run: Run, server: Server) -> Iterator[ServerProcess]:
    """A server that has given its first answer."""
    process = launch(run, server)
    try:
        process.wait_ready()
        yield process
    finally:
        process.stop()


@contextmanager
def all_running(run: Run, case: Case) -> Iterator[list[ServerProcess]]:
    """The servers of a case, each answering as it should; one that does not is left out."""
    started: list[ServerProcess] = []
    try:
        for server in run.servers(case):
            process = launch(run, server)
            started.append(process)
            try:
                process.wait_ready()
                check(case, process)
            except ServerFailedError as error:
                run.notes.append(str(error))
                run.progress.say(f"left out: {error}")
                started.remove(process)
                process.stop()
        yield started
    finally:
        for process in started:
            process.stop()


def check(case: Case, process: ServerProcess) -> None:
    """Ask once. Raises ServerFailedError for an answer that is not the case's."""
    if process.name == "C limit" or process.name == "uvloop Protocol":
        return
    try:
        said = process.ask(case.method, case.path, case.body)
    except (OSError, http.client.HTTPException) as error:
        said = repr(error).encode()
    if said != case.answer:
        raise ServerFailedError(
            f"{process.name} answered {case.method} {case.path} with {said[:80]!r}, "
            f"not {case.answer!r}"
        )


def requests(run: Run, case: Case) -> Values:
    """CPU of the server for each request, in microseconds."""
    arguments = dict(case.arguments)
    values: Values = {}
    with all_running(run, case) as processes:
        for number in range(run.rounds + 1):  # round 0 warms up and is not counted
            for process in list(processes):
                run.step(case, process.name, number)
                try:
                    cost = one_round(run, case, process, arguments, number)
                except (ServerFailedError, wrk.WrkError) as error:
                    run.notes.append(f"{process.name} left out: {error}")
                    run.progress.say(run.notes[-1])
                    values.pop(process.name, None)
                    processes.remove(process)
                    process.stop()
                    continue
                if number:
                    values.setdefault(process.name, []).append(cost)
    return values


def one_round(
    run: Run,
    case: Case,
    process: ServerProcess,
    arguments: dict[str, tuple[str, ...]],
    number: int,
) -> float:
    """Microseconds of CPU for each request in one round. Raises ServerFailedError where many of
    the answers are wrong."""
    before = process.cpu()
    seconds = run.seconds if number else 1
    if case.handshake:
        load = handshakes(process.port, seconds, resumed=case.handshake == "resumed")
    else:
        load = wrk.run(
            process.port,
            case.path,
            seconds,
            script=case.script,
            arguments=arguments.get(process.name, ()),
            tls=process.tls is not None,
        )
    spent = process.cpu() - before
    if load.requests == 0 or load.bad > BAD_SHARE * load.requests:
        raise ServerFailedError(f"{load.bad} errors, {load.requests} answers")
    return spent / load.requests * 1e6


def plugs(run: Run, case: Case) -> Values:
    """As `requests`; from it what one plug adds, and the same without a server."""
    values = requests(run, case)
    none, ten, fifty = (values.get(one.name, []) for one in (NO_PLUG, TEN_PLUGS, FIFTY_PLUGS))
    first = [(b - a) / 10 for a, b in zip(none, ten, strict=False)]
    further = [(b - a) / 40 for a, b in zip(ten, fifty, strict=False)]
    if further:
        values |= {FIRST_PLUGS: first, PER_PLUG: further}
    command = [str(run.environment.python), "-m", "bench.apps.plugs"]
    for _ in range(run.rounds):
        with pinned(cores()[0]):
            said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
        values.setdefault(IN_PROCESS, []).append(float(said.stdout))
    return values


def memory(run: Run, case: Case) -> Values:
    """Memory of the server for each idle connection, in KB of 1,000 bytes."""
    number = QUICK_IDLE if run.quick else IDLE
    raise_descriptor_limit(number + 200)
    values: Values = {}
    for turn in range(min(run.rounds, MEMORY_ROUNDS)):
        for server in run.servers(case):
            run.step(case, server.name, turn + 1)
            try:
                with running(run, server) as process:
                    with idle_connections(process.port, 20):
                        pass  # what is made at the first request is not a connection's
                    with idle_connections(process.port, 20):
                        before, open_before = process.memory(), process.descriptors()
                        with idle_connections(process.port, number):
                            added = process.memory() - before
                            still_open = process.descriptors() - open_before
                if still_open < number:
                    raise ClientError(f"only {still_open} of {number} connections stayed open")
            except (ClientError, ServerFailedError, OSError) as error:
                run.notes.append(f"{case.name}: {server.name}: {error}")
                continue
            values.setdefault(server.name, []).append(added / number / 1000)
    return values


def start(run: Run, case: Case) -> Values:
    """Milliseconds from the start of a server to its first answer."""
    values: Values = {}
    for number in range(run.rounds + 1):  # round 0 brings the files into memory
        for server in run.servers(case):
            run.step(case, server.name, number)
            process = launch(run, server)
            try:
                with pinned(cores()[1]):
                    taken = process.wait_ready()
            except ServerFailedError as error:
                run.notes.append(f"{case.name}: {error}")
                continue
            finally:
                process.stop()
            if number:
                values.setdefault(server.name, []).append(taken * 1000)
    return values


def sleepers(run: Run, case: Case) -> Values:
    """How many of 10,000 sleeping requests were not answered, and not in progress together."""
    raise_descriptor_limit(SLEEPERS + 200)
    values: Values = {UNANSWERED: [], LATE: []}
    for server in run.servers(case):
        run.step(case, server.name, 1)
        with running(run, server) as process:
            before, cpu, started = process.memory(), process.cpu(), time.monotonic()
            answered, sent, _ = sleep_together(process.port, SLEEPERS, SLEEP_SECONDS)
            peak = int(process.ask("GET", "/sleepers").split()[1])
            spent = (process.cpu() - cpu) / SLEEPERS * 1e6
            held = (process.memory() - before) / SLEEPERS / 1000
            taken = time.monotonic() - started
        values[UNANSWERED].append(SLEEPERS - answered)
        values[LATE].append(SLEEPERS - peak)
        run.notes.append(
            f"sleepers: {answered} of {SLEEPERS} answered, {peak} in progress at once; all sent "
            f"after {sent:.1f} s, each slept {SLEEP_SECONDS:.0f} s, all over after {taken:.1f} s; "
            f"{spent:.0f} us of CPU each; {held:.1f} KB each were still held afterwards"
        )
    return values


MEASURES: dict[str, Callable[[Run, Case], Values]] = {
    "requests": requests,
    "plugs": plugs,
    "memory": memory,
    "start": start,
    "sleepers": sleepers,
}
