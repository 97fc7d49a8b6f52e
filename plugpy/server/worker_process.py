"""WorkerProcess: a worker in the master's tree. An exit signal to it drains the operating-system
process, a kill kills it, and its end is the end of this record.

| the operating-system process | exit reason of the record |
|---|---|
| was asked to drain by an exit signal, and ended | that signal's: `shutdown` |
| was killed by an exit signal `kill` | `killed`, at once |
| exited with 0 by itself | `normal` |
| exited with another code by itself | `("exit_status", code)` |
| was ended by a signal of somebody else, or crashed in C | `noconnection`: it could not say why |
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple

from acceptors.otp import NOCONNECTION, NORMAL, ParentProcess, Process, Reason
from plugpy.server.channel import Channel, Message, send_message

State = Literal["starting", "ready", "draining", "exited"]

STACK_SIGNAL: Final = signal.SIGUSR1
"""A worker that gets it writes the stacks of its threads to the file that the master gave it."""

_STACKS_READ: Final = 200_000
"""Bytes of stacks that are read at most."""


class Failure(NamedTuple):
    """Why a worker could not start, in words, and the exit code that it is worth."""

    text: str
    exit_code: int


class WorkerProcess(Process):
    """Starts `python -m plugpy.server.worker` and follows it.

    slot: which of the master's places it fills. state: see State. was_ready: it has served.
    settled: True once it is ready, False when it ended before. failure: why it could not start, or
    None. returncode: as in subprocess, None while it runs. started, beaten: time.monotonic() of its
    start and of the last sign that its event loop turns; turned: there was one; stuck: the last was
    too long ago.
    connections, requests, rss: what it told of last; None where it does not count. over: the limit
    that it has reached, in words, or None. `changed` is called after each change of state,
    `on_message(worker, message, descriptors)` for lines of the channel that are not known here.
    """

    __slots__ = (
        "_changed",
        "_channel",
        "_popen",
        "_stacks",
        "beaten",
        "connections",
        "failure",
        "on_message",
        "over",
        "requests",
        "restarting",
        "returncode",
        "rss",
        "settled",
        "slot",
        "started",
        "state",
        "stuck",
        "turned",
        "was_ready",
    )

    def __init__(
        self,
        parent: ParentProcess,
        slot: int,
        settings: dict[str, Any],
        sockets: Sequence[socket.socket],
        changed: Callable[["WorkerProcess"], None],
        start: int = 1,
    ) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        reload = bool(settings["values"]["reload"])
        # A file and not a pipe: nothing that the worker does in its distress may have to wait.
        self._stacks = tempfile.TemporaryFile()  # noqa: SIM115  closed in `poll`
        passed = (theirs.fileno(), self._stacks.fileno())
        try:
            # A new interpreter, never a fork: a fork would carry the master's event loop along.
            self._popen = subprocess.Popen(
                [*_interpreter(reload), "-m", "plugpy.server.worker", *map(str, passed)],
                pass_fds=passed,
            )
            first = {"settings": settings, "slot": slot, "start": start}
            send_message(ours, first, [sock.fileno() for sock in sockets])
        except BaseException:
            ours.close()
            self._stacks.close()
            raise
        finally:
            theirs.close()
        super().__init__(parent)
        self.slot = slot
        self.state: State = "starting"
        self.was_ready = False
        self.stuck = False
        self.turned = False
        self.failure: Failure | None = None
        loop = asyncio.get_running_loop()
        self.settled: asyncio.Future[bool] = loop.create_future()
        self.returncode: int | None = None
        self.connections = 0
        self.requests: int | None = None
        self.rss: int | None = None
        self.over: str | None = None
        self.on_message: Callable[[WorkerProcess, Message, list[int]], None] | None = None
        # Whether another worker serves on when this one stops.
        self.restarting = False
        self.started = self.beaten = time.monotonic()
        self._changed = changed
        self._channel = Channel(ours, loop, self._on_channel_message, self._on_channel_close)

    @property
    def label(self) -> str | None:
        """What an observer shows: `worker 2 (os pid 4711, ready)`."""
        return f"worker {self.slot + 1} (os pid {self._popen.pid}, {self.state})"

    @label.setter
    def label(self, label: str | None) -> None:
        raise AttributeError("the label of a worker is computed")

    @property
    def os_pid(self) -> int:
        """The process id that the operating system knows it by."""
        return self._popen.pid

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> bool:
        """Send it a line; False when it is gone or does not read."""
        return self._channel.send(message, descriptors)

    def adopt(self, sockets: Sequence[socket.socket]) -> bool:
        """Have it accept from `sockets` as well."""
        return self.send({"adopt": True}, [sock.fileno() for sock in sockets])

    def drain(self) -> None:
        """It stops accepting, finishes what is in flight, and exits; harmless when it does."""
        if self.state == "ready":
            # By the channel, since a second SIGTERM would have it stop at once, and it may have had
            # one: systemd's `KillMode=control-group` sends one to every process of a service.
            self._to("draining")
            self.send({"drain": True, "restarting": self.restarting})
        elif self.state == "starting":
            self._to("draining")
            self._send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._send_signal(signal.SIGKILL)

    def write_stacks(self) -> None:
        """Have it write the stacks of its threads, also when it is stuck; `stacks` reads them."""
        os.ftruncate(self._stacks.fileno(), 0)
        os.lseek(self._stacks.fileno(), 0, os.SEEK_SET)
        self._send_signal(STACK_SIGNAL)

    def stacks(self) -> str:
        """What it has written since."""
        written = os.pread(self._stacks.fileno(), _STACKS_READ, 0)
        return written.decode(errors="replace").strip() or "(it wrote no stack)"

    def poll(self) -> None:
        """See whether the operating-system process has ended; called when SIGCHLD came."""
        if self.returncode is None and (code := self._popen.poll()) is not None:
            # What it said last is still in the channel: why it could not start, above all.
            self._channel.read_rest()
            self.returncode = code
            self._channel.close()
            self._stacks.close()
            self._to("exited")
            self._exited(exit_reason(code))

    def snapshot(self) -> dict[str, Any]:
        """What an observer shows of it."""
        return {
            **super().snapshot(),
            "slot": self.slot,
            "os_pid": self.os_pid,
            "state": self.state,
            "connections": self.connections,
            "requests": self.requests,
            "rss": self.rss,
        }

    def _send_signal(self, number: signal.Signals) -> None:
        # Popen never signals a pid that it has reaped, which another process may have by now.
        self._popen.send_signal(number)

    def _to(self, state: State) -> None:
        if self.state == state:
            return
        self.state = state
        self.was_ready = self.was_ready or state == "ready"
        self._settle(state == "ready")
        self._changed(self)

    def _settle(self, ready: bool) -> None:
        if not self.settled.done():
            self.settled.set_result(ready)

    def _on_channel_message(self, message: Message, descriptors: list[int]) -> None:
        self.beaten = time.monotonic()
        self.turned = True
        if "beat" in message:
            self.connections = message["beat"]
            self.requests, self.rss = message.get("requests"), message.get("rss")
            self.over = message.get("over")
            if self.over is not None:
                self._changed(self)
        elif "ready" in message:
            if self.state == "starting":
                self._to("ready")
        elif "failed" in message:
            self.failure = Failure(message["failed"], message["exit_code"])
        elif "draining" in message:
            self.connections = message["draining"]
            self._to("draining")
        elif self.on_message is not None:
            self.on_message(self, message, descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)

    def _on_channel_close(self) -> None:
        pass  # its end is learnt from SIGCHLD, with its exit code

    # Exit signals of the tree.

    def _signalled(self, reason: Reason) -> None:
        self.drain()

    def _killed(self) -> None:
        # The record is over; the operating-system process is reaped when SIGCHLD comes.
        self.kill()

    def _exited(self, reason: Reason = NORMAL) -> None:
        super()._exited(reason)
        self._settle(False)


def exit_reason(returncode: int) -> Reason:
    """The exit reason of a process that ended by itself with `returncode` (as in subprocess)."""
    if returncode == 0:
        return NORMAL
    # As OTP tells of a process on a node that died (M10): it had no time to give a reason.
    return NOCONNECTION if returncode < 0 else ("exit_status", returncode)


def describe_exit(returncode: int) -> str:
    """`exited with code 1`, `was ended by SIGSEGV`."""
    if returncode >= 0:
        return f"exited with code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    hint = " (out of memory?)" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"


def _interpreter(reload: bool) -> list[str]:
    """This interpreter with the flags that it was started with (`-X dev`, `-W error`).

    reload: write no bytecode. Python takes a cached file for current by the second of the source's
    change and by its size, so the second of two quick edits would go unnoticed.
    """
    flags: list[str] = []
    arguments = iter(sys.orig_argv[1:])
    for argument in arguments:
        if not argument.startswith("-") or argument in ("-m", "-c", "-"):
            break
        flags.append(argument)
        if argument in ("-X", "-W"):
            flags.append(next(arguments, ""))
    return [sys.executable, *(["-B"] if reload else []), *flags]
