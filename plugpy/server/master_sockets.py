"""All listening sockets of a server with workers, held by the master."""

import socket

from plugpy.server.listeners import listeners_of
from plugpy.server.settings import Settings
from plugpy.server.sockets import ListenerSockets


class ListeningSockets:
    """The sockets of all listeners. Raises StartError, ConfigurationError; then none is open.

    shared: every worker takes the same ones. url: where the listeners can be reached, one after the
    other. sizes: how many sockets of each listener a worker has.
    """

    def __init__(self, settings: Settings) -> None:
        self._listeners: list[ListenerSockets] = []
        urls = []
        try:
            for one in listeners_of(settings):
                opened = ListenerSockets(one.settings)
                self._listeners.append(opened)
                urls.append(one.url(opened.address))
        except BaseException:
            self.close()
            raise
        self.url = ", ".join(urls)
        self.shared = all(one.shared for one in self._listeners)
        self.sizes = [len(one.take(0)) for one in self._listeners]

    def take(self, number: int) -> list[socket.socket]:
        """The sockets of the worker in place `number` (from 0), listener by listener.

        Raises StartError when no further one can be opened.
        """
        return [sock for one in self._listeners for sock in one.take(number)]

    def close(self) -> None:
        """Close all."""
        for one in self._listeners:
            one.close()
