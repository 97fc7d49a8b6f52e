"""The upgrade of an HTTP/1.1 connection to WebSocket: the way in from both styles of handlers.

Nothing of WebSocket is imported before the first upgrade.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from plugpy.conn import Conn

if TYPE_CHECKING:
    from plugpy.http.http1 import Http1Connection
    from plugpy.http.options import Upgrade as HttpUpgrade
    from plugpy.websocket.callbacks import CallbackReceiver
    from plugpy.websocket.connection import WebSocketConnection
    from plugpy.websocket.handshake import Accepted
    from plugpy.websocket.peer import Receiver
    from plugpy.websocket.socket import WebSocket


class WebSocketUpgrade:
    """What `HttpOptions.upgrades["websocket"]` holds."""

    def prepare(self, conn: Conn, options: Any) -> "tuple[Accepted, CallbackReceiver]":
        """Check the request at `conn.upgrade_adapter("websocket", Upgrade(...))`.

        Raises UpgradeError, TypeError for what is no Upgrade.
        """
        from plugpy.websocket.callbacks import callback_receiver
        from plugpy.websocket.handshake import accept

        receiver = callback_receiver(conn, options)
        return accept(conn, options.options), receiver

    def socket(self, conn: Conn, options: Any, settings: dict[str, Any]) -> "WebSocket":
        """What `conn.websocket(options, **settings)` returns. Raises UpgradeError, ValueError,
        TypeError."""
        from plugpy.websocket.options import DEFAULTS, WebSocketOptions
        from plugpy.websocket.socket import WebSocket

        if options is None:
            options = WebSocketOptions(**settings) if settings else DEFAULTS
        elif settings:
            raise TypeError("give either WebSocketOptions or their fields as keywords")
        return WebSocket(conn, options)

    def switch(
        self, connection: "Http1Connection", conn: Conn, agreed: "Accepted", receiver: "Receiver"
    ) -> "WebSocketConnection":
        """The protocol that takes the connection over; the 101 has left."""
        from plugpy.websocket.connection import WebSocketConnection

        return WebSocketConnection(connection, conn, agreed, receiver)


UPGRADES: Final["Mapping[str, HttpUpgrade]"] = {"websocket": WebSocketUpgrade()}
"""What plugpy's servers can change to."""
