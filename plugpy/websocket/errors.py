"""Errors of WebSocket: an upgrade that is refused, and a connection that is over."""

from plugpy.conn import ClientDisconnected, ConnError


class UpgradeError(ConnError):
    """The request can't become a WebSocket connection.

    status: 400 for a malformed request, 403 for a foreign Origin, 426 for one that asks for no
    WebSocket, or for a version that is not spoken here. resp_headers: what the answer must carry
    (RFC 9110 section 15.5.22, RFC 6455 section 4.4). Source: WebSockAdapter.UpgradeError.
    """

    status = 400

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        resp_headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message, status=status)
        self.resp_headers = resp_headers


class WebSocketClosed(ClientDisconnected):
    """The WebSocket connection is over: nothing more arrives, nothing can be sent.

    code: the close code that it ended with, 1005 where the client gave none, 1006 where the
    connection broke (RFC 6455 section 7.4.1). reason: the text that came with it.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(
            f"the WebSocket connection is closed: {code}{' ' if reason else ''}{reason}"
        )
        self.code = code
        self.reason = reason


class NotAcceptedError(ConnError):
    """A WebSocket was used before it was accepted: `async with conn.websocket() as ws`."""
