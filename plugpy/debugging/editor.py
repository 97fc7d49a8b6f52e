"""Links that open a line of source in an editor (PLUG_EDITOR)."""

import os
import re
from typing import Final
from urllib.parse import quote

from plugpy.debugging.frames import Frame

VARIABLE: Final = "PLUG_EDITOR"
"""Variable of the environment with the link, for example vscode://file/__FILE__:__LINE__"""

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def editor_of_environment() -> str | None:
    """The link of PLUG_EDITOR; None where there is none that could be one."""
    link = os.environ.get(VARIABLE, "")
    return link if _SCHEME.match(link) else None


def checked_editor(link: str) -> str:
    """Raises ValueError for what is no link."""
    if not _SCHEME.match(link):
        raise ValueError(
            f"editor is a link such as 'vscode://file/__FILE__:__LINE__', got {link!r}"
        )
    return link


def editor_link(link: str | None, frame: Frame) -> str | None:
    """The link to a frame's line: __FILE__, __RELATIVEFILE__ and __LINE__ are filled in."""
    if link is None or frame.file.startswith("<"):
        return None
    return (
        link.replace("__RELATIVEFILE__", quote(frame.shown_file))
        .replace("__FILE__", quote(os.path.abspath(frame.file)))
        .replace("__LINE__", str(frame.number))
    )
