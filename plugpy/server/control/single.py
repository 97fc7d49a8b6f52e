"""The control socket of a server that is one process, and of a worker towards its master."""

import socket
from typing import TYPE_CHECKING

from plugpy.server.control.place import open_control
from plugpy.server.control.responder import Responder
from plugpy.server.control.thread import ControlThread

if TYPE_CHECKING:
    from plugpy.server.server import Server


class SingleControl:
    """Answers on the control socket that the settings ask for, between start and stop."""

    __slots__ = ("_place", "_server", "_thread")

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._place = open_control(server.settings)
        self._thread: ControlThread | None = None

    def start(self) -> None:
        """In the event loop, once the server has started."""
        if self._place is not None:
            responder = Responder(self._server)
            self._thread = ControlThread(responder.answer, listening=self._place.sock)
            self._thread.start()

    def stop(self) -> None:
        """End it, and remove the socket."""
        if self._thread is not None:
            self._thread.stop()
        if self._place is not None:
            self._place.close()


def answer_master(server: "Server", worker: str, descriptor: int) -> None:
    """Answer the master on a socket of its own, for as long as this process lives."""
    responder = Responder(server, worker, logs=False)
    ControlThread(responder.answer, connected=socket.socket(fileno=descriptor)).start()
