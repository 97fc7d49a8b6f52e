"""WorkerProcess: a worker in the master's tree. An exit signal to it drains the operating-system
process, a kill kills it, and its end is the end of this record."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple

from acceptors.otp import ParentProcess, Process
from plugpy.server.channel import Channel, Message, send_message

State = Literal["starting", "ready", "draining", "exited"]

STACK_SIGNAL: Final = signal.SIGUSR1
"""A worker that gets it writes the stacks of its threads to standard error."""


class Failure(NamedTuple):
    """Why a worker could not start, in words, and the exit code that it is worth."""

    text: str
    exit_code: int


class WorkerProcess(Process):
    """Starts `python -m plugpy.server.worker` and follows it.

    slot: which of the master's places it fills. state: see State; state_before_exit: the one
    before "exited". was_ready: it has served. settled: True once it is ready, False when it ended
    before. failure: why it could not start, or None. returncode: as in subprocess, None while it
    runs. started, beaten: time.monotonic() of its start and of the last sign that its event loop
    turns; stuck: that was too long ago. connections: how many it told of last. `changed` is called
    after each change of state.
    """

    __slots__ = (
        "_changed",
        "_channel",
        "_popen",
        "beaten",
        "connections",
        "failure",
        "returncode",
        "settled",
        "slot",
        "started",
        "state",
        "state_before_exit",
        "stuck",
        "was_ready",
    )

    def __init__(
        self,
        parent: ParentProcess,
        slot: int,
        settings: dict[str, Any],
        sockets: Sequence[socket.socket],
        changed: Callable[["WorkerProcess"], None],
    ) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        reload = bool(settings["values"]["reload"])
        try:
            # A new interpreter, never a fork: a fork would carry the master's event loop along.
            self._popen = subprocess.Popen(
                [*_interpreter(reload), "-m", "plugpy.server.worker", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
            )
            send_message(ours, {"settings": settings, "slot": slot}, [s.fileno() for s in sockets])
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        super().__init__(parent)
        self.slot = slot
        self.state: State = "starting"
        self.state_before_exit: State = "starting"
        self.was_ready = False
        self.stuck = False
        self.failure: Failure | None = None
        loop = asyncio.get_running_loop()
        self.settled: asyncio.Future[bool] = loop.create_future()
        self.returncode: int | None = None
        self.connections = 0
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

    def adopt(self, sockets: Sequence[socket.socket]) -> bool:
        """Have it accept from `sockets` as well."""
        return self._channel.send({"adopt": True}, [sock.fileno() for sock in sockets])

    def drain(self) -> None:
        """SIGTERM: it stops accepting, finishes what is in flight, and exits."""
        if self.state != "exited":
            self._to("draining")
            self._send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._send_signal(signal.SIGKILL)

    def write_stacks(self) -> None:
        """Have it write the stacks of its threads to standard error, also when it is stuck."""
        self._send_signal(STACK_SIGNAL)

    def poll(self) -> None:
        """See whether it has ended; called when SIGCHLD came."""
        if self.returncode is None and (code := self._popen.poll()) is not None:
            # What it said last is still in the channel: why it could not start, above all.
            self._channel.read_rest()
            self.returncode = code
            self._channel.close()
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
        }

    def _send_signal(self, number: signal.Signals) -> None:
        # Popen never signals a pid that it has reaped, which another process may have by now.
        self._popen.send_signal(number)

    def _to(self, state: State) -> None:
        if self.state == state:
            return
        self.state_before_exit, self.state = self.state, state
        self.was_ready = self.was_ready or state == "ready"
        if not self.settled.done():
            self.settled.set_result(state == "ready")
        self._changed(self)

    def _on_channel_message(self, message: Message, descriptors: list[int]) -> None:
        self.beaten = time.monotonic()
        if "ready" in message:
            if self.state == "starting":
                self._to("ready")
        elif "failed" in message:
            self.failure = Failure(message["failed"], message["exit_code"])
        elif "draining" in message:
            self.connections = message["draining"]
            self._to("draining")
        elif "beat" in message:
            self.connections = message["beat"]
        for descriptor in descriptors:
            os.close(descriptor)

    def _on_channel_close(self) -> None:
        pass  # its end is learnt from SIGCHLD, with its exit code

    # Exit signals of the tree.

    def _signalled(self, reason: Any) -> None:
        self.drain()

    def _killed(self) -> None:
        self.kill()


def exit_reason(returncode: int) -> Any:
    """The exit reason of a process that ended with `returncode`: 0 is normal, and so on."""
    if returncode == 0:
        return "normal"
    if returncode == -signal.SIGKILL:
        return "killed"
    return ("exit_status", returncode)


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
