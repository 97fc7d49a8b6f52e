"""`plugpy openapi APP`: the OpenAPI document of a router, for files and for CI."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from plugpy.cli.commands import print_error
from plugpy.cli.flags import GroupedCommand, option_flags
from plugpy.cli.routes import load_router
from plugpy.cli.serve import CONTEXT
from plugpy.pipeline import parts_of
from plugpy.router import Router
from plugpy.server.errors import EXIT_FAILURE, EXIT_OK, ApplicationError


@click.command(
    "openapi",
    cls=GroupedCommand,
    params=option_flags(("app_dir", "factory", "config", "env_file")),
    context_settings=CONTEXT,
)
@click.argument("app", required=False)
@click.option("--title", help="Title of the API; default the name of the router's class.")
@click.option("--api-version", metavar="TEXT", help='Version of the API; default "0.1.0".')
@click.option("--description", help="What the API is, as Markdown.")
@click.option("--server", "servers", metavar="URL", multiple=True, help="Where it is; repeatable.")
@click.option("--untyped", is_flag=True, help="List handlers that are not typed, too.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to a file in place of standard output.",
)
@click.option(
    "--check",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write nothing; exit with code 1 unless FILE holds the document.",
)
def openapi(
    app: str | None,
    title: str | None,
    api_version: str | None,
    description: str | None,
    servers: tuple[str, ...],
    untyped: bool,
    output: Path | None,
    check: Path | None,
    **values: Any,
) -> int:
    """Print the OpenAPI 3.1 document of the Router that APP names (module:attribute).

    It tells of the typed handlers, see docs/how-to/typed-apis.md. Where the router mounts the plug
    OpenAPI the options are those that it was given, unless they are given here.
    """
    router = load_router(app, values)
    given = {
        "title": title,
        "version": api_version,
        "description": description,
        "servers": servers or None,
        "untyped": untyped or None,
    }
    text = json.dumps(_document(router, given), indent=2, ensure_ascii=False) + "\n"
    if check is not None:
        return _check(check, text)
    if output is None:
        sys.stdout.write(text)
        return EXIT_OK
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ApplicationError(f"can't write {output}: {error.strerror}") from error
    return EXIT_OK


def _document(router: Router, given: dict[str, Any]) -> dict[str, Any]:
    try:
        # Compiles the router: what is wrong with it is raised here.
        parts = list(parts_of(router))
        from plugpy.api import OpenAPI
        from plugpy.api import openapi as document

        mounted = next((part for part in parts if isinstance(part, OpenAPI)), None)
        options = {} if mounted is None else mounted.options
        return document(router, **{**options, **_without_none(given)})
    except Exception as error:
        raise ApplicationError(f"the router is wrong: {error}") from error


def _without_none(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _check(file: Path, text: str) -> int:
    try:
        found = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        print_error(f"can't read {file}: {error}")
        return EXIT_FAILURE
    if found == text:
        return EXIT_OK
    print_error(f"{file} is not what the router's document is; write it anew with --output {file}")
    return EXIT_FAILURE
