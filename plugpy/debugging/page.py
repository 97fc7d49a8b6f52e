"""The report as a page of HTML that needs nothing but itself.

Whatever comes from the request, the exception or the source is escaped here, in `_text`, and
nowhere else. Should that fail once: the page's own policy (see `answering`) runs no script and
loads no style but the two of this file.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from plugpy.debugging.actions import Button
from plugpy.debugging.editor import editor_link
from plugpy.debugging.failures import Failure
from plugpy.debugging.frames import Frame, Line
from plugpy.debugging.markdown import markdown
from plugpy.debugging.report import Report
from plugpy.debugging.style import Style


def page(
    report: Report,
    *,
    nonce: str,
    style: Style,
    banner: Any = None,
    editor: str | None = None,
    buttons: Sequence[Button] = (),
) -> str:
    """The whole page. nonce: of the policy; banner: text, or HTML where it has `__html__`;
    buttons: actions of the exception."""
    colours = f":root {{ --primary: {style.primary}; --accent: {style.accent}; }}"
    head = report.failures[0]
    body = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(report.title)}</title>",
        f'<style nonce="{_text(nonce)}">{colours}{_data("page.css")}</style></head>',
        f'<body class="{"dark-too" if style.dark else "light"}"><header>',
        f'<img alt="" src="{_text(style.logo)}">' if style.logo else "",
        f'<p class="status">{report.status} {_text(report.phrase)} · {_text(report.request)}</p>',
        f"<h1>{_text(head.kind)}</h1>",
        f'<pre class="message">{_text(head.message)}</pre>' if head.message else "",
        *_buttons(buttons),
        "</header>",
        f'<div class="banner">{_banner(banner)}</div>' if banner else "",
        "<main>",
        *(
            part
            for index, failure in enumerate(report.failures)
            for part in _failure(failure, index, editor)
        ),
        "<h2>The request</h2>",
        *(part for section in report.sections for part in _section(section.title, section.rows)),
        '<details class="copy"><summary>As Markdown</summary>',
        '<button type="button" id="copy" hidden>Copy</button>',
        f'<textarea id="markdown" readonly rows="20">{_text(markdown(report))}</textarea>',
        "</details>",
        f'</main><script nonce="{_text(nonce)}">{_data("page.js")}</script></body></html>',
    ]
    return "\n".join(part for part in body if part) + "\n"


def _failure(failure: Failure, index: int, editor: str | None) -> Iterator[str]:
    yield '<section class="failure">'
    if failure.relation:
        yield f"<h2>{_text(failure.relation)} {_text(failure.kind)}</h2>"
        yield f'<pre class="message">{_text(failure.message)}</pre>' if failure.message else ""
    own = [frame for frame in failure.frames if not frame.library]
    if own and len(own) < len(failure.frames):
        # No script is needed to switch: what follows a checked box is shown by the style.
        yield f'<input type="checkbox" class="all" id="all-{index}">'
        yield (
            f'<label for="all-{index}">all {len(failure.frames)} calls, '
            f"not only the {len(own)} of the application</label>"
        )
    yield f'<ol class="frames{"" if own else " everything"}">'
    opened = own[0] if own else failure.frames[0] if failure.frames else None
    for frame in failure.frames:
        yield from _frame(frame, frame is opened, editor)
    yield "</ol>"
    if failure.left_out:
        yield f"<p>{failure.left_out} calls in the middle are not shown.</p>"
    yield "</section>"


def _frame(frame: Frame, is_open: bool, editor: str | None) -> Iterator[str]:
    place = _text(f"{frame.shown_file}:{frame.number}")
    link = editor_link(editor, frame)
    yield f'<li class="{"library" if frame.library else "application"}">'
    yield f"<details{' open' if is_open else ''}><summary><code>{_text(frame.function)}</code>"
    yield f' <span class="place">{place}</span></summary>'
    if link is not None:
        yield f'<p><a href="{_text(link)}">open in the editor</a></p>'
    if frame.source:
        lines = "".join(map(_line, frame.source))  # each is a block of its own
        yield f'<pre class="source">{lines}</pre>'
    if frame.variables:
        yield from _section("Variables", frame.variables)
    yield "</details></li>"


def _line(line: Line) -> str:
    text = _text(line.text)
    if line.marked is not None:
        start, end = line.marked
        text = (
            f"{_text(line.text[:start])}<mark>{_text(line.text[start:end])}</mark>"
            f"{_text(line.text[end:])}"
        )
    kind = "line current" if line.current else "line"
    return f'<span class="{kind}"><i>{line.number}</i> {text}</span>'


def _section(title: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f"<details open><summary>{_text(title)}</summary><table>"
    for name, value in rows:
        yield f"<tr><th>{_text(name)}</th><td><code>{_text(value)}</code></td></tr>"
    yield "</table></details>"


def _buttons(buttons: Sequence[Button]) -> Iterator[str]:
    for button in buttons:
        yield f'<form method="post" action="{_text(button.path)}">'
        yield f'<input type="hidden" name="token" value="{_text(button.token)}">'
        yield f'<input type="hidden" name="last_path" value="{_text(button.last_path)}">'
        yield f'<button type="submit">{_text(button.label)}</button></form>'


def _banner(banner: Any) -> str:
    return str(banner.__html__()) if hasattr(banner, "__html__") else _text(str(banner))


def _text(text: str) -> str:
    """Text as HTML, in elements and in quoted attributes. NUL has no form in HTML; lone
    surrogates have none in UTF-8."""
    shown = text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
    return escape(shown, quote=True)


@cache
def _data(name: str) -> str:
    return files("plugpy.debugging").joinpath(name).read_text(encoding="utf-8")
