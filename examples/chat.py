"""A chat server made of acceptors alone, without HTTP: lines of text, one room.

    python examples/chat.py --port 5556
    nc 127.0.0.1 5556        (in several terminals; the first line is your name)

Each connection is a process with a mailbox of its own: to say something to the room is to write to
everybody in it. `/who` lists them, `/quit` leaves. A peer that does not read is not waited for: it
is closed once too much waits for it.
"""

import argparse
import asyncio
import signal
from typing import Any

import acceptors

LONGEST_LINE = 500
"""Bytes."""

MOST_UNREAD = 100_000
"""Bytes that may wait for a slow peer."""


class Room:
    """Who is there, by name."""

    def __init__(self) -> None:
        self.members: dict[str, Chat] = {}

    def say(self, line: str, without: "Chat | None" = None) -> None:
        """Write a line to everybody but one."""
        for member in list(self.members.values()):
            if member is not without:
                member.write(line)


class Chat(acceptors.StreamConnection):
    """One person. `options` is the room."""

    __slots__ = ("nick",)

    def write(self, line: str) -> None:
        """Write a line, without waiting."""
        if self.transport is not None:
            self.transport.write(line.encode() + b"\n")
            if self.transport.get_write_buffer_size() > MOST_UNREAD:
                self.abort()

    async def read(self) -> str | None:
        """The next line, None at the end of the connection."""
        line = await self.receive_line(LONGEST_LINE)
        return line.decode(errors="replace").strip() if line else None

    async def run(self) -> None:
        """From the name to the last line."""
        room: Room = self.options
        try:
            self.write("What is your name?")
            nick = await self.read()
            while nick is not None and (not nick.isalnum() or nick in room.members):
                self.write("Letters and digits, and nobody else's, please. What is your name?")
                nick = await self.read()
            if nick is None:
                return
            room.members[nick] = self
            try:
                room.say(f"* {nick} has come", without=self)
                self.write(f"Hello {nick}! {len(room.members)} here.")
                while (line := await self.read()) not in (None, "/quit"):
                    if line == "/who":
                        self.write("Here: " + ", ".join(room.members))
                    elif line:
                        room.say(f"{nick}: {line}", without=self)
            finally:
                del room.members[nick]
                room.say(f"* {nick} has left")
        except ValueError as error:
            self.write(f"Goodbye: {error}")


async def serve(options: dict[str, Any]) -> None:
    """Run until a signal comes."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await acceptors.start_listener("chat", options, Chat, Room())
    print(f"chat on {options['host']}:{acceptors.get_port('chat')}", flush=True)
    await stop.wait()
    await acceptors.stop_listener("chat")


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="A chat server.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5556, help="0 takes a free one")
    parser.add_argument("--acceptors", type=int, default=10, dest="num_acceptors")
    parser.add_argument("--max-connections", type=int, default=1000)
    asyncio.run(serve(vars(parser.parse_args())))


if __name__ == "__main__":
    main()
