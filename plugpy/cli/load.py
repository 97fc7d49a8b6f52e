"""`plugpy load URL`: load a server with concurrent clients and print what they measured."""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from plugpy.server.errors import EXIT_FAILURE, EXIT_OK, ConfigurationError, StartError
from plugpy.server.units import parse_span

if TYPE_CHECKING:
    from plugpy.load import LoadGenerator, LoadOptions, LoadReport

EXIT_INTERRUPTED = 128 + signal.SIGINT
"""What shells report of a program that was ended by Ctrl-C."""


class Span(click.ParamType[float]):
    """A span of time, as `30s` or `500ms`."""

    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds; a usage error for what is no span."""
        if isinstance(value, float):
            return value
        try:
            return parse_span(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(
    "load",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 all was answered below 400, 1 any request failed, 2 usage, "
    "3 could not start, 130 interrupted.",
)
@click.argument("url")
@click.option("-c", "--connections", type=int, default=50, show_default=True, help="Clients.")
@click.option("-n", "--requests", type=int, help="Requests in all. [default: what --duration fits]")
@click.option(
    "-r",
    "--rate",
    type=float,
    help="Requests a second in all; latencies then count "
    "from the moment each request was due, free of coordinated omission.",
)
@click.option(
    "-z",
    "--duration",
    type=Span(),
    metavar="SPAN",
    help="Start requests for so long. [default: 10s without -n]",
)
@click.option("-m", "--method", help="Request method. [default: GET, POST with a body]")
@click.option(
    "-H",
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="A request header; may be given again.",
)
@click.option("-d", "--body", metavar="TEXT|@FILE", help="Request body.")
@click.option(
    "-t",
    "--timeout",
    type=Span(),
    default=30.0,
    show_default="30s",
    metavar="SPAN",
    help="For one answer, and for one connect.",
)
@click.option("--no-keepalive", is_flag=True, help="A new connection for each request.")
@click.option("--insecure", is_flag=True, help="Take any TLS certificate.")
@click.option("--uds", metavar="PATH", help="Connect to a unix socket; URL names host and path.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--no-progress", is_flag=True, help="No progress bar.")
def load(url: str, as_json: bool, no_progress: bool, **values: Any) -> int:
    """Load the server at URL. Only load servers that you may."""
    from plugpy.load import LoadError, LoadGenerator, make_progress

    options = options_of(url, values)
    try:
        generator = LoadGenerator(options)
        progress = None
        if not no_progress and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            progress = make_progress(sys.stderr)
        if not as_json:
            click.echo(headline(options))
        report = run(generator, progress)
    except LoadError as error:
        raise StartError(str(error)) from None
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2))
    else:
        columns = min(shutil.get_terminal_size((80, 24)).columns, 100)
        click.echo(report.as_text(width=columns, ascii_only=not _draws_blocks()), nl=False)
    return exit_code(report)


def options_of(url: str, values: dict[str, Any]) -> "LoadOptions":
    """The options of the run from those of the command line. Raises ConfigurationError."""
    from plugpy.load import LoadError, LoadOptions

    headers = []
    for text in values["headers"]:
        name, colon, value = text.partition(":")
        if not colon:
            raise ConfigurationError(f"the header {text!r} has no colon; write 'Name: value'")
        headers.append((name.strip(), value.strip()))
    if "://" not in url:
        url = f"http://{url}"
    try:
        return LoadOptions(
            url=url,
            connections=values["connections"],
            requests=values["requests"],
            duration=values["duration"],
            rate=values["rate"],
            method=values["method"],
            headers=headers,
            body=read_body(values["body"]),
            timeout=values["timeout"],
            keep_alive=not values["no_keepalive"],
            insecure=values["insecure"],
            uds=values["uds"],
        )
    except LoadError as error:
        raise ConfigurationError(str(error)) from None


def read_body(text: str | None) -> bytes:
    """The body of `--body`: the text itself, or with a leading @ the content of a file."""
    if text is None:
        return b""
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"--body {text}: {error.strerror}") from None


def headline(options: "LoadOptions") -> str:
    """One line that says what is about to happen."""
    parts = [f"{options.connections:,} connections"]
    if options.requests is not None:
        parts.append(f"{options.requests:,} requests")
    if options.duration is not None:
        parts.append(f"{options.duration:g} s")
    if options.rate is not None:
        parts.append(f"{options.rate:,g} requests a second")
    return f"Loading {options.url} with {', '.join(parts)}"


def run(generator: "LoadGenerator", progress: Any) -> "LoadReport":
    """Run on uvloop where it is installed. Ctrl-C stops and reports, a second one ends at once."""
    from plugpy.load import show_progress

    loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with suppress(ImportError):
        from uvloop import new_event_loop as loop_factory

    async def main() -> "LoadReport":
        loop = asyncio.get_running_loop()

        def interrupt() -> None:
            loop.remove_signal_handler(signal.SIGINT)
            generator.stop()

        with suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(signal.SIGINT, interrupt)
        if progress is None:
            return await generator.run()
        with progress:
            drawing = loop.create_task(show_progress(generator, progress))
            try:
                return await generator.run()
            finally:
                drawing.cancel()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main())


def exit_code(report: "LoadReport") -> int:
    """0 when every request was answered below 400."""
    if report.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILURE if report.failed or report.problem else EXIT_OK


def _draws_blocks() -> bool:
    try:
        "▁█─".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
