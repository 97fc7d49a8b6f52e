"""Tracebacks for users: their own frames, not ours or the import system's."""

import os
import sysconfig
import traceback

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_IMPORT_SYSTEM = "<frozen importlib"


def format_user_traceback(error: BaseException) -> str:
    """The traceback of `error` without the frames of plugpy, the import system and libraries.

    The innermost frame always stays. When the user has no frame in it, all frames are kept but the
    leading ones of plugpy, so that there is something to go by.
    """
    whole = traceback.TracebackException.from_exception(error)
    trimmed: traceback.TracebackException | None = whole
    seen: set[int] = set()
    while trimmed is not None and id(trimmed) not in seen:
        seen.add(id(trimmed))
        trimmed.stack = traceback.StackSummary.from_list(_trim(list(trimmed.stack)))
        trimmed = trimmed.__cause__ or trimmed.__context__
    return "".join(whole.format()).rstrip()


def _trim(frames: list[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    shown = [
        frame
        for frame in frames
        if not frame.filename.startswith((_OURS, _IMPORT_SYSTEM))
        and not frame.filename.endswith(os.path.join("importlib", "__init__.py"))
    ]
    own = [frame for frame in shown if not _in_library(frame.filename)]
    if not own or not shown:
        return shown
    # Where a library raised is worth its line even when the way there is not.
    return own if own[-1] is shown[-1] else [*own, shown[-1]]


def _in_library(filename: str) -> bool:
    if "site-packages" in filename or "dist-packages" in filename:
        return True
    return any(
        filename.startswith(folder + os.sep)
        for folder in (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    )
