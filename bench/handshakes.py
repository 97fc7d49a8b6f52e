"""A client that opens TLS connections, one after the other, for one request each."""

import socket
import time

from bench.processes import cores, pinned, trusting
from bench.wrk import Load

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def handshakes(port: int, seconds: float, *, resumed: bool) -> Load:
    """Connect for `seconds`, with full handshakes or with resumed ones.

    Bad is what is not answered 200, or whose session was not of the kind that is measured.
    """
    context = trusting()
    requests = bad = 0
    session = None
    with pinned(cores()[1]):
        start = time.monotonic()
        while (taken := time.monotonic() - start) < seconds:
            requests += 1
            try:
                with (
                    socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
                    context.wrap_socket(plain, session=session) as one,
                ):
                    one.sendall(REQUEST)
                    answer = b""
                    while data := one.recv(4_096):
                        answer += data
                    wrong_kind = one.session_reused is not (session is not None)
                    bad += wrong_kind or not answer.startswith(b"HTTP/1.1 200")
                    # Tickets of TLS 1.3 come after the handshake; each is good for one connection.
                    session = one.session if resumed else None
            except OSError:
                bad += 1
                session = None
    return Load(requests, taken, bad)
