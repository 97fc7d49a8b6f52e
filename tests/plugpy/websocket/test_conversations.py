"""Conversations with wsproto as the client: whatever it may say, it hears the right answers, and
the same however its bytes arrive."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    Pong,
    Request,
    TextMessage,
)
from wsproto.extensions import Extension, PerMessageDeflate

from plugpy import testing
from plugpy.websocket import WebSocketOptions
from plugpy.websocket.codec import Codec
from plugpy.websocket.handshake import accept

from .wire import Wire

LIMIT = 100_000

Answer = tuple[str, Any]
"""What the client hears: ("message", whole), ("pong", data), ("close", code)."""


@dataclass(frozen=True)
class Said:
    """A message in parts, with a ping before each part but the first where `pings`."""

    parts: tuple[str, ...] | tuple[bytes, ...]
    pings: bool

    @property
    def whole(self) -> str | bytes:
        first = self.parts[0]
        return first[:0].join(self.parts)  # type: ignore[arg-type]

    def speak(self, client: WSConnection) -> bytes:
        data = b""
        kind = TextMessage if isinstance(self.parts[0], str) else BytesMessage
        for number, part in enumerate(self.parts):
            if number and self.pings:
                data += client.send(Ping(b"%d" % number))
            last = number == len(self.parts) - 1
            data += client.send(kind(data=part, message_finished=last))  # type: ignore[arg-type]
        return data

    def answers(self) -> list[Answer]:
        between = range(1, len(self.parts)) if self.pings else ()
        return [*(("pong", b"%d" % number) for number in between), ("message", self.whole)]


class Echo(Wire):
    """A server that sends each message back."""

    def message(self, message: Any) -> None:
        super().message(message)
        self.connection.send(message)


class Conversation:
    """The client's half, which has shaken hands with the server's own answer."""

    def __init__(self, extensions: list[Extension], options: WebSocketOptions) -> None:
        self.client = WSConnection(ConnectionType.CLIENT)
        head = self.client.send(Request("example.com", "/", extensions=extensions))
        _, *lines = head.decode().split("\r\n")
        fields = [tuple(line.split(": ", 1)) for line in lines if line]
        conn = testing.conn("GET", "/", headers=fields)  # type: ignore[arg-type]
        agreed = accept(conn, options)
        shown = "".join(f"{name}: {value}\r\n" for name, value in agreed.resp_headers)
        switch = "HTTP/1.1 101 \r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        self.client.receive_data(f"{switch}{shown}\r\n".encode())
        assert isinstance(next(self.client.events()), AcceptConnection)
        size = options.max_message_size
        self.server = Echo(Codec(agreed.extensions, size, size, options.compress_from))

    def hear(self, data: bytes) -> list[Answer]:
        """What the client makes of the server's bytes. Raises where they break the protocol."""
        self.client.receive_data(data)
        heard: list[Answer] = []
        pieces: list[Any] = []
        for event in self.client.events():
            if isinstance(event, Message):
                pieces.append(event.data)
                if event.message_finished:
                    heard.append(("message", pieces[0][:0].join(pieces)))
                    pieces.clear()
            elif isinstance(event, Pong):
                heard.append(("pong", bytes(event.payload)))
            else:
                assert isinstance(event, CloseConnection), event
                heard.append(("close", event.code))
        return heard


def cut(whole: Any) -> st.SearchStrategy[Any]:
    """A message in up to four parts, some of which may be empty."""
    places = st.lists(st.integers(0, len(whole)), max_size=3).map(sorted)
    return places.map(
        lambda at: tuple(whole[a:b] for a, b in zip([0, *at], [*at, len(whole)], strict=True))
    )


texts = st.builds(lambda text, times: text * times, st.text(max_size=30), st.integers(1, 40))
blobs = st.builds(lambda data, times: data * times, st.binary(max_size=30), st.integers(1, 40))
said = st.builds(Said, (texts | blobs).flatmap(cut), st.booleans())
pings = st.builds(Ping, st.binary(max_size=125))
pongs = st.builds(Pong, st.binary(max_size=125))
closes = st.builds(
    CloseConnection,
    st.sampled_from([1000, 1001, 1003, 1007, 1008, 1009, 1011, 3000, 4999]),
    st.text(max_size=30),
)
offers = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "client_no_context_takeover": st.booleans(),
        "server_no_context_takeover": st.booleans(),
        "client_max_window_bits": st.integers(9, 15),
        "server_max_window_bits": st.integers(9, 15),
    },
)


@given(
    turns=st.lists(said | pings | pongs, max_size=8),
    close=st.none() | closes,
    offer=offers,
    compress_from=st.sampled_from([0, 128]),
    cuts=st.lists(st.integers(0, 5_000), max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_any_conversation_in_any_pieces(
    turns: list[Said | Ping | Pong],
    close: CloseConnection | None,
    offer: dict[str, Any] | None,
    compress_from: int,
    cuts: list[int],
) -> None:
    sent: list[bytes] = []
    for how in ("whole", "by bytes", "cut"):
        extensions: list[Extension] = [] if offer is None else [PerMessageDeflate(**offer)]
        options = WebSocketOptions(max_message_size=LIMIT, compress_from=compress_from)
        talk = Conversation(extensions, options)
        data, expected = b"", list[Answer]()
        for turn in turns:
            if isinstance(turn, Said):
                data += turn.speak(talk.client)
                expected += turn.answers()
            else:
                data += talk.client.send(turn)
                if isinstance(turn, Ping):
                    expected.append(("pong", bytes(turn.payload)))
        if close is not None:
            data += talk.client.send(close)
            expected.append(("close", close.code))
        edges = {
            "whole": [0, len(data)],
            "by bytes": range(len(data) + 1),
            "cut": sorted({0, len(data), *(at for at in cuts if at < len(data))}),
        }[how]
        for start, end in itertools.pairwise(edges):
            talk.server.connection.data_received(data[start:end])
            talk.server.run()
        assert talk.hear(talk.server.sent) == expected
        ended = None if close is None else ("remote", close.code)
        assert talk.server.over == ended
        sent.append(talk.server.sent)
    assert sent[0] == sent[1] == sent[2]
