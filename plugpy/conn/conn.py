"""The Conn: one request and its response, as it flows through the plugs."""

from typing import Any, Self

from plugpy.conn.cookie_side import CookieSide
from plugpy.conn.errors import NoTasksError
from plugpy.conn.part_side import PartSide
from plugpy.conn.rendering import renderer_of
from plugpy.conn.request import RequestSide
from plugpy.conn.response import ResponseSide
from plugpy.conn.session import SessionSide


class Conn(RequestSide, PartSide, ResponseSide, CookieSide, SessionSide):
    """One HTTP request and the response to it (Plug.Conn).

    A Conn is mutable; setters return it, so `return conn.put_resp_header(...).send_resp(200, "")`
    reads as in Plug. Fields of the request, all computed when first read:

    method str · request_path str, raw · query_string str, raw · path_info list[str], raw segments ·
    script_name list[str], segments that `forward` consumed · scheme "http" | "https" · host str ·
    port int · remote_ip str, meant to be overwritten by plugs that know better ·
    req_headers list[(str, str)] · req_cookies dict[str, str] · cookies dict ·
    query_params, body_params, path_params, params dict

    Fields of the response: status int | None · resp_headers list[(str, str)] · resp_cookies dict ·
    resp_body · state, see plugpy.conn.state · halted bool

    Fields for plugs: assigns dict, for users · private dict, for libraries · route, the route that
    matched · request_id str | None, of the plug RequestId · owner, the process that serves the
    connection · secret_key_base, never shown
    """

    __slots__ = ()

    @property
    def tasks(self) -> Any:
        """The server's supervisor of tasks (acceptors.otp.TaskSupervisor): work that outlives the
        request, `conn.tasks.start_task(send_mail, address)`.

        When the server stops, after the last connection has ended, its tasks may still finish for
        what is left of shutdown-timeout. Raises NoTasksError where the request is served by
        something that has none.
        """
        tasks = getattr(self.adapter, "tasks", None)
        if tasks is None:
            raise NoTasksError(
                f"{type(self.adapter).__name__} has no supervisor of tasks: serve with "
                "plugpy.Server, or use a TaskSupervisor of your own by its name"
            )
        return tasks

    def websocket(self, options: Any = None, **settings: Any) -> Any:
        """The WebSocket connection that the client asks for, as an async context manager.

            async with conn.websocket(subprotocols=["chat"]) as ws:
                async for message in ws:
                    await ws.send(message)

        options: a plugpy.websocket.WebSocketOptions, or its fields as keywords. Returns a
        plugpy.websocket.WebSocket. Raises UpgradeError (400, 403 or 426) for any other request,
        AlreadySentError, ValueError for wrong options or where there is no WebSocket.
        """
        self._check_unsent()
        make = getattr(self.adapter, "websocket", None)
        if make is None:
            raise ValueError(f"{type(self.adapter).__name__} does not support WebSocket")
        return make(self, options, settings)

    def assign(self, key: str, value: Any) -> Self:
        """Store a value for later plugs (Plug.Conn.assign/3)."""
        self.assigns[key] = value
        return self

    def merge_assigns(self, **values: Any) -> Self:
        """Store several values (Plug.Conn.merge_assigns/2)."""
        self.assigns.update(values)
        return self

    def put_private(self, key: str, value: Any) -> Self:
        """Store a value of a library; prefix the key with its name (Plug.Conn.put_private/3)."""
        self.private[key] = value
        return self

    def merge_private(self, **values: Any) -> Self:
        """Store several values of a library (Plug.Conn.merge_private/2)."""
        self.private.update(values)
        return self

    def render(self, template: str, /, **assigns: Any) -> Self:
        """Send what a template makes of `conn.assigns` and `assigns`; the latter win.

        template: its name below the folder of the plug Templates, "pages/show.html". The
        content-type is the one put before, else that of the name's ending; the status the one put
        before, else 200. Raises UnfetchedError without a plug that provides templates,
        AlreadySentError, and what the template raises.
        """
        renderer = renderer_of(self, template)
        self._check_unsent()
        content_type, text = renderer.render(self, template, assigns)
        return self._send_as(content_type, text, None)

    def __repr__(self) -> str:
        # Neither headers, cookies, params nor secrets: a repr ends up in logs.
        status = "" if self.status is None else f" {self.status}"
        halted = " halted" if self.halted else ""
        return f"<Conn {self.method} {self.request_path} {self.state}{status}{halted}>"
