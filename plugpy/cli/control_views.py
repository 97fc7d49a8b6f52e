"""Answers of the control socket as text: tables for people. Scripts use --json."""

from collections.abc import Callable, Iterable
from typing import Any

from plugpy.server.text import escape_controls
from plugpy.server.units import format_span

Row = dict[str, Any]


def show(command: str, answer: Any) -> str:
    """The text for an answer, with a line end."""
    view = _VIEWS.get(command)
    text = view(answer) if view is not None else _facts(answer)
    return "".join(f"{escape_controls(line)}\n" for line in text.rstrip("\n").split("\n"))


def table(rows: Iterable[Row], columns: list[tuple[str, str]]) -> str:
    """Rows as aligned columns. columns: (key, heading); numbers are aligned to the right."""
    shown = [[_cell(key, row.get(key)) for key, _ in columns] for row in rows]
    headings = [heading for _, heading in columns]
    if not shown:
        return "none"
    numeric = [
        all(line[index] in ("", "-") or line[index][0].isdigit() for line in shown)
        for index in range(len(columns))
    ]
    widths = [
        max(len(heading), *(len(line[index]) for line in shown))
        for index, heading in enumerate(headings)
    ]

    def line(cells: list[str]) -> str:
        aligned = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ]
        return "  ".join(aligned).rstrip()

    return "\n".join([line(headings), *map(line, shown)])


def _cell(key: str, value: Any) -> str:
    if value is None or value == "":
        return "-"
    if key == "seconds":
        return format_span(round(float(value), 1))
    if key in ("rss", "bytes_in", "bytes_out"):
        return format_size(int(value))
    return str(value)


def format_size(size: int) -> str:
    """`512 B`, `3.4 KB`, `12 MB`: three digits at most."""
    amount, unit = float(size), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"


def _facts(answer: Any) -> str:
    if isinstance(answer, dict) and "workers" in answer and isinstance(answer["workers"], dict):
        lines = []
        for worker, result in answer["workers"].items():
            failed = result.get("error") if isinstance(result, dict) else None
            lines.append(f"worker {worker}: {failed or 'done'}")
        return "\n".join(lines)
    if not isinstance(answer, dict) or not answer:
        return "done"
    width = max(map(len, answer))
    return "\n".join(f"{key.ljust(width)}  {_fact(key, value)}" for key, value in answer.items())


def _fact(key: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return _cell(key, value)


def _workers(rows: list[Row]) -> str:
    return table(
        rows,
        [
            ("worker", "WORKER"),
            ("os_pid", "OS PID"),
            ("state", "STATE"),
            ("seconds", "FOR"),
            ("connections", "CONNECTIONS"),
            ("requests", "REQUESTS"),
            ("rss", "MEMORY"),
            ("loop", "LOOP"),
        ],
    )


def _listeners(rows: list[Row]) -> str:
    return table(
        rows,
        [
            ("listener", "LISTENER"),
            ("url", "URL"),
            ("status", "STATUS"),
            ("acceptors", "ACCEPTORS"),
            ("max_connections", "MAX"),
            ("active", "ACTIVE"),
            ("connections", "ALL"),
            ("accepted", "ACCEPTED"),
            ("terminated", "ENDED"),
        ],
    )


def _connections(answer: Row) -> str:
    text = table(
        answer["connections"],
        [
            ("pid", "PID"),
            ("peer", "PEER"),
            ("state", "STATE"),
            ("seconds", "FOR"),
            ("request", "REQUEST"),
            ("requests", "REQUESTS"),
            ("bytes_in", "IN"),
            ("bytes_out", "OUT"),
        ],
    )
    shown = len(answer["connections"])
    text += f"\n{shown} of {answer['matching']} that match, {answer['total']} in all"
    for worker, error in answer.get("errors", {}).items():
        text += f"\nworker {worker}: {error}"
    return text


def _tree(answer: Row) -> str:
    rows = answer["processes"]
    below: dict[Any, list[Row]] = {}
    pids = {row["pid"] for row in rows}
    for row in rows:
        parent = row["parent"] if row["parent"] in pids else None
        below.setdefault(parent, []).append(row)
    lines: list[str] = []

    def draw(row: Row, indent: str, branch: str, rest: str) -> None:
        title = row.get("name") or row.get("label") or row["kind"]
        shown = below.get(row["pid"], [])
        hidden = (row.get("children") or 0) - len(shown)
        more = (
            f" ({hidden} {title})" if hidden > 0 and title in ("acceptors", "connections") else ""
        )
        request = f" {row['request']}" if row.get("request") else ""
        queue = (
            f" [{row['message_queue_length']} messages]" if row.get("message_queue_length") else ""
        )
        state = f" {row['state']}" if row.get("state") not in (None, "running", "ready") else ""
        lines.append(f"{indent}{branch}{title} {row['pid']}{state}{request}{more}{queue}")
        for index, child in enumerate(shown):
            last = index == len(shown) - 1
            draw(child, indent + rest, "`- " if last else "|- ", "   " if last else "|  ")

    for row in below.get(None, []):
        draw(row, "", "", "")
    if answer["partial"]:
        lines.append("... not all are shown; give a higher --limit")
    return "\n".join(lines)


def _process(answer: Row) -> str:
    stack = answer.pop("stack")
    text = _facts(answer)
    return text + ("\nstack\n" + "\n".join(f"  {line}" for line in stack) if stack else "")


def _stacks(answer: dict[str, Any]) -> str:
    lines = []
    for worker, threads in answer.items():
        if isinstance(threads, str):
            lines.append(f"worker {worker}: {threads}")
            continue
        for name, stack in threads.items():
            lines += [f"worker {worker}, thread {name}", *stack, ""]
    return "\n".join(lines)


def _stalls(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        what = row.get("request") or row.get("plug") or "something that is no plug"
        lines.append(f"worker {row['worker']}: {row['seconds']:.1f} s in {what}")
        lines += [f"  {line}" for line in str(row.get("stack", "")).splitlines()]
    return "\n".join(lines) or "none"


def _settings(rows: list[Row]) -> str:
    return table(rows, [("option", "OPTION"), ("value", "VALUE"), ("source", "SOURCE")])


_VIEWS: dict[str, Callable[[Any], str]] = {
    "workers": _workers,
    "listeners": _listeners,
    "connections": _connections,
    "tree": _tree,
    "process": _process,
    "stacks": _stacks,
    "stalls": _stalls,
    "settings": _settings,
}
