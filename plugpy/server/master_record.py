"""MasterRecord: the master as the processes of a worker see it, under the name `plugpy.master`.

It can be linked and monitored like any process. When the master's operating-system process is gone
links and monitors get `noconnection`, which is what OTP tells of processes on a node that died. It
can't be ended from here: exit signals to it are ignored.
"""

from typing import Any, Final

from acceptors.otp import NOCONNECTION, Process, register

NAME: Final = "plugpy.master"


class MasterRecord(Process):
    """Made by the worker once its event loop runs."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        register(NAME, self)

    def lost(self) -> None:
        """The channel to the master has ended."""
        self._exited(NOCONNECTION)

    def _receive_exit(self, kind: int, source: Process, reason: Any) -> None:
        pass

    def _message(self, message: Any) -> None:
        pass  # nobody reads: a mailbox would only grow
