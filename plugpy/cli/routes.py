"""`plugpy routes APP`: the table of routes, what is wrong with it, and what serves a request."""

import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Any

import click

from plugpy.cli.commands import print_error, print_warning
from plugpy.cli.flags import GroupedCommand, option_flags
from plugpy.cli.serve import CONTEXT, require_app, settings_of
from plugpy.pipeline import parts_of
from plugpy.pipeline.order import gathering_oddities, missing_plugs
from plugpy.router import Router, Row, table
from plugpy.server.application import describe, load
from plugpy.server.errors import (
    EXIT_FAILURE,
    EXIT_OK,
    ApplicationError,
    ConfigurationError,
)
from plugpy.server.text import escape_controls


@click.command(
    "routes",
    cls=GroupedCommand,
    params=option_flags(("app_dir", "factory", "config", "env_file")),
    context_settings=CONTEXT,
)
@click.argument("app", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")
@click.option("--check", is_flag=True, help="Exit with code 1 when there are warnings.")
@click.option("--info", metavar="REQUEST", help='Tell what serves a request: "GET /users/3".')
def routes(app: str | None, as_json: bool, check: bool, info: str | None, **values: Any) -> int:
    """Show the routes of the Router that APP names (module:attribute), in their order.

    A route that no request reaches is warned of on standard error, and so are plugs in an odd
    order, and a plug that lacks another one.
    """
    # Pipelines tell of their order once, when they are compiled.
    with gathering_oddities() as oddities:
        router = load_router(app, values)
        rows = _table(router)
        parts = list(parts_of(router))
    if info is not None:
        return _print_info(router, info, as_json)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
    else:
        click.echo(format_rows(rows), nl=False)
    warnings = [f"{row.path}: {warning}" for row in rows for warning in row.warnings]
    warnings += oddities + missing_plugs(parts)
    for warning in warnings:
        print_warning(warning)
    return EXIT_FAILURE if check and warnings else EXIT_OK


def load_router(app: str | None, values: dict[str, Any]) -> Router:
    """Import the router. Raises ApplicationError when APP is something else."""
    settings = settings_of(app, values)
    target = require_app(settings)
    loaded = load(target, app_dir=settings["app_dir"], factory=settings["factory"])
    if not isinstance(loaded.application, Router):
        raise ApplicationError(
            f"{target} is {describe(loaded.application)}, and only a Router has a table of routes"
        )
    return loaded.application


def format_rows(rows: Sequence[Row]) -> str:
    """The table as text; columns that are empty throughout are left out."""
    columns = {
        "METHOD": [" ".join(row.methods) for row in rows],
        "HOST": [row.host or "" for row in rows],
        "PATH": [row.path for row in rows],
        "NAME": [row.name or "" for row in rows],
        "HANDLER": [f"-> {row.handler}" if row.forward else row.handler for row in rows],
        "GUARD": [row.guard or "" for row in rows],
        "PLUGS": [", ".join(row.plugs) for row in rows],
        "WHERE": [_relative(row.location) for row in rows],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    return _align([list(shown), *zip(*shown.values(), strict=True)])


def _table(router: Router) -> list[Row]:
    try:
        return table(router)
    except Exception as error:
        raise ApplicationError(f"the router is wrong: {error}") from error


def _print_info(router: Router, info: str, as_json: bool) -> int:
    from plugpy.cli.explain import explain

    method, _, target = info.strip().partition(" ")
    target = target.strip()
    if not method.isascii() or not method.isalpha() or not target.startswith("/"):
        raise ConfigurationError(f'--info {info!r}: write it as "GET /users/3"')
    attempts = explain(router, method.upper(), target)
    found = attempts[-1] if attempts and attempts[-1].matches else None
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(attempt) for attempt in attempts], indent=2))
    else:
        lines = [
            (
                attempt.methods,
                attempt.path,
                attempt.handler,
                attempt.verdict
                + "".join(f" {name}={value!r}" for name, value in attempt.variables.items()),
            )
            for attempt in attempts
        ]
        click.echo(_align([("METHOD", "PATH", "HANDLER", "VERDICT"), *lines]), nl=False)
    if found is None:
        print_error(f"no route serves {method.upper()} {target}")
        return EXIT_FAILURE
    return EXIT_OK


def _align(lines: Sequence[Sequence[str]]) -> str:
    cells = [[escape_controls(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in cells
    )


def _relative(location: str) -> str:
    path, _, line = location.rpartition(":")
    if not path:
        return location
    relative = os.path.relpath(path)
    return f"{path if relative.startswith('..') else relative}:{line}"
