"""What a test conn has sent (Plug.Test.sent_resp/1 and its kin)."""

import json
from typing import Any, NamedTuple

from plugpy.conn import Conn
from plugpy.testing.adapter import TestAdapter


class SentResponse(NamedTuple):
    """A response as a client gets it: cookies are headers, chunks are joined, HEAD has no body.

    status int · headers list of (lower-case name, value) · body bytes
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def get(self, name: str) -> str | None:
        """The first value of a header, None without one."""
        return next(iter(self.get_all(name)), None)

    def get_all(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def text(self) -> str:
        """The body, decoded as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body, decoded as JSON."""
        return json.loads(self.body)


def adapter_of(conn: Conn) -> TestAdapter:
    """The adapter of a test conn. Raises TypeError for a conn of a server."""
    adapter: object = conn.adapter
    if not isinstance(adapter, TestAdapter):
        raise TypeError(
            f"this conn is carried by {type(adapter).__name__}: only one that "
            "plugpy.testing.conn made tells what it has sent"
        )
    return adapter


def sent_resp(conn: Conn) -> SentResponse:
    """The response that was sent (Plug.Test.sent_resp/1).

    Raises AssertionError where none was, TypeError for a conn of a server.

    >>> from plugpy.testing import conn
    >>> sent_resp(conn("GET", "/").send_resp(404, "no")).status
    404
    """
    adapter = adapter_of(conn)
    if adapter.sent_status is None:
        set_only = "" if conn.state == "unset" else ": it was set, call conn.send_resp()"
        raise AssertionError(f"{conn!r} has sent no response{set_only}")
    return SentResponse(adapter.sent_status, list(adapter.sent_headers), adapter.sent_body)


def sent_chunks(conn: Conn) -> list[bytes]:
    """The chunks that were sent so far, in order."""
    return list(adapter_of(conn).chunks)


def sent_informs(conn: Conn) -> list[tuple[int, list[tuple[str, str]]]]:
    """(status, headers) of the informational responses so far (Plug.Test.sent_informs/1)."""
    return list(adapter_of(conn).informs)


def sent_upgrades(conn: Conn) -> list[tuple[str, Any]]:
    """(protocol, options) of the upgrades that were asked for (Plug.Test.sent_upgrades/1)."""
    return list(adapter_of(conn).upgrades)
