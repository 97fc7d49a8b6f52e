"""OTP on asyncio: processes, exit signals, links, monitors, supervisors, servers, registries.

Usable in any program; the listeners, acceptors and connections of this project are made of it.
All public names are here, flat; the modules are one noun each. What is true of which signal is a
table in docs/reference/otp.md, and each of its rows is a test of the same id.

A process belongs to the event loop (and thread) that it was made in. From another thread only
`processes()`, `zombies()` and `snapshot()` may be used; for the rest go through
`loop.call_soon_threadsafe`.
"""

from acceptors.otp import callers, system, testing
from acceptors.otp.agent import Agent
from acceptors.otp.calls import From, call, cast, reply, stop
from acceptors.otp.child_spec import (
    IGNORE,
    ChildSpec,
    ChildSpecError,
    Restart,
    Shutdown,
    check_childspecs,
    child_spec,
    worker,
)
from acceptors.otp.clock import Clock, LoopClock, VirtualClock, current_clock, use_clock
from acceptors.otp.dynamic_supervisor import DynamicSupervisor
from acceptors.otp.errors import (
    BadArgumentError,
    CallError,
    CallTimeoutError,
    Exit,
    NoProcessError,
    StartError,
)
from acceptors.otp.gen_server import GenServer
from acceptors.otp.kill import EXIT_GRACE, zombies
from acceptors.otp.mailbox import ANY, matches
from acceptors.otp.names import Destination, Via, register, registered, unregister, via, whereis
from acceptors.otp.outcomes import NoReply, Reply, Stop
from acceptors.otp.partition_supervisor import PartitionSupervisor
from acceptors.otp.periodic import every
from acceptors.otp.pid import Alias, Pid, Reference
from acceptors.otp.primitives import (
    Timer,
    alias,
    cancel_timer,
    demonitor,
    exit,  # noqa: A004  OTP's name for it
    flag,
    is_alive,
    link,
    monitor,
    process_info,
    receive,
    send,
    send_after,
    set_label,
    unalias,
    unlink,
)
from acceptors.otp.process import ParentProcess, Process, processes, root
from acceptors.otp.reasons import (
    KILL,
    KILLED,
    NOCONNECTION,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Reason,
    format_reason,
    is_orderly,
)
from acceptors.otp.registry import AlreadyRegisteredError, Registry
from acceptors.otp.server_process import ServerProcess
from acceptors.otp.stacks import stack_of
from acceptors.otp.supervision import ChildError
from acceptors.otp.supervisor import Supervisor
from acceptors.otp.task_process import (
    TaskProcess,
    current,
    self,
    spawn,
    spawn_link,
    spawn_monitor,
)
from acceptors.otp.task_supervisor import AsyncTask, TaskSupervisor

__all__ = [
    "ANY",
    "EXIT_GRACE",
    "IGNORE",
    "KILL",
    "KILLED",
    "NOCONNECTION",
    "NOPROC",
    "NORMAL",
    "SHUTDOWN",
    "Agent",
    "Alias",
    "AlreadyRegisteredError",
    "AsyncTask",
    "BadArgumentError",
    "CallError",
    "CallTimeoutError",
    "ChildError",
    "ChildSpec",
    "ChildSpecError",
    "Clock",
    "Destination",
    "DynamicSupervisor",
    "Exit",
    "From",
    "GenServer",
    "LoopClock",
    "NoProcessError",
    "NoReply",
    "ParentProcess",
    "PartitionSupervisor",
    "Pid",
    "Process",
    "Reason",
    "Reference",
    "Registry",
    "Reply",
    "Restart",
    "ServerProcess",
    "Shutdown",
    "StartError",
    "Stop",
    "Supervisor",
    "TaskProcess",
    "TaskSupervisor",
    "Timer",
    "Via",
    "VirtualClock",
    "alias",
    "call",
    "callers",
    "cancel_timer",
    "cast",
    "check_childspecs",
    "child_spec",
    "current",
    "current_clock",
    "demonitor",
    "every",
    "exit",
    "flag",
    "format_reason",
    "is_alive",
    "is_orderly",
    "link",
    "matches",
    "monitor",
    "process_info",
    "processes",
    "receive",
    "register",
    "registered",
    "reply",
    "root",
    "self",
    "send",
    "send_after",
    "set_label",
    "spawn",
    "spawn_link",
    "spawn_monitor",
    "stack_of",
    "stop",
    "system",
    "testing",
    "unalias",
    "unlink",
    "unregister",
    "use_clock",
    "via",
    "whereis",
    "worker",
    "zombies",
]
