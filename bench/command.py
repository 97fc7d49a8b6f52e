"""The command line: python -m bench."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from bench import report
from bench.cases import BY_NAME, CASES, Case
from bench.clients import ClientError
from bench.environments import Environment, SetupError, build_limit, find_wrk, make_certificate
from bench.interpreters import NoInterpreterError, choose
from bench.measures import MEASURES, Run
from bench.processes import ServerFailedError
from bench.progress import Progress

FULL = {"rounds": 5, "seconds": 5}
QUICK = {"rounds": 3, "seconds": 1}


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Server CPU per request of plugpy beside its peers, in one run. Makes private "
        "environments below bench/.peers, and writes bench/results.md and bench/results.json.",
    )
    add = parser.add_argument
    add("--list", action="store_true", help="show the cases and their targets, and exit")
    add("--case", action="append", metavar="NAME", help="only this case; may be repeated")
    add(
        "--python",
        action="append",
        metavar="VERSION",
        help="3.13, or the path of an interpreter; may be repeated "
        "(3.11 and the newest that is found)",
    )
    add("--rounds", type=int, metavar="N", help=f"rounds of each case ({FULL['rounds']})")
    add("--seconds", type=int, metavar="N", help=f"length of a round ({FULL['seconds']})")
    add("--quick", action="store_true", help="3 rounds of 1 second, results are not saved")
    add("--all", action="store_true", help="the optional peers too")
    add("--no-save", action="store_true", help="leave the files of results as they are")
    add("--upgrade", action="store_true", help="renew the peers first")
    add("--setup", action="store_true", help="only make the environments")
    given = parser.parse_args(arguments)
    for name in given.case or ():
        if name not in BY_NAME:
            parser.error(f"there is no case {name!r}; there are {', '.join(BY_NAME)}")
    for name in ("rounds", "seconds"):
        if (value := getattr(given, name)) is not None and value < 1:
            parser.error(f"--{name} must be at least 1, got {value}")
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; the exit code: 0 all is measured, 1 something is missing, 130 interrupted."""
    given = parse(arguments)
    if given.list:
        print_cases()
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    progress = Progress()
    try:
        return bench(given, progress)
    except (SetupError, NoInterpreterError) as error:
        progress.say(f"bench: {error}")
        return 1
    except KeyboardInterrupt:
        progress.say("interrupted; what was measured before is kept")
        return 130
    finally:
        progress.end()


def bench(given: argparse.Namespace, progress: Progress) -> int:
    """Measure what was asked for, on each interpreter."""
    find_wrk()
    build_limit()
    make_certificate()
    environments = [Environment(interpreter) for interpreter in choose(given.python or [])]
    for environment in environments:
        environment.prepare(progress, upgrade=given.upgrade)
    if given.setup:
        return 0
    if len(os.sched_getaffinity(0)) < 2:
        progress.say("only one core: server and client share it, so figures are rough")
    usual = QUICK if given.quick else FULL
    cases = [BY_NAME[name] for name in given.case] if given.case else list(CASES)
    runs = [
        Run(
            environment,
            progress,
            rounds=given.rounds or usual["rounds"],
            seconds=given.seconds or usual["seconds"],
            quick=given.quick,
            all_peers=given.all,
        )
        for environment in environments
    ]
    progress.expect(
        sum((run.rounds + 1) * len(run.servers(case)) for run in runs for case in cases)
    )
    complete = True
    for run in runs:
        for case in cases:
            complete &= measure(run, case, save=not (given.no_save or given.quick))
    return 0 if complete else 1


def measure(run: Run, case: Case, *, save: bool) -> bool:
    """One case: measure, print, save. Whether there are figures."""
    run.notes.clear()
    load = f"{os.getloadavg()[0]:.1f}"
    try:
        values = MEASURES[case.measure](run, case)
    except (ServerFailedError, ClientError) as error:
        run.progress.say(f"{case.name}: {error}")
        return False
    run.progress.end()
    interpreter = run.environment.interpreter
    print(f"\nCPython {interpreter.minor}, {'; '.join(report.case_lines(case, values)[:1])}")
    print("\n".join(report.case_lines(case, values)[1:]))
    print("".join(f"  note: {note}\n" for note in run.notes), end="", flush=True)
    if save and values:
        results = report.load()
        record: dict[str, Any] = results.setdefault(interpreter.minor, {"cases": {}})
        record["interpreter"] = interpreter.describe()
        record["machine"] = report.machine()
        record["versions"] = run.environment.versions()
        record["cases"][case.name] = {
            "title": case.title,
            "unit": case.unit,
            "values": {name: [round(one, 4) for one in rounds] for name, rounds in values.items()},
            "notes": list(run.notes),
            "command": report.command(sys.argv[1:], interpreter.minor),
            "date": report.now(),
            "load": load,
        }
        order = list(BY_NAME)
        record["cases"] = dict(sorted(record["cases"].items(), key=lambda row: order.index(row[0])))
        report.save(dict(sorted(results.items())))
    return bool(values)


def print_cases() -> None:
    """The table of cases."""
    for case in CASES:
        print(f"{case.name:16} {case.title.replace('`', '')}")
        for target in case.targets:
            against = f" of {target.against}" if target.against else f" {case.unit}".rstrip()
            print(f"{'':18} {target.subject}: at most {report.number(target.at_most)}{against}")
