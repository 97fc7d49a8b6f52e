"""An exception with everything that led to it: causes, what was handled meanwhile, groups."""

from dataclasses import dataclass
from traceback import TracebackException
from typing import Final

from plugpy.debugging.frames import Frame, frames
from plugpy.debugging.redaction import Redaction
from plugpy.debugging.values import cut

MOST_FAILURES: Final = 20
"""Exceptions of one chain, those of groups included, that are shown."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One exception. kind: its class; message: its text and notes; relation: what it is to the one
    before it, "" for the first; left_out: frames that are not shown."""

    kind: str
    message: str
    relation: str
    frames: tuple[Frame, ...]
    left_out: int


def failures(
    error: BaseException, *, redaction: Redaction, root: str, show_locals: bool
) -> list[Failure]:
    """The exception first, then its causes, and the members of groups after their group."""
    found: list[Failure] = []
    seen: set[int] = set()
    waiting: list[tuple[BaseException, str]] = [(error, "")]
    while waiting and len(found) < MOST_FAILURES:
        one, relation = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        kind, message = describe(one)
        shown, left_out = frames(
            one.__traceback__, redaction=redaction, root=root, show_locals=show_locals
        )
        found.append(Failure(kind, message, relation, tuple(shown), left_out))
        if one.__cause__ is not None:
            waiting.append((one.__cause__, f"{kind} was caused by"))
        elif one.__context__ is not None and not one.__suppress_context__:
            waiting.append((one.__context__, f"{kind} was raised while handling"))
        if isinstance(one, BaseExceptionGroup):
            count = len(one.exceptions)
            members = [
                (member, f"{kind} holds, {number} of {count},")
                for number, member in enumerate(one.exceptions, 1)
            ]
            waiting += reversed(members)
    return found


def describe(error: BaseException) -> tuple[str, str]:
    """The class of an exception, and its message as Python prints it: hints ("Did you mean") and
    notes included, for a SyntaxError the place. Never raises."""
    kind = type(error).__qualname__
    if type(error).__module__ not in ("builtins", "__main__"):
        kind = f"{type(error).__module__}.{kind}"
    try:
        printed = TracebackException(type(error), error, None, compact=True)
        text = "".join(printed.format_exception_only()).rstrip("\n")
    except Exception:
        return kind, "<the message can't be shown>"
    for name in (kind, type(error).__qualname__):
        if text == name:
            return kind, ""
        if text.startswith(f"{name}: "):
            return kind, cut(text.removeprefix(f"{name}: "))
    return kind, cut(text)
