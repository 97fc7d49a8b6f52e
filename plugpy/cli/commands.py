"""The group of commands, and how an error of the server becomes a message and an exit code."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click

from plugpy._version import __version__
from plugpy.server.errors import EXIT_FAILURE, EXIT_OK, EXIT_USAGE, ServerError, did_you_mean

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "serve": ("plugpy.cli.serve:serve", "Serve an application."),
    "ctl": ("plugpy.cli.ctl:ctl", "Look at a running server, and change it."),
    "routes": ("plugpy.cli.routes:routes", "Show the routes of a router."),
    "openapi": ("plugpy.cli.openapi:openapi", "Print the OpenAPI document of a router."),
    "load": ("plugpy.cli.load:load", "Load a server with concurrent clients and measure it."),
}
"""Command -> (where it is, its line in the help). Where it is gets imported on use only."""


class Commands(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import the command `name`; None when there is no such command."""
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with "did you mean" for an unknown command."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            hint = did_you_mean(name, COMMANDS)
            if ":" in name:
                hint = f"; did you mean 'plugpy serve {name}'?"
            context.fail(f"there is no command {name!r}{hint}")
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Use plugpy COMMAND --help for the options of a command.",
)
@click.version_option(
    __version__, "-V", "--version", prog_name="plugpy", message="%(prog)s %(version)s"
)
def commands() -> None:
    """Plug, Cowboy and Ranch for Python: serve HTTP from supervised connections."""


def run(arguments: Sequence[str]) -> int:
    """Run the command line `arguments` and return its exit code; errors go to standard error."""
    try:
        result: Any = commands.main(list(arguments), prog_name="plugpy", standalone_mode=False)
    except ServerError as error:
        print_error(str(error))
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code if error.exit_code != 1 else EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        print_error("interrupted")
        return 130
    except BrokenPipeError:
        # `plugpy routes app:Router | head`: nobody reads any more, which is no failure of ours.
        sys.stderr.close()
        return EXIT_FAILURE
    return result if isinstance(result, int) else EXIT_OK


def print_error(message: str) -> None:
    """`plugpy: error: message` on standard error, red on a terminal, control characters escaped."""
    from plugpy.server.text import escape_controls, wants_color

    head = "plugpy: error:"
    if wants_color(2):
        head = f"\x1b[31;1m{head}\x1b[0m"
    sys.stderr.write(f"{head} {escape_controls(message, keep_lines=True)}\n")
    sys.stderr.flush()


def print_warning(message: str) -> None:
    """`plugpy: warning: message` on standard error."""
    from plugpy.server.text import escape_controls

    sys.stderr.write(f"plugpy: warning: {escape_controls(message, keep_lines=True)}\n")
