"""Listening sockets: opening them, and leaving nothing behind."""

import contextlib
import errno
import os
import socket
import stat
import sys
from typing import Any, Final

from acceptors.options import TransportOptions

LISTEN_FDS_START: Final = 3
"""The first descriptor that systemd passes (sd_listen_fds(3))."""

NOT_OURS: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""bind(2) and socket(2): the address is not one of this machine."""

PORT_ATTEMPTS: Final = 10
"""Free ports that are tried until one is free at all addresses of a name."""


class ListenSockets:
    """The sockets of one listener, non-blocking. Raises OSError where one can't be opened.

    A host that is a name listens on all of its addresses, on one port.

    sockets   list, empty once closed
    port      of the first; kept, so that a listener that was suspended resumes on the same one
    """

    __slots__ = ("_inode", "_path", "port", "sockets")

    def __init__(self, options: TransportOptions, port: int | None = None) -> None:
        self._path: str | None = None
        self._inode: tuple[int, int] | None = None
        self.sockets: list[socket.socket] = []
        self.port: int | None = port
        try:
            self._open(options)
            for one in self.sockets:
                one.setblocking(False)
                one.listen(options.backlog)
            if options.post_listen_callback is not None:
                options.post_listen_callback(list(self.sockets))
        except BaseException:
            self.close()
            raise

    def _open(self, options: TransportOptions) -> None:
        if options.uds is not None:
            self._open_unix(options.uds, options.uds_mode)
        elif options.fd is not None:
            try:
                self.sockets.append(_adopt(options.fd))
            except OSError as error:
                raise _at(error, f"descriptor {options.fd}") from error
        elif options.sockets:
            for one in options.sockets:
                # First, since the duplicate shares the open file: dup() of a blocking socket
                # makes it block for a moment, and another worker's accept would hang in it.
                one.setblocking(False)
                self.sockets.append(one.dup())
        elif options.systemd:
            for descriptor in systemd_descriptors():
                self.sockets.append(_adopt(descriptor))
        else:
            self.sockets += _bind_all(options, options.port or self.port or 0)
        name = self.sockets[0].getsockname()
        if isinstance(name, tuple):
            self.port = name[1]

    def _open_unix(self, path: str, mode: int) -> None:
        _remove_stale(path)
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sockets.append(one)
        # Right from the first moment, not by a chmod that comes later.
        mask = os.umask(0o777 & ~mode)
        try:
            one.bind(path)
        finally:
            os.umask(mask)
        found = os.stat(path)
        self._path, self._inode = path, (found.st_dev, found.st_ino)

    def close(self) -> None:
        """Close all; remove the unix socket, unless another program has put its own there."""
        for one in self.sockets:
            one.close()
        self.sockets = []
        if self._path is not None:
            with contextlib.suppress(OSError):
                found = os.stat(self._path)
                if (found.st_dev, found.st_ino) == self._inode:
                    os.unlink(self._path)
            self._path = None


def _adopt(descriptor: int) -> socket.socket:
    """A socket of our own for a descriptor that somebody else opened."""
    duplicate = os.dup(descriptor)
    try:
        return socket.socket(fileno=duplicate)
    except OSError:
        os.close(duplicate)
        raise


def systemd_descriptors() -> list[int]:
    """The descriptors that systemd passed to this process (LISTEN_PID and LISTEN_FDS).

    Raises OSError where there are none: the service was not started by its socket unit.
    """
    count = os.environ.get("LISTEN_FDS", "")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit() or int(count) < 1:
        raise OSError(
            errno.EBADF,
            "systemd passed no sockets: LISTEN_FDS and LISTEN_PID are not set for this process",
        )
    return list(range(LISTEN_FDS_START, LISTEN_FDS_START + int(count)))


def _bind_all(options: TransportOptions, port: int) -> list[socket.socket]:
    """num_listen_sockets for each address of the host, all on one port.

    A name can have several addresses: what "localhost" is, clients decide differently. Those that
    this machine does not have (IPv6 is off, DNS knows of other machines) are passed over.
    """
    addresses = _addresses(options.host, port)
    for attempt in range(PORT_ATTEMPTS):
        sockets: list[socket.socket] = []
        missing: OSError | None = None
        chosen = port
        try:
            for address in addresses:
                try:
                    for _ in range(options.num_listen_sockets):
                        sockets.append(_bind(options, *address, chosen))
                        chosen = sockets[0].getsockname()[1]
                except OSError as error:
                    if error.errno not in NOT_OURS:
                        raise
                    missing = missing or error
            if sockets:
                return sockets
            assert missing is not None
            raise missing
        except BaseException as error:
            for one in sockets:
                one.close()
            # The system picked a port that is free at the first address, but not at the next.
            again = not port and len(sockets) and attempt + 1 < PORT_ATTEMPTS
            if not (again and isinstance(error, OSError) and error.errno == errno.EADDRINUSE):
                raise
    raise AssertionError


def _addresses(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    """(family, socket address) of each address of a host, each once. Raises OSError."""
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
    )
    return list(dict.fromkeys((int(family), address) for family, _, _, _, address in found))


def _bind(
    options: TransportOptions, family: int, address: tuple[Any, ...], port: int
) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        # No TIME_WAIT of an earlier run may keep this one from its port (as in Ranch, always on).
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if options.reuseport or options.num_listen_sockets > 1:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # Dual stack for "::", whatever the system's default is.
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(options.host != "::"))
        if options.keepalive:  # accepted sockets inherit these
            one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if options.nodelay:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if options.defer_accept and sys.platform == "linux":
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, options.defer_accept)
        if options.fastopen and hasattr(socket, "TCP_FASTOPEN"):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, options.fastopen)
        one.bind((address[0], port, *address[2:]))
    except OSError as error:
        one.close()
        shown = options.host if address[0] == options.host else f"{options.host}, {address[0]},"
        raise _at(error, f"{shown} port {port}") from error
    except BaseException:
        one.close()
        raise
    return one


def _at(error: OSError, place: str) -> OSError:
    """The same error, saying where."""
    return OSError(error.errno, f"{error.strerror or error} ({place})")


def _remove_stale(path: str) -> None:
    """Remove a unix socket that nobody listens on any more, left by a program that was killed."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise OSError(errno.EEXIST, "exists and is not a socket", path)
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        else:
            raise OSError(errno.EADDRINUSE, "another program listens on this socket", path)
