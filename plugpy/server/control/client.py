"""ControlClient: asks a server, for `plugpy ctl` and for scripts."""

import json
import os
import socket
from typing import Any, Self

from plugpy.server.control.errors import ControlError, NoServerError
from plugpy.server.control.lines import LONGEST_ANSWER, encode
from plugpy.server.control.place import folder, running


class ControlClient:
    """A connection to the control socket at `path`.

    timeout: seconds that an answer may take, 10. Raises NoServerError where nobody answers.
    """

    def __init__(self, path: str, *, timeout: float = 10.0) -> None:
        self.path = path
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(timeout)
        self._number = 0
        try:
            self._sock.connect(path)
        except OSError as error:
            self._sock.close()
            raise NoServerError(f"no server answers at {path}: {error.strerror or error}") from None
        self._file = self._sock.makefile("rb")

    @classmethod
    def find(cls, *, pid: int | None = None, timeout: float = 10.0) -> Self:
        """The server with this pid, or the only one of this user. Raises NoServerError that lists
        them where there are several."""
        servers = running()
        if pid is not None:
            if pid not in servers:
                known = ", ".join(map(str, servers)) or "none"
                raise NoServerError(f"no server with pid {pid} in {folder()}; there are: {known}")
            return cls(servers[pid], timeout=timeout)
        if not servers:
            raise NoServerError(
                f"no server is running (looked in {folder()}); "
                "give --control PATH for one that was told another place"
            )
        if len(servers) > 1:
            listed = "\n".join(f"  --pid {number}" for number in servers)
            raise NoServerError(f"several servers are running; say which one:\n{listed}")
        return cls(next(iter(servers.values())), timeout=timeout)

    def ask(self, command: str, **arguments: Any) -> Any:
        """The answer to a command. Raises ControlError, NoServerError."""
        self._number += 1
        given = {
            name.replace("_", "-"): value for name, value in arguments.items() if value is not None
        }
        request = {"id": self._number, "command": command, "arguments": given}
        try:
            self._sock.sendall(encode(request))
            line = self._file.readline(LONGEST_ANSWER)
        except OSError as error:
            raise NoServerError(f"the server at {self.path} does not answer: {error}") from None
        if not line.endswith(b"\n"):
            raise NoServerError(
                f"the server at {self.path} has closed the connection"
                + (" (are you its user?)" if os.getuid() else "")
            )
        answer = json.loads(line)
        if "error" in answer:
            raise ControlError(answer["error"]["code"], answer["error"]["message"])
        return answer["ok"]

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
