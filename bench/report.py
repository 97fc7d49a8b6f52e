"""The results: kept in results.json, shown as tables, written to results.md."""

import json
import os
import platform
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.cases import BY_NAME, CASES, Case, Target
from bench.environments import BENCH
from bench.measures import Values

JSON_FILE = BENCH / "results.json"
MARKDOWN_FILE = BENCH / "results.md"


@dataclass(frozen=True)
class Verdict:
    """A target beside what was measured; `value` is None where something is missing."""

    target: Target
    value: float | None

    @property
    def met(self) -> str:
        """In a word."""
        if self.value is None:
            return "not measured"
        return "met" if self.value <= self.target.at_most else "missed"


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    model = "unknown processor"
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return {
        "processor": model,
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def now() -> str:
    """The time in UTC, to the minute."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def command(arguments: list[str], version: str) -> str:
    """What repeats a run; an interpreter that was given by its path is named by its version."""
    shown = [version if "/" in argument else argument for argument in arguments]
    return " ".join(["python -m bench", *shown])


def judge(case: Case, values: Values) -> list[Verdict]:
    """Each target of a case with its ratio or value.

    A ratio is the median of the ratios of the rounds: since the rounds of all servers are
    interleaved, what the rest of the machine does in a round touches both sides of it.
    """
    verdicts = []
    for target in case.targets:
        subject, against = values.get(target.subject), values.get(target.against)
        value: float | None = None
        if subject and not target.against:
            value = statistics.median(subject)
        elif subject and against:
            value = ratio(subject, against)
        verdicts.append(Verdict(target, value))
    return verdicts


def ratio(subject: list[float], against: list[float]) -> float:
    """The median of the ratios of the rounds."""
    pairs = list(zip(subject, against, strict=False))
    return statistics.median(one / other if other else float("inf") for one, other in pairs)


def number(value: float) -> str:
    """With two decimals where they tell something."""
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


def unit_of(subject: str, case: Case) -> str:
    """What a value of a case is measured in, as it is printed."""
    return f" {case.unit}" if case.unit else ""


def case_lines(case: Case, values: Values) -> list[str]:
    """The rows of one case: servers, then targets. For the terminal."""
    lines = [f"{case.name}: {case.title.replace('`', '')}"]
    first = next((name for name in values if name.startswith("plugpy")), None)
    for name, rounds in values.items():
        spread = f"{number(min(rounds))} to {number(max(rounds))}"
        median = number(statistics.median(rounds)) + unit_of(name, case)
        times = ""
        if first and name != first and case.unit != "" and name in {s.name for s in case.servers}:
            times = f"  plugpy is {ratio(values[first], rounds):.2f} of it"
        lines.append(f"  {name:36} {median:>11}  ({spread}){times}")
    lines += [f"  {verdict_text(verdict, case)}" for verdict in judge(case, values)]
    return lines


def verdict_text(verdict: Verdict, case: Case) -> str:
    """One target in a line."""
    target = verdict.target
    value = "?" if verdict.value is None else number(verdict.value)
    against = f" of {target.against}" if target.against else unit_of(target.subject, case)
    return (
        f"{verdict.met}: {target.subject}: {value}{against}, "
        f"at most {number(target.at_most)} wanted"
    )


def load() -> dict[str, Any]:
    """The results so far; empty when there are none that can be read."""
    try:
        loaded = json.loads(JSON_FILE.read_text())
    except (OSError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def save(results: dict[str, Any]) -> None:
    """Write both files."""
    JSON_FILE.write_text(json.dumps(results, indent=1) + "\n")
    MARKDOWN_FILE.write_text(markdown(results))


def markdown(results: dict[str, Any]) -> str:
    """All results as a page."""
    lines = [
        "# Results",
        "",
        "Written by `python -m bench`; how to read and to repeat it: [README.md](README.md).",
        "Server CPU per request (user and system, the whole process tree) in microseconds,",
        "unless another unit is given: the median of the rounds, the lowest and the highest.",
        "Ratios are medians of the ratios of the rounds.",
        "",
    ]
    for version, record in results.items():
        lines += [
            f"## CPython {version}",
            "",
            f"- interpreter: {record['interpreter']}",
            f"- machine: {', '.join(f'{k} {v}' for k, v in record['machine'].items())}",
            f"- versions: {', '.join(f'{k} {v}' for k, v in record['versions'].items())}",
            "",
        ]
        lines += target_table(record["cases"])
        for case in CASES:
            if case.name in record["cases"]:
                lines += case_section(case, record["cases"][case.name])
    return "\n".join(lines).rstrip() + "\n"


def target_table(cases: dict[str, Any]) -> list[str]:
    """What was to be reached, and what was."""
    lines = ["| case | measured | of | at most | |", "|---|---|---|---|---|"]
    for name, record in cases.items():
        case = BY_NAME.get(name)
        if case is None:
            continue
        for verdict in judge(case, record["values"]):
            target = verdict.target
            what = case.title
            if target.subject != "plugpy":
                what += f": {target.subject}"
            unit = "" if target.against else unit_of(target.subject, case)
            value = "" if verdict.value is None else number(verdict.value) + unit
            met = verdict.met if verdict.met == "met" else f"**{verdict.met}**"
            limit = number(target.at_most) + unit
            lines.append(f"| {what} | {value} | {target.against} | {limit} | {met} |")
    return [*lines, ""]


def case_section(case: Case, record: dict[str, Any]) -> list[str]:
    """One case: a row for each server."""
    unit = f"median, {case.unit}" if case.unit else "median"
    lines = [f"### {case.title}", ""]
    if case.note:
        lines += [case.note, ""]
    first = next((name for name in record["values"] if name.startswith("plugpy")), None)
    lines += [f"| | {unit} | lowest to highest | plugpy is |", "|---|---|---|---|"]
    for name, rounds in record["values"].items():
        times = ""
        if first and name != first and name in {server.name for server in case.servers}:
            times = f"{ratio(record['values'][first], rounds):.2f} of it"
        median = number(statistics.median(rounds))
        spread = f"{number(min(rounds))} to {number(max(rounds))}"
        lines.append(f"| {name} | {median} | {spread} | {times} |")
    lines += ["", f"`{record['command']}`, {record['date']}, load of the machine {record['load']}"]
    lines += [f"- {note}" for note in record["notes"]]
    return [*lines, ""]
