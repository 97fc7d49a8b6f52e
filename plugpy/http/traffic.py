"""What the kernel knows of a connection, asked when somebody looks: how many bytes it has carried,
what waits to be read, whether the peer has left.

PERF: counting in Python would cost every request about 0.1 us; TCP counts anyway.
"""

import os
import select
import socket
import struct
from typing import Any

try:
    from fcntl import ioctl
    from termios import FIONREAD
except ImportError:  # Windows
    ioctl = None  # type: ignore[assignment]

# Linux's struct tcp_info: tcpi_bytes_acked, tcpi_bytes_received (include/uapi/linux/tcp.h).
_OFFSET = 120
_COUNTERS = struct.Struct("=QQ")


def traffic(transport: Any) -> dict[str, int | None]:
    """bytes_in, bytes_out (acknowledged by the peer); None where the kernel does not tell: unix
    sockets, systems other than Linux, connections that are gone."""
    raw = transport.get_extra_info("socket") if transport is not None else None
    if raw is None or raw.family not in (socket.AF_INET, socket.AF_INET6):
        return {"bytes_in": None, "bytes_out": None}
    try:
        with socket.socket(fileno=os.dup(raw.fileno())) as copy:
            info = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        acknowledged, received = _COUNTERS.unpack_from(info, _OFFSET)
    except (AttributeError, OSError, struct.error):
        return {"bytes_in": None, "bytes_out": None}
    return {"bytes_in": received, "bytes_out": acknowledged}


def unread(transport: Any) -> int:
    """Bytes that have arrived and were not read; 0 where the kernel does not tell."""
    raw = transport.get_extra_info("socket") if transport is not None else None
    if raw is None or ioctl is None:
        return 0
    try:
        return int(_WAITING.unpack(ioctl(raw.fileno(), FIONREAD, bytes(_WAITING.size)))[0])
    except OSError:
        return 0


_WAITING = struct.Struct("=i")


def has_left(transport: Any) -> bool:
    """Whether the peer has closed its half or broken the connection, also where bytes before that
    were not read yet. False where the kernel does not tell."""
    raw = transport.get_extra_info("socket") if transport is not None else None
    if raw is None or not _LEFT:
        return False
    poll = select.poll()
    try:
        poll.register(raw.fileno(), _LEFT)
    except (OSError, ValueError):
        return False
    return bool(poll.poll(0))


_LEFT = getattr(select, "POLLRDHUP", 0)
