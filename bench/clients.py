"""Clients that only hold connections: plain sockets, since what they cost is not measured."""

import resource
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


class ClientError(Exception):
    """The server did not answer as it should."""


def raise_descriptor_limit(needed: int) -> None:
    """Allow this process and its children `needed` descriptors. Raises ClientError when it may
    not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed <= hard or soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < needed:
        raise ClientError(
            f"{needed} open files are needed and {hard} are allowed: ulimit -n {needed}"
        )


def request(path: str) -> bytes:
    """The head of a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


@contextmanager
def idle_connections(port: int, number: int) -> Iterator[None]:
    """Hold connections that have each been answered once. Raises ClientError."""
    head = request("/")
    with ExitStack() as stack:
        for _ in range(number):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            one.sendall(head)
            answer = b""
            while not answer.endswith(b"Hello Plug!"):
                part = one.recv(4096)
                if not part:
                    raise ClientError(f"closed after {answer[:80]!r}")
                answer += part
        yield


def sleep_together(port: int, number: int, seconds: float) -> tuple[int, float, float]:
    """Send `number` requests that sleep, each on a connection of its own.

    How many were answered 200, the seconds until the last was sent, and those until the last was
    answered.
    """
    head = request(f"/?seconds={seconds}")
    started = time.monotonic()
    answered = 0
    with ExitStack() as stack:
        poll = stack.enter_context(select.epoll())
        waiting: dict[int, socket.socket] = {}
        for _ in range(number):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            one.sendall(head)
            waiting[one.fileno()] = one
            poll.register(one, select.EPOLLIN)
        sent = time.monotonic() - started
        while waiting:
            events = poll.poll(timeout=30 + seconds)
            if not events:
                break
            for descriptor, _ in events:
                one = waiting.pop(descriptor)
                poll.unregister(one)
                answered += one.recv(4096).startswith(b"HTTP/1.1 200")
        return answered, sent, time.monotonic() - started
