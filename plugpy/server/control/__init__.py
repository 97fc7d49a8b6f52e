"""The control socket: who runs a server asks it what it does, and changes it while it serves.

Lives here: the table of commands, the protocol (a line of JSON for each request and each answer),
where the socket is, the thread that answers in each serving process, the part of the master that
asks all workers, and the client that `plugpy ctl` is made of.

    plugpy ctl  --unix socket, 0600-->  thread of the server (one process)
    plugpy ctl  --unix socket, 0600-->  master  --socket pairs-->  thread of each worker

A thread answers, so that an event loop which is blocked can be looked at too.
"""

from plugpy.server.control.client import ControlClient
from plugpy.server.control.commands import COMMANDS, Command, Parameter
from plugpy.server.control.errors import ControlError, NoServerError

__all__ = ["COMMANDS", "Command", "ControlClient", "ControlError", "NoServerError", "Parameter"]
