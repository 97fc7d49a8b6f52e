"""permessage-deflate: when it compresses, and what it holds of the memory."""

from __future__ import annotations

import tracemalloc
import zlib
from typing import Any

import pytest
from websockets.exceptions import PayloadTooBig
from websockets.extensions import Extension
from websockets.frames import Frame, Opcode

from plugpy import testing
from plugpy.websocket.handshake import accept
from plugpy.websocket.options import DEFAULTS

from .conftest import KEY, TEXT
from .test_handshake import callbacks

MESSAGE = Frame(Opcode.TEXT, b"x" * 200)


def agree(parameters: str = "") -> Extension:
    """What a handshake makes of an offer."""
    headers = [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-key", KEY),
        ("sec-websocket-version", "13"),
        ("sec-websocket-extensions", "permessage-deflate" + parameters),
    ]
    (extension,) = accept(testing.conn("GET", "/", headers=headers), DEFAULTS).extensions
    return extension


async def test_compressed_from_the_size_that_was_asked_for(serve: Any) -> None:
    server = await serve(callbacks(compress_from=10))
    client = await server.connect("/", "sec-websocket-extensions: permessage-deflate")
    for size, rsv in ((9, 0), (10, 4)):
        await client(TEXT, "x" * size)
        assert (await client.frame()).rsv == rsv


@pytest.mark.parametrize("forgets", [True, False])
def test_coders_are_there_when_they_are_needed(forgets: bool) -> None:
    """A compressor takes 32 KB and an inflater 7: not for who says nothing, and where each message
    is for itself, not between messages."""
    parameters = "; server_no_context_takeover; client_no_context_takeover" if forgets else ""
    agree(parameters).encode(MESSAGE)  # what is made once
    tracemalloc.start()
    try:
        extension = agree(parameters)
        silent = tracemalloc.get_traced_memory()[0]
        assert silent < 5_000
        for _ in range(3):
            packed = extension.encode(MESSAGE)
            assert extension.decode(packed).data == MESSAGE.data
        spoken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    if forgets:
        assert spoken < 6_000
    else:
        assert spoken > 30_000  # the history of both directions, which pays


def test_a_bomb_behind_a_final_block_is_not_inflated() -> None:
    first = zlib.compressobj(wbits=-12)
    small = first.compress(b"harmless") + first.flush(zlib.Z_FINISH)
    second = zlib.compressobj(wbits=-12)
    bomb = second.compress(bytes(50_000_000)) + second.flush(zlib.Z_SYNC_FLUSH)
    extension = agree()
    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooBig):
            extension.decode(Frame(Opcode.BINARY, small + bomb, True, True), max_size=10_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 500_000, peak
