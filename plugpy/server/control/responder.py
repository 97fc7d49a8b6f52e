"""Responder: answers for one serving process.

`answer` runs in the thread of the control socket. What only looks is answered there; what changes
something is handed to the event loop, and answered when that has done it.
"""

import asyncio
import concurrent.futures
import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from plugpy.server.control import views
from plugpy.server.control.actions import change
from plugpy.server.control.commands import checked
from plugpy.server.control.errors import ControlError

if TYPE_CHECKING:
    from plugpy.server.server import Server

logger = logging.getLogger("plugpy.control")

PATIENCE: Final = 2.0
"""Seconds that the event loop has to take a command and carry it out."""

LOOK: Final = 0.2
"""Seconds that it has to answer "are you there?"."""


class Responder:
    """Made in the event loop of `server`. worker: its number in pids; 1 in a single process.
    logs: whether it logs changes; the master of a worker has done so."""

    def __init__(self, server: "Server", worker: str = "1", *, logs: bool = True) -> None:
        self._server = server
        self._worker = worker
        self._level = logging.INFO if logs else logging.DEBUG
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._started = time.monotonic()

    def answer(self, name: Any, arguments: Any, who: str) -> dict[str, Any]:
        """`{"ok": ...}` or `{"error": ...}`. who: for the log of changes."""
        try:
            command, values = checked(name, arguments)
            for key in ("process", "connection"):
                if values.get(key) is not None:
                    values[key] = self._own_number(values[key])
            if command.changing:
                logger.log(self._level, "%s: %s %s", who, command.name, _shown(values))
                return {"ok": self._change(command.name, values)}
            return {"ok": self._look(command.name, values)}
        except ControlError as error:
            return error.as_answer()
        except Exception as error:
            logger.exception("the control command %r failed", name)
            return ControlError("failed", f"{type(error).__name__}: {error}").as_answer()

    def _own_number(self, pid: str) -> str:
        """`1.17` and `<0.17>` are the process 17 of this worker."""
        worker, dot, number = pid.strip("<>").rpartition(".")
        if not number.isdigit() or (dot and worker not in (self._worker, "0")):
            raise ControlError("not_found", f"there is no process {pid}")
        return number

    def _look(self, name: str, values: dict[str, Any]) -> Any:
        server = self._server
        match name:
            case "status":
                return {**views.status_of(server, self._started), "loop": self._loop_state()}
            case "workers":
                return [self._as_worker()]
            case "listeners":
                return views.listener_rows(server)
            case "connections":
                found = views.connection_rows(server, values)
                for row in found["connections"]:
                    row["pid"] = f"{self._worker}.{row['pid']}"
                return found
            case "tree":
                found = views.tree_rows(server, values)
                for row in found["processes"]:
                    row["pid"] = f"{self._worker}.{row['pid']}"
                    row["parent"] = f"{self._worker}.{row['parent']}"
                return found
            case "process":
                serial = values["process"]
                return {**views.process_facts(int(serial)), "pid": f"{self._worker}.{serial}"}
            case "stacks":
                return {self._worker: views.thread_stacks()}
            case "stalls":
                stalls = server.watchdog.stalls if server.watchdog is not None else ()
                return [{"worker": self._worker, **stall} for stall in list(stalls)]
            case "settings":
                return views.settings_rows(server)
        raise ControlError("usage", f"there is no command {name!r}")

    def _as_worker(self) -> dict[str, Any]:
        status = views.status_of(self._server, self._started)
        return {
            "worker": self._worker,
            "os_pid": status["pid"],
            "state": "ready",
            "seconds": status["seconds"],
            "connections": status["connections"],
            "requests": status["requests"],
            "rss": views.resident(status["pid"]),
            "loop": self._loop_state(),
        }

    def _loop_state(self) -> str:
        """ "turns", or what it is stuck in."""
        turned = threading.Event()
        try:
            self._loop.call_soon_threadsafe(turned.set)
        except RuntimeError:
            return "closed"
        return "turns" if turned.wait(LOOK) else f"blocked: {self._where()}"

    def _where(self) -> str:
        stack = self._stack()
        return stack[-1].splitlines()[0].strip() if stack else "unknown"

    def _stack(self) -> list[str]:
        frame = sys._current_frames().get(self._loop_thread)
        return [] if frame is None else views.format_stack(frame)

    def _change(self, name: str, values: dict[str, Any]) -> Any:
        change = _Change(self._server, name, values)
        doing = asyncio.run_coroutine_threadsafe(change.carry_out(), self._loop)
        try:
            return doing.result(PATIENCE)
        except concurrent.futures.TimeoutError:
            stack = "\n".join(self._stack())
            what = "is not carried out" if change.give_up() else "has begun, and goes on"
            raise ControlError(
                "blocked",
                f"the event loop did not do it in {PATIENCE:g} s; it {what}. The loop is here:\n"
                f"{stack}",
            ) from None


class _Change:
    """A change that is begun before its time is over, or never."""

    def __init__(self, server: "Server", name: str, values: dict[str, Any]) -> None:
        self._server = server
        self._name = name
        self._values = values
        self._lock = threading.Lock()
        self._begun = self._given_up = False

    async def carry_out(self) -> Any:
        """In the event loop."""
        with self._lock:
            if self._given_up:
                return None
            self._begun = True
        return await change(self._server, self._name, self._values)

    def give_up(self) -> bool:
        """In the thread: False where it has begun already."""
        with self._lock:
            self._given_up = not self._begun
            return self._given_up


def _shown(values: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items() if value is not None)
