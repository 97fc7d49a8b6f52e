"""`plugpy ctl COMMAND`: look at a running server, and change it, by its control socket."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import click

from plugpy.cli.commands import print_error
from plugpy.cli.control_views import show
from plugpy.cli.serve import CONTEXT
from plugpy.server.control import COMMANDS, Command, ControlClient, ControlError, NoServerError
from plugpy.server.control.commands import SORTS
from plugpy.server.errors import EXIT_FAILURE, EXIT_OK, EXIT_START, EXIT_USAGE
from plugpy.server.units import parse_span

EXIT_CODES: Final = {"usage": EXIT_USAGE}
"""Code of a control error -> exit code; all others are a failure."""


@click.group(
    "ctl",
    context_settings=CONTEXT,
    epilog="Exit codes: 0 done, 1 refused or failed, 2 usage, 3 no server was found, or it does "
    "not answer. Without --control and --pid it is the only server of this user.",
)
@click.option("--control", metavar="PATH", help="The control socket of the server.")
@click.option("--pid", type=int, metavar="PID", help="The process id of the server.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")
@click.option("--watch", metavar="SPAN", help="Ask again after so long, until Ctrl-C: 2s.")
@click.option("--timeout", metavar="SPAN", default="10s", help="Time for an answer, 10s.")
@click.pass_context
def ctl(
    context: click.Context,
    control: str | None,
    pid: int | None,
    as_json: bool,
    watch: str | None,
    timeout: str,
) -> None:
    """Look at a running server, and change it."""
    if control is not None and pid is not None:
        raise click.UsageError("give --control or --pid, not both")
    context.obj = {
        "control": control,
        "pid": pid,
        "as_json": as_json,
        "watch": None if watch is None else _span(watch, "--watch"),
        "timeout": _span(timeout, "--timeout"),
    }


def _span(text: str, flag: str) -> float:
    try:
        return parse_span(text)
    except ValueError as error:
        raise click.UsageError(f"{flag}: {error}") from None


def _ask(context: click.Context, command: Command, values: dict[str, Any]) -> int:
    given = context.obj
    try:
        if given["control"] is not None:
            client = ControlClient(given["control"], timeout=given["timeout"])
        else:
            client = ControlClient.find(pid=given["pid"], timeout=given["timeout"])
        with client:
            while True:
                answer = client.ask(command.name, **values)
                if given["as_json"]:
                    click.echo(json.dumps(answer, indent=None if given["watch"] else 2))
                else:
                    if given["watch"] and sys.stdout.isatty():
                        click.clear()
                    click.echo(show(command.name, answer), nl=False)
                if given["watch"] is None or command.changing:
                    return EXIT_FAILURE if command.changing and _failed(answer) else EXIT_OK
                time.sleep(given["watch"])
    except ControlError as error:
        print_error(str(error))
        return EXIT_CODES.get(error.code, EXIT_FAILURE)
    except NoServerError as error:
        print_error(str(error))
        return EXIT_START


def _failed(answer: Any) -> bool:
    """Whether a worker has not done what was asked."""
    workers = answer.get("workers") if isinstance(answer, dict) else None
    return isinstance(workers, dict) and any("error" in one for one in workers.values())


def _make(command: Command) -> click.Command:
    parameters: list[click.Parameter] = []
    for parameter in command.parameters:
        name = parameter.name.replace("-", "_")
        if parameter.required:
            parameters.append(click.Argument([name], metavar=parameter.name.upper()))
        elif parameter.kind == "flag":
            parameters.append(
                click.Option([f"--{parameter.name}", name], is_flag=True, help=parameter.help)
            )
        else:
            kind: Any = click.Choice(SORTS) if parameter.kind == "sort" else None
            default = f" ({parameter.default})" if parameter.default is not None else ""
            parameters.append(
                click.Option(
                    [f"--{parameter.name}", name], type=kind, help=parameter.help + default
                )
            )

    def callback(**values: Any) -> int:
        return _ask(click.get_current_context(), command, values)

    callable_: Callable[..., int] = callback
    return click.Command(
        command.name,
        params=parameters,
        callback=callable_,
        help=command.help,
        short_help=command.help,
        context_settings=CONTEXT,
    )


for _command in COMMANDS.values():
    ctl.add_command(_make(_command))
