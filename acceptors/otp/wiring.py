"""Wiring: what most processes never need (links, monitors, mailbox, a name), made on first use.

A connection that nobody links, monitors or writes to has none: that is what keeps a process at one
object and one dict entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import Future
    from collections import deque
    from collections.abc import Callable

    from acceptors.otp.pid import Reference
    from acceptors.otp.process import Process

    # Who is told of a death: a process gets the DOWN message, a function the reason.
    Watcher = tuple[Process | Callable[[Any], object], Any]


class Wiring:
    """The lazily made half of a Process. Each field is None until it is used as well."""

    __slots__ = (
        "label",
        "links",
        "mailbox",
        "monitoring",
        "name",
        "registrations",
        "trap_exit",
        "waiter",
        "watchers",
    )

    def __init__(self) -> None:
        self.trap_exit = False
        self.name: str | None = None
        self.label: str | None = None
        # A dict and not a set: the signals of a death go out in the order of linking.
        self.links: dict[Process, None] | None = None
        self.watchers: dict[Reference, Watcher] | None = None
        self.monitoring: dict[Reference, Process] | None = None
        self.mailbox: deque[Any] | None = None
        self.waiter: Future[bool] | None = None
        self.registrations: list[tuple[Any, Any]] | None = None
