"""MasterControl: the control socket of a master, which asks all of its workers."""

import asyncio
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from plugpy._version import __version__
from plugpy.server.control.commands import checked
from plugpy.server.control.errors import ControlError
from plugpy.server.control.gathering import WorkerLink
from plugpy.server.control.lines import LONGEST_REQUEST, Peer, decode, encode
from plugpy.server.control.place import open_control
from plugpy.server.control.thread import CLIENTS, IDLE
from plugpy.server.control.views import cut, resident

if TYPE_CHECKING:
    from plugpy.server.master import Master
    from plugpy.server.worker_process import WorkerProcess

logger = logging.getLogger("plugpy.control")

KEPT: Final = ("set-max-connections", "set-acceptors", "suspend", "resume")
"""Changes that workers which are started later get too."""

WRITE_PATIENCE: Final = 5.0
"""Seconds that a client may take to read an answer."""

AGAIN: Final = 1.0
"""Seconds until a worker that did not take a change is told again."""


class MasterControl:
    """Between start and stop; `attach` is told of each worker that has become ready."""

    def __init__(self, master: "Master") -> None:
        self._master = master
        self._place = open_control(master.settings)
        self._links: dict[WorkerProcess, WorkerLink] = {}
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[Any]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._started = time.monotonic()
        self._attached = 0
        # What was changed, by command and listener: for workers to come.
        self._kept: dict[tuple[str, Any], tuple[str, dict[str, Any], str]] = {}

    async def start(self) -> None:
        """Listen."""
        if self._place is not None:
            self._server = await asyncio.start_unix_server(
                self._serve, sock=self._place.sock, limit=LONGEST_REQUEST
            )

    async def stop(self) -> None:
        """Listen no more, and end what is being answered."""
        if self._server is not None:
            self._server.close()
        for task in [*self._clients, *self._tasks]:
            task.cancel()
        await asyncio.gather(*self._clients, *self._tasks, return_exceptions=True)
        for link in self._links.values():
            link.close()
        if self._place is not None:
            self._place.close()

    def attach(self, worker: "WorkerProcess") -> None:
        """A worker is ready: give it a socket for its control thread."""
        if self._place is None or worker in self._links:
            return
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        # In the order of their starts: a successor is another than the one before, which drains.
        self._attached += 1
        name = str(self._attached)
        try:
            sent = worker.send({"control": name}, [theirs.fileno()])
        finally:
            theirs.close()
        if not sent:
            ours.close()
            return
        self._spawn(self._link(worker, name, ours))

    async def _link(self, worker: "WorkerProcess", name: str, sock: socket.socket) -> None:
        link = await WorkerLink.open(name, sock)
        if worker.returncode is not None:
            link.close()
            return
        self._links[worker] = link
        for key in list(self._kept):
            self._spawn(self._tell(link, key))

    def detach(self, worker: "WorkerProcess") -> None:
        """A worker has ended."""
        link = self._links.pop(worker, None)
        if link is not None:
            link.close()

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, link: WorkerLink, key: tuple[str, Any]) -> None:
        """Tell a worker of a change, until it has taken it, or another has come instead."""
        change = self._kept.get(key)
        while change is not None and self._kept.get(key) is change and link in self._all_links():
            command, arguments, who = change
            try:
                await link.ask(command, arguments, who)
            except ControlError as error:
                if error.code not in ("failed", "blocked"):
                    logger.error("worker %s refused %s: %s", link.name, command, error)
                    return
                await asyncio.sleep(AGAIN)
            else:
                return

    def _all_links(self) -> list[WorkerLink]:
        return list(self._links.values())

    # Clients.

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            peer = Peer(writer.get_extra_info("socket"))
            if not peer.may_ask(os.getuid()) or len(self._clients) > CLIENTS:
                return
            who = f"uid {peer.uid} (pid {peer.pid})"
            while True:
                async with asyncio.timeout(IDLE):
                    line = await reader.readuntil(b"\n")
                writer.write(encode(await self._respond(line, who)))
                async with asyncio.timeout(WRITE_PATIENCE):
                    await writer.drain()
        except (
            OSError,
            TimeoutError,
            ValueError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            asyncio.CancelledError,
        ):
            pass  # it has left, is too slow or too long, or we end
        finally:
            self._clients.discard(task)
            writer.close()

    async def _respond(self, line: bytes, who: str) -> dict[str, Any]:
        number: Any = None
        try:
            number, name, arguments = decode(line)
            command, values = checked(name, arguments)
            if command.changing:
                shown = " ".join(f"{k}={v}" for k, v in values.items() if v is not None)
                logger.info("%s: %s %s", who, command.name, shown)
            return {"id": number, "ok": await self._carry_out(command.name, values, who)}
        except ControlError as error:
            return {"id": number, **error.as_answer()}
        except Exception as error:
            logger.exception("a control command failed")
            failure = ControlError("failed", f"{type(error).__name__}: {error}")
            return {"id": number, **failure.as_answer()}

    # Commands.

    async def _carry_out(self, name: str, values: dict[str, Any], who: str) -> Any:
        master = self._master
        match name:
            case "roll":
                master.roll()
                return {"workers": len(master.slots)}
            case "add-worker":
                master.add_worker(f"control, {who}")
                return {"workers": len(master.slots)}
            case "remove-worker":
                if len(master.slots) == 1:
                    raise ControlError("refused", "the last worker stays; drain ends the server")
                master.remove_worker(f"control, {who}")
                return {"workers": len(master.slots)}
            case "drain" if values["connection"] is None and values["peer"] is None:
                master.drain(f"control, {who}")
                return {"draining": sum(worker.connections for worker in master.workers())}
            case "settings":
                from plugpy.server.control.views import settings_rows

                return settings_rows(master)  # type: ignore[arg-type]
        for key in ("process", "connection"):
            if values.get(key) is not None:
                return await self._link_of(values[key]).ask(name, values, who)
        answers, errors = await self._ask_all(name, values, who)
        return await self._merge(name, values, who, answers, errors)

    def _link_of(self, pid: str) -> WorkerLink:
        worker, dot, _ = pid.rpartition(".")
        for link in self._links.values():
            if dot and link.name == worker:
                return link
        names = ", ".join(link.name for link in self._links.values()) or "none"
        raise ControlError(
            "not_found",
            f"pids begin with the number of their worker, as in 1.17: got {pid!r}, "
            f"and there are the workers {names}",
        )

    async def _ask_all(
        self, name: str, values: dict[str, Any], who: str
    ) -> tuple[dict[str, Any], dict[str, ControlError]]:
        links = list(self._links.values())
        results = await asyncio.gather(
            *(link.ask(name, values, who) for link in links), return_exceptions=True
        )
        answers: dict[str, Any] = {}
        errors: dict[str, ControlError] = {}
        for link, result in zip(links, results, strict=True):
            if isinstance(result, ControlError):
                errors[link.name] = result
            elif isinstance(result, BaseException):
                raise result
            else:
                answers[link.name] = result
        return answers, errors

    async def _merge(
        self,
        name: str,
        values: dict[str, Any],
        who: str,
        answers: dict[str, Any],
        errors: dict[str, ControlError],
    ) -> Any:
        told = {worker: str(error) for worker, error in errors.items()}
        match name:
            case "status":
                return self._status(answers, told)
            case "workers":
                return self._workers(answers)
            case "listeners":
                return merge_listeners(answers)
            case "connections":
                rows = [row for answer in answers.values() for row in answer["connections"]]
                merged = cut(rows, sum(one["total"] for one in answers.values()), values)
                merged["matching"] = sum(one["matching"] for one in answers.values())
                merged["partial"] = bool(told) or merged["matching"] > len(merged["connections"])
                return {**merged, "errors": told}
            case "tree":
                return self._tree(answers, told)
            case "stacks":
                merged = {
                    worker: one for answer in answers.values() for worker, one in answer.items()
                }
                return {**merged, **told}
            case "stalls":
                return [stall for answer in answers.values() for stall in answer]
        refused = [error for error in errors.values() if error.code not in ("failed", "blocked")]
        if refused and not answers:
            raise refused[0]
        if name in KEPT:
            key = self._keep(name, values, who)
            for link in self._all_links():
                if link.name in errors:
                    self._spawn(self._tell(link, key))
        return {
            "workers": {**answers, **{worker: {"error": text} for worker, text in told.items()}}
        }

    def _keep(self, name: str, values: dict[str, Any], who: str) -> tuple[str, Any]:
        """Remember a change for those who have not got it; returns the key that it has."""
        group = "accepting" if name in ("suspend", "resume") else name
        key = (group, values.get("listener"))
        if values.get("listener") is None:
            # What was said of single listeners before is overruled.
            for old in [old for old in self._kept if old[0] == group]:
                del self._kept[old]
        self._kept[key] = (name, values, who)
        return key

    def _status(self, answers: dict[str, Any], told: dict[str, str]) -> dict[str, Any]:
        master = self._master
        blocked = {worker: one["loop"] for worker, one in answers.items() if one["loop"] != "turns"}
        return {
            "version": __version__,
            "application": master.settings.app,
            "pid": os.getpid(),
            "seconds": round(time.monotonic() - self._started, 1),
            "urls": next((one["urls"] for one in answers.values()), []),
            "workers": len(master.slots),
            "connections": sum(one["connections"] for one in answers.values()),
            "requests": sum(one["requests"] for one in answers.values()),
            "stalls": sum(one["stalls"] for one in answers.values()),
            "loop": "turns"
            if not blocked and not told
            else "; ".join(
                f"worker {worker} {text}" for worker, text in {**blocked, **told}.items()
            ),
        }

    def _workers(self, answers: dict[str, Any]) -> list[dict[str, Any]]:
        rows = []
        now = time.monotonic()
        for worker in self._master.workers():
            link = self._links.get(worker)
            name = link.name if link is not None else "-"
            answer = answers.get(name, [{}])[0]
            rows.append(
                {
                    "worker": name,
                    "os_pid": worker.os_pid,
                    "state": "stuck" if worker.stuck else worker.state,
                    "seconds": round(now - worker.started, 1),
                    "connections": answer.get("connections", worker.connections),
                    "requests": answer.get("requests"),
                    "rss": resident(worker.os_pid),
                    "loop": answer.get("loop", "does not answer"),
                }
            )
        return rows

    def _tree(self, answers: dict[str, Any], told: dict[str, str]) -> dict[str, Any]:
        master = self._master
        rows: list[dict[str, Any]] = [
            {
                "pid": "0.0",
                "parent": None,
                "kind": "Master",
                "label": master.label,
                "state": "running",
                "children": len(master.workers()),
            }
        ]
        names = {link.name: worker for worker, link in self._links.items()}
        for name, worker in names.items():
            rows.append(
                {
                    "pid": f"0.{worker._serial}",
                    "parent": "0.0",
                    "kind": "WorkerProcess",
                    "label": worker.label,
                    "state": worker.state,
                    "children": 1,
                }
            )
            theirs = answers.get(name, {"processes": []})["processes"]
            if theirs:
                theirs[0]["parent"] = f"0.{worker._serial}"
            rows += theirs
        partial = bool(told) or any(answer["partial"] for answer in answers.values())
        return {"partial": partial, "errors": told, "processes": rows}


def merge_listeners(answers: dict[str, Any]) -> list[dict[str, Any]]:
    """One row for each listener: counts added up, limits as they are in each worker."""
    merged: dict[str, dict[str, Any]] = {}
    for rows in answers.values():
        for row in rows:
            into = merged.get(row["listener"])
            if into is None:
                merged[row["listener"]] = {**row, "workers": 1}
                continue
            into["workers"] += 1
            for key in ("active", "connections", "accepted", "terminated"):
                into[key] += row[key]
            for key in ("status", "max_connections", "acceptors"):
                if into[key] != row[key]:
                    into[key] = "mixed"
    return list(merged.values())
