"""`plugpy serve APP`: serve an application until SIGTERM or Ctrl-C."""

import os
import sys
from functools import partial
from typing import Any

import click

from plugpy.cli.commands import print_warning
from plugpy.cli.flags import GroupedCommand, given, option_flags
from plugpy.server.errors import EXIT_OK, ConfigurationError
from plugpy.server.settings import Settings, resolve

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.command(
    "serve",
    cls=GroupedCommand,
    params=option_flags(),
    context_settings=CONTEXT,
    epilog="Every option can also be set by the variable in brackets, or as a key of plugpy.toml "
    "or [tool.plugpy] in pyproject.toml. Spans are written 30s, 5m, 500ms; sizes 8MB, 64KiB. "
    "Exit codes: 0 stopped, 1 failure, 2 usage, 3 could not start.",
)
@click.argument("app", required=False)
@click.option("--check-config", is_flag=True, help="Check configuration and application, and exit.")
@click.option("--print-config", is_flag=True, help="Print each option and its source, and exit.")
def serve(app: str | None, check_config: bool, print_config: bool, **values: Any) -> int:
    """Serve APP, written as module:attribute: a Router, a plug, an ASGI or a WSGI application."""
    flags, environment = given(values), dict(os.environ)
    settings = settings_of(app, values)
    if print_config:
        from plugpy.cli.print_config import format_settings

        click.echo(format_settings(settings), nl=False)
        if not check_config:
            return EXIT_OK
    require_app(settings)
    if check_config:
        from plugpy.server.serving import check

        check(settings)
        click.echo("the configuration is good", err=True)
        return EXIT_OK
    if settings.needs_master():
        from plugpy.server.master import run_master

        # The environment without the variables of the env-file, which may have others by then.
        return run_master(settings, partial(resolve, app, flags, environment))
    from plugpy.server.serving import run_single

    return run_single(settings)


def settings_of(app: str | None, values: dict[str, Any]) -> Settings:
    """Resolve the settings of a command; the env-file's variables go into the environment."""
    settings = resolve(app, given(values))
    for warning in settings.warnings:
        print_warning(warning)
    os.environ.update(settings.exports)
    return settings


def require_app(settings: Settings) -> str:
    """The import string. Raises ConfigurationError when none was given anywhere."""
    if settings.app is None:
        raise ConfigurationError(
            "which application? give it as module:attribute, for example "
            f"{os.path.basename(sys.argv[0]) or 'plugpy'} serve app:Router, "
            "or set PLUGPY_APP or the key app in plugpy.toml"
        )
    return settings.app
