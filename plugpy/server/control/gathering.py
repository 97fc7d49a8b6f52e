"""WorkerLink: the master's end of the socket to the control thread of a worker."""

import asyncio
import json
import socket
from typing import Any, Final, Self

from plugpy.server.control.errors import ControlError
from plugpy.server.control.lines import LONGEST_ANSWER, encode

PATIENCE: Final = 3.0
"""Seconds that a worker has for an answer: a little more than its thread waits for its loop."""


class WorkerLink:
    """Asks one worker. name: how pids of its processes begin, `2` in `2.17`. Made by `open`."""

    __slots__ = ("_number", "_reading", "_waiting", "_writer", "name")

    def __init__(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.name = name
        self._writer = writer
        # Requests that are not answered yet: several at a time, since one may take long.
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._reading = asyncio.get_running_loop().create_task(self._read(reader))

    @classmethod
    async def open(cls, name: str, sock: socket.socket) -> Self:
        """The link over `sock`, which is its own from now on."""
        reader, writer = await asyncio.open_connection(sock=sock, limit=LONGEST_ANSWER)
        return cls(name, reader, writer)

    async def ask(self, command: str, arguments: dict[str, Any], who: str) -> Any:
        """The worker's answer. Raises ControlError; `failed` where none came in time."""
        self._number += 1
        number = self._number
        given = {key: value for key, value in arguments.items() if value is not None}
        request = {"id": number, "command": command, "arguments": {**given, "_who": who}}
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answered
        try:
            self._writer.write(encode(request))
            async with asyncio.timeout(PATIENCE):
                answer = await answered
        except (TimeoutError, OSError):
            raise ControlError("failed", "does not answer") from None
        finally:
            self._waiting.pop(number, None)
        if "error" in answer:
            raise ControlError(answer["error"]["code"], answer["error"]["message"])
        return answer["ok"]

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                answer = json.loads(line)
                answered = self._waiting.get(answer.get("id"))
                if answered is not None and not answered.done():
                    answered.set_result(answer)
        except (OSError, ValueError):
            pass  # the worker is gone
        for answered in self._waiting.values():
            if not answered.done():
                answered.set_exception(OSError("the worker is gone"))

    def close(self) -> None:
        """Close it."""
        self._reading.cancel()
        self._writer.close()
