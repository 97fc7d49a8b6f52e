"""Sending files: a range in one read, or by sendfile(2) while the peer takes it."""

import asyncio
import os
import socket
from typing import IO, TYPE_CHECKING

from plugpy.conn import ClientDisconnected

if TYPE_CHECKING:
    from plugpy.http.output import Http1Output

SMALL_FILE = 65_536
"""Bytes up to which a file is read and written with its head in one go. Measured on loopback: the
copy costs less than the further system calls."""

SLICE = 1 << 20
"""Bytes that one call of sendfile(2) may take: other connections wait meanwhile."""


def read_range(path: str, offset: int, length: int) -> bytes:
    """`length` bytes of a file from `offset`. Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        if offset:
            file.seek(offset)
        pieces = []
        while length > 0 and (piece := file.read(length)):
            pieces.append(piece)
            length -= len(piece)
    return b"".join(pieces)


async def send_range(connection: "Http1Output", file: IO[bytes], offset: int, length: int) -> None:
    """Send `length` bytes of `file` from `offset`; the head was written before. Closes the file.

    Raises ClientDisconnected, OSError, and EOFError where the file has shrunk meanwhile.
    """
    try:
        transport = connection.transport
        if transport is None:
            raise ClientDisconnected("the client went away before the file was sent")
        raw = transport.get_extra_info("socket")
        if transport.get_extra_info("ssl_object") or raw is None or not hasattr(os, "sendfile"):
            await _send_by_reading(connection, file, offset, length)
        else:
            # sendfile goes around the transport: what the transport still holds must leave first.
            transport.set_write_buffer_limits(high=0)
            try:
                if transport.get_write_buffer_size():
                    connection._write_paused = True
                    await connection.drained()
                await _send_by_kernel(connection, raw, file, offset, length)
            finally:
                transport.set_write_buffer_limits()
    finally:
        file.close()


async def _send_by_reading(
    connection: "Http1Output", file: IO[bytes], offset: int, length: int
) -> None:
    file.seek(offset)
    while length > 0:
        piece = file.read(min(length, SMALL_FILE))
        if not piece:
            raise EOFError("the file became shorter while it was sent")
        connection._write(piece)
        connection.body_bytes += len(piece)
        length -= len(piece)
        await connection.drained()


async def _send_by_kernel(
    connection: "Http1Output", raw: socket.socket, file: IO[bytes], offset: int, length: int
) -> None:
    loop = asyncio.get_running_loop()
    # A descriptor of our own: the loop refuses to watch one that a transport uses.
    target = os.dup(raw.fileno())
    try:
        while length > 0:
            if connection.transport is None:
                raise ClientDisconnected("the client went away before the file was sent")
            try:
                sent = os.sendfile(target, file.fileno(), offset, min(length, SLICE))
            except BlockingIOError:
                await _writable(loop, target)
                continue
            except (BrokenPipeError, ConnectionResetError) as error:
                raise ClientDisconnected("the client went away before the file was sent") from error
            if sent == 0:
                raise EOFError("the file became shorter while it was sent")
            connection.body_bytes += sent
            offset += sent
            length -= sent
            await asyncio.sleep(0)
    finally:
        os.close(target)


async def _writable(loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(descriptor, _wake, ready)
    try:
        await ready
    finally:
        # Before the descriptor is closed: its number may be another connection's a moment later.
        loop.remove_writer(descriptor)


def _wake(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
