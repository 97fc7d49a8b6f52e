"""What systemd wants to hear of a service: sd_notify(3) and the watchdog of sd_watchdog_enabled(3).

A datagram of `NAME=value` lines to the unix socket in NOTIFY_SOCKET. Without that variable nothing
is sent and nothing costs anything.

| line | when |
|---|---|
| READY=1, MAINPID | it accepts connections, or has finished a reload |
| STATUS | a line for `systemctl status`, with each of these |
| RELOADING=1, MONOTONIC_USEC | SIGHUP came, for `Type=notify-reload` |
| STOPPING=1 | the drain begins |
| EXTEND_TIMEOUT_USEC | once a second while it drains: TimeoutStopSec must not cut it short |
| WATCHDOG=1 | twice in WATCHDOG_USEC, from the event loop, while it turns |
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final, Self

EXTENSION: Final = 10.0
"""Seconds that are asked for with each EXTEND_TIMEOUT_USEC."""


class Notifier:
    """Tells systemd. Never raises: a service must not fall because nobody listens.

    watchdog: seconds in which systemd wants a sign of life, None when it wants none.
    """

    __slots__ = ("_address", "_timer", "watchdog")

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        self._address = address
        self._timer: asyncio.TimerHandle | None = None
        self.watchdog = watchdog if address is not None else None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """What NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID say."""
        environment = os.environ if environment is None else environment
        address = environment.get("NOTIFY_SOCKET")
        if not address or address[0] not in "/@":
            return cls()
        usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        watched = usec.isascii() and usec.isdigit() and int(usec) > 0
        # A variable without WATCHDOG_PID is meant for whoever reads it (sd_watchdog_enabled(3)).
        if watched and (not pid or pid == str(os.getpid())):
            return cls(address, int(usec) / 1e6)
        return cls(address)

    @property
    def on(self) -> bool:
        """Whether systemd listens."""
        return self._address is not None

    def notify(self, **fields: str | int) -> bool:
        """Send these fields; False when nobody took them."""
        if self._address is None:
            return False
        # An @ stands for the zero byte of the abstract namespace.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        lines = "\n".join(f"{name}={value}" for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | _CLOEXEC) as sock:
                # systemd that does not read must not hold the event loop up.
                sock.setblocking(False)
                sock.connect(address)
                return sock.send(lines.encode()) > 0
        except OSError:
            return False

    def ready(self, status: str) -> None:
        """It serves (again)."""
        self.notify(READY=1, MAINPID=os.getpid(), STATUS=_line(status))

    def status(self, status: str) -> None:
        """A line for `systemctl status`."""
        self.notify(STATUS=_line(status))

    def reloading(self, status: str) -> None:
        """A reload begins; `ready` ends it."""
        usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.notify(RELOADING=1, MONOTONIC_USEC=usec, STATUS=_line(status))

    def stopping(self, status: str) -> None:
        """The drain begins, or goes on: asks for more time."""
        usec = int(EXTENSION * 1e6)
        self.notify(STOPPING=1, EXTEND_TIMEOUT_USEC=usec, STATUS=_line(status))

    def watch(self, loop: asyncio.AbstractEventLoop, alive: Callable[[], bool]) -> None:
        """Send signs of life from `loop` while `alive()`, until `close`."""
        if self.watchdog is None:
            return
        if alive():
            self.notify(WATCHDOG=1)
        self._timer = loop.call_later(self.watchdog / 2, self.watch, loop, alive)

    def close(self) -> None:
        """No more signs of life."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_CLOEXEC: Final = getattr(socket, "SOCK_CLOEXEC", 0)


def _line(text: str) -> str:
    return " ".join(text.split())
