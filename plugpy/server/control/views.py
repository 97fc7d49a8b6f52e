"""What one serving process tells of itself: plain facts, bounded, without secrets.

These run in the thread of the control socket while the event loop goes on, or is blocked: they copy
what they walk through, and leave out what vanishes meanwhile. Nothing of a request but its method
and path is ever shown.
"""

import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import acceptors
from acceptors.acceptor_pool import AcceptorPool
from acceptors.otp import ParentProcess, Process, processes, stack_of
from plugpy._version import __version__
from plugpy.server.control.errors import ControlError

if TYPE_CHECKING:
    from plugpy.server.server import Server

NODE: Final = ("pid", "parent", "kind", "name", "label", "state", "message_queue_length", "links")

FEW: Final = 10
"""Acceptors of a listener that the tree shows one by one."""


def status_of(server: "Server", started: float) -> dict[str, Any]:
    """What it is. started: time.monotonic() of its start."""
    return {
        "version": __version__,
        "application": server.name,
        "pid": os.getpid(),
        "python": sys.version.split()[0],
        "seconds": round(time.monotonic() - started, 1),
        "urls": server.urls,
        "connections": server.connections,
        "requests": server.requests,
        "stalls": len(server.watchdog.stalls) if server.watchdog is not None else 0,
    }


def listeners_of(server: "Server", only: str | None = None) -> list[acceptors.Listener]:
    """Its listeners. Raises ControlError (not_found)."""
    found = [
        process
        for process in list(server.supervisor.children.values())
        if isinstance(process, acceptors.Listener) and only in (None, str(process.ref))
    ]
    if not found and only is not None:
        raise ControlError("not_found", f"there is no listener {only!r}")
    return found


def listener_rows(server: "Server") -> list[dict[str, Any]]:
    """A row for each listener."""
    urls = {listener.ref: listener.url for listener in server.listeners}
    rows = []
    for listener in listeners_of(server):
        row = {
            "listener": str(listener.ref),
            "url": urls.get(listener.ref, ""),
            "status": listener.status,
            "max_connections": listener.options.max_connections,
            "acceptors": 0,
            "active": 0,
            "connections": 0,
            "accepted": 0,
            "terminated": 0,
        }
        with contextlib.suppress(acceptors.NoListenerError):
            connections = listener.connections
            row.update(
                active=connections.active,
                connections=len(connections.children),
                accepted=connections.accepted,
                terminated=connections.terminated,
            )
        pool = listener.acceptors
        if pool is not None:
            row["acceptors"] = len(pool.children)
        rows.append(row)
    return rows


def connections_of(server: "Server") -> list[acceptors.Connection]:
    """All connections."""
    found: list[acceptors.Connection] = []
    for listener in listeners_of(server):
        with contextlib.suppress(acceptors.NoListenerError):
            children = list(listener.connections.children.values())
            found += [child for child in children if isinstance(child, acceptors.Connection)]
    return found


def connection_rows(server: "Server", wanted: dict[str, Any]) -> dict[str, Any]:
    """Rows of connections that are wanted, and how many there are."""
    rows = []
    everything = connections_of(server)
    loop_time = time.monotonic()
    for connection in everything:
        # A quick look before the dear one: bytes are asked of the kernel.
        if wanted["state"] not in (None, getattr(connection, "activity", None)):
            continue
        seconds = max(0.0, loop_time - getattr(connection, "since", loop_time))
        if wanted["min-seconds"] is not None and seconds < wanted["min-seconds"]:
            continue
        with contextlib.suppress(Exception):  # it ends while we look
            row = connection.snapshot()
            peer = row.get("peer") or ""
            if wanted["peer"] not in (None, peer, peer.rpartition(":")[0].strip("[]")):
                continue
            rows.append(
                {
                    "pid": connection._serial,
                    "peer": peer,
                    "protocol": row.get("protocol"),
                    "state": row.get("activity") or row.get("state"),
                    "seconds": round(seconds, 1),
                    "request": row.get("request"),
                    "requests": row.get("requests", 0),
                    "bytes_in": row.get("bytes_in"),
                    "bytes_out": row.get("bytes_out"),
                }
            )
    return cut(rows, len(everything), wanted)


def cut(rows: list[dict[str, Any]], total: int, wanted: dict[str, Any]) -> dict[str, Any]:
    """The first rows in the order that is wanted, and whether some were left out."""
    key = wanted["sort"]
    rows.sort(key=lambda row: row[key] or 0, reverse=True)
    shown = rows[: wanted["limit"]]
    return {
        "total": total,
        "matching": len(rows),
        "partial": len(shown) < len(rows),
        "connections": shown,
    }


def tree_rows(server: "Server", wanted: dict[str, Any]) -> dict[str, Any]:
    """The processes from the top down, parents first; connections, and acceptors where they are
    many, as a number, unless wanted."""
    rows: list[dict[str, Any]] = []
    partial = False
    for process in _top_down(server.supervisor, wanted["connections"]):
        if len(rows) >= wanted["limit"]:
            partial = True
            break
        with contextlib.suppress(Exception):
            snapshot = process.snapshot()
            row = {key: snapshot.get(key) for key in NODE}
            row["pid"], row["parent"] = process._serial, process.parent._serial
            row["children"] = len(getattr(process, "children", ()))
            if snapshot.get("request"):
                row["request"] = snapshot["request"]
            rows.append(row)
    return {"partial": partial, "processes": rows}


def _top_down(top: ParentProcess, with_connections: bool) -> Iterable[Process]:
    yield top
    for process in list(top.children.values()):
        if not with_connections and (
            isinstance(process, acceptors.Connections)
            or (isinstance(process, AcceptorPool) and len(process.children) > FEW)
        ):
            yield process
        elif isinstance(process, ParentProcess):
            yield from _top_down(process, with_connections)
        else:
            yield process


def find_process(serial: int) -> Process:
    """The process with that number. Raises ControlError (not_found)."""
    for process in processes():
        if process._serial == serial:
            return process
    raise ControlError("not_found", f"there is no process {serial}: it has ended, or never was")


def process_facts(serial: int) -> dict[str, Any]:
    """All that may be shown of one process."""
    process = find_process(serial)
    return {
        **process.snapshot(),
        "ancestors": [repr(one) for one in process.ancestors()],
        "stack": stack_of(process),
    }


def thread_stacks() -> dict[str, list[str]]:
    """What each thread of this process is doing: name -> lines, the innermost last."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    own = threading.get_ident()
    return {
        f"{names.get(ident, 'thread')} ({ident})": format_stack(frame)
        for ident, frame in sys._current_frames().items()
        if ident != own
    }


def format_stack(frame: Any) -> list[str]:
    """The lines of a stack, at most 50 frames."""
    return [line.rstrip() for line in traceback.format_stack(frame, limit=50)]


def settings_rows(server: "Server") -> list[dict[str, str]]:
    """Each option with its value as text and its source."""
    from plugpy.server.options import OPTIONS

    settings = server.settings
    return [
        {
            "option": option.key,
            "value": option.text(settings[option.name]),
            "source": settings.source(option.name),
        }
        for option in OPTIONS
    ]


def resident(os_pid: int) -> int | None:
    """Bytes of memory of a process, None where the system does not tell."""
    try:
        with open(f"/proc/{os_pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
