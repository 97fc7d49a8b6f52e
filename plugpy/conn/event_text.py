"""The text of server-sent events (HTML Standard, section 9.2)."""

import re
from typing import Any

from plugpy.conn.json import dumps

_LINES = re.compile(r"\r\n|\r|\n")


def event_text(
    data: Any = None,
    *,
    event: str | None = None,
    id: str | None = None,  # noqa: A002 - the name of the field
    retry: int | None = None,
) -> str:
    r"""One event as it goes over the wire.

    data: str, of any number of lines; anything else becomes JSON; None for no data: the client then
    takes note of id and retry, and no event happens. Raises ValueError for a name or an id with a
    line break, an id with NUL (clients ignore it), a retry below 0, and for nothing at all;
    TypeError for bytes and what JSON can't hold.

    >>> event_text("two\nlines", event="note", id="7")
    'event: note\nid: 7\ndata: two\ndata: lines\n\n'
    """
    lines = []
    if event is not None:
        if not event or _LINES.search(event):
            raise ValueError(f"the name of an event is one line, got {event!r}")
        lines.append(f"event: {event}\n")
    if id is not None:
        if _LINES.search(id) or "\0" in id:
            raise ValueError(f"the id of an event is one line without NUL, got {id!r}")
        lines.append(f"id: {id}\n")
    if retry is not None:
        if retry < 0:
            raise ValueError(f"retry is a number of milliseconds from 0 on, got {retry!r}")
        lines.append(f"retry: {retry:d}\n")
    if data is not None:
        if isinstance(data, bytes | bytearray | memoryview):
            raise TypeError("the data of an event is text: decode the bytes before")
        text = data if isinstance(data, str) else dumps(data).decode()
        lines += [f"data: {line}\n" for line in _LINES.split(text)]
    if not lines:
        raise ValueError("an event has data, or at least an id or retry")
    return "".join(lines) + "\n"


def comment_text(text: str = "") -> str:
    r"""A comment, which clients ignore.

    >>> comment_text("still here")
    ': still here\n\n'
    """
    return "".join(f": {line}\n" if line else ":\n" for line in _LINES.split(text)) + "\n"
