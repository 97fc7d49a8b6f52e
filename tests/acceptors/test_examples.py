"""The examples that use acceptors alone, as programs with real clients."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@contextlib.contextmanager
def running(name):
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / f"{name}.py"), "--port", "0", "--acceptors", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(f"{name} on 127.0.0.1:"), process.communicate()
        yield process, ("127.0.0.1", int(line.rpartition(":")[2]))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


class Person:
    """A client of the chat."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=10)
        self.file = self.socket.makefile("rw", newline="\n")

    def say(self, line):
        self.file.write(line + "\n")
        self.file.flush()

    def hear(self):
        return self.file.readline().rstrip("\n")

    def close(self):
        self.file.close()
        self.socket.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_echo(number):
    with running("echo") as (process, address):
        clients = [socket.create_connection(address, timeout=10) for _ in range(5)]
        for client in clients:
            client.sendall(b"hello")
        assert [client.recv(100) for client in clients] == [b"hello"] * 5
        process.send_signal(number)
        assert [client.recv(100) for client in clients] == [b""] * 5
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
        for client in clients:
            client.close()


def test_echo_of_much():
    with running("echo") as (_, address), socket.create_connection(address, timeout=10) as client:
        # More than the kernel takes at once, and nothing is read before all is sent or stuck.
        client.settimeout(0.2)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 64_000_000:
                sent += client.send(b"x" * 100_000)
        assert sent < 64_000_000  # the server does not read without end for who does not read
        client.settimeout(10)
        client.shutdown(socket.SHUT_WR)
        got = 0
        while data := client.recv(1_000_000):
            got += len(data)
        assert got == sent


def test_chat():
    with running("chat") as (process, address):
        ada, bob, eve = (Person(address) for _ in range(3))
        for person in (ada, bob, eve):
            assert person.hear() == "What is your name?"
        ada.say("ada")
        assert ada.hear() == "Hello ada! 1 here."
        bob.say("ada")
        assert bob.hear().startswith("Letters and digits, and nobody else's, please.")
        bob.say("bob")
        assert bob.hear() == "Hello bob! 2 here."
        assert ada.hear() == "* bob has come"
        ada.say("hello bob")
        assert bob.hear() == "ada: hello bob"
        bob.say("/who")
        assert bob.hear() == "Here: ada, bob"
        eve.say("e" * 501)
        assert eve.hear() == "Goodbye: a line is longer than 500 bytes"
        assert eve.hear() == ""
        ada.say("/quit")
        assert ada.hear() == ""
        assert bob.hear() == "* ada has left"
        process.send_signal(signal.SIGTERM)
        assert bob.hear() == ""
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
        for person in (ada, bob, eve):
            person.close()
