"""Where control sockets are: a folder for each user that nobody else can look into."""

import contextlib
import errno
import logging
import os
import socket
import stat
import tempfile
from typing import Final

from plugpy.server.errors import StartError
from plugpy.server.settings import Settings

logger = logging.getLogger("plugpy.server")

ENDING: Final = ".sock"

BACKLOG: Final = 16


def folder() -> str:
    """The folder of this user: below XDG_RUNTIME_DIR, or the folder for temporary files."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isdir(runtime):
        return os.path.join(runtime, "plugpy")
    return os.path.join(tempfile.gettempdir(), f"plugpy-{os.getuid()}")


def check_folder(path: str) -> str | None:
    """Why the folder can't be trusted, None where it can: ours, no link, closed to others."""
    facts = os.lstat(path)
    if not stat.S_ISDIR(facts.st_mode):
        return "it is no folder"
    if facts.st_uid != os.getuid():
        return f"it belongs to another user (uid {facts.st_uid})"
    if facts.st_mode & 0o077:
        return f"others may enter it (mode {stat.S_IMODE(facts.st_mode):o})"
    return None


def open_control(settings: Settings) -> "ControlPlace | None":
    """The listening control socket that the option `control` asks for; None for "off".

    With "auto" a folder that can't be trusted, or not be made, is warned of and done without.
    Raises StartError for a path that can't be used.
    """
    wanted = settings["control"]
    if wanted == "off":
        return None
    if wanted != "auto":
        try:
            return ControlPlace(wanted)
        except OSError as error:
            raise StartError(
                f"{settings.source('control')}: can't make the control socket {wanted!r}: "
                f"{error.strerror or error}"
            ) from None
    path = folder()
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
        complaint = check_folder(path)
        if complaint is None:
            remove_stale(path)
            return ControlPlace(os.path.join(path, f"{os.getpid()}{ENDING}"))
    except OSError as error:
        complaint = error.strerror or str(error)
    logger.warning("no control socket in %s: %s; set control to a path or off", path, complaint)
    return None


class ControlPlace:
    """A listening unix socket with mode 0600. path: where; sock: non-blocking. Raises OSError."""

    __slots__ = ("_inode", "path", "sock")

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        if _is_answered(self.path):
            raise OSError(errno.EADDRINUSE, "another server listens there")
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.lstat(self.path).st_mode):
                os.unlink(self.path)  # a server that was killed left it
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # The mode is that of the umask: at no time may others connect.
        before = os.umask(0o177)
        try:
            self.sock.bind(self.path)
        except OSError:
            self.sock.close()
            raise
        finally:
            os.umask(before)
        self._inode = os.lstat(self.path).st_ino
        self.sock.listen(BACKLOG)
        self.sock.setblocking(False)

    def close(self) -> None:
        """Listen no more, and remove the file if it is still ours."""
        self.sock.close()
        with contextlib.suppress(OSError):
            if os.lstat(self.path).st_ino == self._inode:
                os.unlink(self.path)


def running() -> dict[int, str]:
    """The servers of this user by their pid: paths of their control sockets."""
    path = folder()
    found: dict[int, str] = {}
    try:
        if check_folder(path) is not None:
            return found
        names = os.listdir(path)
    except OSError:
        return found
    for name in names:
        number = name.removesuffix(ENDING)
        if name.endswith(ENDING) and _is_pid(number) and _is_answered(os.path.join(path, name)):
            found[int(number)] = os.path.join(path, name)
    return dict(sorted(found.items()))


def remove_stale(path: str) -> None:
    """Remove the sockets of processes that are no more."""
    for name in os.listdir(path):
        number = name.removesuffix(ENDING)
        if name.endswith(ENDING) and _is_pid(number) and not _lives(int(number)):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(path, name))


def _is_pid(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 11


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _is_answered(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(1.0)
        try:
            sock.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True  # somebody is there, and busy
    return True
