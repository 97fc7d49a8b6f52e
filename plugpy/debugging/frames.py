"""The frames of a traceback: where each is, its source, its local variables."""

import linecache
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, TracebackType
from typing import Final

from plugpy.debugging.redaction import Redaction
from plugpy.debugging.values import show

AROUND: Final = 6
"""Lines of source before and after the one that raised."""

MOST_FRAMES: Final = 100
"""Frames of one exception that are shown: a recursion has a thousand."""

MOST_LOCALS: Final = 50
"""Variables of one frame that are shown."""

_NOT_THE_APPLICATION: Final = tuple(
    os.path.join(folder, "")
    for folder in (
        *(str(Path(__file__).resolve().parents[2] / name) for name in ("plugpy", "acceptors")),
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib")),
    )
)
_INSTALLED: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of source. marked: the columns (start, end) that were at work, if it is that line
    and they are known."""

    number: int
    text: str
    current: bool = False
    marked: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One call that was under way. file: as the code names it; shown_file: below `root`, relative
    to it. library: whether it is code of plugpy, of Python or of an installed package."""

    file: str
    shown_file: str
    number: int
    function: str
    library: bool
    source: tuple[Line, ...]
    variables: tuple[tuple[str, str], ...]


def frames(
    traceback: TracebackType | None, *, redaction: Redaction, root: str, show_locals: bool
) -> tuple[list[Frame], int]:
    """The frames of a traceback, the innermost first, and how many in its middle were left out."""
    links = list(_links(traceback))
    links.reverse()
    left_out = max(0, len(links) - MOST_FRAMES)
    if left_out:
        half = MOST_FRAMES // 2
        links[half:-half] = []
    return [_frame(link, redaction, root, show_locals) for link in links], left_out


def _links(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _frame(link: TracebackType, redaction: Redaction, root: str, show_locals: bool) -> Frame:
    frame = link.tb_frame
    code = frame.f_code
    file = code.co_filename
    linecache.checkcache(file)
    variables: list[tuple[str, str]] = []
    if show_locals:
        for name, value in list(frame.f_locals.items())[:MOST_LOCALS]:
            # A module's frame has everything of the module as its locals.
            if not name.startswith("__"):
                variables.append((name, show(value, redaction, name)))
    return Frame(
        file=file,
        shown_file=relative(file, root),
        number=link.tb_lineno,
        function=code.co_qualname,
        library=is_library(file),
        source=tuple(_source(link, code, linecache.getlines(file, frame.f_globals))),
        variables=tuple(variables),
    )


def is_library(file: str) -> bool:
    """Whether a file is none of the application's: of plugpy, Python, a package, or no file."""
    if file.startswith("<"):
        return True
    path = os.path.abspath(file)
    return path.startswith(_NOT_THE_APPLICATION) or any(part in path for part in _INSTALLED)


def relative(file: str, root: str) -> str:
    """`file` as seen from the folder `root`, as it is when it lies elsewhere."""
    inside = os.path.join(root, "")
    path = file if file.startswith("<") else os.path.abspath(file)
    return path.removeprefix(inside) if path.startswith(inside) else file


def _source(link: TracebackType, code: CodeType, lines: list[str]) -> Iterator[Line]:
    current = link.tb_lineno
    for number in range(max(1, current - AROUND), min(len(lines), current + AROUND) + 1):
        text = lines[number - 1].rstrip("\r\n")
        marked = _columns(link, code, text) if number == current else None
        yield Line(number, text, number == current, marked)


def _columns(link: TracebackType, code: CodeType, text: str) -> tuple[int, int] | None:
    """The columns of the expression that was at work, where it is less than the line (PEP 657)."""
    if link.tb_lasti < 0:
        return None
    for index, position in enumerate(code.co_positions()):
        if index == link.tb_lasti // 2:
            first, last, start, end = position
            if first is None or last is None or start is None or end is None:
                return None
            # Positions count bytes of UTF-8.
            encoded = text.encode()
            end = len(encoded) if last != first else end
            found = (
                len(encoded[:start].decode("utf-8", "replace")),
                len(encoded[:end].decode("utf-8", "replace")),
            )
            whole = text[: found[0]].strip() == "" and text[found[1] :].strip() == ""
            return None if whole or found[0] >= found[1] else found
    return None
