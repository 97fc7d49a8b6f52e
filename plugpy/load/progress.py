"""The progress bar of a run, on standard error, and only for a terminal."""

import asyncio
from typing import TYPE_CHECKING, Any, Final, TextIO

from plugpy.load.errors import LoadError

if TYPE_CHECKING:
    from plugpy.load.generator import LoadGenerator

REFRESH: Final = 0.1
"""Seconds."""


def make_progress(stream: TextIO) -> Any:
    """A rich Progress that draws on `stream`; rich leaves colours out where NO_COLOR is set.

    Raises LoadError when rich is not installed.
    """
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        raise LoadError(
            "the progress bar of plugpy load needs the package rich, which is not installed; "
            "get it with: pip install 'plugpy[load]', or leave the bar out with --no-progress"
        ) from None
    return Progress(
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[answers]:,} answers"),
        TextColumn("{task.fields[speed]:,.0f}/s"),
        TextColumn("{task.fields[errors]}"),
        TimeElapsedColumn(),
        console=Console(file=stream),
        auto_refresh=False,  # its thread would compete with the load for the interpreter
        transient=True,
    )


async def show_progress(generator: "LoadGenerator", progress: Any) -> None:
    """Draw until cancelled."""
    requests = generator.options.requests
    duration = generator.options.duration or 0.0
    task = progress.add_task("", total=requests or duration, answers=0, speed=0.0, errors="")
    last, before = 0, 0.0
    while True:
        await asyncio.sleep(REFRESH)
        answers, errors, seconds = generator.progress()
        speed = (answers - last) / (seconds - before) if seconds > before else 0.0
        last, before = answers, seconds
        progress.update(
            task,
            completed=answers + errors if requests else seconds,
            answers=answers,
            speed=speed,
            errors=f"{errors:,} failed" if errors else "",
        )
        progress.refresh()
