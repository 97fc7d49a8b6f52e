"""The report as Markdown: for terminals, issues, chats."""

import re
from collections.abc import Iterable, Iterator

from plugpy.debugging.failures import Failure
from plugpy.debugging.frames import Frame
from plugpy.debugging.report import Report


def markdown(report: Report) -> str:
    """The whole report; variables of frames are left to the page."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# {_inline(report.title)}"
    yield ""
    for failure in report.failures:
        yield from _failure(failure)
    for section in report.sections:
        yield f"## {section.title}"
        yield ""
        for name, value in section.rows:
            yield f"- {_inline(name)}: {_code(value)}"
        yield ""


def _failure(failure: Failure) -> Iterator[str]:
    if failure.relation:
        yield f"## {_inline(failure.relation)} {_inline(failure.kind)}"
        yield ""
    yield from _block([f"{failure.kind}: {failure.message}" if failure.message else failure.kind])
    yield ""
    if not failure.frames:
        return
    yield "Innermost call first:"
    yield ""
    current = next((frame for frame in failure.frames if not frame.library), failure.frames[0])
    for frame in failure.frames:
        yield f"- {_code(f'{frame.shown_file}:{frame.number}')} in {_code(frame.function)}"
        if frame is current and frame.source:
            yield ""
            yield from _block(_source(frame))
            yield ""
    if failure.left_out:
        yield f"- and {failure.left_out} calls in the middle"
    yield ""


def _source(frame: Frame) -> Iterator[str]:
    width = len(str(frame.source[-1].number))
    for line in frame.source:
        yield f"{'>' if line.current else ' '} {line.number:{width}} | {line.text}".rstrip()


def _block(lines: Iterable[str]) -> Iterator[str]:
    """A fenced block: its fence is longer than any in the text."""
    text = "\n".join(lines)
    fence = "`" * max(3, _longest_run(text) + 1)
    yield fence + "text"
    yield text
    yield fence


def _code(text: str) -> str:
    """Inline code: on one line, in more backticks than it has."""
    text = " ".join(text.split()) or "(empty)"
    fence = "`" * (_longest_run(text) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"


def _inline(text: str) -> str:
    """Text on one line that is no markup, HTML included."""
    return re.sub(r"([\\`*_\[\]<>#|~&])", r"\\\1", " ".join(text.split()))


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
