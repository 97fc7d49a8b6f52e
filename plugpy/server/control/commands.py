"""The table of commands: each is defined here, once.

From a row follow what the socket takes, `plugpy ctl --help` and docs/reference/control.md.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from plugpy.server.control.errors import ControlError

Kind = Literal["text", "number", "seconds", "limit", "flag", "sort"]

SORTS: Final = ("seconds", "requests", "bytes_in", "bytes_out")

LIMIT: Final = 10_000
"""Rows of one answer at most."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument of a command. default: None where it may be left out without one."""

    name: str
    kind: Kind
    help: str
    required: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True)
class Command:
    """One row. changing: whether it changes something, so that it runs in the event loop and is
    logged with who asked."""

    name: str
    help: str
    parameters: tuple[Parameter, ...] = ()
    changing: bool = False


_LISTENER = Parameter("listener", "text", "Only this listener, by its name.")

COMMANDS: Final[dict[str, Command]] = {
    command.name: command
    for command in (
        Command("status", "What the server is, and whether its event loops turn."),
        Command("workers", "The processes that serve."),
        Command("listeners", "Where it listens, and how many connections each listener has."),
        Command(
            "connections",
            "Open connections with their current request.",
            (
                Parameter("state", "text", "idle, reading, handling, writing or closing."),
                Parameter("peer", "text", "Of this client address, with or without port."),
                Parameter("min-seconds", "seconds", "In their state for so many seconds."),
                Parameter("sort", "sort", f"By {', '.join(SORTS)}; the largest first.",
                          default="seconds"),
                Parameter("limit", "limit", "Rows at most.", default=50),
            ),
        ),
        Command(
            "tree",
            "The supervision tree.",
            (
                Parameter("connections", "flag", "Connections and acceptors one by one."),
                Parameter("limit", "limit", "Processes at most.", default=500),
            ),
        ),
        Command(
            "process",
            "All of one process, with the stack of its Task.",
            (Parameter("process", "text", "Its pid, as the tree shows it: 1.17.", required=True),),
        ),
        Command("stacks", "What each thread is doing, also where an event loop is blocked."),
        Command("stalls", "When an event loop was blocked lately, and by what."),
        Command("settings", "Each option and where its value came from; secrets are masked."),
        Command(
            "set-max-connections",
            "Change how many connections are served at a time, in each worker.",
            (
                Parameter("number", "number", 'A number, or "infinity".', required=True),
                _LISTENER,
            ),
            changing=True,
        ),
        Command(
            "set-acceptors",
            "Change how many acceptors each listener has, in each worker.",
            (Parameter("number", "number", "A number.", required=True), _LISTENER),
            changing=True,
        ),
        Command("suspend", "Accept no connections; those that are there live on.",
                (_LISTENER,), changing=True),
        Command("resume", "Accept connections again.", (_LISTENER,), changing=True),
        Command(
            "drain",
            "Finish what is in flight and end, as SIGTERM does; or only some connections.",
            (
                Parameter("connection", "text", "Only this one, by its pid: 1.17."),
                Parameter("peer", "text", "Only those of this client address."),
            ),
            changing=True,
        ),
        Command(
            "kill",
            "Close a connection at once, whatever it is doing.",
            (Parameter("connection", "text", "Its pid: 1.17.", required=True),),
            changing=True,
        ),
        Command("roll", "Replace each worker, one after the other.", changing=True),
        Command("add-worker", "One worker more.", changing=True),
        Command("remove-worker", "One worker less; it drains.", changing=True),
        Command("reload-certificates", "Read the TLS certificates anew.", changing=True),
    )
}  # fmt: skip
"""Command -> its row."""


def checked(name: Any, arguments: Any) -> tuple[Command, dict[str, Any]]:
    """The command and its arguments with their defaults. Raises ControlError (usage)."""
    command = COMMANDS.get(name) if isinstance(name, str) else None
    if command is None:
        raise ControlError("usage", f"there is no command {str(name)[:50]!r}")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise ControlError("usage", "arguments are an object")
    known = {parameter.name: parameter for parameter in command.parameters}
    if unknown := set(arguments) - set(known):
        raise ControlError("usage", f"{name} has no argument {min(unknown)[:50]!r}")
    values: dict[str, Any] = {}
    for parameter in command.parameters:
        given = arguments.get(parameter.name)
        if given is None:
            if parameter.required:
                raise ControlError("usage", f"{name} needs the argument {parameter.name}")
            values[parameter.name] = parameter.default
        else:
            values[parameter.name] = _converted(parameter, given)
    return command, values


def _converted(parameter: Parameter, given: Any) -> Any:
    kind = parameter.kind
    if kind == "text" and isinstance(given, str) and 0 < len(given) <= 200:
        return given
    if kind == "flag" and isinstance(given, bool):
        return given
    if kind == "sort" and given in SORTS:
        return given
    if kind == "number" and given == "infinity":
        return given
    if kind in ("number", "limit", "seconds") and not isinstance(given, bool):
        try:
            number = float(given) if kind == "seconds" else int(str(given))
        except (TypeError, ValueError):
            number = -1
        if kind == "limit" and 1 <= number <= LIMIT:
            return number
        if kind == "number" and number >= 1:
            return number
        if kind == "seconds" and 0 <= number < 1e9:
            return number
    raise ControlError("usage", f"{parameter.name} can't be {str(given)[:50]!r}: {parameter.help}")
