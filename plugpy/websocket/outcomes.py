"""Outcomes: what a callback of a WebSocketHandler returns (WebSock's tuples)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final


class _Unchanged:
    __slots__ = ()

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = _Unchanged()
"""The state stays what it was."""


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping to push; data: at most 125 bytes."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Pong:
    """A pong to push that nobody asked for; data: at most 125 bytes."""

    data: bytes = b""


Frame = str | bytes | Ping | Pong
"""What can be pushed: str is a text message, bytes a binary one."""


@dataclass(slots=True)
class Ok:
    """Go on with `state`. A callback that returns None goes on with the state it had."""

    state: Any


@dataclass(slots=True)
class Push:
    """Send one frame, or several in order, and go on; with a new `state` where one is given."""

    frames: Frame | Iterable[Frame]
    state: Any = UNCHANGED


@dataclass(slots=True)
class Stop:
    """Send `frames`, close with `code` and `text`, and end: `terminate` gets "normal".

    code: 1000, one of 3000 to 4999, or another that may be sent (RFC 6455 section 7.4). text: 123
    bytes at most are sent.
    """

    code: int = 1000
    text: str = ""
    frames: Frame | Iterable[Frame] = ()
    state: Any = UNCHANGED
