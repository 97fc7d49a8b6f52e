"""Callers: code that runs for something which becomes a process only when it asks who it is.

A request of a web server costs nothing as a process until its handler calls `self()`. What the code
runs for, the *subject*, is found in one of two ways:

- by the context variable `acting_for`, which whoever starts a Task for the subject sets, or
- in code that runs in a callback, without any Task, by walking up the frames to one that was
  registered: the subject is one of its local variables. So a callback that never asks pays nothing.

The class of a subject is registered with two functions: `make` gives its process, made now if need
be, or None when the subject is over; `find` gives the process that stands for it without making
one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from acceptors.otp.process import Process

acting_for: ContextVar[Any] = ContextVar("acting_for", default=None)
"""The subject that the code of this context runs for, None for none."""

_ASYNC: Final = CO_COROUTINE | CO_ASYNC_GENERATOR


class _Subject(NamedTuple):
    make: Callable[[Any], Process | None]
    find: Callable[[Any], Process | None]


_subjects: dict[type, _Subject] = {}
_frames: dict[CodeType, str] = {}


def register(
    kind: type, make: Callable[[Any], Process | None], find: Callable[[Any], Process | None]
) -> None:
    """Have instances of `kind` be subjects. See the module."""
    _subjects[kind] = _Subject(make, find)


def register_frame(function: Callable[..., Any], variable: str) -> None:
    """While `function` runs, its local variable of that name holds the subject, or None."""
    _frames[function.__code__] = variable


def make() -> Process | None:
    """The process of the subject that the caller runs for; None where there is none."""
    subject = acting_for.get()
    if subject is None:
        subject = _in_frames()
    known = _subjects.get(type(subject))
    return None if known is None else known.make(subject)


def find() -> Process | None:
    """As `make`, but a process that there is already."""
    subject = acting_for.get()
    if subject is None:
        subject = _in_frames()
    known = _subjects.get(type(subject))
    return None if known is None else known.find(subject)


def _in_frames() -> Any:
    if not _frames:
        return None
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code.co_flags & _ASYNC:
            # A Task that runs its first step inside somebody's callback is none of theirs.
            return None
        variable = _frames.get(code)
        if variable is not None:
            return frame.f_locals.get(variable)
        frame = frame.f_back
    return None
