"""The opening handshake: whether a request may become a connection (RFC 6455 section 4.2)."""

import base64
import binascii
import hashlib
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from plugpy.conn import Conn, RequestHead
from plugpy.websocket.errors import UpgradeError
from plugpy.websocket.options import WebSocketOptions
from plugpy.websocket.origin import allows

if TYPE_CHECKING:
    from websockets.extensions import Extension

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

WINDOW_BITS = 12
"""Of both ends' compression: 4 KB of history each, and with MEMORY_LEVEL some 40 KB a connection
instead of 300, for about as small messages."""

MEMORY_LEVEL = 5


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was agreed on. subprotocol: None for none. extensions: those of the connection, which
    hold its state. resp_headers: of the 101, less Upgrade and Connection."""

    options: WebSocketOptions
    subprotocol: str | None
    extensions: "tuple[Extension, ...]"
    resp_headers: tuple[tuple[str, str], ...]


def is_upgrade(head: RequestHead) -> bool:
    """Whether the client asks for a WebSocket connection, well-formed or not."""
    return "websocket" in _tokens(head.get("upgrade")) and "upgrade" in _tokens(
        head.get("connection")
    )


def accept(conn: Conn, options: WebSocketOptions) -> Accepted:
    """Check the request of `conn`. Raises UpgradeError, which tells the status."""
    key = check_request(conn)
    _require_library()
    head = conn.head
    for origin in head.get("origin"):
        if not allows(options.check_origin, conn, origin):
            raise UpgradeError(
                "this Origin may not connect: see the option check_origin", status=403
            )
    headers = [("sec-websocket-accept", accept_token(key))]
    offered = offered_subprotocols(head)
    subprotocol = next((one for one in options.subprotocols if one in offered), None)
    if subprotocol is not None:
        headers.append(("sec-websocket-protocol", subprotocol))
    extensions: tuple[Any, ...] = ()
    if options.compress and (offers := head.get("sec-websocket-extensions")):
        answer, extensions = _negotiate(", ".join(offers))
        if answer:
            headers.append(("sec-websocket-extensions", answer))
    return Accepted(options, subprotocol, extensions, tuple(headers))


@lru_cache(maxsize=1)
def _require_library() -> None:
    """Raises ImportError, before anything is promised to the client."""
    if importlib.util.find_spec("websockets") is None:
        raise ImportError('WebSocket needs the library websockets: pip install "plugpy[websocket]"')


def check_request(conn: Conn) -> str:
    """The client's key. Raises UpgradeError."""
    head = conn.head
    if not is_upgrade(head):
        raise UpgradeError(
            "a WebSocket connection is expected here: GET with Upgrade: websocket and "
            "Connection: Upgrade",
            status=426,
            resp_headers=(("upgrade", "websocket"), ("connection", "upgrade")),
        )
    if head.method != "GET" or head.version != "1.1":
        raise UpgradeError("WebSocket connections begin with a GET of HTTP/1.1")
    versions = head.get("sec-websocket-version")
    if versions != ["13"]:
        raise UpgradeError(
            "version 13 of WebSocket is spoken here",
            status=426,
            resp_headers=(
                ("upgrade", "websocket"),
                ("connection", "upgrade"),
                ("sec-websocket-version", "13"),
            ),
        )
    keys = head.get("sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        raise UpgradeError("Sec-WebSocket-Key must be 16 bytes in base64, once")
    return keys[0]


def accept_token(key: str) -> str:
    """The answer to a client's key, which proves that we speak WebSocket."""
    digest = hashlib.sha1(key.encode("latin-1") + GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def _tokens(values: list[str]) -> set[str]:
    return {token.strip(" \t").lower() for value in values for token in value.split(",")}


def offered_subprotocols(head: RequestHead) -> list[str]:
    """What the client speaks, the most wanted first."""
    values = head.get("sec-websocket-protocol")
    return [token.strip(" \t") for value in values for token in value.split(",")]


def _negotiate(offers: str) -> "tuple[str, tuple[Extension, ...]]":
    """The first offer of permessage-deflate that can be met, and the extension for it."""
    from websockets.exceptions import InvalidHeader, NegotiationError
    from websockets.headers import build_extension, parse_extension

    from plugpy.websocket.deflate import Deflate

    try:
        parsed = parse_extension(offers)
    except InvalidHeader as error:
        raise UpgradeError(f"Sec-WebSocket-Extensions is malformed: {error}") from None
    factory = _deflate()
    for name, parameters in parsed:
        if name == factory.name:
            try:
                agreed, extension = factory.process_request_params(parameters, [])
            except NegotiationError:
                continue  # the next offer may suit; else the connection is not compressed
            return build_extension([(name, agreed)]), (Deflate.of(extension),)
    return "", ()


@lru_cache(maxsize=1)
def _deflate() -> Any:
    from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

    return ServerPerMessageDeflateFactory(
        server_max_window_bits=WINDOW_BITS,
        client_max_window_bits=WINDOW_BITS,
        compress_settings={"memLevel": MEMORY_LEVEL},
    )
